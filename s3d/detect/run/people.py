"""People over time: boxes of key frames linked and numbered, and what each does smoothed.

A person's number is given when they were seen often enough, and never to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

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
        smoothed_boxes: What somebody does is the mean of the scores of so many of their boxes, half
            of them before and half behind.
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
        scores: (K,) of what they do, the box's own.
    """

    key: int
    box: Boxes
    scores: Scores


class People:
    """Follow people from key frame to key frame.

    Attributes:
        numbers: Of those who were seen often enough, by the linker's count.
        given: How many numbers were given.
    """

    def __init__(self, settings: PeopleSettings, rate_fps: float, gap_frames: int) -> None:
        """Begin without people.

        Args:
            settings: Who counts as a person.
            rate_fps: Of the frames.
            gap_frames: The most from one key frame to the next.
        """
        self.settings = settings
        self._patience = max(gap_frames, round(settings.patience_seconds * rate_fps))
        # Nobody's first piece is handed out before they can have a number.
        longest = max(LONGEST_FRAMES, settings.least_boxes * self._patience)
        self._linker = OnlineLinker(settings.link_iou, self._patience, longest)
        self._keeping = Keeping(settings.least_score, settings.iou)
        self.numbers: dict[int, int] = {}
        self.given = 0
        self._seen: dict[int, _Seen] = {}
        self._frame = -1

    def add(self, frame: int, found: FrameBoxes) -> tuple[list[Person], list[Track]]:
        """Take what is found in the next key frame.

        Returns:
            Who is there; and tracks that have ended, or pieces of long ones.
        """
        self._forget()
        self._frame = frame
        people = found.people(self._keeping)
        ended = self._linker.add(frame, people.boxes, people.scores)
        keys = self._linker.numbers.tolist()
        for key in keys:
            self._count(key)
        present = zip(keys, people.boxes, people.scores, strict=True)
        return [Person(*person) for person in present], ended

    def finish(self) -> list[Track]:
        """End all tracks and return them."""
        return self._linker.finish()

    def _count(self, key: int) -> None:
        """Count a box of somebody, and give them a number where it is time."""
        seen = self._seen.setdefault(key, _Seen())
        seen.boxes, seen.last = seen.boxes + 1, self._frame
        if key not in self.numbers and seen.boxes >= self.settings.least_boxes:
            self.given += 1
            self.numbers[key] = self.given

    def _forget(self) -> None:
        """Let go of those who ended long before the last key frame, and were told and drawn."""
        long_ago = self._frame - 4 * self._patience
        for key in [key for key, seen in self._seen.items() if seen.last < long_ago]:
            del self._seen[key]
            self.numbers.pop(key, None)


@dataclass
class _Seen:
    """Count somebody's boxes, and hold the frame of the last."""

    boxes: int = 0
    last: int = -1


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


def smooth_scores(scores: Scores, smoothed_boxes: int) -> Scores:
    """Return each box's scores (n, K) averaged with those of its neighbours.

    Args:
        scores: (n, K), each box's own.
        smoothed_boxes: How many, half of them before and half behind; at the ends the first and
            last stand again.
    """
    half = smoothed_boxes // 2
    padded = np.pad(scores, ((half, half), (0, 0)), mode="edge")
    parts = np.stack([padded[i : i + len(scores)] for i in range(2 * half + 1)])
    mean: Scores = parts.mean(0, dtype=np.float32)
    return mean


def find_actions(scores: Scores, smoothed_boxes: int) -> list[Stretch]:
    """Return what is done over a track: its likeliest class, box by box, smoothed.

    Args:
        scores: (n, K), each box's own.
        smoothed_boxes: As for `smooth_scores`.
    """
    labels = smooth_scores(scores, smoothed_boxes).argmax(1)
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [_stretch(scores, int(labels[a]), a, b) for a, b in pairwise(edges)]


def find_all_actions(scores: Scores, smoothed_boxes: int, least_score: float) -> list[Stretch]:
    """Return what is done over a track where several things may be done at once.

    Args:
        scores: (n, K), each box's own.
        smoothed_boxes: As for `smooth_scores`.
        least_score: Smoothed, of what is done.

    Returns:
        Stretches in the order in which they begin; those of one class do not touch.
    """
    is_done = smooth_scores(scores, smoothed_boxes) >= least_score
    edges = np.diff(np.pad(is_done.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    found = []
    for label in range(scores.shape[1]):
        begins, ends = np.flatnonzero(edges[:, label] > 0), np.flatnonzero(edges[:, label] < 0)
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            found.append(_stretch(scores, label, begin, end))
    return sorted(found, key=lambda stretch: (stretch.first, stretch.label))


def _stretch(scores: Scores, label: int, first: int, stop: int) -> Stretch:
    return Stretch(label, first, stop, float(scores[first:stop, label].mean()))


def describe_scores(
    scores: Scores, labels: Sequence[str], multi_label: bool, least_score: float
) -> tuple[str, ...]:
    """Return what somebody does as lines of text: the likeliest class, or all that are likely."""
    order = np.argsort(-scores, kind="stable")[: 3 if multi_label else 1].tolist()
    likely = [i for i in order if scores[i] >= least_score] or order[:1]
    return tuple(f"{labels[i]} {scores[i]:.2f}" for i in likely)
