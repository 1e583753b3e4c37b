"""When an action goes on: by hand, and against all ways to say so."""

from itertools import pairwise, product

import numpy as np
import pytest

from s3d.detect.tubes.trim import find_stretches


def worth(scores: np.ndarray, states: tuple[int, ...], alpha: float) -> float:
    gains = [score if state else 1 - score for score, state in zip(scores, states, strict=True)]
    return sum(gains) - alpha * sum(a != b for a, b in pairwise(states))


@pytest.mark.parametrize("alpha", [0, 0.3, 1])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_way_is_worth_more(seed: int, alpha: float) -> None:
    scores = np.random.default_rng(seed).random(9)
    states = np.zeros(9, int)
    for stretch in find_stretches(scores, alpha):
        assert stretch.stop > stretch.start
        states[stretch] = 1
    best = max(worth(scores, other, alpha) for other in product((0, 1), repeat=9))
    assert worth(scores, tuple(states), alpha) == pytest.approx(best)


def test_begin_and_end_are_found_within_a_frame() -> None:
    """40 of 100 frames are inside, and scores are noisy."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores = np.clip(np.where(np.arange(100) // 10 % 10 < 3, 0.15, 0.85), 0, 1)
        scores[70:] = 0.15
        (stretch,) = find_stretches(np.clip(scores + rng.normal(0, 0.1, 100), 0, 1), 3)
        assert abs(stretch.start - 30) <= 1
        assert abs(stretch.stop - 70) <= 1


def test_what_a_change_costs_decides_which_dips_are_bridged() -> None:
    """A dip of 3 frames to 0.1 gains 3 * 0.8 = 2.4 outside, and two changes cost 2 alpha."""
    scores = np.array([0.9] * 10 + [0.1] * 3 + [0.9] * 10)
    assert find_stretches(scores, 1.1) == [slice(0, 10), slice(13, 23)]
    assert find_stretches(scores, 1.3) == [slice(0, 23)]


def test_high_all_along_is_one_stretch_and_low_none() -> None:
    assert find_stretches(np.full(5, 0.8), 2) == [slice(0, 5)]
    assert find_stretches(np.full(5, 0.2), 2) == []
    assert find_stretches(np.full(5, 0.5), 2) == []
    assert find_stretches(np.zeros(0), 2) == []
    assert find_stretches(np.array([0.9]), 2) == [slice(0, 1)]
