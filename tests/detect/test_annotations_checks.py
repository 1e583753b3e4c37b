"""What a box must be, and what becomes of it otherwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from s3d.detect.annotations.checks import NO_AREA, NO_NUMBERS, OUTSIDE, Box, check_box

SIZE = 48, 64


@pytest.mark.parametrize(
    ("box", "becomes"),
    [
        ((1, 2, 30, 40), Box(1, 2, 30, 40)),
        ((0, 0, 64, 48), Box(0, 0, 64, 48)),
        ((-0.5, -1, 64.5, 49), Box(0, 0, 64, 48)),
        ((-1.1, 2, 30, 40), Box(0, 2, 30, 40, is_cut=True)),
        ((1, -1.1, 30, 40), Box(1, 0, 30, 40, is_cut=True)),
        ((1, 2, 65.1, 40), Box(1, 2, 64, 40, is_cut=True)),
        ((1, 2, 30, 49.1), Box(1, 2, 30, 48, is_cut=True)),
        ((-1e300, -1e300, 1e300, 1e300), Box(0, 0, 64, 48, is_cut=True)),
        ((math.nan, 2, 30, 40), NO_NUMBERS),
        ((1, 2, math.inf, 40), NO_NUMBERS),
        ((1, 2, 30), NO_NUMBERS),
        ((1, 2, 30, "40"), NO_NUMBERS),
        ((1, 2, 30, None), NO_NUMBERS),
        ((1, 2, 30, True), NO_NUMBERS),
        ((1, 2, 30, 10**400), NO_NUMBERS),
        ((5, 2, 5, 40), NO_AREA),
        ((5, 40, 6, 2), NO_AREA),
        ((60, 2, 60 + 1e-9, 40), NO_AREA),
        ((64, 2, 70, 40), OUTSIDE),
        ((1, 48, 30, 50), OUTSIDE),
        ((-5, 2, 0, 40), OUTSIDE),
        ((1, -5, 30, 0), OUTSIDE),
    ],
)
def test_a_box_is_kept_cut_or_left_out(box: Any, becomes: Box | str) -> None:
    assert check_box(box, SIZE) == becomes


def test_bytes_of_numpy_do_not_wrap() -> None:
    assert check_box(np.array([10, 10, 40, 40], np.uint8), SIZE) == Box(10, 10, 40, 40)


def test_places_are_numbers_of_32_bits() -> None:
    box = check_box((0.1, 0.2, 0.3, 0.4), SIZE)
    assert isinstance(box, Box)
    assert box.xyxy() == tuple(np.array([0.1, 0.2, 0.3, 0.4], np.float32).tolist())
