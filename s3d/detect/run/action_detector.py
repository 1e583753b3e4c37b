"""A detector in Python: who does what in a video, as objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s3d.data.paths import AnyPath
from s3d.detect.network.detector_file import DetectorFile
from s3d.detect.network.detector_file import load_detector as read_detector
from s3d.detect.run.detect import STRIDE, DetectSettings, Outputs, detect_video
from s3d.detect.run.finder import BoxFinder
from s3d.detect.run.look import Seen, VideoLook
from s3d.detect.run.people import PeopleSettings
from s3d.detect.tube import Boxes, Frames, Scores
from s3d.models.device import choose_device


@dataclass(frozen=True)
class Action:
    """Say what somebody did for a while.

    Attributes:
        label: What.
        score: How sure, 0 to 1.
        start_seconds: From when.
        end_seconds: To when.
    """

    label: str
    score: float
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, eq=False)
class PersonTube:
    """Hold somebody who was followed.

    Attributes:
        number: Who it is: no two have the same.
        label: What they do most of all.
        score: How sure, 0 to 1.
        actions: What they do from when to when.
        frames: (n,) indices of the key frames in which they were seen.
        boxes: (n, 4) in px of the displayed picture.
        labels: What is done in each.
        scores: (n,) how sure, each box's own.
    """

    number: int
    label: str
    score: float
    actions: tuple[Action, ...]
    frames: Frames
    boxes: Boxes
    labels: tuple[str, ...]
    scores: Scores


class ActionDetector:
    """Find who does what, where and when.

        detector = s3d.load_detector("who/model.safetensors")
        for person in detector.detect("video.mp4"):
            print(person.number, person.label, person.actions)

    Attributes:
        labels: The classes.
        metrics: What was measured of it, each with its protocol.
        finder: Finds the boxes of a key frame.
    """

    def __init__(self, model: DetectorFile, device: str = "cpu", engine: str | None = None) -> None:
        self.labels, self.metrics = model.labels, model.metrics
        self.source, self.licence = model.source, model.licence
        self.finder = BoxFinder(model, choose_device(device), engine)

    def detect(
        self,
        video: AnyPath,
        stride: int = STRIDE,
        *,
        least_score: float = PeopleSettings.least_score,
        patience_seconds: float = PeopleSettings.patience_seconds,
        annotated: str | Path | None = None,
    ) -> list[PersonTube]:
        """Return the people of a video, in the order in which they were last seen.

        Args:
            video: A local file.
            stride: Frames, at the detector's rate, from one key frame to the next.
            least_score: Of a box, 0 to 1.
            patience_seconds: So long somebody may go unseen and keep their number.
            annotated: Where the video is written with what was found drawn on it, .mp4 or .mkv.

        Raises:
            InputError: The video cannot be read, or the annotated one not written.
        """
        people = PeopleSettings(least_score, patience_seconds=patience_seconds)
        found: list[PersonTube] = []
        out = Path(annotated) if annotated is not None else None
        outputs = Outputs(out, tell=lambda tube: found.append(_read_tube(tube)))
        detect_video(self.finder, video, DetectSettings(stride, people), outputs)
        return found

    def look(self, video: AnyPath, stride: int = STRIDE) -> Iterator[Seen]:
        """Yield every key frame's index and boxes (n, 4), each with scores (n, K) of all classes.

        Nothing is linked, and boxes may lie over each other: see `FrameBoxes.people` and `rows`.

        Args:
            video: A local file.
            stride: Frames, at the detector's rate, from one key frame to the next.

        Raises:
            InputError: The video cannot be read, or the stride is below 1.
        """
        settings = DetectSettings(stride)
        return VideoLook(self.finder, video).in_a_row(settings.stride)


def load_detector(
    path: str | Path, device: str = "cpu", engine: str | None = None
) -> ActionDetector:
    """Open a detector that `s3d train-detector` made.

    Args:
        path: Its model.safetensors.
        device: "cpu" or "cuda".
        engine: What runs its networks; "auto" or None is the fastest here.

    Raises:
        InputError: The file is no detector, or there is no such device or engine.
    """
    return ActionDetector(read_detector(path), device, engine)


def _read_tube(tube: dict[str, Any]) -> PersonTube:
    return PersonTube(
        tube["number"],
        tube["label"],
        tube["score"],
        tuple(Action(**action) for action in tube["actions"]),
        np.array(tube["frames"], np.int64),
        np.array(tube["boxes"], np.float32).reshape(-1, 4),
        tuple(tube["labels"]),
        np.array(tube["scores"], np.float32),
    )
