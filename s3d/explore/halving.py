"""Successive halving: all candidates train a little, the better half twice as long, and so on.

What is dropped early may have been slow to begin only, so its figure is of a shorter training and
says so. Every round trains anew: a schedule that ends at zero cannot be gone on with.

Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization" (2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FACTOR = 2
ROUNDS = 3
FEWEST = 2
"""So many are always compared at full length."""


@dataclass(frozen=True)
class Round:
    """Say how a round goes.

    Attributes:
        epochs: Of each training.
        seeds: Trainings of each candidate on the same videos.
        kept: How many go on to the next round; the last keeps all.
    """

    epochs: int
    seeds: int
    kept: int


def plan_rounds(candidates: int, epochs: int, seeds: int, halves: bool) -> list[Round]:
    """Return the rounds of an exploration.

    Args:
        candidates: How many there are.
        epochs: Of a whole training.
        seeds: Trainings of each that comes to the last round; the rounds before take one.
        halves: Drop the worse half round by round; otherwise there is one round.
    """
    rounds: list[Round] = []
    for before in range(ROUNDS - 1, -1, -1) if halves else (0,):
        length = epochs // FACTOR**before
        if before and (candidates <= FEWEST or length < 1):
            continue
        kept = max(FEWEST, -(-candidates // FACTOR)) if before else candidates
        rounds.append(Round(length, 1 if before else seeds, kept))
        candidates = min(candidates, kept)
    return rounds


def count_epochs(rounds: Sequence[Round], candidates: int) -> int:
    """Return the epochs of all trainings together on one split, for `candidates` to begin with."""
    total = 0
    for one in rounds:
        total += candidates * one.seeds * one.epochs
        candidates = min(candidates, one.kept)
    return total


def choose_better(scores: Mapping[str, float], costs: Mapping[str, float], kept: int) -> list[str]:
    """Return the names that go on: those of the highest scores, of equals the cheaper."""
    order = sorted(scores, key=lambda name: (-scores[name], costs[name], name))
    return order[:kept]
