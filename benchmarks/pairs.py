"""Contestants that run in turn, so that a change in the machine's speed falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Work = Callable[[], Any]
Seconds = dict[str, list[float]]


def time_in_turn(contestants: Mapping[str, Work], rounds: int, warm_rounds: int = 2) -> Seconds:
    """Return the seconds of each contestant, round by round.

    Args:
        contestants: What is timed, by name.
        rounds: How often.
        warm_rounds: Rounds before that are not counted.
    """
    names = list(contestants)
    seconds: Seconds = {name: [] for name in names}
    for turn in range(-warm_rounds, rounds):
        # Who comes first changes: whoever runs behind a hungry one finds the caches full of it.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            begin = time.perf_counter()
            contestants[name]()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def medians_ms(seconds: Seconds) -> dict[str, float]:
    """Return the median of each in milliseconds."""
    return {name: round(1e3 * statistics.median(times), 1) for name, times in seconds.items()}


def times_as_fast(seconds: Seconds, ours: str) -> dict[str, dict[str, Any]]:
    """Return how many times as fast as each other contestant ours is, taken round by round."""
    found = {}
    for name, times in seconds.items():
        if name == ours:
            continue
        ratios = [b / a for a, b in zip(seconds[ours], times, strict=True)]
        found[name] = {
            "median": round(statistics.median(ratios), 3),
            "range": [round(min(ratios), 3), round(max(ratios), 3)],
        }
    return found
