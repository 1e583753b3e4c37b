"""What detection speaks of: boxes in frames, and tubes, which are boxes of one person in time.

Frames count from 0 in decode order, as everywhere. A box is x1, y1, x2, y2 in px of the displayed
picture, x to the right, y down; its right and lower edge are where it ends, so that its width is
x2 - x1, without a pixel more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
"""(N, 4): x1, y1, x2, y2 in px."""

Frames = npt.NDArray[np.int64]
"""(N,): indices of frames, from 0."""

Scores = npt.NDArray[np.float32]
"""(N,): from 0 to 1."""

Labels = npt.NDArray[np.int64]
"""(N,): places in a list of classes."""


@dataclass(frozen=True, eq=False)
class TrueTube:
    """Hold where somebody does something, as people marked it.

    Attributes:
        label: What is done, a place in the list of classes.
        frames: (n,) rising; they may leave some out.
        boxes: (n, 4), one a frame.
        track: Who it is, as the annotations call it; "" where they do not say, and then the boxes
            of a tube are of no more than one frame.
    """

    label: int
    frames: Frames
    boxes: Boxes
    track: str = ""


@dataclass(frozen=True, eq=False)
class FoundTube:
    """Hold where a detector sees somebody do something.

    Attributes:
        label: What is done, a place in the list of classes.
        frames: (n,) rising.
        boxes: (n, 4), one a frame.
        scores: (n,), each box's own.
        score: Of the whole.
        number: Who it is; the same number is never given to two.
    """

    label: int
    frames: Frames
    boxes: Boxes
    scores: Scores
    score: float
    number: int = 0


@dataclass(frozen=True, eq=False)
class Detections:
    """Hold what a detector finds in a video: a row for each box and class.

    Attributes:
        frames: (n,) in any order, repeated.
        boxes: (n, 4).
        labels: (n,).
        scores: (n,).
    """

    frames: Frames
    boxes: Boxes
    labels: Labels
    scores: Scores

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frames)

    def of(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Detections:
        """Return some of the rows."""
        return Detections(self.frames[rows], self.boxes[rows], self.labels[rows], self.scores[rows])

    @classmethod
    def none(cls) -> Detections:
        """Return no rows."""
        zero = np.zeros(0, np.int64)
        return cls(zero, np.zeros((0, 4), np.float32), zero, np.zeros(0, np.float32))

    @classmethod
    def join(cls, parts: list[Detections]) -> Detections:
        """Return the rows of several behind each other."""
        if not parts:
            return cls.none()
        return cls(
            np.concatenate([part.frames for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )
