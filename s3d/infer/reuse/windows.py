"""Windows over a stream of frames: each by itself, or sharing what they have in common."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from s3d.data.decode import Frames
from s3d.infer.engines.engine import Engine
from s3d.infer.reuse.stages import Part, Sharing, Stage, stream_part
from s3d.infer.reuse.steps import Steps, join_steps
from s3d.models.graph import HEAD
from s3d.models.reach import TimeMap

WINDOWS_AT_ONCE_PIXELS = 4 * 64 * 224 * 224
"""Pixels of the windows that go through a network at once; it bounds memory."""


class Windows(Protocol):
    """Compute logits of windows, or what a block gives for them, one every few frames.

    Attributes:
        frames: The last frames.
        start: The first frame of the next window.
    """

    frames: Steps
    start: int

    def reset(self, first_frame: int, start: int) -> None:
        """Begin anew: with the frame that comes next, and with the first window's first frame."""

    def add(self, frames: Frames) -> None:
        """Take the frames (n, H, W, C) uint8 that follow."""

    def score(self, count: int) -> Tensor:
        """Return logits (count, K) of the next windows, whose frames are all there, and go on.

        Where they end at a block it is what that gives, (count, C, T, H, W).
        """

    def skip(self) -> None:
        """Pass over the next window, whose frames are all there."""


class PlainWindows:
    """Compute each window by itself."""

    def __init__(
        self, engine: Engine, window_frames: int, stride_frames: int, until: str = HEAD
    ) -> None:
        self.engine, self.until = engine, until
        self.window_frames, self.stride_frames = window_frames, stride_frames
        self.reset(0, 0)

    def reset(self, first_frame: int, start: int) -> None:
        """Begin anew."""
        self.start, self.frames = start, Steps(first_frame)

    def add(self, frames: Frames) -> None:
        """Take the frames that follow."""
        self.frames.add(
            torch.from_numpy(np.array(frames))
        )  # a copy: a caller may go on with its own

    def score(self, count: int) -> Tensor:
        """Return what is wanted of the next windows, several at once where they are small."""
        starts = range(self.start, self.start + count * self.stride_frames, self.stride_frames)
        windows = [self.frames.take(start, start + self.window_frames) for start in starts]
        pixels = int(np.prod(windows[0].shape[:3]))
        most = max(1, WINDOWS_AT_ONCE_PIXELS // pixels)
        groups = [windows[i : i + most] for i in range(0, count, most)]
        self.start += count * self.stride_frames
        found = [self.engine.run(torch.stack(group), until=self.until) for group in groups]
        return torch.cat(found)

    def skip(self) -> None:
        """Pass over the next window."""
        self.start += self.stride_frames


class SharedWindows:
    """Compute once what windows share, and the rest of each."""

    def __init__(
        self,
        engine: Engine,
        times: TimeMap,
        sharing: Sharing,
        stride_frames: int,
        until: str = HEAD,
    ) -> None:
        self.engine, self.times, self.sharing = engine, times, sharing
        self.until = until
        self.stride_frames = stride_frames
        self.window_frames = sharing.stages[0].steps_in
        self.reset(0, 0)

    def reset(self, first_frame: int, start: int) -> None:
        """Begin anew."""
        self.start, self.frames = start, Steps(first_frame)
        self._seen = start
        self._held = [
            Steps(start // stage.frames_a_step + stage.low) for stage in self.sharing.stages
        ]

    def add(self, frames: Frames) -> None:
        """Take the frames that follow."""
        self.frames.add(
            torch.from_numpy(np.array(frames))
        )  # a copy: a caller may go on with its own

    def score(self, count: int) -> Tensor:
        """Return what is wanted of the next windows."""
        found = []
        for _ in range(count):
            self._share()
            found.append(self._score())
            self._go_on()
        return torch.cat(found)

    def skip(self) -> None:
        """Pass over the next window; what it shares with later ones is computed."""
        self._share()
        self._go_on()

    def _share(self) -> None:
        """Compute what the next window shares with others, of the frames not yet looked at."""
        self._seen = self.start + self.window_frames
        given, stop_in = self.frames, self._seen
        for stage, held in zip(self.sharing.stages, self._held, strict=True):
            stop = (stop_in - 1 - stage.reach.after) // stage.reach.stride + 1
            if stop > held.stop:
                part = stream_part(self.times, stage, held.stop, stop)
                held.add(self._compute(stage, given.take(part.begin, part.end), part))
            given, stop_in = held, held.stop

    def _go_on(self) -> None:
        self.start += self.stride_frames
        for stage, held in zip(self.sharing.stages, self._held, strict=True):
            held.forget(self.start // stage.frames_a_step)

    def _score(self) -> Tensor:
        given, step = self.frames, self.start
        left = right = None
        for stage, held in zip(self.sharing.stages, self._held, strict=True):
            own = _Own(left, right, stage.steps_in)
            left = self._border(stage, stage.left, own, given, step)
            right = self._border(stage, stage.right, own, given, step)
            given, step = held, self.start // stage.frames_a_step
        last = self.sharing.stages[-1]
        middle = given.take(step + last.low, step + last.high)
        features = join_steps([part for part in (left, middle, right) if part is not None])
        if last.until == self.until:
            return features
        return self.engine.run(features, after=last.until, until=self.until)

    def _border(
        self, stage: Stage, part: Part | None, own: _Own, given: Steps, step: int
    ) -> Tensor | None:
        """Return a window's own first or last steps of a stage's output.

        Args:
            stage: The stage.
            part: From which slice of the window; None where there are no such steps.
            own: The window's own steps of its input.
            given: What windows share of its input.
            step: Where in it the window begins.
        """
        if part is None:
            return None
        first, last = own.edges
        low, high = min(max(part.begin, first), part.end), max(min(part.end, last), part.begin)
        shared = [given.take(step + low, step + high)] if high > low else []
        values = join_steps([*own.first(part.begin, low), *shared, *own.last(high, part.end)])
        return self._compute(stage, values, part)

    def _compute(self, stage: Stage, values: Tensor, part: Part) -> Tensor:
        batch = values[None] if values.ndim == 4 else values
        found = self.engine.run(batch, stage.after, stage.until)
        return found.narrow(2, part.skipped, part.count)


class _Own:
    """Hold the first and the last steps of a window, which it shares with no other."""

    def __init__(self, left: Tensor | None, right: Tensor | None, steps: int) -> None:
        self.left, self.right = left, right
        first = 0 if left is None else left.shape[2]
        last = steps if right is None else steps - right.shape[2]
        self.edges = first, last

    def first(self, begin: int, end: int) -> list[Tensor]:
        """Return own steps before those that are shared: one part, or none."""
        if end <= begin or self.left is None:
            return []
        return [self.left.narrow(2, begin, end - begin)]

    def last(self, begin: int, end: int) -> list[Tensor]:
        """Return own steps behind those that are shared: one part, or none."""
        if end <= begin or self.right is None:
            return []
        return [self.right.narrow(2, begin - self.edges[1], end - begin)]
