"""Which boxes are drawn on a frame: those of the key frames around it, moved between them.

Frames wait until the key frames behind them are known, so that somebody who is missed once does not
flicker, and who is seen but once is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from s3d.detect.draw.boxes import DrawnBox
from s3d.detect.tube import Boxes


@dataclass(frozen=True, eq=False)
class Placed:
    """Hold where somebody is in a key frame, and what the plate says."""

    frame: int
    box: Boxes
    lines: tuple[str, ...]


class Overlay:
    """Hold people of the last key frames, and give the boxes of frames between them.

    Attributes:
        delay_frames: A frame can be drawn when a key frame so far behind it is known.
    """

    def __init__(self, gap_frames: int) -> None:
        """Begin.

        Args:
            gap_frames: From one key frame to the next.
        """
        self.gap_frames = gap_frames
        self.delay_frames = 2 * gap_frames
        self._placed: dict[int, list[Placed]] = {}

    def add(self, key: int, placed: Placed) -> None:
        """Take somebody in the newest key frame."""
        self._placed.setdefault(key, []).append(placed)

    def boxes_at(self, frame: int, numbers: Mapping[int, int]) -> list[DrawnBox]:
        """Return what is drawn on a frame; frames are asked for in order.

        Args:
            frame: Its index.
            numbers: Of those who are shown, by key.
        """
        drawn = []
        for key in sorted(self._placed):
            held = self._placed[key] = self._recent(self._placed[key], frame)
            box = self._box_at(held, frame)
            if box is not None and key in numbers:
                at, lines = box
                first, *rest = lines or ("",)
                text = (f"#{numbers[key]} {first}".strip(), *rest)
                x1, y1, x2, y2 = at.tolist()
                drawn.append(DrawnBox((x1, y1, x2, y2), text, numbers[key]))
        self._placed = {key: held for key, held in self._placed.items() if held}
        return drawn

    def _recent(self, held: list[Placed], frame: int) -> list[Placed]:
        """Return those that are still looked at: from the last one before a frame on."""
        oldest = frame - self.delay_frames - self.gap_frames
        return [placed for placed in held if placed.frame >= oldest]

    def _box_at(self, held: list[Placed], frame: int) -> tuple[Boxes, tuple[str, ...]] | None:
        before = [placed for placed in held if placed.frame <= frame]
        after = [placed for placed in held if placed.frame >= frame]
        if before and after:
            last, following = before[-1], after[0]
            span = following.frame - last.frame
            if span > self.delay_frames:
                return None
            share = np.float32((frame - last.frame) / span if span else 0.0)
            return last.box + share * (following.box - last.box), last.lines
        # At the end of the video, or of somebody, the last box stands for a moment.
        if before and frame - before[-1].frame < self.gap_frames:
            return before[-1].box, before[-1].lines
        return None
