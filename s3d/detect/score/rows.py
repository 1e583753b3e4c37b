"""Truth and detections of many videos as rows, each with the key of its frame.

Only frames of which everything is marked have a key. What lies in other frames is left out, truth
and detections alike: there nobody knows what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.score.match import Pairs, pair_keys
from s3d.detect.score.overlap import paired_iou
from s3d.detect.tube import Detections

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Hold boxes of many videos.

    Attributes:
        keys: (n,) one number for each frame of each video.
        videos: (n,) places of the videos.
        frames: (n,) indices of frames.
        boxes: (n, 4).
        labels: (n,).
        scores: (n,); 1 in truth.
    """

    keys: Counts
    videos: Counts
    frames: Counts
    boxes: npt.NDArray[np.floating]
    labels: Counts
    scores: npt.NDArray[np.floating]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.keys)

    def of(self, rows: npt.NDArray[np.bool_] | Counts) -> Rows:
        """Return some of the rows."""
        return Rows(
            self.keys[rows],
            self.videos[rows],
            self.frames[rows],
            self.boxes[rows],
            self.labels[rows],
            self.scores[rows],
        )


def gather_truth(videos: Sequence[AnnotatedVideo], classes: int) -> Rows:
    """Return the true boxes of videos.

    Raises:
        ValueError: A label is no place in the list of classes.
    """
    return _gather(videos, (_true_boxes(video) for video in videos), classes)


def gather_found(
    videos: Sequence[AnnotatedVideo], found: Sequence[Detections], classes: int
) -> Rows:
    """Return what was found in frames of which everything is marked.

    Args:
        videos: N.
        found: N, boxes in px of the annotation.
        classes: How many.

    Raises:
        ValueError: The lengths disagree, a label is no class, or a score or place is no number.
    """
    check_lengths(videos, found)
    return _gather(videos, found, classes)


def check_lengths(videos: Sequence[object], found: Sequence[object]) -> None:
    """Check that there is one of what was found for each video.

    Raises:
        ValueError: There is not.
    """
    if len(videos) != len(found):
        raise ValueError(
            f"detections of {len(found)} videos for {len(videos)} that are annotated; one for each "
            "is needed, in the same order."
        )


def pair_rows(found: Rows, true: Rows, plus_one: bool = False) -> Pairs:
    """Return the pairs of boxes in the same frame, whatever their classes."""
    rows, others = pair_keys(found.keys, true.keys)
    return Pairs(rows, others, paired_iou(found.boxes[rows], true.boxes[others], plus_one))


def _gather(videos: Sequence[AnnotatedVideo], parts: Iterable[Detections], classes: int) -> Rows:
    kept, keys, places, offset = [], [], [], 0
    for index, (video, part) in enumerate(zip(videos, parts, strict=True)):
        check_detections(part, classes, video.name)
        near = np.searchsorted(video.frames, part.frames)
        marked = np.append(video.frames, -1)[near] == part.frames
        kept.append(part.of(marked))
        keys.append(near[marked] + offset)
        places.append(np.full(len(kept[-1]), index, np.int64))
        offset += len(video.frames)
    rows, zero = Detections.join(kept), np.zeros(0, np.int64)
    return Rows(
        np.concatenate([zero, *keys]),
        np.concatenate([zero, *places]),
        rows.frames,
        rows.boxes,
        rows.labels,
        rows.scores,
    )


def _true_boxes(video: AnnotatedVideo) -> Detections:
    return Detections.join(
        [
            Detections(
                tube.frames,
                tube.boxes,
                np.full(len(tube.frames), tube.label, np.int64),
                np.ones(len(tube.frames), np.float32),
            )
            for tube in video.tubes
        ]
    )


def check_detections(part: Detections, classes: int, name: str) -> None:
    """Check that rows can be scored.

    Raises:
        ValueError: A label is no class, or a score or place is no number.
    """
    if len(part) and not 0 <= part.labels.min() <= part.labels.max() < classes:
        raise ValueError(
            f"{name}: labels are {part.labels.min()}..{part.labels.max()}; with {classes} classes "
            f"they need to be 0..{classes - 1}."
        )
    if not (np.isfinite(part.scores).all() and np.isfinite(part.boxes).all()):
        raise ValueError(f"{name}: a score or a place of a box is no finite number.")
