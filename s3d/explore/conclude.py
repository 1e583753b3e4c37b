"""The end of an exploration: the price of the winner checked, its model kept, the page written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from s3d.explore.collect import Found, budget_of, judge, make_report
from s3d.explore.explore import Exploration, Tried, budget_cost
from s3d.explore.price import Price, measure_price
from s3d.explore.report.write import write_explore_report
from s3d.files import write_atomically

Say = Callable[[str], None]
MODEL = "model.safetensors"
TRIES = 5
PAUSE_SECONDS = 3.0


@dataclass(frozen=True, eq=False)
class Conclusion:
    """Hold what is left of an exploration.

    Attributes:
        found: What was found.
        checked: The price of what is recommended, measured once more; None without one.
        model: Its model file; None without one.
        pages: The page, the picture and the table.
    """

    found: Found
    checked: Price | None
    model: Path | None
    pages: tuple[Path, ...]


def conclude(exploration: Exploration, command: str, say: Say) -> Conclusion:
    """Check what is recommended, keep its model and write the report.

    A candidate that was within the budget when it was first measured, and is not now, is taken for
    what it was measured at last; the next best is then recommended.

    Args:
        exploration: After its trials.
        command: What was typed, for the page.
        say: Told in lines.

    Raises:
        InputError: A trial's files are damaged, or the folder cannot be written to.
    """
    notes: list[str] = []
    while True:
        found = judge(exploration)
        tried = found.recommended
        checked = _measure_again(exploration, tried) if tried else None
        if tried is None or checked is None or _fits(exploration, checked):
            break
        cost = budget_of(exploration).say(budget_cost(exploration.config, checked))
        name = tried.candidate.name
        notes.append(f"{name} took {cost} when it was measured again, {TRIES} times: too much")
        say(f"  {notes[-1]}")
        prices = {**exploration.prices, tried.candidate: checked}
        exploration = replace(exploration, prices=prices)
    if tried is not None and checked is not None:
        notes.append(_describe_check(tried, checked))
    model = _keep_model(exploration, tried) if tried else None
    report = make_report(found, command, notes)
    return Conclusion(found, checked, model, write_explore_report(report, exploration.folder))


def _measure_again(exploration: Exploration, tried: Tried) -> Price:
    """Return the price measured once more; of a few tries the least, where the first is too much.

    Whatever else a machine does can only add to a time, so one that fits is believed.
    """
    contract = exploration.shared.contract(exploration.device)
    best = measure_price(tried.candidate, contract, exploration.config.engine)
    for _ in range(TRIES - 1):
        if _fits(exploration, best):
            break
        time.sleep(PAUSE_SECONDS)
        other = measure_price(tried.candidate, contract, exploration.config.engine)
        best = min(best, other, key=lambda price: price.latency_ms)
    return best


def _fits(exploration: Exploration, price: Price) -> bool:
    return budget_of(exploration).allows(budget_cost(exploration.config, price))


def _describe_check(tried: Tried, price: Price) -> str:
    return (
        f"{tried.candidate.name} measured again: {price.latency_ms:.3g} ms a clip by the engine "
        f"{price.engine}, {price.macs / 1e9:.3g} G multiply-adds"
    )


def _keep_model(exploration: Exploration, tried: Tried) -> Path:
    """Copy the model of the first seed: choosing the seed that scored best would flatter it."""
    first: Sequence[tuple[int, int]] = sorted(tried.outcomes)
    run = exploration.folder / "trials" / tried.outcomes[first[0]].name / "run"
    path = exploration.folder / MODEL
    write_atomically(path, lambda beside: _copy(run / MODEL, beside))
    return path


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
