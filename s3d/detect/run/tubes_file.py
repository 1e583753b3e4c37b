"""tubes.json: who was where and did what, written tube by tube as they end.

    {"video": ..., "model": ..., "labels": [...], "rate_fps": ..., "size_px": [height, width],
     "tubes": [{"number": 1, "label": "jump", "score": 0.9, "start_seconds": 0.4,
                "end_seconds": 2.1,
                "actions": [{"label", "score", "start_seconds", "end_seconds"}, ...],
                "frames": [...], "boxes": [[x1, y1, x2, y2], ...],
                "labels": [...], "scores": [...]},
               ...],
     "key_frames": ..., "looking_seconds": ...}

Each box keeps its own label and score. Somebody who stays very long comes in pieces of one number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from s3d.data.video_info import Times
from s3d.detect.run.people import find_actions
from s3d.detect.tubes.build import tube_score
from s3d.detect.tubes.track import Track
from s3d.errors import InputError
from s3d.files import show_path, write_atomically

TOP_BOXES = 20


def describe_track(
    track: Track, number: int, labels: Sequence[str], times: Times, smoothed_boxes: int
) -> dict[str, Any]:
    """Return a track as JSON values.

    Args:
        track: Scores (n, K).
        number: Who it is.
        labels: The K classes.
        times: Seconds of every frame of the video.
        smoothed_boxes: As for `find_actions`.
    """
    scores = np.asarray(track.scores, np.float32)
    means = scores.mean(0)
    label = int(means.argmax())
    seconds = [round(float(times[frame]), 3) for frame in track.frames.tolist()]
    actions = [
        {
            "label": labels[stretch.label],
            "score": round(stretch.score, 4),
            "start_seconds": seconds[stretch.first],
            "end_seconds": seconds[stretch.stop - 1],
        }
        for stretch in find_actions(scores, smoothed_boxes)
    ]
    best = scores.argmax(1)
    return {
        "number": number,
        "label": labels[label],
        "score": round(tube_score(scores[:, label], TOP_BOXES), 4),
        "start_seconds": seconds[0],
        "end_seconds": seconds[-1],
        "actions": actions,
        "frames": track.frames.tolist(),
        "boxes": [[round(v, 1) for v in box] for box in track.boxes.tolist()],
        "labels": [labels[i] for i in best.tolist()],
        "scores": [round(v, 4) for v in scores.max(1).tolist()],
    }


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
        """Finish the file and put it in its place, or take it away."""
        assert self._file is not None
        try:
            if kind is None:
                more = "".join(f", {json.dumps(k)}: {json.dumps(v)}" for k, v in self.tail.items())
                self._file.write(f"\n]{more}}}\n")
            self._file.close()
            if kind is None:
                write_atomically(self.path, lambda beside: _move(self._beside, beside))
        except OSError as problem:
            raise self._cannot_write(problem) from None
        finally:
            self._beside.unlink(missing_ok=True)

    def _cannot_write(self, error: OSError) -> InputError:
        reason = error.strerror or str(error)
        return InputError(
            f"{show_path(self.path)}: cannot be written ({reason}). "
            "Free some room or choose another place."
        )


def _move(source: Path, target: Path) -> None:
    source.replace(target)
