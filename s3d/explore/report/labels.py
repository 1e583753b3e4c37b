"""Where the names of points go: beside them, off one another and off what is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from s3d.explore.report.drawing import RADIUS_PX, RING_PX, Anchor, Line, Spot, Words
from s3d.explore.report.families import Family

LETTER_PX = 6.0  # of 10.5 px type, on average, in fonts that run wide
HEIGHT_PX = 11.0
BASE_PX = 3.5  # from the middle of a line of text down to its base line
LEADER_FROM_PX = 14.0
STEP_PX = 4.0

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Label:
    """Ask for a name beside a spot.

    Attributes:
        spot: Of the mark.
        text: The name.
        is_strong: In bold, and written even where it hides something.
        family: Whose colour it has; None for ink.
    """

    spot: Spot
    text: str
    is_strong: bool = False
    family: Family | None = None


@dataclass(frozen=True)
class Obstacles:
    """Hold what names should keep off.

    Attributes:
        room: Names stay within it.
        marks: Boxes that may not be written over.
        lines: Lines that had better not be.
    """

    room: Box
    marks: tuple[Box, ...]
    lines: tuple[Line, ...]


def place_labels(labels: Sequence[Label], obstacles: Obstacles) -> list[Words | Line]:
    """Return the names that find a place, with a thin line to those that stand further off.

    Args:
        labels: The most important first: they choose first.
        obstacles: What is drawn already.
    """
    beads = [bead for line in obstacles.lines for bead in _beads(line)]
    taken = list(obstacles.marks)
    parts: list[Words | Line] = []
    for label in labels:
        options = [(_price(option, taken, beads), option) for option in _options(label)]
        inside = [o for o in options if _is_within(o[1].box, obstacles.room)]
        if not inside:
            continue
        price, best = min(inside, key=lambda o: o[0])
        if price >= 1000 and not label.is_strong:
            continue
        taken.append(best.box)
        parts += _draw(label, best)
    return parts


def spot_box(spot: Spot, reach: float) -> Box:
    """Return the box of a mark."""
    return spot[0] - reach, spot[1] - reach, spot[0] + reach, spot[1] + reach


def words_box(words: Words) -> Box:
    """Return the box of a line of text that lies."""
    wide, (x, base) = LETTER_PX * len(words.text), words.spot
    left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[words.anchor]
    middle = base - BASE_PX
    return left, middle - HEIGHT_PX / 2, left + wide, middle + HEIGHT_PX / 2


@dataclass(frozen=True)
class _Option:
    box: Box
    anchor: Anchor
    distance: float
    preference: int


def _options(label: Label) -> Iterable[_Option]:
    x, y = label.spot
    width = LETTER_PX * len(label.text) * (1.12 if label.is_strong else 1)
    high = HEIGHT_PX / 2
    for gap in ((RING_PX if label.is_strong else RADIUS_PX) + 4, 16.0, 26.0, 38.0, 52.0):
        rise = gap + high
        middles: tuple[tuple[float, float, Anchor], ...] = (
            (x + gap, y, "start"),
            (x - gap, y, "end"),
            (x, y - rise, "middle"),
            (x, y + rise, "middle"),
            (x + 0.7 * gap, y - 0.8 * rise, "start"),
            (x + 0.7 * gap, y + 0.8 * rise, "start"),
            (x - 0.7 * gap, y - 0.8 * rise, "end"),
            (x - 0.7 * gap, y + 0.8 * rise, "end"),
        )
        for preference, (at, middle, anchor) in enumerate(middles):
            left = at - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            yield _Option(
                (left, middle - high, left + width, middle + high), anchor, gap, preference
            )


def _price(option: _Option, taken: Sequence[Box], beads: Sequence[Spot]) -> float:
    """Return how bad a place is: written over things, crossed by lines, far away."""
    over = sum(_overlap(option.box, box) for box in taken)
    left, top, right, bottom = option.box
    crossed = sum(left <= x <= right and top <= y <= bottom for x, y in beads)
    return 1000 * (over > 0) + 10 * over + 6 * crossed + 0.8 * option.distance + option.preference


def _overlap(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def _is_within(box: Box, room: Box) -> bool:
    return box[0] >= room[0] and box[1] >= room[1] and box[2] <= room[2] and box[3] <= room[3]


def _draw(label: Label, option: _Option) -> list[Words | Line]:
    left, top, right, bottom = option.box
    middle = (top + bottom) / 2
    held = {"start": left, "middle": (left + right) / 2, "end": right}[option.anchor]
    kind = "strong" if label.is_strong else "label"
    spot = round(held, 1), round(middle + BASE_PX, 1)
    words = Words(spot, label.text, option.anchor, kind, label.family)
    if option.distance < LEADER_FROM_PX:
        return [words]
    x, y = label.spot
    near = round(min(max(x, left), right), 1), round(min(max(y, top), bottom), 1)
    return [Line((label.spot, near), "leader"), words]


def _beads(line: Line) -> Iterable[Spot]:
    """Return spots along a line, some px apart."""
    for (x0, y0), (x1, y1) in zip(line.spots, line.spots[1:], strict=False):
        count = max(1, round(max(abs(x1 - x0), abs(y1 - y0)) / STEP_PX))
        for i in range(count + 1):
            yield x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count
