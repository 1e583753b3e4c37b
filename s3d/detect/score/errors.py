"""What goes wrong in frames: each detection gets one cause, each cause what it costs.

A detection that finds no truth has the first of these causes that holds; "right class" and "wrong
class" are of truths in its frame, and the threshold is 0.5 unless asked otherwise:

    duplicate       overlaps one of the right class well, which another detection has
    localisation    overlaps one of the right class by 0.1 to the threshold
    classification  overlaps one of a wrong class well
    both            overlaps one of a wrong class by 0.1 to the threshold
    timing          would overlap a tube of the right class well, had it gone on: the tube is not
                    in this frame (its box is that of the nearest frame, or between two)
    background      none of these

A truth is missed that no detection finds and no error of localisation or classification points to.

Source: TIDE, Bolya et al. 2020 (arXiv 2008.08115); timing is added here for video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.score.causes import (
    BACKGROUND,
    BOTH,
    CAUSES,
    CLASSIFICATION,
    DUPLICATE,
    LOCALISATION,
    TIMING,
    find_causes,
    mark_timing,
)
from s3d.detect.score.match import VOC, Protocol, match
from s3d.detect.score.mend import Matched
from s3d.detect.score.precisions import Candidates
from s3d.detect.score.rows import gather_found, gather_truth, pair_rows
from s3d.detect.tube import Detections

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ErrorAnalysis:
    """Hold what goes wrong, and what it costs.

    Attributes:
        iou: From which overlap on a box is right.
        map: Frame-mAP at that threshold, 0 to 1; nan where nothing is true.
        counts: Detections by cause, "correct" included.
        missed: Truths that nothing points to.
        gains: How much higher frame-mAP were, were one cause alone mended, by cause; "missed" too.
        causes: (n,) numbers in `CAUSES` of the detections that count, video by video, in the order
            given.
    """

    iou: float
    map: float
    counts: dict[str, int]
    missed: int
    gains: dict[str, float]
    causes: Counts


def analyse_errors(
    truth: Sequence[AnnotatedVideo],
    found: Sequence[Detections],
    labels: Sequence[str],
    protocol: Protocol = VOC,
    iou: float = 0.5,
) -> ErrorAnalysis:
    """Find the cause of each detection, and what frame-mAP were without each cause.

    Args:
        truth: N videos.
        found: N, boxes in px of the annotation.
        labels: The classes.
        protocol: The rules.
        iou: From which overlap on a box is right, more than 0.1.

    Raises:
        ValueError: As for `frame_map`.
    """
    true = gather_truth(truth, len(labels))
    rows = gather_found(truth, found, len(labels))
    pairs = pair_rows(rows, true, protocol.plus_one)
    given = Candidates(rows.labels, rows.scores, true.labels, pairs)
    claims = match(given.same_class(), rows.scores, iou, protocol.match)
    causes, targets = find_causes(given, claims, iou)
    causes = mark_timing(causes, rows, truth, iou, protocol.plus_one)
    known = np.union1d(claims, targets)
    missed = np.setdiff1d(np.arange(len(true)), known)
    matched = Matched(rows.labels, rows.scores, claims, true.labels, len(labels), protocol)
    counts = np.bincount(causes, minlength=len(CAUSES)).tolist()
    return ErrorAnalysis(
        iou,
        matched.mean_precision(),
        dict(zip(CAUSES, counts, strict=True)),
        len(missed),
        _gains(matched, causes, targets, missed),
        causes,
    )


def _gains(matched: Matched, causes: Counts, targets: Counts, missed: Counts) -> dict[str, float]:
    mended = {
        cause: matched.without(causes == cause) for cause in (DUPLICATE, BOTH, TIMING, BACKGROUND)
    }
    for cause in (LOCALISATION, CLASSIFICATION):
        mended[cause] = matched.moved(causes == cause, targets)
    plain = matched.mean_precision()
    gains = {CAUSES[cause]: mended[cause].mean_precision() - plain for cause in sorted(mended)}
    gains["missed"] = matched.mean_precision_lacking(missed) - plain
    return gains
