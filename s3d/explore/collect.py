"""From an exploration to its report: points with what is known of each, and what to take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from s3d.errors import InputError
from s3d.explore.budget import Budget
from s3d.explore.candidate import Candidate
from s3d.explore.compare import measure_accuracy
from s3d.explore.explore import Exploration, Tried, budget_cost
from s3d.explore.machine import describe_machine
from s3d.explore.prepare import Part, read_groups
from s3d.explore.price import Price
from s3d.explore.recommend import Contender, Recommendation, recommend
from s3d.explore.report.data import ExploreReport, Point, State
from s3d.explore.trial import Scores, read_scores
from s3d.models.family import network_word

Bools = npt.NDArray[np.bool_]
PROTOCOLS = {
    "clip": "one clip from the middle of each video, centre crop",
    "cover": "clips spread over the whole of each video, at most 10, scores averaged",
    "10x3": "10 clips spread over each video, 3 crops each, scores averaged",
    "all-frames": "every frame of each video, centre crop, logits averaged over time",
}


@dataclass(frozen=True, eq=False)
class Answers:
    """Hold which videos candidates name right.

    Attributes:
        right: By the name of the candidate, (S, V).
        groups: (V,), the source of each video.
        chance: Share of the commonest class.
    """

    right: Mapping[str, Bools]
    groups: npt.NDArray[np.int64]
    chance: float


@dataclass(frozen=True, eq=False)
class Found:
    """Hold an exploration's answer.

    Attributes:
        exploration: All of it.
        answers: Which videos were named right, by candidates of the last round.
        recommendation: What to take.
    """

    exploration: Exploration
    answers: Answers
    recommendation: Recommendation

    @property
    def recommended(self) -> Tried | None:
        """Return the trials of what is to be taken; None where nothing is."""
        named = {tried.candidate.name: tried for tried in self.exploration.tried}
        return named.get(self.recommendation.name or "")


def judge(exploration: Exploration) -> Found:
    """Return what an exploration found: who is right where, and which candidate to take.

    Raises:
        InputError: The scores of a trial are damaged.
    """
    last = [tried for tried in exploration.tried if tried.is_last and tried.error is None]
    answers = _read_answers(exploration, last)
    contenders = [
        Contender(
            tried.candidate.name, exploration.cost(tried.candidate),
            answers.right[tried.candidate.name],
        )
        for tried in last
    ]  # fmt: skip
    chosen = recommend(contenders, answers.groups, budget_of(exploration), answers.chance)
    if not exploration.tried:
        chosen = replace(chosen, text=_say_nearest(exploration))
    return Found(exploration, answers, chosen)


def _say_nearest(exploration: Exploration) -> str:
    """Return why nothing was trained: nothing fits the budget, or no network takes the clip."""
    prices = exploration.prices
    known = [candidate for candidate, price in prices.items() if isinstance(price, Price)]
    if not known:
        return f"No candidate can take the clip: {next(iter(prices.values()))}"
    nearest = min(known, key=exploration.cost)
    budget = budget_of(exploration)
    return (
        f"No candidate fits the budget of {budget.say()}, so none was trained. The nearest is "
        f"{nearest.name}: {budget.say(exploration.cost(nearest))} a clip. Allow that, or try a "
        "smaller width or size, or fewer frames."
    )


def budget_of(exploration: Exploration) -> Budget:
    """Return the budget as the report has it."""
    config = exploration.config
    if config.budget_ms is not None:
        return Budget("ms", config.budget_ms)
    assert config.budget_gmacs is not None
    return Budget("gmacs", config.budget_gmacs)


def make_report(found: Found, command: str, notes: Sequence[str] = ()) -> ExploreReport:
    """Return all that the page of an exploration shows.

    Args:
        found: What it found.
        command: What was typed.
        notes: Lines to stand beside those on the data.
    """
    exploration, answers = found.exploration, found.answers
    config, shared = exploration.config, exploration.shared
    epochs = max((one.epochs for one in exploration.rounds), default=shared.epochs)
    clips = epochs * round(float(np.mean(shared.videos)))
    recipe = {
        "epochs": f"{epochs}, the same for all",
        "clips shown": f"{clips:,} to each network, in steps of {shared.batch}",
        "weights kept": "the last, so the scored videos choose none",
        **{name.replace("_", " "): str(value) for name, value in shared.options.items()},
    }
    if len(exploration.rounds) > 1:
        lengths = ", ".join(str(one.epochs) for one in exploration.rounds)
        recipe["successive halving"] = f"rounds of {lengths} epochs, the better half goes on"
    return ExploreReport(
        title="Which network?",
        data=config.data,
        date=date.today().isoformat(),
        command=command,
        hardware=tuple(describe_machine(exploration.device).items()),
        recipe=tuple(recipe.items()),
        protocol=_describe_protocol(exploration),
        budget=budget_of(exploration),
        points=tuple(_make_points(found)),
        recommended=found.recommendation.name,
        recommendation=found.recommendation.text,
        chance=answers.chance,
        seeds=config.seed_count,
        folds=len(shared.parts),
        videos=len(answers.groups),
        groups=len(set(answers.groups.tolist())),
        classes=len(shared.labels),
        notes=(*shared.notes, *notes),
        failures=(*_failed_trials(exploration), *shared.failures),
    )


def _describe_protocol(exploration: Exploration) -> str:
    config, shared = exploration.config, exploration.shared
    what = PROTOCOLS[config.protocol]
    if config.scored:
        return f"Scored are the videos of {config.scored}: {what}."
    if len(shared.parts) > 1:
        return f"Each video is scored by the training that left its fold out: {what}."
    return f"Scored are videos held out, of sources that no training saw: {what}."


def _read_answers(exploration: Exploration, last: Sequence[Tried]) -> Answers:
    parts = exploration.shared.parts
    if not last:
        return Answers({}, np.zeros(0, np.int64), 0.0)
    scores = [_scores(exploration, last[0], (fold, 0)) for fold in range(len(parts))]
    paths = [one.paths for one in scores]
    right = {tried.candidate.name: _read_right(exploration, tried, paths) for tried in last}
    groups = _number_groups(parts, scores)
    truth = np.concatenate([one.truth for one in scores])
    commonest = Counter(truth.tolist()).most_common(1)[0][1]
    return Answers(right, groups, commonest / len(truth))


def _read_right(exploration: Exploration, tried: Tried, paths: Sequence[tuple[str, ...]]) -> Bools:
    """Return (S, V): the folds of a seed one after the other are all videos, once each.

    Raises:
        InputError: A trial scored other videos than the first one did: some came or went meanwhile.
    """
    rows = []
    for seed in sorted({seed for _, seed in tried.outcomes}):
        parts = [_scores(exploration, tried, (fold, seed)) for fold in range(len(paths))]
        if [part.paths for part in parts] != list(paths):
            raise InputError(
                f"{tried.outcomes[0, seed].name}: scored other videos than the trials before it. "
                "Delete its folder below trials, so that it is done again."
            )
        rows.append(np.concatenate([part.right for part in parts]))
    return np.stack(rows)


def _scores(exploration: Exploration, tried: Tried, place: tuple[int, int]) -> Scores:
    return read_scores(exploration.folder / "trials" / tried.outcomes[place].name)


def _number_groups(parts: Sequence[Part], scores: Sequence[Scores]) -> npt.NDArray[np.int64]:
    names: list[str] = []
    for part, one in zip(parts, scores, strict=True):
        sources = read_groups(part.scored)
        names += [sources[path] for path in one.paths]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def _make_points(found: Found) -> list[Point]:
    exploration = found.exploration
    tried = {one.candidate: one for one in exploration.tried}
    return [
        _make_point(found, candidate, price, tried.get(candidate))
        for candidate, price in exploration.prices.items()
    ]


def _make_point(
    found: Found, candidate: Candidate, price: Price | InputError, tried: Tried | None
) -> Point:
    exploration = found.exploration
    state, reason = _say_state(exploration, candidate, price, tried)
    known = price if isinstance(price, Price) else None
    right = found.answers.right.get(candidate.name)
    accuracy = None if right is None else measure_accuracy(right, found.answers.groups)
    early = tried if state == "dropped early" else None
    outcomes = list(tried.outcomes.values()) if tried is not None else []
    difference = found.recommendation.differences.get(candidate.name)
    leads = candidate.name == found.recommendation.leader
    return Point(
        name=candidate.name,
        network=candidate.network,
        word=network_word(candidate.network),
        width=candidate.width,
        frames=candidate.frames,
        size_px=candidate.size_px,
        rate_fps=candidate.rate_fps,
        parameters=known.parameters if known else 0,
        macs=known.macs if known else 0,
        state=state,
        reason=reason,
        latency_ms=known.latency_ms if known else None,
        latency_range_ms=known.latency_range_ms if known else None,
        engine=known.engine if known else "",
        accuracies=accuracy.per_seed if accuracy else (early.top1,) if early else (),
        accuracy=accuracy.mean if accuracy else early.top1 if early else None,
        interval=accuracy.interval if accuracy else None,
        deviation=accuracy.deviation if accuracy else None,
        to_leader=difference.short() if difference else "leads" if leads else "",
        runs=tuple(f"trials/{outcome.name}" for outcome in outcomes),
        minutes=sum(outcome.minutes for outcome in outcomes),
        epochs=tried.epochs if tried else 0,
    )


def _say_state(
    exploration: Exploration, candidate: Candidate, price: Price | InputError, tried: Tried | None
) -> tuple[State, str]:
    if isinstance(price, InputError):
        return "failed", str(price)
    if tried is None:
        budget = budget_of(exploration)
        cost = budget.say(budget_cost(exploration.config, price))
        return "over the budget", f"{cost} a clip, over {budget.say()}"
    if tried.error is not None:
        return "failed", tried.error
    if not tried.is_last:
        return "dropped early", f"after {tried.epochs} epochs, by successive halving"
    return "trained", ""


def _failed_trials(exploration: Exploration) -> list[tuple[str, str]]:
    return [
        (outcome.name, outcome.error)
        for tried in exploration.tried
        for outcome in tried.outcomes.values()
        if outcome.error is not None
    ]
