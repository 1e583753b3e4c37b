"""What an exploration has to tell: plain values, nothing about looks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from s3d.explore.budget import Budget, Unit
from s3d.explore.recommend import pareto_front
from s3d.page.text import percent, plural

State = Literal["trained", "dropped early", "over the budget", "failed"]


@dataclass(frozen=True)
class Point:
    """Hold one candidate: what it is, what it costs and how well it does.

    Attributes:
        name: As "s3d_fast-w0.25-16x64-r8"; no other point has it.
        network: A name of the family, or a word.
        word: Its word of eleven letters.
        width: Multiplier of the channels.
        frames: Of a clip.
        size_px: Height and width of a clip.
        rate_fps: At which a clip's frames are taken.
        parameters: Learnt numbers.
        macs: Multiply-adds of one clip.
        state: "trained", with the whole recipe; "dropped early", after a shorter training, by
            successive halving; "over the budget", so not trained; or "failed".
        reason: Why it was dropped, not trained or failed; one line, may be empty.
        latency_ms: Median time of one clip; None where it was not measured.
        latency_range_ms: The fastest and the slowest repeat that were measured.
        engine: What ran it when that was measured.
        accuracies: Of each repeat (a seed, over all folds), 0 to 1; empty where it was not scored.
        accuracy: Their mean; None where it was not scored.
        interval: 95 % interval of `accuracy`; None where it is not known.
        deviation: Standard deviation over the repeats; None where there are fewer than two.
        to_leader: How it differs from the most accurate one, in words; may be empty.
        runs: Folders of its trials, from the report's folder, with slashes.
        minutes: Of training, all its runs together.
        epochs: Times each clip was seen; 0 where it was not trained.
    """

    name: str
    network: str
    word: str
    width: float
    frames: int
    size_px: int
    rate_fps: float
    parameters: int
    macs: int
    state: State
    reason: str = ""
    latency_ms: float | None = None
    latency_range_ms: tuple[float, float] | None = None
    engine: str = ""
    accuracies: tuple[float, ...] = ()
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    deviation: float | None = None
    to_leader: str = ""
    runs: tuple[str, ...] = ()
    minutes: float = 0.0
    epochs: int = 0

    @property
    def gmacs(self) -> float:
        """Return the multiply-adds of one clip, in thousand millions."""
        return self.macs / 1e9

    def cost(self, unit: Unit) -> float | None:
        """Return what one clip costs; None where it was not measured."""
        return self.latency_ms if unit == "ms" else self.gmacs

    @property
    def is_scored(self) -> bool:
        """Return whether it was trained with the whole recipe and scored."""
        return self.state == "trained" and self.accuracy is not None


@dataclass(frozen=True)
class ExploreReport:
    """Hold everything the report of an exploration shows.

    Attributes:
        title: Of the page.
        data: The data's name.
        date: When it ended.
        command: What to type to do it again.
        hardware: (name, value): of the machine that trained and measured.
        recipe: (name, value): epochs, clips shown, batch, learning rate, ...
        protocol: One sentence: what is scored, on which clips, by the model of which fold.
        budget: The most one clip may cost.
        points: The candidates, in any order.
        recommended: The name of one of them; None where none fits.
        recommendation: Why, in one or two sentences.
        chance: Accuracy of always naming the commonest class, 0 to 1.
        seeds: Trainings of each candidate, per fold.
        folds: Parts each of which is left out once; 1 where videos were split once.
        videos: How many were scored.
        groups: Sources they are of.
        classes: How many there are.
        notes: What was decided and why, and warnings.
        failures: (name, reason): trials, or videos that could not be used.
    """

    title: str
    data: str
    date: str
    command: str
    hardware: tuple[tuple[str, str], ...]
    recipe: tuple[tuple[str, str], ...]
    protocol: str
    budget: Budget
    points: tuple[Point, ...]
    recommended: str | None
    recommendation: str
    chance: float
    seeds: int
    folds: int
    videos: int
    groups: int
    classes: int
    notes: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        names = [point.name for point in self.points]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two points are named {twice!r}; each needs a name of its own.")
        if self.recommended is not None and self.recommended not in names:
            raise ValueError(f"recommended is {self.recommended!r}; it needs to be a point's name.")

    @cached_property
    def ranking(self) -> tuple[Point, ...]:
        """Return the points: most accurate first, those of a shorter training after, then others.

        Among equals the cheaper comes first.
        """
        return tuple(sorted(self.points, key=_rank))

    @property
    def best(self) -> Point | None:
        """Return the recommended point."""
        return next((p for p in self.points if p.name == self.recommended), None)

    def front(self, unit: Unit) -> list[Point]:
        """Return the trained points that none beats in both accuracy and cost, cheapest first."""
        scored = [p for p in self.points if p.is_scored and p.cost(unit) is not None]
        costs = [p.cost(unit) or 0.0 for p in scored]
        return [scored[i] for i in pareto_front(costs, [p.accuracy or 0.0 for p in scored])]

    def fits(self, point: Point) -> bool:
        """Return whether a clip of this point costs no more than the budget."""
        return self.budget.allows(point.cost(self.budget.unit))


def list_facts(report: ExploreReport) -> list[tuple[str, str]]:
    """Return (name, value) of all that was done."""
    return [
        ("data", report.data),
        ("scored", _say_scored(report)),
        ("protocol", report.protocol),
        ("budget", f"{report.budget.say()} a clip"),
        *report.recipe,
        *report.hardware,
        ("date", report.date),
    ]


def _say_scored(report: ExploreReport) -> str:
    folds = f", {plural(report.folds, 'fold')}" if report.folds > 1 else ""
    return (
        f"{plural(report.videos, 'video')} of {plural(report.groups, 'source')} in "
        f"{plural(report.classes, 'class')}; {plural(report.seeds, 'seed')}{folds}; the commonest "
        f"class has {percent(report.chance)}"
    )


def _rank(point: Point) -> tuple[int, float, int]:
    order = ("trained", "dropped early", "over the budget", "failed").index(point.state)
    return order, -(point.accuracy or 0.0), point.macs
