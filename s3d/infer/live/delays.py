"""Delays, counted in constant memory: how long results take, and whether that grows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LEAST_SECONDS = 1e-4
STEP = 1.02
"""From one class of the histogram to the next: what is told is at most 2 % above the truth."""
CLASSES = 700


class DelayHistogram:
    """Count delays in classes of equal ratio, 0.1 ms to 100 s."""

    def __init__(self) -> None:
        self.counts = np.zeros(CLASSES, np.int64)
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        place = math.ceil(math.log(max(seconds, LEAST_SECONDS) / LEAST_SECONDS) / math.log(STEP))
        self.counts[min(place, CLASSES - 1)] += 1
        self.longest = max(self.longest, seconds)

    @property
    def total(self) -> int:
        """Return how many were counted."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """Return the seconds that a share of the delays do not exceed; 0 where there are none."""
        if not self.total:
            return 0.0
        rank = max(1, math.ceil(share * self.total))
        place = int(np.searchsorted(np.cumsum(self.counts), rank))
        return min(float(LEAST_SECONDS * STEP**place), self.longest)


@dataclass(frozen=True)
class Quantiles:
    """Sum delays up.

    Attributes:
        windows: How many there were.
        p50_seconds: Half took no longer.
        p95_seconds: 19 of 20 took no longer.
        max_seconds: None took longer.
    """

    windows: int
    p50_seconds: float
    p95_seconds: float
    max_seconds: float


class Delays:
    """Count delays: all of them, and those of the first and of the latest minute.

    Attributes:
        last: Of the latest minute that is over; None before one is.
        first: Of the first.
        minutes: How many are over.
    """

    def __init__(self, begin: float, minute_seconds: float = 60.0) -> None:
        self.begin, self.minute_seconds = begin, minute_seconds
        self.first: Quantiles | None = None
        self.last: Quantiles | None = None
        self.minutes = 0
        self._all, self._running = DelayHistogram(), DelayHistogram()

    def turn(self, now: float) -> Quantiles | None:
        """Return the quantiles of the minute that is over by now, once for each minute."""
        if now < self.begin + (self.minutes + 1) * self.minute_seconds:
            return None
        self.last = summarise(self._running)
        self.first = self.first or self.last
        self.minutes += 1
        self._running = DelayHistogram()
        return self.last

    def add(self, seconds: float) -> None:
        """Count one."""
        self._all.add(seconds)
        self._running.add(seconds)

    def overall(self) -> Quantiles:
        """Return the quantiles of all."""
        return summarise(self._all)


def summarise(histogram: DelayHistogram) -> Quantiles:
    """Return the quantiles of a histogram."""
    p50, p95 = histogram.quantile(0.5), histogram.quantile(0.95)
    return Quantiles(histogram.total, p50, p95, histogram.longest)
