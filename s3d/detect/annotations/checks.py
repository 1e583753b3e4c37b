"""What a box must be to be learnt from, whoever drew it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NO_NUMBERS = "boxes that are not four numbers left out"
NO_AREA = "boxes without width or height left out"
OUTSIDE = "boxes outside the picture left out"
CUT = "boxes that reach out of the picture by more than 1 px cut at its edge"

SLACK_PX = 1.0
"""Boxes that reach out by so little are cut without a word: people and programs round."""


@dataclass(frozen=True)
class Box:
    """Hold a box that lies in its picture.

    Attributes:
        x1: Left, px.
        y1: Top, px.
        x2: Where it ends to the right, above x1.
        y2: Where it ends below, above y1.
        is_cut: Whether it reached out of the picture by more than 1 px.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    is_cut: bool = False

    def xyxy(self) -> tuple[float, float, float, float]:
        """Return x1, y1, x2, y2."""
        return self.x1, self.y1, self.x2, self.y2


def check_box(box: Sequence[float], size_px: tuple[int, int]) -> Box | str:
    """Return a box as it may be used, or why it may not be.

    Args:
        box: x1, y1, x2, y2 in px, whatever they are.
        size_px: (height, width) of the picture.

    Returns:
        The box, cut at the edge of the picture; or the kind of problem, as `Problems` counts it.
    """
    if len(box) != 4 or not all(_is_number(place) for place in box):
        return NO_NUMBERS
    # As Python's: a difference of numpy's small whole numbers, as in UCF101-24, wraps.
    x1, y1, x2, y2 = map(float, box)
    if x2 <= x1 or y2 <= y1:
        return NO_AREA
    height, width = size_px
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        return OUTSIDE
    over = max(-x1, -y1, x2 - width, y2 - height)
    left, top = _single(max(x1, 0)), _single(max(y1, 0))
    right, bottom = _single(min(x2, width)), _single(min(y2, height))
    # Numbers that differ may be the same once they are of 32 bits, as all boxes here.
    if right <= left or bottom <= top:
        return NO_AREA
    return Box(left, top, right, bottom, over > SLACK_PX)


def _is_number(place: object) -> bool:
    if not isinstance(place, int | float | np.number) or isinstance(place, bool):
        return False
    try:
        return math.isfinite(place)
    except (OverflowError, TypeError):
        return False


def _single(place: float) -> float:
    return float(np.float32(place))
