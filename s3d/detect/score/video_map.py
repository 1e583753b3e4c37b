"""Video-mAP: each tube as a whole, right where it lies on a true one in space and in time.

The trap: some annotations (AVA's own files, boxes of single frames) do not say which boxes are of
one person. Each of their tubes has one frame, no found tube of seconds can lie on it, and a perfect
detector gets 0. There video-mAP does not exist; `video_map` refuses it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.score.match import VOC, Pairs, Protocol, pair_keys
from s3d.detect.score.overlap import Tube, tube_iou
from s3d.detect.score.precisions import COCO_IOUS, Candidates, Precisions, measure_precisions
from s3d.detect.score.rows import check_lengths
from s3d.detect.tube import FoundTube, Frames, TrueTube
from s3d.errors import InputError

VIDEO_IOUS = (0.2, *COCO_IOUS)
"""Thresholds that papers report: 0.2, 0.5, 0.75 and 0.5:0.95."""

Counts = npt.NDArray[np.int64]


def video_map(
    truth: Sequence[AnnotatedVideo],
    found: Sequence[Sequence[FoundTube]],
    labels: Sequence[str],
    protocol: Protocol = VOC,
) -> Precisions:
    """Return the average precision of each class over tubes.

    Tubes are compared in `AnnotatedVideo.frames` alone: where key frames are marked, a found tube
    that also has the frames between is not the worse for it. One that has no such frame does not
    count.

    Args:
        truth: N videos.
        found: N, boxes in px of the annotation.
        labels: The classes.
        protocol: The rules.

    Raises:
        InputError: The annotations do not say which boxes are of one person.
        ValueError: The lengths disagree, a label is no class, a score is no number, or the frames
            of a tube do not rise.
    """
    check_lengths(truth, found)
    if not has_tracks(truth):
        raise InputError(
            "video-mAP needs annotations that say which boxes are of one person; these have boxes "
            "of single frames. Score frames alone."
        )
    true = _gather(truth, (video.tubes for video in truth), len(labels))
    rows = _gather(truth, found, len(labels))
    scores = np.array([row.score for row in rows], np.float64)
    pairs = _pair_tubes(rows, true, protocol.plus_one)
    given = Candidates(_labels(rows), scores, _labels(true), pairs)
    return measure_precisions(given, len(labels), VIDEO_IOUS, protocol)


def has_tracks(truth: Sequence[AnnotatedVideo]) -> bool:
    """Return whether annotations say which boxes are of one person."""
    return all(tube.track for video in truth for tube in video.tubes)


def restrict_tube(tube: Tube, frames: Frames) -> TrueTube:
    """Return where a tube is in some frames, which may be nowhere.

    Raises:
        ValueError: The frames of the tube do not rise.
    """
    if (np.diff(tube.frames) <= 0).any():
        raise ValueError("frames of a tube do not rise; each needs to be there once, in order.")
    inside = np.isin(tube.frames, frames)
    return TrueTube(tube.label, tube.frames[inside], tube.boxes[inside])


@dataclass(frozen=True, eq=False)
class _Row:
    """Hold a tube that counts: the place of its video, where it is, and its score."""

    video: int
    tube: TrueTube
    score: float


def _gather(
    videos: Sequence[AnnotatedVideo], parts: Iterable[Sequence[Tube]], classes: int
) -> list[_Row]:
    """Return all tubes that have a frame that counts."""
    rows = []
    for index, (video, part) in enumerate(zip(videos, parts, strict=True)):
        for tube in part:
            if not 0 <= tube.label < classes:
                raise ValueError(
                    f"{video.name}: the label of a tube is {tube.label}; with {classes} classes "
                    f"it needs to be 0..{classes - 1}."
                )
            score = tube.score if isinstance(tube, FoundTube) else 1.0
            if not math.isfinite(score):
                raise ValueError(f"{video.name}: the score of a tube is no finite number.")
            if len((inside := restrict_tube(tube, video.frames)).frames):
                rows.append(_Row(index, inside, score))
    return rows


def _pair_tubes(found: list[_Row], true: list[_Row], plus_one: bool) -> Pairs:
    """Return the overlaps of tubes of one class in one video."""
    rows, others = pair_keys(_videos(found), _videos(true))
    same = _labels(found)[rows] == _labels(true)[others]
    rows, others = rows[same], others[same]
    overlaps = [
        tube_iou(found[row].tube, true[other].tube, plus_one)
        for row, other in zip(rows.tolist(), others.tolist(), strict=True)
    ]
    return Pairs(rows, others, np.array(overlaps, np.float64))


def _labels(rows: list[_Row]) -> Counts:
    return np.array([row.tube.label for row in rows], np.int64)


def _videos(rows: list[_Row]) -> Counts:
    return np.array([row.video for row in rows], np.int64)
