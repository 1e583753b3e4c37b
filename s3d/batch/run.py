"""Do a job on videos: in this process, or on Ray; the results are the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from s3d.batch.job import Item, Outcome, Task, attempt
from s3d.batch.results import Results
from s3d.data.loader import run_ahead
from s3d.errors import InputError

Outcomes = Generator[Outcome, None, None]
Runner = Callable[[Sequence[Item]], Outcomes]
"""Gives what becomes of each video once, in any order."""


@dataclass
class Summary:
    """Count what was done.

    Attributes:
        total: Videos there are.
        done: Done now.
        before: Done by an earlier call.
        failures: (path, reason) of those that failed.
        seconds: What it took.
    """

    total: int
    done: int = 0
    before: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def finished(self) -> int:
        """Return how many there is nothing left to do for."""
        return self.done + self.before + len(self.failures)


def run_here(task: Task, items: Sequence[Item], workers: int) -> Outcomes:
    """Yield what becomes of each video, in order; threads read some while others are worked on.

    Args:
        task: The opened job.
        items: The videos.
        workers: Videos worked on at a time.
    """
    yield from run_ahead(lambda item: attempt(task, item), items, workers, ahead=workers)


def run_batch(
    items: Sequence[Item],
    run: Runner,
    results: Results | None,
    tell: Callable[[Summary, Outcome], None],
) -> Summary:
    """Do what is left to do.

    Args:
        items: All videos.
        run: Does the work.
        results: Takes the rows, and knows what is done; None where the job writes files.
        tell: Told of each video.

    Raises:
        InputError: The work cannot go on; what was done is kept.
    """
    begin = time.perf_counter()
    left = items if results is None else results.leave_out(items)
    summary = Summary(len(items), before=len(items) - len(left))
    with closing(run(left)) as outcomes:
        for outcome in outcomes:
            _take(outcome, summary, results)
            tell(summary, outcome)
    summary.seconds = time.perf_counter() - begin
    return summary


def _take(outcome: Outcome, summary: Summary, results: Results | None) -> None:
    if outcome.is_fatal:
        raise InputError(outcome.error or "the work cannot go on.")
    if results is not None:
        results.add(outcome)
    if outcome.error is not None:
        summary.failures.append((outcome.path, outcome.error))
    elif outcome.is_old:
        summary.before += 1
    else:
        summary.done += 1
