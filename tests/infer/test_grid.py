"""Where windows lie, worked out by hand, and that pieces cover what they look at."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from s3d.infer.grid import MOST_PIECE_TICKS, WindowGrid


@pytest.mark.parametrize(
    ("ticks", "window", "stride", "starts"),
    [
        (10, 4, 2, [0, 2, 4, 6]),
        (11, 4, 2, [0, 2, 4, 6, 7]),
        (4, 4, 1, [0]),
        (3, 4, 1, [0]),
        (1, 4, 9, [0]),
        (20, 4, 10, [0, 10, 16]),
        (14, 4, 10, [0, 10]),
        (5, 4, 10, [0, 1]),
    ],
)
def test_windows_lie_at_the_stride_and_the_last_at_the_end(
    ticks: int, window: int, stride: int, starts: list[int]
) -> None:
    grid = WindowGrid(ticks, window, stride)
    assert [grid.start(number) for number in range(grid.count)] == starts


def test_what_no_window_looks_at_is_not_read() -> None:
    every = WindowGrid(11, 4, 2, every=2).find_looked_at()
    # Even ticks for windows 0 to 6, and 7, 9 for the last, which begins at 7.
    assert np.flatnonzero(every).tolist() == [0, 2, 4, 6, 7, 8, 9, 10]
    # Windows at 0, 3, 6 do not all begin with an even tick.
    assert WindowGrid(10, 4, 3, every=2).find_looked_at().all()
    gaps = WindowGrid(20, 4, 8, every=2).find_looked_at()
    assert np.flatnonzero(gaps).tolist() == [0, 2, 8, 10, 16, 18, 19]
    # One that is looped is looked at from every side.
    assert WindowGrid(3, 4, 2, every=2).find_looked_at().all()


def test_pieces_are_cut_where_the_stride_is_whoever_begins() -> None:
    grid = WindowGrid(100, 16, 40)
    assert list(grid.pieces(0)) == [(0, 16), (40, 56), (80, 100)]
    assert list(grid.pieces(1)) == [(40, 56), (80, 100)]
    assert list(WindowGrid(101, 90, 45).pieces(0)) == [
        (0, 32), (32, 45), (45, 77), (77, 90), (90, 101),
    ]  # fmt: skip
    # The last window lies with the one before it; then by itself.
    assert list(WindowGrid(112, 16, 40).pieces(2)) == [(80, 112)]
    assert list(WindowGrid(119, 16, 40).pieces(1)) == [
        (40, 56), (80, 96), (103, 112), (112, 119),
    ]  # fmt: skip


def test_pieces_cover_the_windows_that_are_left() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        ticks, window, stride = (int(n) for n in rng.integers(1, [300, 70, 120]))
        grid = WindowGrid(ticks, window, stride, int(rng.integers(1, 3)))
        looked_at = grid.find_looked_at()
        whole = list(grid.pieces(0))
        for first in {0, grid.count // 2, grid.count - 1}:
            pieces = list(grid.pieces(first))
            assert all(0 < stop - begin <= MOST_PIECE_TICKS for begin, stop in pieces)
            assert all(a[1] <= b[0] for a, b in pairwise(pieces))
            covered = {t for begin, stop in pieces for t in range(begin, stop)}
            for number in range(first, grid.count):
                start = grid.start(number)
                assert covered >= set(range(start, min(ticks, start + window)))
            # A later beginning reads the very pieces of an earlier one.
            if first < grid.regular:
                assert pieces == [piece for piece in whole if piece[0] >= grid.start(first)]
        assert looked_at[[t for begin, stop in whole for t in range(begin, stop)]].any()


def test_going_on_reads_the_last_window_with_the_one_before() -> None:
    grid = WindowGrid(11, 4, 2)
    assert [grid.resume_at(done) for done in range(5)] == [0, 1, 2, 3, 3]
    assert WindowGrid(3, 4, 2).resume_at(0) == 0
