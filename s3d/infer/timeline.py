"""What happens in a long video, and when: every window scored, and segments made of the scores.

Scores go to a record on disk as they come (`s3d.infer.record`), so memory does not grow with the
video, and a killed run goes on where it was, to the same result. Segments are made of the record,
so that another threshold takes no scoring.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s3d.clip import ClipSpec
from s3d.data.frame_folder import split_rate
from s3d.data.frame_source import FrameSource, open_source
from s3d.data.paths import AnyPath
from s3d.data.shards.members import split_member
from s3d.data.video_info import EndsEarlyError, Times, VideoInfo
from s3d.infer.grid import WindowGrid
from s3d.infer.recognizer import Scores
from s3d.infer.record import Record
from s3d.infer.scan import Scan, Scanned, ScanStart, cut_short
from s3d.infer.segments import DEFAULT_THRESHOLD, Segment, SegmentRule, check_labels, merge_windows
from s3d.infer.threshold import Threshold, find_threshold
from s3d.page.picture import encode_frame

GLANCES = 60
"""Small pictures of a video."""

Tell = Callable[[int, int], None]
"""Told how many windows are done, and how many there are."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """Hold what happens in a video.

    Attributes:
        path: The video.
        labels: Class names, in the order of the scores.
        spec: The clip a window is.
        protocol: Which windows were scored, in words.
        stride_seconds: From the start of one window to that of the next.
        rule: When a segment begins and ends.
        threshold: Where the rule's threshold was calibrated; None where it was not.
        segments: In order of time.
        info: The video, as far as it decodes; of its flow, where the model takes flow.
        grid: Where the windows lie.
        record: What was scored.
        scored: Windows that were scored by this call, not before.
    """

    path: str
    labels: tuple[str, ...]
    spec: ClipSpec
    protocol: str
    stride_seconds: float
    rule: SegmentRule
    threshold: Threshold | None
    segments: tuple[Segment, ...]
    info: VideoInfo
    grid: WindowGrid
    record: Record
    scored: int

    @property
    def origin(self) -> str:
        """Return in a few words where the threshold comes from."""
        if self.threshold is not None:
            return self.threshold.describe()
        is_default = self.rule.enter == DEFAULT_THRESHOLD
        return "the default, not calibrated; see s3d calibrate" if is_default else "as given"

    @property
    def windows(self) -> int:
        """Return how many windows were scored."""
        return self.grid.count

    @property
    def duration_seconds(self) -> float:
        """Return how long the video is, as far as it decodes."""
        return self.info.duration_seconds

    @property
    def start_seconds(self) -> Times:
        """Return (W,) when each window begins."""
        return np.array([self.grid.start(k) for k in range(self.windows)]) / self.spec.rate_fps

    @property
    def end_seconds(self) -> Times:
        """Return (W,) when each window ends, never after the end of the video."""
        return np.minimum(self.start_seconds + self.spec.span_seconds, self.duration_seconds)

    @property
    def scores(self) -> Scores:
        """Return (W, K) of all windows; read from disk anew each time."""
        found = np.empty((self.windows, len(self.labels)), np.float32)
        for row, entry in zip(found, self.record.windows(), strict=True):
            row[:] = entry.scores
        return found

    def iterate_windows(self) -> Iterator[tuple[float, float, Scores]]:
        """Yield (start seconds, end seconds, (K,) scores) of windows, one in memory at a time."""
        yield from _iterate_windows(self.record, self.spec, self.info)

    @property
    def glances(self) -> list[tuple[float, bytes]]:
        """Return small pictures on the way, (seconds, JPEG), in order of time."""
        return [(tick / self.spec.rate_fps, jpeg) for tick, jpeg in self.record.glances()]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the scores as plain JSON values."""
        rule, threshold = self.rule, self.threshold
        return {
            "path": self.path,
            "weights_sha256": self.record.settings["weights_sha256"],
            "duration_seconds": round(self.duration_seconds, 3),
            "protocol": self.protocol,
            "clip": self.spec.to_json(),
            "stride_seconds": self.stride_seconds,
            "windows": self.windows,
            "threshold": {
                "enter": rule.enter,
                "leave": rule.leave_score,
                "smooth_windows": rule.smooth_windows,
                "least_seconds": rule.least_seconds,
                "nothing": list(rule.nothing),
                "calibrated": threshold.to_metric() if threshold else None,
            },
            "labels": list(self.labels),
            "segments": [
                {
                    "start": round(segment.start_seconds, 3),
                    "end": round(segment.end_seconds, 3),
                    "label": segment.label,
                    "score": round(segment.score, 4),
                }
                for segment in self.segments
            ],
        }


def compute_timeline(
    scan: Scan,
    video: AnyPath,
    rule: SegmentRule | None = None,
    *,
    record: AnyPath | None = None,
    tell: Tell | None = None,
) -> Timeline:
    """Score the windows of a video and make segments of them.

    Args:
        scan: The model, and which windows it scores.
        video: A local file, of any length.
        rule: When a segment begins and ends; None takes the threshold that was calibrated, or 0.5.
        record: Where scores are kept as they come; what is there already is not scored again. None
            keeps them in a temporary file, for as long as the timeline is held.
        tell: Told of progress.

    Raises:
        InputError: The video cannot be read, or the record not be written.
    """
    labels, found = scan.recognizer.labels, find_threshold(scan.recognizer.metrics)
    rule = rule or SegmentRule(found.value if found else DEFAULT_THRESHOLD)
    check_labels(labels, rule)
    source = open_source(video, scan.recognizer.spec, scan.device)
    folder = tempfile.mkdtemp(prefix="s3d-") if record is None else None
    place = Path(record if record is not None else Path(folder or "", "windows"))
    try:
        with Record(place, _settings(scan, video), len(labels)) as kept:
            before = kept.progress.windows
            grid = _score(scan, source, kept, tell)
        windows = _iterate_windows(kept, scan.recognizer.spec, source.info)
        segments = tuple(merge_windows(windows, labels, rule))
    except BaseException:
        _remove(folder)
        raise
    timeline = Timeline(
        os.fspath(video), labels, scan.recognizer.spec, scan.describe(), scan.stride_seconds, rule,
        found if found and found.value == rule.enter else None, segments, source.info, grid, kept,
        grid.count - before,
    )  # fmt: skip
    weakref.finalize(timeline, _remove, folder)
    return timeline


def _score(scan: Scan, source: FrameSource, record: Record, tell: Tell | None) -> WindowGrid:
    """Score what is left to score, and return where the windows lie."""
    while True:
        progress = record.progress
        if progress.ends_at is not None:
            source.info = cut_short(source.info, EndsEarlyError(progress.ends_at))
        grid = scan.lay_grid(source.info)
        if progress.is_complete:
            return grid
        start = ScanStart(progress.windows, progress.is_counted, _choose_glances(grid))
        try:
            with closing(scan.run(source, start)) as steps:
                for step in steps:
                    _keep(step, record)
                    if tell and step.windows:
                        tell(record.progress.windows, grid.count)
            record.complete()
        except EndsEarlyError as end:
            record.end_at(end.decoded)


def _keep(step: Scanned, record: Record) -> None:
    # Pictures first: they lie before the windows that are completed with them.
    for tick, picture in step.glances:
        record.add_glance(tick, encode_frame(picture))
    for window in step.windows:
        record.add_window(window.first_frame, step.is_counted, window.scores)


def _iterate_windows(
    record: Record, spec: ClipSpec, info: VideoInfo
) -> Iterator[tuple[float, float, Scores]]:
    for entry in record.windows():
        start = entry.tick / spec.rate_fps
        yield start, min(start + spec.span_seconds, info.duration_seconds), entry.scores


def _choose_glances(grid: WindowGrid) -> tuple[int, ...]:
    """Return ticks, among those that are looked at, spread evenly over the video."""
    seen = np.flatnonzero(grid.find_looked_at())
    middles = (np.arange(GLANCES) + 0.5) * (grid.ticks / GLANCES)
    places = np.minimum(np.searchsorted(seen, middles), len(seen) - 1)
    return tuple(np.unique(seen[places]).tolist())


def _settings(scan: Scan, video: AnyPath) -> dict[str, Any]:
    """Return what decides the scores."""
    return {
        "weights_sha256": scan.weights_sha256,
        "labels": list(scan.recognizer.labels),
        "clip": scan.recognizer.spec.to_json(),
        "stride_frames": scan.stride_frames,
        "engine": f"{scan.recognizer.engine.name} on {scan.device}",
        "video": _identify(os.fspath(video)),
    }


def _identify(video: str) -> dict[str, Any]:
    """Return what would be otherwise if the video were another."""
    member = split_member(video)
    place = Path(member[0] if member else split_rate(video)[0])
    found: dict[str, Any] = {"name": os.fsencode(video.rpartition(os.sep)[2]).hex()}
    if place.exists():
        state = place.stat()
        found |= {"bytes": state.st_size, "changed_ns": state.st_mtime_ns}
    return found


def _remove(folder: str | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
