"""Average precision: how well scores rank what is right before what is wrong.

Rows of one score are one step: precision and recall are taken behind all of them. So no order in
which equal scores came can flatter, and the result does not depend on it. Published evaluators take
equal scores one by one, in whatever order their sort leaves; without ties the figures agree.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

Rule = Literal["area", "act", "coco"]

RULES: dict[Rule, str] = {
    "area": "area under the highest precision at that recall or more (PASCAL VOC 2010, AVA)",
    "act": "area under straight lines between the points, from precision 1 (ACT-detector)",
    "coco": "highest precision at that recall or more, mean over 101 recalls (COCO)",
}
"""Rules by their word, and what they say."""

RECALLS = 101


def average_precision(
    scores: npt.NDArray[np.floating], hits: npt.NDArray[np.bool_], truths: int, rule: Rule = "area"
) -> float:
    """Return the average precision of a class.

    Args:
        scores: (N,) in any order.
        hits: (N,) whether each is right; each truth is hit once at most.
        truths: How many there are to find.
        rule: A word of `RULES`.

    Returns:
        0 to 1; nan where there is nothing to find.

    Raises:
        ValueError: There are more hits than truths, or no such rule.
    """
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}; known: {', '.join(RULES)}.")
    if truths == 0:
        return math.nan
    if hits.sum() > truths:
        raise ValueError(f"{hits.sum()} hits of {truths} truths; each is hit once at most.")
    right, taken = _points(scores, hits)
    if not len(right):
        return 0.0
    if rule == "act":
        return _under_lines(right / truths, right / taken)
    best = np.maximum.accumulate((right / taken)[::-1])[::-1]
    if rule == "area":
        return float((np.diff(right, prepend=0) / truths * best).sum())
    return _at_recalls(right, best, truths)


def falling_order(scores: npt.NDArray[np.floating]) -> Counts:
    """Return the places of scores from the highest; equal ones in the order they came."""
    return np.argsort(-np.asarray(scores, np.float64), kind="stable")


def _points(scores: npt.NDArray[np.floating], hits: npt.NDArray[np.bool_]) -> tuple[Counts, Counts]:
    """Return how many are right, and how many are taken at all, behind each different score."""
    order = falling_order(scores)
    ranked = np.asarray(scores)[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else order
    return np.cumsum(hits[order], dtype=np.int64)[ends], ends + 1


def _under_lines(recall: Floats, precision: Floats) -> float:
    steps = np.diff(recall, prepend=0)
    middles = (precision + np.concatenate([[1.0], precision[:-1]])) / 2
    return float((steps * middles).sum())


def _at_recalls(right: Counts, best: Floats, truths: int) -> float:
    """Return the mean over recalls 0, 0.01 .. 1; whole numbers, so that 7 of 100 reach 0.07."""
    wanted = np.arange(RECALLS) * truths
    places = np.searchsorted(right * (RECALLS - 1), wanted)
    return float(np.append(best, 0.0)[places].mean())
