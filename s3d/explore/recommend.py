"""Which candidate to take: the cheapest of those that are not seen to be worse than the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from s3d.explore.budget import Budget, short_number
from s3d.explore.compare import Bools, Counts, Difference, compare, measure_accuracy, points


@dataclass(frozen=True, eq=False)
class Contender:
    """Hold one candidate that was trained and scored in full.

    Attributes:
        name: No other contender has it.
        cost: Of one clip, in the budget's unit.
        right: (S, V), the same seeds and videos for all contenders.
    """

    name: str
    cost: float
    right: Bools

    @property
    def accuracy(self) -> float:
        """Return the share of right answers over all seeds and videos."""
        return float(self.right.mean())


@dataclass(frozen=True)
class Recommendation:
    """Say what to take, and why.

    Attributes:
        name: Of the contender to take; None where none fits the budget.
        text: Why, in one or two sentences.
        leader: The most accurate within the budget, or of all where none fits; None without any.
        equals: Those within the budget that are not seen to differ from the leader, cheapest first.
        differences: Of every other contender, its accuracy less the leader's.
    """

    name: str | None
    text: str
    leader: str | None
    equals: tuple[str, ...]
    differences: Mapping[str, Difference]


@dataclass(frozen=True, eq=False)
class _Choice:
    """Hold what was chosen from: the first of `equals`, which are sorted by cost, is taken."""

    leader: Contender
    fitting: Sequence[Contender]
    equals: Sequence[Contender]


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Return which candidates none beats: none is as accurate for less, or better for as much.

    Args:
        costs: Of each; less is better.
        accuracies: Of each; more is better.

    Returns:
        Their places, cheapest first; of several that are alike in both, all.

    Raises:
        ValueError: There are not as many of one as of the other.
    """
    pairs = list(zip(costs, accuracies, strict=True))
    order = sorted(range(len(pairs)), key=lambda i: (pairs[i][0], -pairs[i][1], i))
    front: list[int] = []
    for i in order:
        if not front or pairs[i][1] > pairs[front[-1]][1] or pairs[i] == pairs[front[-1]]:
            front.append(i)
    return front


def recommend(
    contenders: Sequence[Contender], groups: Counts, budget: Budget, chance: float
) -> Recommendation:
    """Return which contender to take.

    The most accurate within the budget leads. It was chosen by the videos that judge it, so its
    lead flatters it: whatever is not seen to differ from it is its equal, and the cheapest of these
    is taken. Nothing is corrected for how many are compared, which would call still more equal.

    Args:
        contenders: Those trained and scored in full.
        groups: (V,), the source of each video.
        budget: The most that one clip may cost.
        chance: Share of the commonest class, 0 to 1.

    Raises:
        ValueError: Contenders have other seeds or videos than one another, or one name twice.
    """
    _check_names(contenders)
    if not contenders:
        text = "No candidate was trained and scored in full, so none is recommended."
        return Recommendation(None, text, None, (), {})
    fitting = [c for c in contenders if budget.allows(c.cost)]
    leader = max(fitting or contenders, key=lambda c: (c.accuracy, -c.cost))
    differences = {
        c.name: compare(c.right, leader.right, groups) for c in contenders if c is not leader
    }
    if not fitting:
        text = _say_none_fits(contenders, budget)
        return Recommendation(None, text, leader.name, (), differences)
    equals = [c for c in fitting if c is leader or not differences[c.name].is_seen]
    equals.sort(key=lambda c: (c.cost, -c.accuracy))
    chosen = equals[0]
    text = _say_why(_Choice(leader, fitting, equals), groups, budget)
    text += _say_chance(chosen, groups, chance)
    names = tuple(c.name for c in equals if c is not leader)
    return Recommendation(chosen.name, text, leader.name, names, differences)


def _say_none_fits(contenders: Sequence[Contender], budget: Budget) -> str:
    nearest = min(contenders, key=lambda c: (c.cost, -c.accuracy))
    return (
        f"No candidate fits the budget of {budget.say()}. The nearest is {nearest.name}, "
        f"{points(nearest.accuracy)} % right: it takes {budget.say(nearest.cost)} a clip, "
        f"{short_number(nearest.cost / budget.value)} times as much. Allow that, or try a smaller "
        "width or size, or fewer frames."
    )


def _say_why(choice: _Choice, groups: Counts, budget: Budget) -> str:
    chosen, leader = choice.equals[0], choice.leader
    within, cost = f"within the budget of {budget.say()}", budget.say(chosen.cost)
    if chosen is leader:
        figures = f"{points(chosen.accuracy)} % right, {cost} a clip"
        why = _say_cheaper(choice)
        return f"{chosen.name} ({figures}) is the most accurate {within}; {why}."
    difference = compare(leader.right, chosen.right, groups)
    more = _say_others(len(choice.equals) - 2)
    return (
        f"No difference seen between {leader.name}, the most accurate {within}, and {chosen.name} "
        f"({difference.describe()}): the cheaper is taken, {cost} against "
        f"{budget.say(leader.cost)} a clip.{more}"
    )


def _say_others(count: int) -> str:
    if count < 1:
        return ""
    others, they = ("1 other", "it costs") if count == 1 else (f"{count} others", "they cost")
    return f" Of {others} no difference is seen either; {they} more than that."


def _say_cheaper(choice: _Choice) -> str:
    if len(choice.fitting) == 1:
        return "no other candidate fits"
    if all(c.cost >= choice.leader.cost for c in choice.fitting):
        return "none is cheaper"
    return "all that are cheaper are seen to be less accurate"


def _say_chance(chosen: Contender, groups: Counts, chance: float) -> str:
    interval = measure_accuracy(chosen.right, groups).interval
    if interval is not None and interval[0] > chance:
        return ""
    reach = (
        ""
        if interval is None
        else f", 95 % interval {points(interval[0])} to {points(interval[1])}"
    )
    return (
        " But it is not seen to be better than always naming the commonest class: "
        f"{points(chosen.accuracy)} % right{reach}, against {points(chance)} %."
    )


def _check_names(contenders: Sequence[Contender]) -> None:
    names = [c.name for c in contenders]
    if len(set(names)) < len(names):
        raise ValueError(f"contenders are named {names}; each needs a name of its own.")
    shapes = {np.shape(c.right) for c in contenders}
    if len(shapes) > 1:
        raise ValueError(f"contenders are {sorted(shapes)}; all need the same seeds and videos.")
