import math

import numpy as np
import pytest
from sklearn import metrics as oracle

from s3d.evaluate.metrics import (
    accuracy_interval,
    class_accuracy,
    confusion_matrix,
    f1_scores,
    mean_class_accuracy,
    precision_recall,
    top_k,
)


def some_answers(seed: int, rows: int = 200, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, classes)), rng.integers(0, classes, rows)


@pytest.mark.parametrize("k", [1, 2, 5, 6])
@pytest.mark.parametrize("seed", [0, 1])
def test_top_k_agrees_with_sklearn_where_nothing_ties(seed: int, k: int) -> None:
    scores, labels = some_answers(seed)
    expected = oracle.top_k_accuracy_score(labels, scores, k=k, labels=np.arange(7))
    assert top_k(scores, labels, k) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k_agrees_with_a_stable_sort_where_scores_tie(k: int) -> None:
    rng = np.random.default_rng(3)
    scores, labels = rng.integers(0, 3, (300, 5)), rng.integers(0, 5, 300)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert top_k(scores, labels, k) == np.mean((order == labels[:, None]).any(axis=1))


def test_a_constant_score_is_right_for_the_first_k_classes_alone() -> None:
    scores, labels = np.zeros((10, 10)), np.arange(10)
    assert top_k(scores, labels, 1) == 0.1
    assert top_k(scores, labels, 3) == 0.3


def test_nan_scores_count_as_wrong() -> None:
    scores = np.array([[np.nan, 0.0], [1.0, np.nan], [1.0, 0.0]])
    assert top_k(scores, [0, 0, 0], 1) == pytest.approx(1 / 3)
    assert top_k(scores, [0, 0, 0], 2) == pytest.approx(1 / 3)


def test_top_k_beyond_the_classes_is_always_right_and_of_nothing_is_unknown() -> None:
    scores, labels = some_answers(0)
    assert top_k(scores, labels, 99) == 1.0
    assert math.isnan(top_k(np.zeros((0, 4)), np.zeros(0, int), 1))


@pytest.mark.parametrize("seed", [0, 1])
def test_confusion_agrees_with_sklearn(seed: int) -> None:
    scores, labels = some_answers(seed)
    predicted = scores.argmax(axis=1)
    ours = confusion_matrix(predicted, labels, 7)
    np.testing.assert_array_equal(ours, oracle.confusion_matrix(labels, predicted, labels=range(7)))
    assert ours.dtype == np.int64


def test_confusion_rows_are_the_truth() -> None:
    np.testing.assert_array_equal(confusion_matrix([2], [0], 3), [[0, 0, 1], [0, 0, 0], [0, 0, 0]])


def test_per_class_numbers_agree_with_sklearn_with_classes_absent_or_never_predicted() -> None:
    rng = np.random.default_rng(5)
    labels, predicted = rng.integers(0, 5, 100), rng.integers(2, 7, 100)
    confusion = confusion_matrix(predicted, labels, 8)
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(
        labels, predicted, labels=range(8), zero_division=np.nan
    )
    ours = precision_recall(confusion)
    np.testing.assert_allclose(ours[0], precision)
    np.testing.assert_allclose(ours[1], recall)
    np.testing.assert_allclose(class_accuracy(confusion), recall)
    np.testing.assert_allclose(f1_scores(confusion), f1)
    assert np.isnan(ours[0][:2]).all() and np.isnan(ours[1][5:]).all()
    assert mean_class_accuracy(confusion) == pytest.approx(np.mean(recall[:5]))


def test_mean_class_accuracy_agrees_with_sklearn_and_weighs_classes_alike() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    predicted = np.zeros(100, int)
    confusion = confusion_matrix(predicted, labels, 2)
    assert mean_class_accuracy(confusion) == 0.5
    assert mean_class_accuracy(confusion) == oracle.balanced_accuracy_score(labels, predicted)


def test_nothing_at_all_is_nan_without_a_warning() -> None:
    empty = confusion_matrix([], [], 3)
    assert empty.shape == (3, 3) and empty.sum() == 0
    assert math.isnan(mean_class_accuracy(empty))
    assert np.isnan(precision_recall(empty)).all() and np.isnan(f1_scores(empty)).all()


def test_accuracy_interval_is_the_one_in_the_tables() -> None:
    # 8 of 10: Wilson 95 % is 0.490 to 0.943
    assert accuracy_interval(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = accuracy_interval(1.0, 5)
    assert low == pytest.approx(0.5655, abs=1e-4) and high == 1.0
    assert accuracy_interval(0.5, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: top_k(np.zeros((2, 3)), [0, 1], 0), r"k is 0; it needs to be at least 1"),
        (lambda: top_k(np.zeros((2, 3)), [0], 1), r"scores \(2, 3\) and labels \(1,\)"),
        (lambda: top_k(np.zeros((1, 3)), [3], 1), r"labels holds 3\.\.3; with 3 classes"),
        (lambda: top_k(np.zeros((1, 3)), [-1], 1), r"labels holds -1\.\.-1"),
        (lambda: top_k(np.zeros((1, 3)), [0.5], 1), r"labels is float64 \(1,\)"),
        (lambda: confusion_matrix([1], [0, 1], 2), r"1 predicted for 2 labels"),
        (lambda: confusion_matrix([2], [0], 2), r"predicted holds 2\.\.2; with 2 classes"),
    ],
)
def test_what_cannot_be_right_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
