"""All that is known of what a detector found: one door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.score.errors import ErrorAnalysis, analyse_errors
from s3d.detect.score.frame_map import frame_map
from s3d.detect.score.match import VOC, Protocol
from s3d.detect.score.precisions import Precisions
from s3d.detect.score.video_map import has_tracks, video_map
from s3d.detect.tube import Detections, FoundTube

NO_TUBES = "not every frame was looked at, so there are no tubes"
NO_TRACKS = "the annotations do not say which boxes are of one person"


@dataclass(frozen=True, eq=False)
class DetectionScore:
    """Hold what detections are worth.

    Attributes:
        labels: The classes.
        protocol: The rules.
        videos: How many were scored.
        frames: How many frames of them, those of which everything is marked.
        frame: Average precisions over frames.
        video: Average precisions over tubes; None where they cannot be known.
        lacks: Why there are none over tubes; "" where there are.
        errors: What goes wrong in frames.
    """

    labels: tuple[str, ...]
    protocol: Protocol
    videos: int
    frames: int
    frame: Precisions
    video: Precisions | None
    lacks: str
    errors: ErrorAnalysis


def score_detections(
    truth: Sequence[AnnotatedVideo],
    found: Sequence[Detections],
    tubes: Sequence[Sequence[FoundTube]] | None,
    labels: Sequence[str],
    protocol: Protocol = VOC,
) -> DetectionScore:
    """Score what was found in videos.

    Args:
        truth: N videos.
        found: N, boxes in px of the annotation.
        tubes: N, likewise; None where there are none.
        labels: The classes.
        protocol: The rules.

    Raises:
        ValueError: The lengths disagree, a label is no class, a score or place is no number, or
            the frames of a tube do not rise.
    """
    lacks = NO_TRACKS if not has_tracks(truth) else NO_TUBES if tubes is None else ""
    return DetectionScore(
        tuple(labels),
        protocol,
        len(truth),
        sum(len(video.frames) for video in truth),
        frame_map(truth, found, labels, protocol),
        video_map(truth, tubes, labels, protocol) if tubes is not None and not lacks else None,
        lacks,
        analyse_errors(truth, found, labels, protocol),
    )
