"""One clip of the world: a verb, a cast, a scene, a camera, a film; and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from s3d.data.world.bodies import draw_build, put_figure
from s3d.data.world.brush import Bytes, draw
from s3d.data.world.camera import Camera, draw_camera, draw_film, film_shapes
from s3d.data.world.catalogue import NUMBERS, VERBS, Verb
from s3d.data.world.figure_verbs import onlookers
from s3d.data.world.play import (
    ACROSS,
    ALONG,
    ANGLE,
    AT_X,
    OPACITY,
    OPEN,
    Figure,
    Play,
    Thing,
    X,
    Z,
    bystanders,
)
from s3d.data.world.strokes import (
    ACTOR,
    BACKGROUND,
    BLOB,
    BOX,
    DIAMOND,
    PLANE,
    RING,
    ROUND,
    WEDGE,
    Floats,
    Sheet,
    turned,
)
from s3d.data.world.textures import draw_paints, draw_tones, make_paint, stand_out

SECONDS = (0.8, 3.2)
"""Of the world's time in a clip."""
FACTS = 10
"""Numbers known of a clip: see `Clip.facts`."""


@dataclass(frozen=True)
class Clip:
    """Hold a clip and what is known of it.

    Attributes:
        frames: (T, H, W, 3) uint8.
        grid: (T, H / 8, W / 8, 4): flow right and down in px a frame, speed past the background
            in px a frame, share that the actors cover.
        verb: Number of its class in `CLASSES`.
        camera: Number of the camera's kind in `CAMERAS`.
        facts: (FACTS,) log of the seconds, beats, actors' way right and down in frame heights,
            actors, bystanders, the camera's way right and down, its zoom and its roll.
        cut: First frame of a second shot; 0 for none.
    """

    frames: Bytes
    grid: Floats
    verb: int
    camera: int
    facts: Floats
    cut: int


@dataclass(frozen=True)
class Scene:
    """Say how hard a clip is to see through, and what its ground looks like.

    Attributes:
        difficulty: 0 plain, still, clear .. 1 crowded, shaken, dark.
        contrast: Of the ground's texture.
        luma: Of the ground.
    """

    difficulty: float
    contrast: float
    luma: float

    @property
    def least_apart(self) -> float:
        """Return by how much in lightness what acts stands out."""
        return 0.45 * (1 - self.difficulty)


def stage_play(
    rng: np.random.Generator, frames: int, difficulty: float, verbs: Sequence[Verb] = VERBS
) -> tuple[Play, int]:
    """Return what happens in a clip, and the number of its class."""
    verb = verbs[int(rng.integers(len(verbs)))]
    seconds = np.exp(rng.uniform(np.log(SECONDS[0]), np.log(SECONDS[1])))
    moments = np.linspace(0, seconds, frames + 1, dtype=np.float32)
    play = Play(rng, moments)
    verb.act(play)
    name = verb.name
    is_backwards = rng.random() < 0.5
    if is_backwards and verb.reverse:
        name = verb.reverse
        play.turn_back()
    bystanders(play, difficulty)
    onlookers(play, difficulty)
    return play, NUMBERS[name]


def film_play(
    play: Play, verb: int, rng: np.random.Generator, size: int, difficulty: float
) -> Clip:
    """Dress and film what happens: another generator gives other looks to the same motion.

    Args:
        play: What happens.
        verb: Number of its class.
        rng: Decides all looks, the camera and the film.
        size: Height and width in px.
        difficulty: 0 plain, still, clear .. 1 crowded, shaken, dark.
    """
    moments = len(play.seconds)
    contrast = float(rng.uniform(0.05, 0.9)) * (0.2 + 0.8 * difficulty)
    scene = Scene(difficulty, contrast, float(rng.uniform(0.12, 0.88)))
    is_calm = bool(play.figures) and rng.random() < 0.7
    camera = draw_camera(rng, moments, is_calm, difficulty)
    film = draw_film(rng, moments - 1, difficulty)
    sheet = Sheet(moments)
    _put_ground(sheet, rng, scene, bool(play.figures))
    ground = sheet.shapes.shape[1]
    if play.figures:
        _put_figures(sheet, play, rng, scene)
    _put_things(sheet, play, rng, scene)
    if rng.random() < 0.25 * difficulty:
        _put_screens(sheet, rng)
    shapes = film_shapes(sheet.shapes, camera, size, size)
    joined = camera.joined
    if film.hold > 1:
        shapes, joined = _hold(shapes, joined, film.hold)
    frames, grid = draw(shapes, ground, joined, film, size, size)
    return Clip(frames, grid, verb, camera.kind, _facts(play, camera), camera.cut)


def draw_pair(
    seed: tuple[int, ...],
    frames: int,
    size: int,
    hardest: float = 1.0,
    verbs: Sequence[Verb] = VERBS,
) -> tuple[Clip, Clip]:
    """Return two clips of the same motion that look unlike each other.

    Args:
        seed: Names the clips: the same seed, the same clips.
        frames: Of a clip.
        size: Height and width in px, a multiple of 8.
        hardest: The difficulty is anything up to this, 0 to 1.
        verbs: Of which one happens.

    Raises:
        InputError: There is no C compiler.
    """
    rng = np.random.default_rng(seed)
    difficulty = hardest * float(rng.random()) ** 0.7
    play, verb = stage_play(rng, frames, difficulty, verbs)
    looks = (np.random.default_rng((*seed, look)) for look in (1, 2))
    first, second = (film_play(play, verb, look, size, difficulty) for look in looks)
    return first, second


def _put_ground(sheet: Sheet, rng: np.random.Generator, scene: Scene, is_place: bool) -> None:
    """Lay one or two textures behind everything, and things that stand about: a few, or many."""
    for layer in range(1 if rng.random() < 0.5 else 2):
        dark, light = draw_tones(rng, scene.contrast, luma=scene.luma)
        scale = float(np.exp(rng.uniform(np.log(12), np.log(90))))
        paint = make_paint(rng, dark, light, scale)
        axes = turned(rng.uniform(0, 6.28), 1.0, 1.0)
        sheet.put(PLANE, (0, 0), axes, paint, BACKGROUND, opacity=1.0 if layer == 0 else 0.4)
    is_full = is_place and rng.random() < 0.6
    count = int(scene.difficulty * rng.uniform(0, 40 if is_full else 6))
    if count:
        sizes = rng.uniform(0.03, 0.22, (2, count)) * np.exp(rng.normal(size=count) * 0.4)
        slant = rng.uniform(-0.8, 0.8)
        axes = turned(slant * (rng.random(count) < 0.5), *sizes)
        axes[:, 2] += slant * (rng.random(count) < 0.5) * sizes[1]
        kinds = np.where(rng.random(count) < 0.75, BOX, ROUND)
        paints = draw_paints(rng, scene.contrast, (3, 25), count)
        sheet.put_still(kinds, rng.uniform(-0.75, 0.75, (count, 2)), axes, paints)


def _put_figures(sheet: Sheet, play: Play, rng: np.random.Generator, scene: Scene) -> None:
    """Draw the figures, those behind first, at a size at which most of them are in the frame."""
    pitch = float(rng.uniform(0.05, 1.0))
    spots = np.stack([f.pose[:, (X, Z)].mean(0) for f in play.figures if f.owner == ACTOR])
    middle = spots.mean(0)
    reach = float(np.abs(spots - middle).max()) + 0.5
    least = np.log(0.2 + 0.25 * (1 - scene.difficulty))
    height = min(float(np.exp(rng.uniform(least, 0))), 0.9 / reach)
    shadow = float(rng.uniform(0.2, 0.6)) if rng.random() < 0.6 else 0.0
    lift = 0.45 * np.cos(pitch) * height
    builds = [draw_build(rng, scene.luma, scene.least_apart) for _ in play.figures]
    order = sorted(range(len(builds)), key=lambda i: float(play.figures[i].pose[:, Z].mean()))
    for i in order:
        figure = play.figures[i]
        moved = figure.pose.copy()
        moved[:, X] -= middle[0]
        moved[:, Z] -= middle[1] - lift / max(np.sin(pitch), 0.2) / height
        put_figure(sheet, Figure(moved, figure.owner), builds[i], height, pitch, shadow)


_THING_KINDS = (ROUND, BOX, DIAMOND, BLOB, RING)


def _put_things(sheet: Sheet, play: Play, rng: np.random.Generator, scene: Scene) -> None:
    """Draw the things: bystanders behind, actors in front."""
    for thing in sorted(play.things, key=lambda t: t.owner):
        luma = stand_out(rng, scene.luma, scene.least_apart)
        dark, light = draw_tones(rng, rng.uniform(0.1, 0.9), luma=luma)
        paint = make_paint(rng, dark, light, float(np.exp(rng.uniform(0.7, 3.2))))
        if thing.turns:  # What turns has to be seen to turn.
            paint[4:7], paint[7:10] = dark * 0.6, np.clip(light + 0.3, 0, 1)
        _put_thing(sheet, thing, rng, paint)


def _put_thing(sheet: Sheet, thing: Thing, rng: np.random.Generator, paint: Floats) -> None:
    place = thing.place
    centre, opacity = place[:, AT_X : AT_X + 2], place[:, OPACITY]
    since = len(sheet.shapes[0])
    if thing.has_doors:
        _put_doors(sheet, thing, rng, paint)
    elif place[:, OPEN].any():
        axes = turned(place[:, ANGLE] + rng.uniform(0, 6.28), place[:, ALONG], place[:, ALONG])
        sheet.put(WEDGE, centre, axes, paint, thing.owner, (place[:, OPEN] * 1.3,), opacity)
    else:
        kind = int(rng.choice(_THING_KINDS))
        if thing.turns and kind in (ROUND, RING):
            kind = BLOB
        form = (float(rng.integers(2, 7)), rng.uniform(0.15, 0.6), rng.uniform(0, 6.28))
        if kind == RING:
            form = (rng.uniform(0.15, 0.35), 0.0, 0.0)
        axes = turned(place[:, ANGLE], place[:, ALONG], place[:, ACROSS])
        sheet.put(kind, centre, axes, paint, thing.owner, form, opacity)
    if rng.random() < 0.5:
        light = rng.uniform(-0.35, 0.35, 2)
        sheet.shade(since, (float(light[0]), float(light[1])))


def _put_doors(sheet: Sheet, thing: Thing, rng: np.random.Generator, paint: Floats) -> None:
    """Draw an opening and two panels that slide from its middle."""
    place = thing.place
    half, angle = place[:, ALONG], place[:, ANGLE]
    inside = make_paint(rng, *draw_tones(rng, 0.5), 8.0)
    centre = place[:, AT_X : AT_X + 2]
    sheet.put(BOX, centre, turned(angle, half, half), inside, thing.owner)
    wide = half * (1 - place[:, OPEN]) / 2
    away = half - wide
    across = np.stack([np.cos(angle), np.sin(angle)], 1)
    for side in (-1, 1):
        middle = centre + side * away[:, None] * across
        sheet.put(BOX, middle, turned(angle, wide + 1e-3, half), paint, thing.owner)


def _put_screens(sheet: Sheet, rng: np.random.Generator) -> None:
    """Put things in front that hide a part of what happens."""
    for _ in range(int(rng.integers(1, 3))):
        paint = make_paint(rng, *draw_tones(rng, 0.4), 10.0)
        half = (rng.uniform(0.03, 0.1), rng.uniform(0.2, 0.8))
        axes = turned(rng.normal() * 0.2 + rng.choice([0, 1.57]), *half)
        sheet.put(BOX, rng.uniform(-0.45, 0.45, 2), axes, paint, BACKGROUND)


def _hold(shapes: Floats, joined: Bytes, hold: int) -> tuple[Floats, Bytes]:
    """Return shapes that change every `hold` frames only, as a slow source shows them."""
    held = np.arange(len(shapes)) // hold * hold
    until = np.minimum(held[:-1] + hold - 1, len(joined) - 1)
    # A cut between two held frames is where the next picture begins.
    cuts = np.array([joined[a : b + 1].all() for a, b in zip(held[:-1], until, strict=True)])
    is_last = np.append(np.diff(held[:-1]) > 0, True)
    return shapes[held], np.where(is_last, cuts, 1).astype(np.uint8)


def _facts(play: Play, camera: Camera) -> Floats:
    """Return what `Clip.facts` says."""
    ways = [t.place[-1, :2] - t.place[0, :2] for t in play.things if t.owner == ACTOR]
    ways += [f.pose[-1, (X, Z)] - f.pose[0, (X, Z)] for f in play.figures if f.owner == ACTOR]
    way = np.mean(ways, 0) if ways else np.zeros(2)
    owners = [t.owner for t in play.things] + [f.owner for f in play.figures]
    actors = owners.count(ACTOR)
    first, last = camera.track[0], camera.track[-1]
    if camera.cut:
        last = camera.track[camera.cut - 1]
    facts = [np.log(play.span), min(play.beats, 6.0), *np.clip(way, -2, 2), actors]
    return np.array([*facts, len(owners) - actors, *(last - first)], np.float32)
