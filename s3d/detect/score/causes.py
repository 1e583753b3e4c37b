"""Why a detection is wrong; `s3d.detect.score.errors` says what each cause means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.score.match import Pairs
from s3d.detect.score.overlap import paired_iou
from s3d.detect.score.precisions import Candidates
from s3d.detect.score.rows import Rows
from s3d.detect.tube import Frames, TrueTube

LEAST_IOU = 0.1
"""Less is no overlap."""

CAUSES = (
    "correct",
    "duplicate",
    "localisation",
    "classification",
    "both",
    "timing",
    "background",
)
"""Causes by their number."""

CORRECT, DUPLICATE, LOCALISATION, CLASSIFICATION, BOTH, TIMING, BACKGROUND = range(len(CAUSES))

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def find_causes(given: Candidates, claims: Counts, iou: float) -> tuple[Counts, Counts]:
    """Return why each detection is wrong, as far as its own frame tells.

    Args:
        given: Detections and truths, and all pairs of the same frame.
        claims: (N,) which truth each detection finds; -1 for none.
        iou: From which overlap on a box is right.

    Returns:
        (N,) numbers in `CAUSES`, and (N,) which truth an error of localisation or of
        classification points to; -1 for the others.
    """
    pairs, count = given.pairs, len(given.labels)
    is_same = given.labels[pairs.found] == given.true_labels[pairs.true]
    same, same_true = _best(pairs.of(is_same), count)
    other, other_true = _best(pairs.of(~is_same), count)
    # the first that holds wins
    conditions = {
        CORRECT: claims >= 0,
        DUPLICATE: same >= iou,
        LOCALISATION: same >= LEAST_IOU,
        CLASSIFICATION: other >= iou,
        BOTH: other >= LEAST_IOU,
    }
    causes = np.select(list(conditions.values()), list(conditions), BACKGROUND)
    targets = np.select(
        [causes == LOCALISATION, causes == CLASSIFICATION], [same_true, other_true], -1
    )
    return causes, targets


def mark_timing(
    causes: Counts,
    rows: Rows,
    videos: Sequence[AnnotatedVideo],
    iou: float,
    plus_one: bool = False,
) -> Counts:
    """Return causes in which what lies on a tube of its class at another time is so called.

    Args:
        causes: (n,) from `find_causes`; only "background" is looked at.
        rows: The detections.
        videos: What is true; tubes without a track have no other time.
        iou: From which overlap on a box lies on the tube.
        plus_one: As for `box_iou`.
    """
    late = causes.copy()
    # Rows come video by video. In frames that the tube has, none of them is on it: else its cause
    # were another.
    ends = np.searchsorted(rows.videos, np.arange(len(videos)), "right")
    for video, begin, end in zip(videos, [0, *ends[:-1]], ends, strict=True):
        for tube in (tube for tube in video.tubes if tube.track and len(tube.frames)):
            is_open = (late[begin:end] == BACKGROUND) & (rows.labels[begin:end] == tube.label)
            places = begin + np.flatnonzero(is_open)
            would_be = held_boxes(tube, rows.frames[places])
            late[places[paired_iou(rows.boxes[places], would_be, plus_one) >= iou]] = TIMING
    return late


def held_boxes(tube: TrueTube, frames: Frames) -> Floats:
    """Return where a tube would be in frames it may lack, (n, 4).

    Between its frames that is linear; before and after them it is the box of the nearest.
    """
    columns = [np.interp(frames, tube.frames, tube.boxes[:, side]) for side in range(4)]
    return np.stack(columns, 1)


def _best(pairs: Pairs, count: int) -> tuple[Floats, Counts]:
    """Return the largest overlap of each detection, (N,), and with which truth."""
    best = pairs.best()
    overlaps, true = np.zeros(count), np.full(count, -1, np.int64)
    overlaps[best.found], true[best.found] = best.overlaps, best.true
    return overlaps, true
