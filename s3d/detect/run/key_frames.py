"""Features of the windows around key frames of a stream, what neighbours share computed once.

Key frames lie `stride` ticks apart, their windows overlap. Where a network looks at one step of
time at a time up to some block, that block's steps are the same in every window, and each is
computed once (`s3d.infer.reuse`). Steps lie some frames apart, so that only windows whose starts
differ by a multiple of that have steps in common: key frames are dealt to lanes, each of which
shares within itself.

    ticks       0  1  2  3  4  5  6  7  8 ...
    stride 1    a  b  c  d  a  b  c  d  a          four lanes
    stride 4    a           a           a          one
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.video_info import Frames
from s3d.infer.engines.engine import Engine
from s3d.infer.reuse.stages import Sharing, plan_sharing
from s3d.infer.reuse.windows import PlainWindows, SharedWindows, Windows
from s3d.models.reach import TimeMap


@dataclass(frozen=True)
class Looking:
    """Say what is looked at around key frames.

    Attributes:
        at: The block whose features are wanted.
        place: Of the key frame in its window.
        apart: Frames from one step of the features to the next.
        stride: Ticks from one key frame to the next.
        shares: Whether neighbours share.
    """

    at: str
    place: int
    apart: int
    stride: int = 1
    shares: bool = True


class KeyFrameFeatures:
    """Take frames of a stream in order, and give the features of the windows around key frames.

    Key frames are the ticks `stride` * i. Beyond the ends of the stream its first and last frame
    stand again.

    Attributes:
        sharing: What windows share; nothing where it would not pay.
    """

    def __init__(self, engine: Engine, spec: ClipSpec, looking: Looking) -> None:
        self.looking, self.frames = looking, spec.frames
        times = TimeMap(engine.network, spec.size_px)
        self._hop = math.lcm(looking.stride, looking.apart)
        sharing = plan_sharing(times, spec.frames, self._hop, looking.at)
        if not looking.shares or self._hop >= spec.frames:
            sharing = sharing.nothing
        self.sharing: Sharing = sharing
        self._engine, self._times = engine, times
        self._lanes: list[Windows] = []
        self._count, self._next = 0, 0
        self._last: Frames | None = None

    def add(self, frames: Frames) -> Iterator[tuple[int, Tensor]]:
        """Take the frames (n, H, W, C) uint8 that follow.

        Yields:
            (tick, features (1, C, T, h, w)) of each key frame whose window is complete.
        """
        if not len(frames):
            return
        if not self._lanes:
            self._begin()
        self._last = np.array(frames[-1:])
        for lane in self._lanes:
            lane.add(frames)
            if not self.sharing.stages:
                # Where key frames lie far apart, most frames are in no window at all.
                lane.frames.forget(lane.start)
        self._count += len(frames)
        yield from self._give(self._count - (self.frames - self.looking.place))

    def finish(self) -> Iterator[tuple[int, Tensor]]:
        """Yield those of the key frames whose windows reach beyond the end."""
        if self._last is None:
            return
        rest = np.repeat(self._last, self.frames - self.looking.place, 0)
        for lane in self._lanes:
            lane.add(rest)
        yield from self._give(self._count - 1)

    def _begin(self) -> None:
        """Set a lane up for each key frame up to the hop.

        In a lane ticks are counted so that its key frames are multiples of `apart`, and so are
        the starts of its windows: steps of the features are then those of a single stream.
        """
        for key in range(0, self._hop, self.looking.stride):
            lane: Windows
            if self.sharing.stages:
                lane = SharedWindows(
                    self._engine, self._times, self.sharing, self._hop, self.looking.at
                )
            else:
                lane = PlainWindows(self._engine, self.frames, self._hop, self.looking.at)
            shift = key % self.looking.apart
            lane.reset(-shift, key - shift - self.looking.place)
            self._lanes.append(lane)

    def _give(self, last: int) -> Iterator[tuple[int, Tensor]]:
        """Yield the features of key frames up to a tick."""
        while self._next <= last:
            lane = self._lanes[(self._next % self._hop) // self.looking.stride]
            yield self._next, lane.score(1)
            lane.frames.forget(lane.start)
            self._next += self.looking.stride


def features_of_window(engine: Engine, frames: Frames, at: str) -> Tensor:
    """Return features (1, C, T, h, w) of one window (T, H, W, C) by itself."""
    return engine.run(torch.from_numpy(np.ascontiguousarray(frames))[None], until=at)
