"""Frame-mAP: each frame by itself, a detection right where its box lies on a true one."""

from __future__ import annotations

from collections.abc import Sequence

from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.score.match import VOC, Protocol
from s3d.detect.score.precisions import COCO_IOUS, Candidates, Precisions, measure_precisions
from s3d.detect.score.rows import gather_found, gather_truth, pair_rows
from s3d.detect.tube import Detections


def frame_map(
    truth: Sequence[AnnotatedVideo],
    found: Sequence[Detections],
    labels: Sequence[str],
    protocol: Protocol = VOC,
) -> Precisions:
    """Return the average precision of each class over frames.

    Frames outside `AnnotatedVideo.frames` do not count, neither their truth nor what is found in
    them. Classes without truth have none, and are not in means. `mean_at(0.5)` is what papers call
    frame-mAP; `mean()` is 0.5:0.95.

    Args:
        truth: N videos.
        found: N, boxes in px of the annotation.
        labels: The classes.
        protocol: The rules.

    Raises:
        ValueError: The lengths disagree, a label is no class, or a score or place is no number.
    """
    true_rows = gather_truth(truth, len(labels))
    rows = gather_found(truth, found, len(labels))
    pairs = pair_rows(rows, true_rows, protocol.plus_one)
    given = Candidates(rows.labels, rows.scores, true_rows.labels, pairs)
    return measure_precisions(given, len(labels), COCO_IOUS, protocol)
