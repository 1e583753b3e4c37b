"""Scores of windows over a stream of frames: what a timeline and a live view are made of.

frames   0 1 2 3 4 5 6 7 8 9 ...        at the clip's rate
window 0 |-----------|
window 1     |-----------|              begins `stride_frames` later
window 2         |-----------|
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from s3d.data.decode import Frames
from s3d.errors import InputError
from s3d.infer.recognizer import Recognizer, Scores
from s3d.infer.reuse.stages import plan_sharing
from s3d.infer.reuse.steps import join_steps
from s3d.infer.reuse.windows import PlainWindows, SharedWindows, Windows
from s3d.models.reach import TimeMap

TOLERANCE = 1e-5
"""Of the norm of the logits: windows that share and differ by more do not share any longer."""

TRIALS = 3
"""Windows that are computed both ways. The first prepares what others need, and is not timed."""


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

    What overlapping windows share is computed once, where that saves time and where the answers are
    those of each window by itself. The first windows that share are computed both ways to see it.

    Attributes:
        window_frames: Frames of a window.
        stride_frames: From the start of one to that of the next.
        looks_at_every: Only frames whose number is a multiple of it matter, counted from the start
            of a window.
        sharing: What windows share.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        stride_frames: int,
        *,
        reuse: bool = True,
        is_timed: bool = True,
    ) -> None:
        """Plan the work.

        Args:
            recognizer: The model; its clip is a window.
            stride_frames: At least 1.
            reuse: Whether windows may share.
            is_timed: Whether they stop where it takes longer here. Then two runs over one video may
                differ by rounding, as one engine does from another.

        Raises:
            InputError: There is no such stride.
        """
        if stride_frames < 1:
            raise InputError(f"stride is {stride_frames} frames; at least 1 is needed.")
        self.window_frames, self.stride_frames = recognizer.spec.frames, stride_frames
        self.engine = recognizer.engine
        times = TimeMap(recognizer.network, recognizer.spec.size_px)
        self.looks_at_every = _frame_step(times, self.window_frames)
        self._windows: Windows = PlainWindows(self.engine, self.window_frames, stride_frames)
        self.sharing = plan_sharing(times, self.window_frames, stride_frames)
        # A window that overlaps no other shares nothing.
        if not reuse or stride_frames >= self.window_frames:
            self.sharing = self.sharing.nothing
        if self.sharing.stages:
            self._windows = SharedWindows(self.engine, times, self.sharing, stride_frames)
        self._trials: list[tuple[float, float]] = []
        self._is_timed = is_timed
        self.reset()

    @property
    def shares_until(self) -> str | None:
        """Return the last block that windows share; None where they share none."""
        return self.sharing.until

    def reset(self, first_frame: int = 0) -> None:
        """Begin anew: the next frame that is pushed has this number.

        Windows begin at multiples of `stride_frames`.
        """
        start = -(-first_frame // self.stride_frames) * self.stride_frames
        self._windows.reset(first_frame, start)
        self._first_window, self._end = start, first_frame

    def push(self, frames: Frames, newest_only: bool = False) -> list[ScoredWindow]:
        """Take the frames that follow, and return the windows that they complete.

        Args:
            frames: (n, H, W, C) uint8, at the clip's rate, cropped.
            newest_only: Score only the last of the windows that are complete.
        """
        windows = self._windows
        windows.add(frames)
        room = windows.frames.stop - self.window_frames - windows.start
        count = room // self.stride_frames + 1 if room >= 0 else 0
        while newest_only and count > 1:
            windows.skip()
            count -= 1
        found = self._score(count) if count else []
        # The last window may end with any frame, and needs as many before it.
        self._windows.frames.forget(
            min(self._windows.start, windows.frames.stop - self.window_frames)
        )
        return found

    def finish(self) -> list[ScoredWindow]:
        """Return the window that ends with the last frame, where it was not due.

        A stream shorter than a window is continued from its beginning, as clips are.
        """
        frames = self._windows.frames
        if frames.stop in (frames.first, self._end):
            return []
        first = max(frames.first, frames.stop - self.window_frames)
        held = frames.take(first, frames.stop)
        repeated = [held] * -(-self.window_frames // len(held))
        window = join_steps(repeated)[: self.window_frames]
        self._end = frames.stop
        return [_scored(first, self.engine.logits(window[None])[0])]

    def _score(self, count: int) -> list[ScoredWindow]:
        found = []
        while count and isinstance(self._windows, SharedWindows) and len(self._trials) < TRIALS:
            found.append(_scored(self._windows.start, self._try(self._windows)))
            count -= 1
        if count:
            starts = [self._windows.start + i * self.stride_frames for i in range(count)]
            rows = self._windows.score(count)
            found += [_scored(start, row) for start, row in zip(starts, rows, strict=True)]
        self._end = found[-1].first_frame + self.window_frames
        return found

    def _try(self, shared: SharedWindows) -> Tensor:
        """Return logits (K,) of the next window, computed both ways; and see which is to stay."""
        start, begin = shared.start, perf_counter()
        found = shared.score(1)[0]
        if start == self._first_window:  # There is none yet to share with.
            return found
        middle = perf_counter()
        own = self.engine.logits(shared.frames.take(start, start + self.window_frames)[None])[0]
        self._trials.append((middle - begin, perf_counter() - middle))
        is_equal = float((found - own).norm()) <= TOLERANCE * float(own.norm())
        seconds_shared, seconds_plain = map(
            sum, zip(*self._trials[1:] or [(0.0, 0.0)], strict=True)
        )
        is_slow = self._is_timed and seconds_shared > seconds_plain
        if not is_equal or (len(self._trials) == TRIALS and is_slow):
            plain = PlainWindows(self.engine, self.window_frames, self.stride_frames)
            plain.start, plain.frames = shared.start, shared.frames
            self._windows, self.sharing = plain, self.sharing.nothing
        return found if is_equal else own


def _frame_step(times: TimeMap, frames: int) -> int:
    """Return how many frames apart those lie that the first block looks at."""
    reach = times.blocks(frames)[0].reach
    return reach.stride if reach is not None and not (reach.before or reach.after) else 1


def _scored(first_frame: int, logits: Tensor) -> ScoredWindow:
    scores = torch.softmax(logits, 0)
    return ScoredWindow(first_frame, logits.numpy(), scores.numpy())
