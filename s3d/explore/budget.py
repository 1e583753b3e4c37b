"""What a clip may cost: milliseconds that were measured, or multiply-adds that were counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Unit = Literal["ms", "gmacs"]


@dataclass(frozen=True)
class Budget:
    """Hold the most that one clip may cost.

    Attributes:
        unit: "ms", or "gmacs" for thousand million multiply-adds, which the paper calls GFLOPs.
        value: The most, above 0.
    """

    unit: Unit
    value: float

    def __post_init__(self) -> None:
        if self.unit not in ("ms", "gmacs"):
            raise ValueError(f"unit is {self.unit!r}; it needs to be 'ms' or 'gmacs'.")
        if not (math.isfinite(self.value) and self.value > 0):
            raise ValueError(f"value is {self.value}; it needs to be a number above 0.")

    def allows(self, cost: float | None) -> bool:
        """Return whether a clip of this cost fits; one whose cost is not known does not."""
        return cost is not None and cost <= self.value

    def say(self, cost: float | None = None) -> str:
        """Return a cost in words, that of the budget itself where none is given."""
        return say_cost(self.unit, self.value if cost is None else cost)


def say_cost(unit: Unit, cost: float) -> str:
    """Return a cost in words, as "212 ms" or "43.5 G multiply-adds"."""
    return f"{short_number(cost)} {'ms' if unit == 'ms' else 'G multiply-adds'}"


def short_number(value: float) -> str:
    """Return a number in three digits, never as a power of ten: 0.0123, 4.35, 212, 1,350."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
