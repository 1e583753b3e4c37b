"""The options of every verb that works on many videos, and what is said while it does."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.terminal import print_error, progress_bar
from s3d.errors import InputError
from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.batch.job import Item, Job, Outcome
    from s3d.batch.results import Results
    from s3d.batch.run import Runner, Summary

SECONDS_BETWEEN_LINES = 60.0
WORKERS_HERE = 2
"""One video is read while another is computed."""


def add_batch_options(parser: argparse.ArgumentParser, out: str | None = None) -> None:
    """Add --ray and --workers, and where it is wanted --out.

    Args:
        parser: The verb's parser.
        out: What is written to --out; None where the verb has that option of its own.
    """
    if out:
        parser.add_argument("--out", metavar="DIR", help=f"write {out} to Parquet files here")
    parser.add_argument(
        "--ray", metavar="ADDRESS",
        help="work on Ray: auto is this machine (or RAY_ADDRESS), HOST:PORT a cluster",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, metavar="N", help=f"videos at a time [{WORKERS_HERE}; Ray: cores]"
    )


def check_batch_options(options: argparse.Namespace) -> bool:
    """Return whether results go to a folder.

    Raises:
        InputError: Options do not go together, or there are no such workers.
    """
    if options.workers is not None and options.workers < 1:
        raise InputError(f"--workers is {options.workers}; at least 1 is needed.")
    if options.out is not None:
        return True
    for name in ("ray", "workers"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} needs --out DIR, where the results go.")
    return False


def absolute_model(model: str) -> str:
    """Return what names a model wherever the work is done: an absolute path, or its name."""
    return os.path.abspath(model) if os.path.exists(model) else model  # noqa: PTH100, PTH110


def choose_runner(
    job: Job, options: argparse.Namespace, workers_here: int = WORKERS_HERE
) -> tuple[Runner, Results | None]:
    """Return who does a job, and the folder that takes its rows.

    Args:
        job: What to do.
        options: Hold --ray, --workers and --out.
        workers_here: Videos at a time in this process, where --workers does not say.

    Raises:
        InputError: The job cannot be opened, or the folder cannot be used.
    """
    from s3d.batch.cluster import Cluster, check_ray, run_on_ray
    from s3d.batch.results import Results
    from s3d.batch.run import run_here

    if options.ray is not None:
        check_ray()
    task = job.open()
    results = Results(Path(options.out), task.settings, task.columns) if task.settings else None
    if options.ray is None:
        return lambda items: run_here(task, items, options.workers or workers_here), results
    cluster = Cluster(options.ray, options.workers)
    return lambda items: run_on_ray(job, items, cluster), results


def do_batch(items: Sequence[Item], run: Runner, results: Results | None, what: str) -> Summary:
    """Do a job, name what fails on stderr, and return what was done.

    Args:
        items: The videos.
        run: Who does it.
        results: Takes the rows.
        what: The word before the bar.

    Raises:
        InputError: The work cannot go on; what was done is kept.
    """
    from s3d.batch.run import run_batch

    teller = _Teller(what)
    if results is None:
        return run_batch(items, run, None, teller)
    with results:
        return run_batch(items, run, results, teller)


def print_summary(summary: Summary, what: str, out: str, unit: str = "video") -> int:
    """Print what was done, and return the exit code: 2 where a video failed."""
    from s3d.batch.results import FAILURES

    parts = [_count(unit, summary.done)]
    parts += [f"{summary.before:,} done before"] if summary.before else []
    parts += [f"{len(summary.failures):,} failed"] if summary.failures else []
    print(f"{what:<10}{', '.join(parts)}")
    print(f"{'in':<10}{show_path(out)}")
    if not summary.failures:
        return 0
    if (Path(out) / FAILURES).exists():
        print(f"{'failed':<10}{show_path(Path(out) / FAILURES)}")
    return 2


class _Teller:
    """Name what fails; show a bar on a terminal, and elsewhere a line a minute."""

    def __init__(self, what: str) -> None:
        self.what, self.bar = what, progress_bar(what)
        self.said = time.monotonic()

    def __call__(self, summary: Summary, outcome: Outcome) -> None:
        if outcome.error is not None:
            print_error(outcome.error)
        if self.bar is not None:
            self.bar(summary.finished, summary.total)
        elif time.monotonic() - self.said > SECONDS_BETWEEN_LINES:
            self.said = time.monotonic()
            failed = f", {len(summary.failures):,} failed" if summary.failures else ""
            line = f"{self.what}: {summary.finished:,} of {summary.total:,}{failed}"
            print(line, file=sys.stderr, flush=True)


def _count(what: str, number: int) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
