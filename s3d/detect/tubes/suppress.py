"""What lies on something better of its class is left out: boxes of a frame, and tubes.

In numpy, for boxes that were kept or read again; `s3d.detect.geometry.nms` does it for tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from s3d.detect.score.average_precision import falling_order
from s3d.detect.score.overlap import box_iou, tube_iou
from s3d.detect.tube import Boxes, Detections, FoundTube

Counts = npt.NDArray[np.int64]


def suppress_boxes(boxes: Boxes, scores: npt.NDArray[np.floating], iou: float) -> Counts:
    """Return which boxes stay.

    Args:
        boxes: (n, 4).
        scores: (n,); of equal ones the first counts as higher.
        iou: A box goes that overlaps one that stays by more.

    Returns:
        (m,) places in falling score.
    """
    order = falling_order(scores)
    lies_on = box_iou(boxes[order], boxes[order]) > iou
    stays = np.ones(len(order), np.bool_)
    for place in range(len(order)):
        if stays[place]:
            stays[place + 1 :] &= ~lies_on[place, place + 1 :]
    return order[stays]


def suppress_detections(detections: Detections, iou: float) -> Detections:
    """Return detections without those that lie on a better one of their class and frame.

    The rows that stay keep their order.
    """
    order = np.lexsort((detections.labels, detections.frames))
    frames, labels = detections.frames[order], detections.labels[order]
    begins = np.flatnonzero((np.diff(frames) != 0) | (np.diff(labels) != 0)) + 1
    stays = np.ones(len(order), np.bool_)
    for rows in np.split(order, begins):
        if len(rows) > 1:
            stays[rows] = False
            stays[rows[suppress_boxes(detections.boxes[rows], detections.scores[rows], iou)]] = True
    return detections.of(stays)


def suppress_tubes(tubes: Sequence[FoundTube], iou: float) -> list[FoundTube]:
    """Return tubes in falling score without those that lie on a better one of their class.

    Args:
        tubes: Of one video.
        iou: A tube goes that overlaps one that stays by more, in space and time (`tube_iou`).
    """
    kept: list[FoundTube] = []
    for place in falling_order(np.array([tube.score for tube in tubes])).tolist():
        tube = tubes[place]
        others = (other for other in kept if other.label == tube.label)
        if not any(tube_iou(tube, other) > iou for other in others):
            kept.append(tube)
    return kept
