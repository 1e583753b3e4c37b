"""An exploration: price the candidates, train those within the budget, recommend one.

DIR/explore.json      what all trials share; it does not change
DIR/lists/            how the videos were parted
DIR/prices.json       what each candidate costs on this machine
DIR/length.json       how many epochs fitted the time, so that a killed call goes on alike
DIR/trials/<name>/    a folder a training
DIR/explore.html, .png, .csv    the figure, the table and the recommendation
DIR/model.safetensors           the recommended network
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from s3d.batch.cluster import Cluster, check_ray
from s3d.batch.lock import lock_folder
from s3d.data.store import Progress
from s3d.errors import InputError
from s3d.explore.candidate import Candidate
from s3d.explore.halving import Round, choose_better, count_epochs, plan_rounds
from s3d.explore.prepare import Shared, find_shared
from s3d.explore.price import Price, measure_prices, measure_step
from s3d.explore.settings import ExploreConfig
from s3d.explore.trial import Outcome, Trial, plan_trial
from s3d.explore.work import run_trials, run_trials_on_ray
from s3d.files import show_path, write_json
from s3d.infer.engines.engine import check_engine
from s3d.infer.views import check_protocol
from s3d.models.device import choose_device
from s3d.train.config import TrainConfig
from s3d.train.effort import show_seconds
from s3d.train.plan import Machine, count_cores

Say = Callable[[str], None]
Stage = Callable[[str], Progress]
LENGTH = "length.json"
START_SECONDS = 12.0
"""A guess of what a trial takes beside its steps: Python starts, videos are decoded and scored."""
CONTENTION = 1.3
"""Trials side by side are slower than one alone: seen on two cores."""


@dataclass(frozen=True)
class Tried:
    """Hold all trials of one candidate in one round.

    Attributes:
        candidate: Which.
        round: Which round, from 0.
        epochs: Of each training.
        outcomes: By (fold, seed).
        is_last: Whether it came to the last round.
    """

    candidate: Candidate
    round: int
    epochs: int
    outcomes: Mapping[tuple[int, int], Outcome]
    is_last: bool

    @property
    def error(self) -> str | None:
        """Return why it has no figure; None where every trial ended well."""
        errors = (outcome.error for outcome in self.outcomes.values())
        return next((error for error in errors if error is not None), None)

    @property
    def top1(self) -> float:
        """Return the mean over its trials."""
        return float(np.mean([outcome.top1 for outcome in self.outcomes.values()]))


@dataclass(frozen=True)
class Exploration:
    """Hold what an exploration found.

    Attributes:
        config: What was asked for.
        shared: What the trials share.
        folder: Where it lies.
        device: What computed.
        prices: By candidate; an error where it cannot take the clip.
        over_budget: Candidates that were not trained for their price.
        rounds: How it went.
        tried: The furthest that each candidate came.
    """

    config: ExploreConfig
    shared: Shared
    folder: Path
    device: str
    prices: Mapping[Candidate, Price | InputError]
    over_budget: tuple[Candidate, ...]
    rounds: tuple[Round, ...]
    tried: tuple[Tried, ...] = field(default=())

    def cost(self, candidate: Candidate) -> float:
        """Return what a candidate costs in the budget's unit; nothing is over a budget as much."""
        return budget_cost(self.config, self.prices[candidate])


def budget_cost(config: ExploreConfig, price: Price | InputError) -> float:
    """Return a price in the unit of the budget: ms, or billions of multiply-adds."""
    if isinstance(price, InputError):
        return float("inf")
    return price.latency_ms if config.budget_ms is not None else price.macs / 1e9


def budget_value(config: ExploreConfig) -> float:
    """Return the budget in its unit."""
    value = config.budget_ms if config.budget_ms is not None else config.budget_gmacs
    assert value is not None
    return value


def run_exploration(
    config: ExploreConfig, recipe: TrainConfig, say: Say, stage: Stage
) -> Exploration:
    """Price, train and score the candidates; what was done by an earlier call is used again.

    Args:
        config: What was asked for.
        recipe: The options of every training.
        say: Told in lines how it goes.
        stage: Called with what is being done, gives what is told of its progress.

    Raises:
        InputError: The data, an option or the folder cannot be used.
    """
    check_protocol(config.protocol)
    if config.ray is not None:
        check_ray()
    device = choose_device(config.device)
    if config.engine != "auto":
        check_engine(config.engine, device)
    machine = Machine(device, count_cores())
    folder = Path(config.out).absolute()
    shared = find_shared(config, recipe, machine, stage)
    lock = lock_folder(folder)
    if lock is None:
        raise InputError(f"{show_path(folder)}: another process explores there. Wait for it.")
    with lock:
        for line in shared.notes:
            say(f"  {line}")
        exploration = _price(config, shared, folder, device, say)
        return _train(exploration, machine, say)


def _price(
    config: ExploreConfig, shared: Shared, folder: Path, device: str, say: Say
) -> Exploration:
    candidates = shared.grid(config).candidates()
    say(f"{len(candidates)} candidates; a clip takes, here:")
    named = measure_prices(
        candidates, shared.contract(device), config.engine, folder / "prices.json", say
    )
    prices = {candidate: named[candidate.name] for candidate in candidates}
    budget = budget_value(config)
    over = tuple(
        candidate
        for candidate, price in prices.items()
        if isinstance(price, InputError) or budget_cost(config, price) > budget
    )
    return Exploration(config, shared, folder, device, prices, over, ())


def _train(exploration: Exploration, machine: Machine, say: Say) -> Exploration:
    config, shared = exploration.config, exploration.shared
    wanted = [
        candidate
        for candidate, price in exploration.prices.items()
        if isinstance(price, Price) and (config.beyond or candidate not in exploration.over_budget)
    ]
    workers = config.workers or (1 if machine.device == "cuda" else machine.cores)
    rounds = _plan(exploration, wanted, workers, say) if wanted else []
    tried: dict[Candidate, Tried] = {}
    left = wanted
    for number, one in enumerate(rounds):
        is_last = number == len(rounds) - 1
        say(_describe_round(one, number, len(rounds), len(left)))
        for found in _run_round(exploration, left, one, (number, is_last), workers, say):
            tried[found.candidate] = found
        fine = {c.name: tried[c].top1 for c in left if tried[c].error is None}
        costs = {candidate.name: exploration.cost(candidate) for candidate in left}
        going = set(choose_better(fine, costs, one.kept))
        left = [candidate for candidate in left if candidate.name in going]
    return Exploration(
        config, shared, exploration.folder, machine.device, exploration.prices,
        exploration.over_budget, tuple(rounds), tuple(tried.values()),
    )  # fmt: skip


def _plan(
    exploration: Exploration, wanted: Sequence[Candidate], workers: int, say: Say
) -> list[Round]:
    """Return the rounds: as long as asked for, as suits the data, or as the time allows."""
    config, shared = exploration.config, exploration.shared
    seeds, folds = config.seed_count, len(shared.parts)
    minutes = config.minutes_asked
    contract = shared.contract(exploration.device)
    steps = {c: measure_step(c, contract, shared.batch) for c in wanted}
    clip_seconds = float(np.mean(list(steps.values()))) * CONTENTION / workers
    epoch_seconds = clip_seconds * float(np.mean(shared.videos))
    epochs = config.epochs or shared.epochs

    def count_seconds(epochs: int) -> float:
        rounds = plan_rounds(len(wanted), epochs, seeds, config.halves)
        trials = count_trials(rounds, len(wanted)) * folds
        trained = count_epochs(rounds, len(wanted)) * folds
        return trained * epoch_seconds + trials * START_SECONDS / workers

    if minutes is not None:
        asked = [minutes, config.halves, seeds, sorted(c.name for c in wanted)]
        kept = _read_length(exploration.folder / LENGTH, asked)
        while kept is None and epochs > 1 and count_seconds(epochs) > 60 * minutes:
            epochs -= 1
        epochs = kept or epochs
        write_json(exploration.folder / LENGTH, {"asked": asked, "epochs": epochs})
    say(f"{epochs} epochs each; about {show_seconds(count_seconds(epochs))} of training in all")
    return plan_rounds(len(wanted), epochs, seeds, config.halves)


def count_trials(rounds: Sequence[Round], candidates: int) -> int:
    """Return the trainings of all rounds on one split."""
    total = 0
    for one in rounds:
        total += candidates * one.seeds
        candidates = min(candidates, one.kept)
    return total


def _run_round(
    exploration: Exploration,
    candidates: Sequence[Candidate],
    one: Round,
    where: tuple[int, bool],
    workers: int,
    say: Say,
) -> list[Tried]:
    """Run the trials of a round, one seed of all candidates before the next."""
    number, is_last = where
    config, shared = exploration.config, exploration.shared
    trials = [
        Trial(
            candidate, seed, one.epochs, part.data, part.scored, fold, config.protocol,
            config.reversed, shared.options,
        )
        for seed in range(one.seeds)
        for fold, part in enumerate(shared.parts)
        for candidate in candidates
    ]  # fmt: skip
    places = [plan_trial(exploration.folder / "trials", trial) for trial in trials]
    tell = _Teller(len(trials), say)
    if config.ray is not None:
        cluster = Cluster(config.ray, config.workers)
        outcomes = run_trials_on_ray(places, cluster, exploration.device, tell)
    else:
        outcomes = run_trials(places, workers, tell)
    return [
        Tried(
            candidate,
            number,
            one.epochs,
            {
                (trial.fold, trial.seed): outcome
                for trial, outcome in zip(trials, outcomes, strict=True)
                if trial.candidate == candidate
            },
            is_last,
        )
        for candidate in candidates
    ]


class _Teller:
    """Say a line for each trial that ends."""

    def __init__(self, total: int, say: Say) -> None:
        self.total, self.done, self.say = total, 0, say

    def __call__(self, outcome: Outcome) -> None:
        self.done += 1
        place = f"  [{self.done}/{self.total}] {outcome.name:<44}"
        if outcome.error is not None:
            self.say(f"{place} failed: {outcome.error}")
        else:
            self.say(f"{place}{outcome.top1:7.1%}  {outcome.minutes:5.1f} min")


def _describe_round(one: Round, number: int, rounds: int, candidates: int) -> str:
    seeds = "" if one.seeds == 1 else f", {one.seeds} seeds"
    drops = "" if number == rounds - 1 else f"; the better {one.kept} go on"
    what = f"{candidates} candidates, {one.epochs} epochs{seeds}{drops}"
    return f"round {number + 1} of {rounds}: {what}"


def _read_length(path: Path, asked: list[object]) -> int | None:
    """Return the epochs that an earlier call found to fit the same time; None if it found none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return int(values["epochs"]) if values["asked"] == asked else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
