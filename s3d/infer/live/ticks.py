"""The newest frames at the clip's rate: what a window is cut from, and no more than that.

    tick   0    1    2    3    4    5              time = origin + tick / rate
           |----|----|----|----|----|
    frames  f  f  f  f  f  f  f  f  f              a tick takes the frame nearest to it

Ticks are numbered from the first frame on, for ever. Where no frame comes for a while ticks stay
empty, and what follows is a new run: windows never reach over a hole.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Condition

from s3d.data.video_info import Frames

TIE = 1e-3
"""A part of a tick: times as near as this to a boundary go to one side, whatever the rounding."""
LEAST_HOLE_SECONDS = 0.5
"""Up to here a late frame fills the ticks before it, as a slow camera's do."""
HOLE_INTERVALS = 3.0


@dataclass(frozen=True, eq=False)
class Stretch:
    """Hold ticks that follow each other.

    Attributes:
        run: Counts holes: two stretches of one run have none between them.
        first: Number of the first tick.
        frames: A frame (H, W, C) uint8 for each tick.
        taken: When each was taken, or was due.
    """

    run: int
    first: int
    frames: tuple[Frames, ...]
    taken: tuple[float, ...]

    @property
    def end(self) -> int:
        """Return the number of the tick after the last."""
        return self.first + len(self.frames)


class TickRing:
    """Keep the newest ticks, written by the thread that reads and taken by the one that scores.

    Attributes:
        rate_fps: Ticks a second.
        origin: Time of tick 0; None before the first frame.
        due: Ticks there were to fill, but for those while the stream was away.
    """

    def __init__(self, rate_fps: float, capacity: int) -> None:
        """Make an empty ring.

        Args:
            rate_fps: Ticks a second.
            capacity: How many are kept; older ones are dropped.
        """
        self.rate_fps, self.origin, self.due = rate_fps, None, 0
        self._kept: deque[tuple[Frames, float]] = deque(maxlen=capacity)
        self._next = self._run = 0
        self._last_time = -math.inf
        self._is_closed = False
        self._changed = Condition()

    origin: float | None

    def ticks_of(self, time: float, interval: float, is_skipping: bool = False) -> range:
        """Return the ticks that a frame is nearest to, which `put` fills; begin anew after a hole.

        Args:
            time: When the frame was taken; not after a frame with a later time.
            interval: Seconds between the frames of the stream.
            is_skipping: Whether frames before it were left out since they came too late.
        """
        with self._changed:
            if self.origin is None:
                self.origin = time
            last = self._tick_at(time + min(interval, LEAST_HOLE_SECONDS) / 2)
            if time - self._last_time > max(LEAST_HOLE_SECONDS, HOLE_INTERVALS * interval):
                first = max(self._next, self._tick_at(time - interval / 2) + 1)
                self.due += first - self._next if is_skipping else 0
                self._next, self._run = first, self._run + 1
                self._kept.clear()
            self._last_time = max(time, self._last_time)
            return range(self._next, last + 1)

    def put(self, ticks: range, frame: Frames, taken: float) -> None:
        """Fill ticks with a frame (H, W, C) uint8 that was taken at that time."""
        with self._changed:
            self._kept.extend([(frame, taken)] * len(ticks))
            self._next = ticks.stop
            self.due += len(ticks)
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no more will come."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Return whether no more will come."""
        return self._is_closed

    def wait(self, tick: int, seconds: float) -> None:
        """Wait until that tick is filled or can no longer be, at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._next > tick or self._is_closed, seconds)

    def take(self, run: int, first: int) -> Stretch:
        """Return the ticks from `first` on; where the run is another or they are gone, all kept.

        Args:
            run: Of the stretch taken before.
            first: Its end.
        """
        with self._changed:
            begin = self._next - len(self._kept)
            skip = first - begin if run == self._run and first > begin else 0
            kept: Sequence[tuple[Frames, float]] = list(islice(self._kept, skip, None))
        frames = tuple(frame for frame, _ in kept)
        return Stretch(self._run, begin + skip, frames, tuple(taken for _, taken in kept))

    def _tick_at(self, time: float) -> int:
        """Return the last tick at or before a time."""
        assert self.origin is not None
        return math.floor((time - self.origin) * self.rate_fps + TIE)
