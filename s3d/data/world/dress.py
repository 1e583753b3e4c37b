"""How a play is dressed: its ground, builds for its figures, looks for its things."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s3d.data.world.bodies import draw_build, put_figure
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


def put_ground(sheet: Sheet, rng: np.random.Generator, scene: Scene, is_place: bool) -> None:
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


def put_figures(sheet: Sheet, play: Play, rng: np.random.Generator, scene: Scene) -> None:
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


def put_things(sheet: Sheet, play: Play, rng: np.random.Generator, scene: Scene) -> None:
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


def put_screens(sheet: Sheet, rng: np.random.Generator) -> None:
    """Put things in front that hide a part of what happens."""
    for _ in range(int(rng.integers(1, 3))):
        paint = make_paint(rng, *draw_tones(rng, 0.4), 10.0)
        half = (rng.uniform(0.03, 0.1), rng.uniform(0.2, 0.8))
        axes = turned(rng.normal() * 0.2 + rng.choice([0, 1.57]), *half)
        sheet.put(BOX, rng.uniform(-0.45, 0.45, 2), axes, paint, BACKGROUND)
