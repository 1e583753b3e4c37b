import math
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from s3d.detect.score.average_precision import average_precision, falling_order


def slow_average_precision(scores: np.ndarray, hits: np.ndarray, truths: int, rule: str) -> float:
    """Follow the definitions: a point for each threshold on the scores."""
    points = [(0.0, 1.0)]
    for least in sorted(set(scores.tolist()), reverse=True):
        taken = [hit for score, hit in zip(scores, hits, strict=True) if score >= least]
        points.append((sum(taken) / truths, sum(taken) / len(taken)))
    if rule == "act":
        pairs = pairwise(points)
        return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairs)

    def best_from(recall: float) -> float:
        return max((p for r, p in points[1:] if r >= recall - 1e-12), default=0.0)

    if rule == "coco":
        return float(np.mean([best_from(step / 100) for step in range(101)]))
    return sum(best_from(step / truths) / truths for step in range(1, truths + 1))


@pytest.mark.parametrize("rule", ["area", "act", "coco"])
@pytest.mark.parametrize("levels", [5, 1000])
def test_agrees_with_the_definition(rule: str, levels: int) -> None:
    rng = np.random.default_rng(levels)
    for _ in range(30):
        count = int(rng.integers(1, 40))
        scores, hits = rng.integers(0, levels, count) / levels, rng.random(count) < 0.5
        truths = int(hits.sum() + rng.integers(1, 8))
        expected = slow_average_precision(scores, hits, truths, rule)
        assert average_precision(scores, hits, truths, rule) == pytest.approx(expected)


def test_the_area_agrees_with_sklearn_where_precision_only_falls() -> None:
    """Then it has no envelope to speak of; groups of equal scores, each worse than the last."""
    scores = np.repeat([0.9, 0.7, 0.5, 0.3, 0.1], 10)
    hits = np.concatenate([np.arange(10) < right for right in (10, 8, 5, 2, 0)])
    expected = average_precision_score(hits, scores)
    assert average_precision(scores, hits, int(hits.sum())) == pytest.approx(expected)


def test_the_area_is_that_under_the_envelope_of_sklearns_curve() -> None:
    rng = np.random.default_rng(3)
    scores, hits = rng.random(60), rng.random(60) < 0.4
    precision, recall, _ = precision_recall_curve(hits, scores)
    # sklearn's recall falls from 1 to 0
    envelope = np.maximum.accumulate(precision[:-1])
    expected = float((-np.diff(recall) * envelope).sum())
    assert average_precision(scores, hits, int(hits.sum())) == pytest.approx(expected)


def test_by_hand() -> None:
    """Right, wrong, right of 2 truths: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.

    area: 1/2 * 1 + 1/2 * 2/3 = 5/6.
    act:  1/2 * (1 + 1)/2 + 0 + 1/2 * (1/2 + 2/3)/2 = 1/2 + 7/24 = 19/24.
    coco: 51 recalls from 0 to 0.5 at 1, 50 at 2/3: (51 + 100/3) / 101.
    """
    given = np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2
    assert average_precision(*given, "area") == pytest.approx(5 / 6)
    assert average_precision(*given, "act") == pytest.approx(19 / 24)
    assert average_precision(*given, "coco") == pytest.approx((51 + 100 / 3) / 101)


@pytest.mark.parametrize("rule", ["area", "act", "coco"])
def test_the_order_of_equal_scores_does_not_matter(rule: str) -> None:
    """Half of one score is right: precision 1/2 at recall 1."""
    scores, hits = np.full(4, 0.5), np.array([True, True, False, False])
    one = average_precision(scores, hits, 2, rule)
    assert one == average_precision(scores, hits[::-1], 2, rule)
    assert one == pytest.approx({"area": 0.5, "act": 0.75, "coco": 0.5}[rule])


@pytest.mark.parametrize("rule", ["area", "act", "coco"])
def test_all_right_is_1_and_nothing_found_is_0(rule: str) -> None:
    scores, none = np.array([0.3, 0.2, 0.1]), np.zeros(0)
    assert average_precision(scores, np.ones(3, bool), 3, rule) == pytest.approx(1)
    assert average_precision(none, none.astype(bool), 3, rule) == 0
    assert average_precision(scores, np.zeros(3, bool), 3, rule) == 0


def test_a_recall_that_is_reached_exactly_counts() -> None:
    """7 of 100 reach recalls 0 to 0.07, which are 8 of 101."""
    hits = np.ones(7, bool)
    assert average_precision(np.arange(7) / 7, hits, 100, "coco") == pytest.approx(8 / 101)


def test_without_truth_there_is_none() -> None:
    assert math.isnan(average_precision(np.array([0.5]), np.array([False]), 0))


def test_what_cannot_be_is_refused() -> None:
    scores, hits = np.array([0.5, 0.4]), np.array([True, True])
    with pytest.raises(ValueError, match="2 hits of 1 truths"):
        average_precision(scores, hits, 1)
    with pytest.raises(ValueError, match="rule is 'voc07'; known: area, act, coco"):
        average_precision(scores, hits, 2, "voc07")  # type: ignore[arg-type]


def test_equal_scores_keep_their_order() -> None:
    assert falling_order(np.array([0.1, 0.5, 0.5, 0.9, 0.5])).tolist() == [3, 1, 2, 4, 0]
