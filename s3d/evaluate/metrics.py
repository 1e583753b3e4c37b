"""What a model's answers are worth: numbers from scores and labels. Numpy alone.

    scores     (N, K)  one row a clip or video
    labels     (N,)    whole numbers 0..K-1
    confusion  (K, K)  counts, rows the true class, columns the predicted one

What cannot be known is nan, never 0: the recall of a class without clips, the accuracy of nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def top_k(scores: ArrayLike, labels: ArrayLike, k: int) -> float:
    """Return the share of rows whose true class is among the k highest scores.

    Equal scores rank by class index, so a constant row counts as right for its first k classes
    alone and ties never flatter. A row that holds a nan counts as wrong.

    Args:
        scores: (N, K), any scale.
        labels: (N,), 0..K-1.
        k: How many guesses are allowed, at least 1; K or more makes every finite row right.

    Returns:
        A share from 0 to 1; nan when there are no rows.

    Raises:
        ValueError: The shapes disagree, a label is out of range or k is below 1.
    """
    table, truth = np.asarray(scores, dtype=np.float64), _as_labels("labels", labels)
    if k < 1:
        raise ValueError(f"k is {k}; it needs to be at least 1.")
    if table.ndim != 2 or len(table) != len(truth):
        raise ValueError(f"scores {table.shape} and labels {truth.shape} need (N, K) and (N,).")
    _check_range("labels", truth, table.shape[1])
    if len(truth) == 0:
        return math.nan
    return float(np.mean(_rank_of_truth(table, truth) < k))


def confusion_matrix(predicted: ArrayLike, labels: ArrayLike, classes: int) -> Counts:
    """Count how often each class was taken for each.

    Args:
        predicted: (N,), 0..classes-1.
        labels: (N,), 0..classes-1, the truth.
        classes: K.

    Returns:
        (K, K) counts, rows the true class, columns the predicted one.

    Raises:
        ValueError: The lengths disagree or a class is out of range.
    """
    guess, truth = _as_labels("predicted", predicted), _as_labels("labels", labels)
    if len(guess) != len(truth):
        raise ValueError(f"{len(guess)} predicted for {len(truth)} labels; they need to match.")
    _check_range("predicted", guess, classes)
    _check_range("labels", truth, classes)
    cells = np.bincount(truth * classes + guess, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def class_accuracy(confusion: ArrayLike) -> Floats:
    """Return each class's recall, (K,): the share of its clips that were named right.

    A class without clips is nan.
    """
    table = np.asarray(confusion)
    return _divide(np.diagonal(table), table.sum(axis=1))


def mean_class_accuracy(confusion: ArrayLike) -> float:
    """Return the mean recall over the classes that have clips; nan when none has."""
    recall = class_accuracy(confusion)
    known = recall[~np.isnan(recall)]
    return float(known.mean()) if len(known) else math.nan


def precision_recall(confusion: ArrayLike) -> tuple[Floats, Floats]:
    """Return each class's precision and recall, both (K,).

    Precision is nan for a class that was never predicted, recall for one that has no clips.
    """
    table = np.asarray(confusion)
    return _divide(np.diagonal(table), table.sum(axis=0)), class_accuracy(table)


def f1_scores(confusion: ArrayLike) -> Floats:
    """Return each class's F1, (K,); nan for a class neither present nor predicted."""
    table = np.asarray(confusion)
    return _divide(2 * np.diagonal(table), table.sum(axis=0) + table.sum(axis=1))


def accuracy_interval(accuracy: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy measured on `count` clips.

    It takes the clips as independent; clips of one source are not, so it is narrow at best.

    Args:
        accuracy: 0 to 1.
        count: Clips it was measured on; 0 gives (0, 1).

    Source: Wilson 1927; it stays inside [0, 1] and is right for small counts.
    """
    if count == 0:
        return 0.0, 1.0
    z2 = 1.959964**2
    middle = (accuracy + z2 / (2 * count)) / (1 + z2 / count)
    spread = accuracy * (1 - accuracy) / count + z2 / (4 * count**2)
    half = math.sqrt(z2 * spread) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def _rank_of_truth(scores: Floats, labels: Counts) -> Counts:
    """Return how many classes rank above the true one, (N,)."""
    rows, classes = scores.shape
    true = scores[np.arange(rows), labels][:, None]
    earlier = np.arange(classes)[None, :] < labels[:, None]
    above = (scores > true) | ((scores == true) & earlier)
    rank = above.sum(axis=1)
    # every comparison with nan is false, which would rank a broken row first
    broken = np.isnan(scores).any(axis=1)
    return np.asarray(np.where(broken, np.iinfo(np.int64).max, rank), dtype=np.int64)


def _divide(part: Counts, whole: Counts) -> Floats:
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _as_labels(name: str, values: ArrayLike) -> Counts:
    array = np.asarray(values)
    if array.ndim != 1 or not (array.size == 0 or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"{name} is {array.dtype} {array.shape}; it needs whole numbers (N,).")
    return array.astype(np.int64)


def _check_range(name: str, values: Counts, classes: int) -> None:
    if len(values) and (values.min() < 0 or values.max() >= classes):
        raise ValueError(
            f"{name} holds {values.min()}..{values.max()}; with {classes} classes "
            f"it needs 0..{classes - 1}."
        )
