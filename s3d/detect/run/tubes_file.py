"""tubes.json: who was where and did what, written tube by tube as they end.

    {"video": ..., "model": ..., "stride_frames": ..., "labels": [...], "multi_label": false,
     "size_px": [height, width], "rate_fps": ...,
     "tubes": [{"number": 1, "label": "jump", "score": 0.9, "start_seconds": 0.4,
                "end_seconds": 2.1,
                "actions": [{"label", "score", "start_seconds", "end_seconds"}, ...],
                "frames": [...], "boxes": [[x1, y1, x2, y2], ...],
                "labels": [...], "scores": [...]},
               ...],
     "key_frames": ..., "looking_seconds": ...}

Each box keeps its own label, the likeliest, and that one's score. Somebody who stays very long
comes in pieces of one number. Where several things may be done at once (multi_label), actions lie
over each other in time, and a tube has "likely" as well: for each box {label: score} of all that is
likely in it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from s3d.data.video_info import Times
from s3d.detect.run.people import PeopleSettings, Stretch, find_actions, find_all_actions
from s3d.detect.tube import Scores
from s3d.detect.tubes.build import tube_score
from s3d.detect.tubes.track import Track
from s3d.errors import InputError
from s3d.files import show_path, write_atomically

TOP_BOXES = 20


@dataclass(frozen=True, eq=False)
class Reading:
    """Say how tracks become JSON values.

    Attributes:
        labels: The K classes.
        times: Seconds of every frame of the video.
        people: Who counts as a person, and what as done.
        multi_label: Whether somebody may do several things at once.
    """

    labels: Sequence[str]
    times: Times
    people: PeopleSettings
    multi_label: bool = False


def describe_track(track: Track, number: int, reading: Reading) -> dict[str, Any]:
    """Return a track as JSON values.

    Args:
        track: Scores (n, K).
        number: Who it is.
        reading: How.
    """
    scores, labels = np.asarray(track.scores, np.float32), reading.labels
    label = int(scores.mean(0).argmax())
    seconds = [round(float(reading.times[frame]), 3) for frame in track.frames.tolist()]
    best = scores.argmax(1)
    values = {
        "number": number,
        "label": labels[label],
        "score": round(tube_score(scores[:, label], TOP_BOXES), 4),
        "start_seconds": seconds[0],
        "end_seconds": seconds[-1],
        "actions": [_describe_stretch(s, labels, seconds) for s in _actions_of(scores, reading)],
        "frames": track.frames.tolist(),
        "boxes": [[round(v, 1) for v in box] for box in track.boxes.tolist()],
        "labels": [labels[i] for i in best.tolist()],
        "scores": [round(v, 4) for v in scores.max(1).tolist()],
    }
    if reading.multi_label:
        values["likely"] = [_likely_in(row, reading) for row in scores]
    return values


def _actions_of(scores: Scores, reading: Reading) -> list[Stretch]:
    people = reading.people
    if reading.multi_label:
        return find_all_actions(scores, people.smoothed_boxes, people.least_score)
    return find_actions(scores, people.smoothed_boxes)


def _describe_stretch(
    stretch: Stretch, labels: Sequence[str], seconds: Sequence[float]
) -> dict[str, Any]:
    return {
        "label": labels[stretch.label],
        "score": round(stretch.score, 4),
        "start_seconds": seconds[stretch.first],
        "end_seconds": seconds[stretch.stop - 1],
    }


def _likely_in(scores: Scores, reading: Reading) -> dict[str, float]:
    """Return what is likely in a box, the likeliest first."""
    order = np.argsort(-scores, kind="stable").tolist()
    least = reading.people.least_score
    return {reading.labels[i]: round(float(scores[i]), 4) for i in order if scores[i] >= least}


class TubesFile:
    """Write tubes one at a time; the file is whole or absent.

    with TubesFile(path, head) as file:
        file.add(tube)
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path, self.head = path, dict(head)
        self.tail: dict[str, Any] = {}
        self.count = 0
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.tubes.part")
        self._file: TextIO | None = None

    def __enter__(self) -> TubesFile:
        """Open the file beside.

        Raises:
            InputError: It cannot be made there.
        """
        try:
            self._file = self._beside.open("w", encoding="utf-8", errors="backslashreplace")
            text = json.dumps(self.head, ensure_ascii=False)[:-1]
            self._file.write(text + (", " if self.head else "") + '"tubes": [')
        except OSError as error:
            if self._file is not None:
                self._take_away()
            raise self._cannot_write(error) from None
        return self

    def add(self, tube: Mapping[str, Any]) -> None:
        """Write a tube.

        Raises:
            InputError: The disk is full.
        """
        assert self._file is not None
        try:
            mark = ",\n" if self.count else "\n"
            self._file.write(mark + json.dumps(tube, ensure_ascii=False))
        except OSError as error:
            raise self._cannot_write(error) from None
        self.count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file and put it in its place, or take it away.

        Raises:
            InputError: The disk is full, or no file can be there.
        """
        assert self._file is not None
        try:
            if kind is None:
                more = "".join(f", {json.dumps(k)}: {json.dumps(v)}" for k, v in self.tail.items())
                self._file.write(f"\n]{more}}}\n")
                self._file.close()
                write_atomically(self.path, lambda beside: _move(self._beside, beside))
        except OSError as problem:
            raise self._cannot_write(problem) from None
        finally:
            self._take_away()

    def _take_away(self) -> None:
        """Close and remove the file beside; what could not be written is no matter any more."""
        assert self._file is not None
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._beside.unlink(missing_ok=True)

    def _cannot_write(self, error: OSError) -> InputError:
        reason = error.strerror or str(error)
        return InputError(
            f"{show_path(self.path)}: cannot be written ({reason}). "
            "Free some room or choose another place."
        )


def _move(source: Path, target: Path) -> None:
    source.replace(target)
