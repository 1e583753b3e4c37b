"""Where the windows of a long video lie on the grid of the clip's rate, and what is read for them.

    ticks      0 1 2 3 4 5 6 7 8 9 10 ...        a frame each, at the clip's rate
    window 0   |-----------|
    window 1       |-----------|                 begins `stride` ticks later
    last                     |-----------|       ends with the last tick, where none does anyway

Whoever goes on after a kill reads the same pieces as would have been read, so that what is computed
of them is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MOST_PIECE_TICKS = 32


@dataclass(frozen=True)
class WindowGrid:
    """Say where windows lie.

    Attributes:
        ticks: Of the video, at least 1.
        window: Ticks of a window.
        stride: From the start of one to that of the next.
        every: Only ticks that are a multiple of it, counted from the start of a window, matter.
    """

    ticks: int
    window: int
    stride: int
    every: int = 1

    @property
    def regular(self) -> int:
        """Return how many windows begin at multiples of the stride and lie in the video."""
        return max(0, (self.ticks - self.window) // self.stride + 1)

    @property
    def count(self) -> int:
        """Return how many windows there are, the last one included."""
        spare = self.ticks - self.window
        return self.regular + (spare < 0 or spare % self.stride != 0)

    def start(self, number: int) -> int:
        """Return the first tick of a window."""
        is_regular = number < self.regular
        return number * self.stride if is_regular else max(0, self.ticks - self.window)

    def resume_at(self, done: int) -> int:
        """Return the window from which to read on where so many are done.

        The last window is read for with the one before it, as without an interruption.
        """
        return done if done < self.regular else max(0, self.regular - 1)

    def find_looked_at(self) -> npt.NDArray[np.bool_]:
        """Return (ticks,) whether each matters to any window."""
        found = np.zeros(self.ticks, np.bool_)
        every = self.every if self.stride % self.every == 0 else 1
        if self.stride <= self.window:
            found[::every] = True
        else:
            for number in range(self.regular):
                first = self.start(number)
                found[first : first + self.window : every] = True
        if self.count > self.regular:
            last = self.start(self.regular)
            found[last :: self.every if self.ticks >= self.window else 1] = True
        found[-1] = True  # So that a video that lacks it is known.
        return found

    def pieces(self, first_window: int) -> Iterator[tuple[int, int]]:
        """Yield (first, stop) ticks of the pieces to read from a window on, rising."""
        for first, stop in self._stretches(first_window):
            while first < stop:
                begin = first // self.stride * self.stride
                parts = (first - begin) // MOST_PIECE_TICKS + 1
                after = min(stop, begin + self.stride, begin + parts * MOST_PIECE_TICKS)
                yield first, after
                first = after

    def _stretches(self, first_window: int) -> Iterator[tuple[int, int]]:
        """Yield (first, stop) of the stretches that windows cover without a gap."""
        first = stop = self.start(first_window)
        for number in range(first_window, self.count):
            start = self.start(number)
            if start > stop:
                yield first, stop
                first = start
            stop = min(self.ticks, start + self.window)
        yield first, stop
