"""What a chart is made of, in pixels from the top left; the page and the picture draw the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from s3d.explore.report.families import Family, Shape

Spot = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
RADIUS_PX = 5.0
RING_PX = 9.5


@dataclass(frozen=True)
class Line:
    """Draw a line through spots.

    Attributes:
        spots: At least two.
        kind: How it looks: grid, base, budget, chance, front, curve, bar, leader.
        family: Whose colour it has; None for that of its kind.
    """

    spots: tuple[Spot, ...]
    kind: str
    family: Family | None = None


@dataclass(frozen=True)
class Area:
    """Shade a rectangle: what lies beyond the budget."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Mark:
    """Draw a point.

    Attributes:
        spot: Its centre.
        family: Its shape and colour.
        title: What is told where the pointer rests on it; lines.
        row: The id of its row in the table.
        is_hollow: Its figure is of a shorter training.
        is_ringed: It is the one recommended.
    """

    spot: Spot
    family: Family
    title: str
    row: str
    is_hollow: bool = False
    is_ringed: bool = False


@dataclass(frozen=True)
class Words:
    """Write a line of text.

    Attributes:
        spot: Where it is held, on its base line.
        text: Anything.
        anchor: Which part of it is held there.
        kind: How it looks: tick, axis, note, label or strong.
        family: Whose colour it has; None for that of its kind.
    """

    spot: Spot
    text: str
    anchor: Anchor = "start"
    kind: str = "tick"
    family: Family | None = None


Part = Line | Area | Mark | Words


@dataclass(frozen=True)
class Drawing:
    """Hold a chart.

    Attributes:
        title: What it shows.
        width: Pixels.
        height: Pixels.
        parts: From back to front.
        described: The same in words, for those who do not see it.
        unlabelled: Points whose names found no room.
    """

    title: str
    width: int
    height: int
    parts: tuple[Part, ...]
    described: str
    unlabelled: int = 0


def outline(shape: Shape, spot: Spot, radius: float = RADIUS_PX) -> list[Spot]:
    """Return the corners of a mark; a circle has none."""
    corners, turn, grow = {
        "circle": (0, 0.0, 1.0),
        "up": (3, -90.0, 1.25),
        "down": (3, 90.0, 1.25),
        "square": (4, 45.0, 1.25),
        "diamond": (4, 0.0, 1.3),
        "pentagon": (5, -90.0, 1.15),
    }[shape]
    angles = [math.radians(turn + 360 * i / corners) for i in range(corners)]
    x, y = spot
    far = radius * grow
    return [(round(x + far * math.cos(a), 1), round(y + far * math.sin(a), 1)) for a in angles]
