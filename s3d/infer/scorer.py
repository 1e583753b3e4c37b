"""Scores of windows over a stream of frames: what a timeline and a live view are made of.

frames   0 1 2 3 4 5 6 7 8 9 ...        at the clip's rate
window 0 |-----------|
window 1     |-----------|              begins `stride_frames` later
window 2         |-----------|
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.data.decode import Frames
from s3d.errors import InputError
from s3d.infer.recognizer import Recognizer, Scores


@dataclass(frozen=True, eq=False)
class ScoredWindow:
    """Hold what a model says of one window.

    Attributes:
        first_frame: Number of its first frame in the stream.
        logits: (K,) float32.
        scores: (K,) float32 probabilities, their sum 1.
    """

    first_frame: int
    logits: Scores
    scores: Scores


class WindowScorer:
    """Score windows of a stream of frames, one every `stride_frames`.

    Attributes:
        window_frames: Frames of a window.
        stride_frames: From the start of one to that of the next.
        looks_at_every: Only frames whose number is a multiple of it matter, counted from the start
            of a window.
    """

    def __init__(self, recognizer: Recognizer, stride_frames: int, *, reuse: bool = True) -> None:
        if stride_frames < 1:
            raise InputError(f"stride is {stride_frames} frames; at least 1 is needed.")
        self.recognizer = recognizer
        self.window_frames = recognizer.spec.frames
        self.stride_frames = stride_frames
        self.looks_at_every = 1
        self.reset()

    def reset(self, first_frame: int = 0) -> None:
        """Begin anew: the next frame that is pushed has this number.

        Windows begin at multiples of `stride_frames`.
        """
        self._first = first_frame
        self._seen = first_frame
        self._held: list[Frames] = []
        self._tail: list[Frames] = []
        self._last: int | None = None
        self._next = -(-first_frame // self.stride_frames) * self.stride_frames

    def push(self, frames: Frames, newest_only: bool = False) -> list[ScoredWindow]:
        """Take the frames that follow, and return the windows that they complete.

        Args:
            frames: (n, H, W, C) uint8, at the clip's rate, cropped.
            newest_only: Score only the last of the windows that are complete.
        """
        self._held += list(frames)
        self._tail = (self._tail + list(frames))[-self.window_frames :]
        self._seen += len(frames)
        found: list[int] = []
        while self._next + self.window_frames <= self._first + len(self._held):
            found.append(self._next)
            self._next += self.stride_frames
        scored = [self._score(start) for start in (found[-1:] if newest_only else found)]
        spare = max(0, min(self._next - self._first, len(self._held)))
        del self._held[:spare]
        self._first += spare
        return scored

    def finish(self) -> list[ScoredWindow]:
        """Return the window that ends with the last frame, where it was not due.

        A stream shorter than a window is continued from its beginning, as clips are.
        """
        end = self._seen
        if end == 0 or (self._last is not None and self._last + self.window_frames == end):
            return []
        held = self._tail[-self.window_frames :]
        while len(held) < self.window_frames:
            held = held + held[: self.window_frames - len(held)]
        return [self._score_frames(max(0, end - self.window_frames), np.stack(held))]

    def _score(self, start: int) -> ScoredWindow:
        place = start - self._first
        self._last = start
        return self._score_frames(start, np.stack(self._held[place : place + self.window_frames]))

    def _score_frames(self, start: int, window: Frames) -> ScoredWindow:
        logits = self.recognizer.logits_of(window[None])[0]
        powers: npt.NDArray[np.float32] = np.exp(logits - logits.max())
        return ScoredWindow(start, logits, powers / powers.sum())
