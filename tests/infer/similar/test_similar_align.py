"""A query laid over a video, against loops over every pair of windows."""

from __future__ import annotations

import numpy as np
import pytest

from s3d.infer.similar.align import choose_moments, lay_over, place_spans
from s3d.infer.similar.scale import Features


def units(rng: np.random.Generator, windows: int) -> Features:
    found = rng.normal(size=(windows, 5))
    unit: Features = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def lay_over_by_definition(query: Features, video: Features) -> list[float]:
    short, long = sorted((query.astype(float), video.astype(float)), key=len)
    found = []
    for place in range(len(long) - len(short) + 1):
        pairs = [sum(a * b) for a, b in zip(short, long[place:], strict=False)]
        found.append(sum(pairs) / len(short))
    return found


@pytest.mark.parametrize(("query", "video"), [(1, 1), (1, 6), (3, 7), (4, 4), (5, 2), (6, 1)])
def test_likeness_of_each_placement(query: int, video: int) -> None:
    rng = np.random.default_rng(10 * query + video)
    one, other = units(rng, query), units(rng, video)
    found = lay_over(one, other)
    np.testing.assert_allclose(found, lay_over_by_definition(one, other), atol=1e-9)
    times = np.arange(video) / 2
    starts, ends = place_spans(times, times + 1, query)
    assert len(starts) == len(ends) == len(found)
    for place in range(len(found)):
        first, last = (place, place + query - 1) if query < video else (0, video - 1)
        assert (starts[place], ends[place]) == (times[first], times[last] + 1)


def test_a_part_is_found_where_it_was_cut_and_order_counts() -> None:
    video = units(np.random.default_rng(0), 20)
    likeness = lay_over(video[7:11], video)
    assert np.argmax(likeness) == 7
    np.testing.assert_allclose(likeness[7], 1, atol=1e-6)
    assert lay_over(video[7:11][::-1], video).max() < 0.9


def test_moments_do_not_lie_on_better_ones() -> None:
    likeness = np.array([0.1, 0.9, 1.0, 0.8, 0.3, 0.2])
    starts = np.arange(6.0)  # each of 2 s: neighbours share half
    assert choose_moments(likeness, starts, starts + 2, 9) == [2, 1, 3, 4, 5, 0]
    assert choose_moments(likeness, starts, starts + 3, 9) == [2, 4, 0]  # neighbours share 2 of 3
    assert choose_moments(likeness, starts, starts + 3, 2) == [2, 4]


def test_moments_that_are_no_number_are_none() -> None:
    likeness, starts = np.array([np.nan, 0.1, -0.5]), np.arange(3.0)
    assert choose_moments(likeness, starts, starts + 1, 9) == [1, 2]
    assert choose_moments(likeness[:1], starts[:1], starts[:1] + 1, 9) == []


def test_equal_moments_come_in_order_of_time() -> None:
    starts = np.arange(3.0)
    assert choose_moments(np.ones(3), starts, starts + 1, 2) == [0, 1]
