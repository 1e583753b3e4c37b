"""What linking gives: boxes of one person, with the scores each had."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.detect.tube import Boxes, Frames

AnyScores = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Track:
    """Hold boxes of one person.

    Attributes:
        number: Who it is; never given to two.
        frames: (n,) rising; they may leave some out.
        boxes: (n, 4), one a frame.
        scores: (n,) or (n, K), each box's own.
    """

    number: int
    frames: Frames
    boxes: Boxes
    scores: AnyScores

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.frames)

    def of(self, rows: slice) -> Track:
        """Return a stretch of it."""
        return Track(self.number, self.frames[rows], self.boxes[rows], self.scores[rows])

    def of_class(self, label: int) -> Track:
        """Return it with the scores of one class, where boxes have a score for each."""
        return Track(self.number, self.frames, self.boxes, self.scores[:, label])
