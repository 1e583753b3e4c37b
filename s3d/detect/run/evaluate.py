"""Score a detector on annotated videos."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo
from s3d.detect.run.finder import BoxFinder, Keeping
from s3d.detect.run.look import VideoLook, look_at_all
from s3d.detect.score.match import VOC, Protocol
from s3d.detect.score.score import DetectionScore, score_detections
from s3d.detect.tube import Detections
from s3d.detect.tubes.build import build_tubes
from s3d.detect.tubes.settings import LinkSettings
from s3d.errors import InputError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScoreSettings:
    """Say how a detector is scored.

    Attributes:
        stride: Every so many of the marked frames are looked at and scored; with more than 1 there
            is no video-mAP.
        keeping: Which boxes count.
        linking: How boxes become tubes.
        protocol: The rules.
    """

    stride: int = 1
    keeping: Keeping = field(default_factory=Keeping)
    linking: LinkSettings = field(default_factory=LinkSettings)
    protocol: Protocol = VOC

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= 1000:
            raise InputError(f"stride is {self.stride} frames; it needs to be from 1 to 1000.")


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Hold a detector's score and what it was made of.

    Attributes:
        score: The figures.
        data: The videos that could be read.
        found: What was found in each.
        key_frames: Frames that were looked at.
        seconds: Of looking, reading and linking included.
        failures: (path, reason) of videos that could not be read: they are not scored.
    """

    score: DetectionScore
    data: Annotated
    found: tuple[Detections, ...]
    key_frames: int
    seconds: float
    failures: tuple[tuple[str, str], ...]


def evaluate_detector(
    finder: BoxFinder,
    data: Annotated,
    settings: ScoreSettings,
    progress: Progress | None = None,
) -> Evaluated:
    """Look at the marked frames of every video and score what is found.

    Args:
        finder: The detector; its labels are those of the data.
        data: What is true.
        settings: How.
        progress: Told after each video.

    Raises:
        InputError: Not one video can be read.
    """
    begin = time.perf_counter()
    videos, found = list[AnnotatedVideo](), list[Detections]()
    failures, count = list[tuple[str, str]](), 0
    for number, video in enumerate(data.videos, start=1):
        try:
            rows, looked = look_at_video(finder, video, settings)
        except InputError as error:
            failures.append((video.path, str(error)))
        else:
            videos.append(video)
            found.append(rows)
            count += looked
        if progress:
            progress(number, len(data.videos))
    if not videos:
        raise InputError(f"not one of {len(data.videos)} videos can be read: {failures[0][1]}")
    kept = replace(data, videos=tuple(videos))
    score = score_found(kept, found, settings)
    seconds = time.perf_counter() - begin
    return Evaluated(score, kept, tuple(found), count, seconds, tuple(failures))


def score_found(
    data: Annotated, found: Sequence[Detections], settings: ScoreSettings
) -> DetectionScore:
    """Score detections, linked to tubes where the annotations have tracks and every frame counts.

    Args:
        data: What is true.
        found: What was found in each video, boxes in px of the annotation.
        settings: How.
    """
    videos = [replace(video, frames=video.frames[:: settings.stride]) for video in data.videos]
    tubes = None
    if settings.stride == 1 and data.has_tracks:
        tubes = [build_tubes(rows, len(data.labels), settings.linking) for rows in found]
    return score_detections(videos, found, tubes, data.labels, settings.protocol)


def look_at_video(
    finder: BoxFinder, video: AnnotatedVideo, settings: ScoreSettings
) -> tuple[Detections, int]:
    """Return what is found in a video's marked frames, boxes in the annotation's px, and how many
    frames were looked at.

    Raises:
        InputError: The video cannot be read.
    """
    look = VideoLook(finder, video.path, video.size_px)
    parts = [
        seen.found.rows(seen.frame, settings.keeping)
        for seen in look_at_all(finder, look, video.frames, settings.stride)
    ]
    return Detections.join(parts), len(parts)
