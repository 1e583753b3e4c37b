"""Which boxes are drawn on a frame: those of the key frames around it, moved between them.

Frames wait until some key frames behind them are known, so that somebody who is missed once does
not flicker, who is seen but once is not shown, and what is done changes on the frame on which it
does. Key frames are counted, not their frames: in files of uneven times these lie unevenly apart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from s3d.detect.draw.boxes import DrawnBox
from s3d.detect.run.people import smooth_scores
from s3d.detect.tube import Boxes, Scores

BRIDGED_KEYS = 2
"""Boxes so many key frames apart, or fewer, are joined: one may be missed."""

Describe = Callable[[Scores], tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Placed:
    """Hold where somebody is in a key frame.

    Attributes:
        count: Which key frame it is, counted from 0.
        frame: Its index.
        box: (4,) in px.
        scores: (K,) of what they do.
    """

    count: int
    frame: int
    box: Boxes
    scores: Scores


class Overlay:
    """Hold people of the last key frames, and give the boxes of frames between them.

    Attributes:
        until: Frames before this one can be drawn.
    """

    def __init__(self, gap_frames: int, smoothed_boxes: int, describe: Describe) -> None:
        """Begin.

        Args:
            gap_frames: The most from one key frame to the next: so long the last box stands.
            smoothed_boxes: As for `smooth_scores`.
            describe: Gives the lines of a plate for smoothed scores.
        """
        self._gap_frames, self._smoothed, self._describe = gap_frames, smoothed_boxes, describe
        # Behind a frame as many boxes are held as those before it that its scores are smoothed by.
        self._held_keys = max(BRIDGED_KEYS, smoothed_boxes // 2) + 1
        self._keys: deque[int] = deque(maxlen=2 * self._held_keys + 2)
        self._count = 0
        self._placed: dict[int, list[Placed]] = {}

    @property
    def until(self) -> int:
        """Return the first frame of which not all is known that may be on it."""
        return self._keys[-self._held_keys] if len(self._keys) >= self._held_keys else 0

    def begin_key(self, frame: int) -> None:
        """Go on to the next key frame; `add` then tells who is in it."""
        self._keys.append(frame)
        self._count += 1

    def add(self, key: int, box: Boxes, scores: Scores) -> None:
        """Take somebody in the newest key frame."""
        placed = Placed(self._count - 1, self._keys[-1], box, scores)
        self._placed.setdefault(key, []).append(placed)

    def boxes_at(self, frame: int, numbers: Mapping[int, int]) -> list[DrawnBox]:
        """Return what is drawn on a frame; frames are asked for in order.

        Args:
            frame: Its index.
            numbers: Of those who are shown, by key.
        """
        drawn = []
        # The key frame before this one, counted as `Placed.count` is.
        key_before = self._count - len(self._keys) + bisect_right(self._keys, frame) - 1
        for key in sorted(self._placed):
            held = [p for p in self._placed[key] if p.count >= key_before - self._held_keys]
            self._placed[key] = held
            box = self._box_at(held, frame, key_before)
            if box is not None and key in numbers:
                x1, y1, x2, y2 = box.tolist()
                first, *rest = self._lines_at(held, frame) or ("",)
                lines = (f"#{numbers[key]} {first}".strip(), *rest)
                drawn.append(DrawnBox((x1, y1, x2, y2), lines, numbers[key]))
        self._placed = {key: held for key, held in self._placed.items() if held}
        return drawn

    def _box_at(self, held: list[Placed], frame: int, key_before: int) -> Boxes | None:
        before = [placed for placed in held if placed.frame <= frame]
        after = [placed for placed in held if placed.frame > frame]
        if not before:
            return None
        last = before[-1]
        if after and after[0].count - last.count <= BRIDGED_KEYS:
            share = np.float32((frame - last.frame) / (after[0].frame - last.frame))
            return last.box + share * (after[0].box - last.box)
        # At the end of the video, or of somebody, the last box stands until the next key frame.
        stands = last.count == key_before and frame - last.frame < self._gap_frames
        return last.box if stands else None

    def _lines_at(self, held: list[Placed], frame: int) -> tuple[str, ...]:
        """Return what is done on a frame: in the middle of the boxes by which it is smoothed."""
        at = sum(placed.frame <= frame for placed in held) - 1
        scores = np.stack([placed.scores for placed in held])
        return self._describe(smooth_scores(scores, self._smoothed)[at])
