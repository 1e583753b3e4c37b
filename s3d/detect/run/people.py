"""People over time: boxes of key frames linked, numbered, and what each does smoothed.

A person's number is given when they were seen often enough, and never to another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from s3d.detect.run.finder import FrameBoxes, Keeping
from s3d.detect.tube import Boxes, Scores
from s3d.detect.tubes.link import OnlineLinker
from s3d.detect.tubes.track import Track
from s3d.errors import InputError

LONGEST_FRAMES = 5000
"""Of a piece of somebody's track, so that memory stays flat however long they stay."""


@dataclass(frozen=True)
class PeopleSettings:
    """Say who counts as a person.

    Attributes:
        least_score: Of a box, for its likeliest class.
        iou: Boxes of a frame that overlap more are one person.
        link_iou: The least overlap of a person's boxes that follow each other.
        patience_seconds: So long somebody may go unseen and keep their number.
        least_boxes: Who has fewer boxes is not told.
        smoothed_boxes: What somebody does is the mean of the scores of so many of their last boxes.
    """

    least_score: float = 0.3
    iou: float = 0.5
    link_iou: float = 0.2
    patience_seconds: float = 1.0
    least_boxes: int = 3
    smoothed_boxes: int = 5

    def __post_init__(self) -> None:
        for name in ("least_score", "iou", "link_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; it needs to be 0 to 1.")
        if not 0 <= self.patience_seconds <= 3600:
            raise InputError(
                f"patience is {self.patience_seconds} s; it needs to be from 0 to 3600."
            )


@dataclass(frozen=True, eq=False)
class Person:
    """Hold somebody in a key frame.

    Attributes:
        key: Who it is, as the linker counts.
        box: (4,) in px of the picture.
        scores: (K,) of what they do, smoothed.
    """

    key: int
    box: Boxes
    scores: Scores


class People:
    """Follow people from key frame to key frame.

    Attributes:
        numbers: Of those who were seen often enough, by the linker's count.
    """

    def __init__(self, settings: PeopleSettings, rate_fps: float, stride_frames: int) -> None:
        self.settings = settings
        patience = max(stride_frames, round(settings.patience_seconds * rate_fps))
        self._linker = OnlineLinker(settings.link_iou, patience, LONGEST_FRAMES)
        self._keeping = Keeping(settings.least_score, settings.iou)
        self._patience = patience
        self.numbers: dict[int, int] = {}
        self._seen: dict[int, _Recent] = {}
        self._given = 0

    def add(self, frame: int, found: FrameBoxes) -> tuple[list[Person], list[Track]]:
        """Take what is found in the next key frame.

        Returns:
            Who is there; and tracks that have ended, or pieces of long ones.
        """
        people = found.people(self._keeping)
        ended = self._linker.add(frame, people.boxes, people.scores)
        present = []
        for key, box, scores in zip(
            self._linker.numbers.tolist(), people.boxes, people.scores, strict=True
        ):
            recent = self._seen.setdefault(key, _Recent(self.settings.smoothed_boxes))
            recent.add(frame, scores)
            if key not in self.numbers and recent.count >= self.settings.least_boxes:
                self._given += 1
                self.numbers[key] = self._given
            present.append(Person(key, box, recent.mean))
        self._forget(frame)
        return present, ended

    def finish(self) -> list[Track]:
        """End all tracks and return them."""
        return self._linker.finish()

    def _forget(self, frame: int) -> None:
        """Let go of those who have ended, long after they could be asked for."""
        old = [k for k, recent in self._seen.items() if frame - recent.last > 4 * self._patience]
        for key in old:
            del self._seen[key]
            self.numbers.pop(key, None)


class _Recent:
    """Hold the last scores of somebody."""

    def __init__(self, most: int) -> None:
        self.count, self.last = 0, -1
        self._scores: deque[npt.NDArray[np.float32]] = deque(maxlen=most)

    def add(self, frame: int, scores: Scores) -> None:
        self.count, self.last = self.count + 1, frame
        self._scores.append(scores.copy())

    @property
    def mean(self) -> Scores:
        mean: Scores = np.mean(np.stack(self._scores), axis=0, dtype=np.float32)
        return mean


@dataclass(frozen=True)
class Stretch:
    """Say what somebody does for a while.

    Attributes:
        label: The class.
        first: Place of its first box in the track.
        stop: The place after its last.
        score: Mean of the boxes' own scores for it.
    """

    label: int
    first: int
    stop: int
    score: float


def find_actions(scores: Scores, smoothed_boxes: int) -> list[Stretch]:
    """Return what is done over a track: its likeliest class, box by box, smoothed.

    Args:
        scores: (n, K), each box's own.
        smoothed_boxes: The mean of so many neighbours decides.
    """
    half = smoothed_boxes // 2
    padded = np.pad(scores, ((half, half), (0, 0)), mode="edge")
    sums = np.stack([padded[i : i + len(scores)] for i in range(2 * half + 1)]).mean(0)
    labels = sums.argmax(1)
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [
        Stretch(int(labels[a]), a, b, float(scores[a:b, labels[a]].mean()))
        for a, b in pairwise(edges)
    ]


def describe_scores(
    scores: Scores, labels: Sequence[str], multi_label: bool, least_score: float
) -> tuple[str, ...]:
    """Return what somebody does as lines of text: the likeliest class, or all that are likely."""
    order = np.argsort(-scores, kind="stable")[: 3 if multi_label else 1].tolist()
    likely = [i for i in order if scores[i] >= least_score] or order[:1]
    return tuple(f"{labels[i]} {scores[i]:.2f}" for i in likely)
