"""The boxes of key frames, and what is left of them where a part of the picture is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.detect.annotations.annotated import AnnotatedVideo

LEAST_LEFT = 0.4
"""Of a box's area: boxes of which a zoom leaves less are not learnt from."""


@dataclass(frozen=True, eq=False)
class Truth:
    """Hold the boxes of a key frame.

    Attributes:
        boxes: (n, 4) as shares of the picture.
        labels: (n, K) 0 or 1: what is done in each.
    """

    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Cut:
    """Say which part of the picture is seen, as shares of it, and whether it is mirrored."""

    top: float = 0.0
    left: float = 0.0
    height: float = 1.0
    width: float = 1.0
    is_mirrored: bool = False


def read_truths(video: AnnotatedVideo, classes: int) -> dict[int, Truth]:
    """Return the boxes of every frame that has some.

    What is done by one person, in equal boxes of one frame, is one row.
    """
    rows: dict[int, dict[tuple[float, ...], set[int]]] = {}
    height, width = video.size_px
    scale = np.array([width, height, width, height], np.float32)
    for tube in video.tubes:
        for frame, box in zip(tube.frames.tolist(), tube.boxes / scale, strict=True):
            rows.setdefault(frame, {}).setdefault(tuple(box.tolist()), set()).add(tube.label)
    learnt = set(video.frames.tolist())
    return {frame: _make_truth(boxes, classes) for frame, boxes in rows.items() if frame in learnt}


def _make_truth(boxes: Mapping[tuple[float, ...], set[int]], classes: int) -> Truth:
    labels = np.zeros((len(boxes), classes), np.float32)
    for row, found in enumerate(boxes.values()):
        labels[row, sorted(found)] = 1
    return Truth(np.array(list(boxes), np.float32).reshape(-1, 4), labels)


def cut_truth(truth: Truth, cut: Cut) -> Truth:
    """Return boxes, as shares of the seen part of the picture; those mostly cut away are not."""
    boxes = truth.boxes.copy()
    if cut.is_mirrored:
        boxes[:, [0, 2]] = 1 - boxes[:, [2, 0]]
    boxes[:, [0, 2]] = (boxes[:, [0, 2]] - cut.left) / cut.width
    boxes[:, [1, 3]] = (boxes[:, [1, 3]] - cut.top) / cut.height
    whole = _area(boxes)
    seen = boxes.clip(0, 1)
    kept = (_area(seen) >= LEAST_LEFT * whole) & (whole > 0)
    return Truth(seen[kept], truth.labels[kept])


def _area(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    area: npt.NDArray[np.float32] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area
