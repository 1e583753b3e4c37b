"""Frame-mAP as it were, were one thing that goes wrong mended.

Mending never finds a truth twice: of all that then would find it, the one with the highest score
does, and the others are gone.

Source: TIDE, Bolya et al. 2020 (arXiv 2008.08115).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from s3d.detect.score.average_precision import falling_order
from s3d.detect.score.match import Protocol
from s3d.detect.score.precisions import class_precisions, mean_of_known

Counts = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Matched:
    """Hold detections, and which truth each finds.

    Attributes:
        labels: (N,).
        scores: (N,).
        claims: (N,) places of truths; -1 where a detection finds none.
        true_labels: (M,).
        classes: How many.
        protocol: The rules.
    """

    labels: Counts
    scores: npt.NDArray[np.floating]
    claims: Counts
    true_labels: Counts
    classes: int
    protocol: Protocol

    def mean_precision(self) -> float:
        """Return the mean average precision; nan when nothing is true."""
        truths = np.bincount(self.true_labels, minlength=self.classes)
        return mean_of_known(self._values(truths))

    def without(self, rows: Marks) -> Matched:
        """Return it without some detections."""
        return replace(
            self,
            labels=self.labels[~rows],
            scores=self.scores[~rows],
            claims=self.claims[~rows],
        )

    def moved(self, rows: Marks, targets: Counts) -> Matched:
        """Return it with some detections moved onto truths.

        Args:
            rows: (N,) which.
            targets: (N,) places of truths.
        """
        claims, labels = self.claims.copy(), self.labels.copy()
        claims[rows] = targets[rows]
        labels[rows] = self.true_labels[targets[rows]]
        moved = replace(self, labels=labels, claims=claims)
        return moved.without((claims >= 0) & ~_is_first(claims, self.scores))

    def mean_precision_lacking(self, truths: Counts) -> float:
        """Return the mean average precision were some truths not there to be missed.

        A class of which nothing is left counts as 1: nothing of it is missed any more.

        Args:
            truths: Places of truths that nothing finds.
        """
        all_of = np.bincount(self.true_labels, minlength=self.classes)
        left = all_of - np.bincount(self.true_labels[truths], minlength=self.classes)
        values = self._values(left)
        values[(left == 0) & (all_of > 0)] = 1.0
        return mean_of_known(values)

    def _values(self, truths: Counts) -> npt.NDArray[np.float64]:
        return class_precisions(self.labels, self.scores, self.claims, truths, self.protocol)


def _is_first(claims: Counts, scores: npt.NDArray[np.floating]) -> Marks:
    """Return which rows have the highest score of all that claim the same."""
    order = falling_order(scores)
    _, places = np.unique(claims[order], return_index=True)
    first = np.zeros(len(claims), np.bool_)
    first[order[places]] = True
    return first
