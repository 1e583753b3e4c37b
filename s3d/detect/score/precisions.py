"""Average precisions of classes at several thresholds, and their means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.detect.score.average_precision import average_precision
from s3d.detect.score.match import Pairs, Protocol, match

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

COCO_IOUS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""The thresholds of 0.5:0.95."""


@dataclass(frozen=True, eq=False)
class Precisions:
    """Hold average precisions.

    Attributes:
        ious: T thresholds.
        values: (K, T), 0 to 1; nan for classes without truth.
        truths: (K,) how many each class has.
        found: (K,) how many detections each class has.
    """

    ious: tuple[float, ...]
    values: Floats
    truths: Counts
    found: Counts

    def at(self, iou: float) -> Floats:
        """Return the average precision of each class at a threshold, (K,)."""
        return np.asarray(self.values[:, self.ious.index(iou)])

    def mean_at(self, iou: float) -> float:
        """Return the mean over classes that have truth; nan when none has."""
        return self.mean((iou,))

    def mean(self, ious: Sequence[float] = COCO_IOUS) -> float:
        """Return the mean over thresholds and over classes that have truth; nan when none has."""
        return mean_of_known(np.stack([self.at(iou) for iou in ious]))


@dataclass(frozen=True, eq=False)
class Candidates:
    """Hold all that is needed to score, of boxes or of tubes.

    Attributes:
        labels: (N,) of detections.
        scores: (N,).
        true_labels: (M,) of truths.
        pairs: Of both, in the same frame or video.
    """

    labels: Counts
    scores: npt.NDArray[np.floating]
    true_labels: Counts
    pairs: Pairs

    def same_class(self) -> Pairs:
        """Return the pairs whose detection is of the class of the truth."""
        return self.pairs.of(self.labels[self.pairs.found] == self.true_labels[self.pairs.true])


def measure_precisions(
    given: Candidates, classes: int, ious: Sequence[float], protocol: Protocol
) -> Precisions:
    """Return the average precision of each class at each threshold.

    Args:
        given: Detections and truths.
        classes: K.
        ious: Thresholds.
        protocol: The rules.
    """
    truths, pairs = np.bincount(given.true_labels, minlength=classes), given.same_class()
    claims = [match(pairs, given.scores, iou, protocol.match) for iou in ious]
    columns = [
        class_precisions(given.labels, given.scores, claim, truths, protocol) for claim in claims
    ]
    found = np.bincount(given.labels, minlength=classes)
    return Precisions(tuple(ious), np.stack(columns, 1), truths, found)


def class_precisions(
    labels: Counts,
    scores: npt.NDArray[np.floating],
    claims: Counts,
    truths: Counts,
    protocol: Protocol,
) -> Floats:
    """Return the average precision of each class, (K,), from what each detection finds."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=len(truths)))
    return np.array(
        [
            average_precision(scores[rows], claims[rows] >= 0, int(count), protocol.average)
            for rows, count in zip(np.split(order, ends[:-1]), truths, strict=True)
        ]
    )


def mean_of_known(values: Floats) -> float:
    """Return the mean of what is not nan; nan when all is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
