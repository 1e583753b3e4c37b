"""Detect in a video: find people in key frames, follow them, write tubes and draw them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from s3d.data.decode import iterate_frames
from s3d.data.paths import AnyPath
from s3d.data.video_info import FLOW_CHANNELS, Frames
from s3d.detect.draw.boxes import draw_boxes, output_scale
from s3d.detect.draw.video_writer import AnnotatedWriter, check_extension
from s3d.detect.run.finder import BoxFinder
from s3d.detect.run.look import VideoLook
from s3d.detect.run.overlay import Overlay
from s3d.detect.run.people import People, PeopleSettings, describe_scores
from s3d.detect.run.tubes_file import Reading, TubesFile, describe_track
from s3d.detect.tube import Scores
from s3d.detect.tubes.track import Track
from s3d.errors import InputError
from s3d.files import show_path

STRIDE = 4

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DetectSettings:
    """Say how a video is looked at.

    Attributes:
        stride: Frames, at the detector's rate, from one key frame to the next.
        people: Who counts as a person.
        shares: Whether neighbouring key frames share what they have in common.
    """

    stride: int = STRIDE
    people: PeopleSettings = field(default_factory=PeopleSettings)
    shares: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= 1000:
            raise InputError(f"stride is {self.stride} frames; it needs to be from 1 to 1000.")


@dataclass(frozen=True)
class Detected:
    """Say what came of it.

    Attributes:
        tubes: People who were followed, pieces of long ones counted each.
        people: How many different ones.
        key_frames: Frames that were looked at.
        seconds: Of the looking, without the drawing of what is left.
        shares_until: The last block that neighbours share; None where they share none.
    """

    tubes: int
    people: int
    key_frames: int
    seconds: float
    shares_until: str | None


@dataclass(frozen=True)
class Outputs:
    """Say what is made of what is found.

    Attributes:
        video: The annotated video, .mp4 or .mkv; None for none.
        tubes: Where tubes are written as JSON; None for nowhere.
        head: What else the JSON says.
        tell: Is told each tube, the JSON's values, as it ends.
        progress: Told of ticks looked at and in all.
    """

    video: Path | None = None
    tubes: Path | None = None
    head: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[dict[str, Any]], None] | None = None
    progress: Progress | None = None


def detect_video(
    finder: BoxFinder, path: AnyPath, settings: DetectSettings, outputs: Outputs
) -> Detected:
    """Find and follow people in a video, in memory that does not grow with its length.

    Args:
        finder: What looks.
        path: The video.
        settings: How.
        outputs: What is made of it.

    Raises:
        InputError: The video cannot be read, or a file cannot be written.
    """
    if outputs.video is not None:
        check_extension(outputs.video)
    look = VideoLook(finder, path)
    if outputs.video is not None and look.video.channels == FLOW_CHANNELS:
        raise InputError(
            f"{show_path(path)}: holds optical flow, on which nothing can be drawn. "
            "Give the video itself, or leave --out out."
        )
    job = _Job(finder, look, settings, outputs)
    with ExitStack() as stack:
        if outputs.tubes is not None:
            facts = {
                "video": str(path),
                **outputs.head,
                "labels": list(finder.labels),
                "multi_label": finder.detector.shape.multi_label,
                "size_px": list(look.picture_px),
                "rate_fps": round(look.video.rate_fps, 4),
            }
            job.file = stack.enter_context(TubesFile(outputs.tubes, facts))
        if outputs.video is not None:
            job.draw_to(stack, outputs.video, path)
        return job.run()


class _Job:
    """Hold what goes on while a video is looked at."""

    def __init__(
        self,
        finder: BoxFinder,
        look: VideoLook,
        settings: DetectSettings,
        outputs: Outputs,
    ) -> None:
        self.finder, self.look, self.settings, self.outputs = finder, look, settings, outputs
        people, gap_frames = settings.people, _most_apart(look, settings.stride)
        self.multi_label = finder.detector.shape.multi_label
        self.people = People(people, look.video.rate_fps, gap_frames)
        self.overlay = Overlay(gap_frames, people.smoothed_boxes, self._describe)
        self.reading = Reading(finder.labels, look.video.times_seconds, people, self.multi_label)
        self.file: TubesFile | None = None
        self.writer: AnnotatedWriter | None = None
        self._frames: Iterator[Frames] = iter(())
        self._drawn, self._scale = 0, 1
        self._tubes = 0

    def draw_to(self, stack: ExitStack, out: Path, path: AnyPath) -> None:
        height, width = self.look.picture_px
        self._scale = output_scale((height, width))
        size = height * self._scale, width * self._scale
        self.writer = stack.enter_context(AnnotatedWriter(out, size, self.look.video.rate_fps))
        frames = iterate_frames(path)
        stack.callback(getattr(frames, "close", lambda: None))
        self._frames = frames

    def run(self) -> Detected:
        begin, count = time.perf_counter(), 0
        for seen in self.look.in_a_row(self.settings.stride, self.settings.shares):
            present, ended = self.people.add(seen.frame, seen.found)
            if self.writer is not None:  # Drawing alone lets go of what the overlay holds.
                self.overlay.begin_key(seen.frame)
                for person in present:
                    self.overlay.add(person.key, person.box, person.scores)
            self._tell(ended)
            self._draw(self.overlay.until)
            count += 1
            self._show(count * self.settings.stride)
        seconds = time.perf_counter() - begin
        self._tell(self.people.finish())
        self._draw(sys.maxsize)
        sharing = self.look.sharing
        if self.file is not None:
            self.file.tail = {"key_frames": count, "looking_seconds": round(seconds, 2)}
        self._show(self.look.ticks)
        until = sharing.until if sharing else None
        return Detected(self._tubes, self.people.given, count, seconds, until)

    def _show(self, done: int) -> None:
        if self.outputs.progress:
            self.outputs.progress(min(done, self.look.ticks), self.look.ticks)

    def _describe(self, scores: Scores) -> tuple[str, ...]:
        least_score = self.settings.people.least_score
        return describe_scores(scores, self.finder.labels, self.multi_label, least_score)

    def _tell(self, tracks: list[Track]) -> None:
        for track in tracks:
            number = self.people.numbers.get(track.number)
            if number is None:
                continue
            tube = describe_track(track, number, self.reading)
            self._tubes += 1
            if self.file is not None:
                self.file.add(tube)
            if self.outputs.tell is not None:
                self.outputs.tell(tube)

    def _draw(self, until: int) -> None:
        """Draw the frames before one, as far as the file has them."""
        while self.writer is not None and self._drawn < until:
            frame = next(self._frames, None)
            if frame is None:
                return
            drawn = self.overlay.boxes_at(self._drawn, self.people.numbers)
            picture = draw_boxes(np.asarray(frame), drawn, self._scale)
            self.writer.write(picture, self._seconds_of(self._drawn))
            self._drawn += 1

    def _seconds_of(self, frame: int) -> float:
        """Return the time of a frame; a file may give more of them than it promised."""
        times = self.look.video.times_seconds
        more = max(0, frame - len(times) + 1)
        return float(times[frame - more]) + more / self.look.video.rate_fps


def _most_apart(look: VideoLook, stride: int) -> int:
    """Return the most frames from one key frame to the next: in uneven files they differ."""
    return int(np.diff(np.unique(look.indices[::stride])).max(initial=1))
