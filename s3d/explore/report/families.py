"""Which family a network belongs to, how it is drawn, and the curves over k that points lie on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from s3d.explore.report.data import Point
from s3d.models.family import LAYERS, NETWORKS, network_name

Shape = Literal["circle", "up", "down", "square", "diamond", "pentagon"]
Setting = tuple[float, int, int, float]  # width, frames, size_px, rate_fps
LAST = len(LAYERS) - 1


@dataclass(frozen=True)
class Family:
    """Name a family and say how it is drawn.

    Attributes:
        name: As it is written.
        kind: Its class in the style sheet.
        shape: Of its marks.
        light: Its colour on white.
        dark: Its colour on black.
    """

    name: str
    kind: str
    shape: Shape
    light: str
    dark: str


I2D = Family("I2D", "i2d", "circle", "#6b7280", "#a3adba")
I3D = Family("I3D", "i3d", "circle", "#1d4ed8", "#6ea0ff")
BOTTOM_I3D = Family("Bottom-Heavy I3D", "bottom-i3d", "down", "#0e86a8", "#38bdf8")
TOP_I3D = Family("Top-Heavy I3D", "top-i3d", "up", "#6d28d9", "#a78bfa")
S3D = Family("S3D", "s3d", "circle", "#c2410c", "#fb923c")
BOTTOM_S3D = Family("Bottom-Heavy S3D", "bottom-s3d", "down", "#a16207", "#facc15")
TOP_S3D = Family("Top-Heavy S3D", "top-s3d", "up", "#be123c", "#fb7185")
FAST_S3D = Family("Fast-S3D", "fast-s3d", "diamond", "#15803d", "#4ade80")
S3D_G = Family("S3D-G", "s3d-g", "square", "#a21caf", "#e879f9")
OWN = Family("other words", "own", "pentagon", "#44403c", "#d6d3d1")

FAMILIES = (I2D, BOTTOM_I3D, TOP_I3D, I3D, BOTTOM_S3D, TOP_S3D, FAST_S3D, S3D, S3D_G, OWN)
"""All of them, in the order of a key."""

_NAMED = {"i2d": I2D, "i3d": I3D, "s3d": S3D, "s3d_g": S3D_G, "s3d_fast": FAST_S3D}
_HEAVY = {
    "i3d_bottom_": BOTTOM_I3D,
    "i3d_top_": TOP_I3D,
    "s3d_bottom_": BOTTOM_S3D,
    "s3d_top_": TOP_S3D,
}


@dataclass(frozen=True)
class Curve:
    """Hold one curve over k: networks that differ in nothing but how many layers see time.

    Attributes:
        family: Whose curve it is.
        setting: (width, frames, size_px, rate_fps) of all its points.
        places: (k, point), k rising; the I2D end lies at -1 of a bottom-heavy curve and at 11 of a
            top-heavy one.
    """

    family: Family
    setting: Setting
    places: tuple[tuple[int, Point], ...]


def family_of(word: str) -> Family:
    """Return the family of a network's word."""
    name = network_name(word)
    if name in _NAMED:
        return _NAMED[name]
    return next((family for start, family in _HEAVY.items() if name.startswith(start)), OWN)


def families_in(points: Iterable[Point]) -> list[Family]:
    """Return the families of these points, in the order of a key."""
    found = {family_of(point.word) for point in points}
    return [family for family in FAMILIES if family in found]


def setting_of(point: Point) -> Setting:
    """Return what else than the network tells a point from others."""
    return point.width, point.frames, point.size_px, point.rate_fps


def find_curves(points: Sequence[Point]) -> list[Curve]:
    """Return the curves that trained points make.

    A curve has two points or more, one of which at least is no end; the ends (I2D, and I3D or S3D)
    belong to it where they were trained with the same width and clip.

    Source: paper section 4.2, where both kinds of curve run between I2D and I3D.
    """
    scored = [point for point in points if point.is_scored]
    curves = []
    for setting in dict.fromkeys(map(setting_of, scored)):
        by_word = {p.word: p for p in scored if setting_of(p) == setting}
        for start, family in _HEAVY.items():
            places = [(k, by_word[word]) for k, word in _words(start) if word in by_word]
            if len(places) > 1 and not all(_is_end(point.word) for _, point in places):
                curves.append(Curve(family, setting, tuple(places)))
    return curves


def _words(start: str) -> list[tuple[int, str]]:
    """Return (k, word) along a curve, the I2D end too."""
    words = [(k, NETWORKS[f"{start}{k}"]) for k in range(LAST + 1)]
    end = NETWORKS["i2d"]
    return [(-1, end), *words] if "bottom" in start else [*words, (LAST + 1, end)]


def _is_end(word: str) -> bool:
    return word in (NETWORKS["i2d"], NETWORKS["i3d"], NETWORKS["s3d"])
