"""From values to pixels: axes that are linear or logarithmic, with round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from s3d.train.report.charts import pick_ticks

LOG_FROM = 5.0  # the dearest costs this many times the cheapest: even steps would crowd the cheap
LEAST_TICKS, MOST_TICKS = 4, 8


@dataclass(frozen=True)
class Scale:
    """Map values to pixels.

    Attributes:
        low: The value at `start`.
        high: The value at `end`, above `low`.
        start: Pixels.
        end: Pixels; may lie before `start`.
        is_log: Equal steps are equal factors.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return the pixel of a value; one beyond an end lies on that end."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Return round values, each within the scale."""
        if not self.is_log:
            return pick_ticks(self.low, self.high, 5)
        fine = _powers(self.low, self.high, (1, 2, 5))
        if len(fine) < LEAST_TICKS:
            return _powers(self.low, self.high, (1, 2, 3, 5, 7))
        coarse = _powers(self.low, self.high, (1,))
        return coarse if len(fine) > MOST_TICKS and len(coarse) > 2 else fine


def fit_costs(values: Sequence[float], start: float, end: float) -> Scale:
    """Return a scale on which all these costs lie, with some room around.

    Args:
        values: At least one, all above 0.
        start: Pixels.
        end: Pixels.
    """
    low, high = min(values), max(values)
    if high >= LOG_FROM * low:
        room = (high / low) ** 0.06
        return Scale(low / room, high * room, start, end, is_log=True)
    room = 0.08 * (high - low) or 0.5 * high
    return Scale(max(0.0, low - room), high + room, start, end)


def fit_shares(values: Sequence[float], start: float, end: float) -> Scale:
    """Return a scale of shares on which all these lie, within 0 and 1, its ends round.

    Args:
        values: At least one, 0 to 1.
        start: Pixels.
        end: Pixels.
    """
    low, high = min(values), max(values)
    room = max(0.05 * (high - low), 0.01)
    step = 0.05 if high - low > 0.12 else 0.01
    low = max(0.0, math.floor((low - room) / step + 1e-9) * step)
    high = min(1.0, math.ceil((high + room) / step - 1e-9) * step)
    return Scale(low, high, start, end)


def _powers(low: float, high: float, multiples: Sequence[int]) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    values = [m * 10.0**e for e in range(first, last + 1) for m in multiples]
    return [value for value in values if low <= value <= high]
