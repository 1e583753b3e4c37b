"""One clip of the world: a verb, a cast, a scene, a camera, a film; and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from s3d.data.world.brush import Bytes, draw
from s3d.data.world.camera import Camera, draw_camera, draw_film, film_shapes
from s3d.data.world.catalogue import NUMBERS, VERBS, Verb
from s3d.data.world.company_verbs import onlookers
from s3d.data.world.dress import Scene, put_figures, put_ground, put_screens, put_things
from s3d.data.world.play import Play, X, Z, bystanders
from s3d.data.world.strokes import ACTOR, Floats, Sheet

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
    put_ground(sheet, rng, scene, bool(play.figures))
    ground = sheet.shapes.shape[1]
    if play.figures:
        put_figures(sheet, play, rng, scene)
    put_things(sheet, play, rng, scene)
    if rng.random() < 0.25 * difficulty:
        put_screens(sheet, rng)
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
