"""The miniature at work: train what is missing, study it, keep the rows, write the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from s3d.data.synthetic import write_sample
from s3d.errors import InputError
from s3d.explore.findings.miniature import Miniature
from s3d.explore.findings.page import COMMAND, write_page
from s3d.explore.findings.pictures import draw_pictures
from s3d.explore.findings.real import format_real, read_real
from s3d.explore.findings.record import keep_rows, read_rows
from s3d.explore.findings.study import Row, study
from s3d.explore.trial import Outcome, plan_trial
from s3d.explore.work import run_trials
from s3d.files import show_path, write_text

THREADS = 1
"""Of each training, however many run at a time: so a row comes again to the same number."""
REAL = "findings_fights.json"
"""What recipes/paper_on_fights.py leaves beside the page."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """Say what is to be done.

    Attributes:
        networks: To train.
        seeds: Of each.
        folder: Of the trainings.
        record: The file of the rows.
        page: The page to write; None writes none.
        workers: Trainings at a time.
    """

    networks: tuple[str, ...]
    seeds: tuple[int, ...]
    folder: Path
    record: Path
    page: Path | None
    workers: int


def complete(miniature: Miniature, wanted: Wanted, say: Say) -> list[Row]:
    """Train and study what is missing, and return all rows.

    Args:
        miniature: The recipe.
        wanted: Which networks and seeds, and where.
        say: Told in lines.

    Raises:
        InputError: A training failed, or a file is damaged.
    """
    rows = read_rows(wanted.record, miniature)
    kept = {(row.network, row.seed) for row in rows}
    trials = [
        trial
        for trial in miniature.trials(wanted.folder, wanted.networks, wanted.seeds)
        if (trial.candidate.network, trial.seed) not in kept
    ]
    failures: list[str] = []

    def note(outcome: Outcome) -> None:
        if outcome.error is not None:
            failures.append(f"{outcome.name}: {outcome.error}")
            say(f"  {failures[-1]}")
            return
        row = _study(miniature, wanted.folder, outcome)
        rows.append(row)
        keep_rows(wanted.record, miniature, rows)
        say(f"  {describe_row(row)}")

    if trials:
        say(f"{len(trials)} trainings to do, {len(rows)} rows there")
        write_sample(wanted.folder / "clips", miniature.sample)
        places = [plan_trial(wanted.folder / "trials", trial) for trial in trials]
        run_trials(places, wanted.workers, note, THREADS)
    if failures:
        raise InputError(f"{len(failures)} trainings failed; first: {failures[0]}")
    if wanted.page is not None:
        refresh_page(miniature, wanted)
    return read_rows(wanted.record, miniature)


def refresh_page(miniature: Miniature, wanted: Wanted) -> None:
    """Write the page from the rows, and the pictures of trainings that are there.

    Raises:
        InputError: There is no row, or a file cannot be written.
    """
    rows = read_rows(wanted.record, miniature)
    if not rows or wanted.page is None:
        raise InputError(f"{show_path(wanted.record)}: holds no rows. Train some first.")
    pictures = draw_pictures(miniature, rows, wanted.folder, wanted.page.parent / "findings")
    real = read_real(wanted.page.with_name(REAL))
    text = format_real(real) if real else ""
    write_text(wanted.page, write_page(miniature, rows, pictures, text))


def train_again(miniature: Miniature, wanted: Wanted, say: Say) -> bool:
    """Train rows anew, in a folder of their own, and say whether they come to the same numbers.

    Raises:
        InputError: A row is not kept, or a training fails.
    """
    kept = {(r.network, r.seed): r for r in read_rows(wanted.record, miniature)}
    trials = miniature.trials(wanted.folder, wanted.networks, wanted.seeds)
    missing = [t.name for t in trials if (t.candidate.network, t.seed) not in kept]
    if missing:
        raise InputError(f"no row is kept of {missing[0]}; train it first, without --again.")
    write_sample(wanted.folder / "clips", miniature.sample)
    places = [plan_trial(wanted.folder / "again", trial) for trial in trials]
    outcomes = run_trials(places, wanted.workers, lambda _: None, THREADS)
    same = True
    for trial, place, outcome in zip(trials, places, outcomes, strict=True):
        if outcome.error is not None:
            raise InputError(f"{outcome.name}: {outcome.error}")
        before = kept[trial.candidate.network, trial.seed]
        now = study(place, outcome, miniature.sample, before.command)
        is_same = (now.right, now.within) == (before.right, before.within)
        same = same and is_same
        what = f"{now.top1:.2%} now, {'the same answers' if is_same else 'OTHER ANSWERS'}"
        say(f"  {before.network} seed {before.seed}: {before.top1:.2%} then, {what}")
    return same


def describe_row(row: Row) -> str:
    """Return a row in a line."""
    return (
        f"{row.network:<14} seed {row.seed}: top-1 {row.top1:6.1%}, order {row.order_top1:6.1%}, "
        f"look {row.look_top1:6.1%}, within pairs {row.within:6.1%}, reversed "
        f"{row.reversed_within:6.1%}, {row.minutes:.1f} min"
    )


def _study(miniature: Miniature, folder: Path, outcome: Outcome) -> Row:
    place = folder / "trials" / outcome.name
    trial_words = outcome.name.split("-")
    seed = trial_words[-1].removeprefix("s")
    command = f"{COMMAND} --networks {trial_words[0]} --seeds {seed}"
    return study(place, outcome, miniature.sample, command)


def choose(names: str | None, known: Sequence[str], what: str) -> tuple[str, ...]:
    """Return the names that an option chooses; all where it is not given.

    Raises:
        InputError: One is unknown.
    """
    if names is None:
        return tuple(known)
    chosen = tuple(part.strip() for part in names.split(",") if part.strip())
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        word = unknown[0] if unknown else names
        raise InputError(f"unknown {what} {word!r}. Known: {', '.join(known)}.")
    return chosen
