"""Many trials: one process each here, or on Ray; whatever happens to one, the others go on.

A trial in a process of its own gives back all its memory, and one that crashes is a row. Trials
side by side on a thread each make more of the cores than one trial on all of them: a second thread
makes a small network 1.2 to 1.6 times as fast.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3d.batch.cluster import Cluster, run_on_ray
from s3d.batch.job import Item
from s3d.batch.job import Outcome as Done
from s3d.errors import InputError
from s3d.explore.trial import Outcome, read_outcome, run_trial
from s3d.train.plan import count_cores

TELL_SECONDS = 1.0
LAST_WORDS = 300
"""Characters of what a process said before it died."""

Tell = Callable[[Outcome], None]


@dataclass(frozen=True)
class TrialJob:
    """Run trials as a job on Ray: an item is a trial's folder."""

    device: str

    def open(self) -> TrialTask:
        """Return what runs a trial."""
        return TrialTask()


class TrialTask:
    """Run one trial; its rows lie in its folder."""

    columns: dict[str, str] = {}  # noqa: RUF012 - the protocol asks for it; there are no rows
    settings: dict[str, str] = {}  # noqa: RUF012

    def __call__(self, item: Item) -> Done:
        """Train and score."""
        return Done(item.path, error=run_trial(Path(item.path)).error)


def run_trials(
    places: Sequence[Path], workers: int, tell: Tell, threads: int | None = None
) -> list[Outcome]:
    """Run trials, some at a time, each in a process of its own.

    Args:
        places: Their folders.
        workers: Trials at a time.
        tell: Called with each outcome as it comes, in any order.
        threads: Of each trial: with another number it rounds otherwise. None is its share of the
            cores.

    Returns:
        The outcome of each, in the order of `places`.
    """
    found: dict[Path, Outcome] = {}

    def note(place: Path, outcome: Outcome) -> None:
        found[place] = outcome
        tell(outcome)

    left = list(places)
    for place in places:
        outcome = read_outcome(place)
        if outcome is not None and outcome.error is None:
            left.remove(place)
            note(place, outcome)
    with _processes(workers, threads or max(1, count_cores() // workers)) as start:
        waiting = {start(place): place for place in left}
        while waiting:
            done, _ = wait(waiting, TELL_SECONDS, return_when="FIRST_COMPLETED")
            for future in done:
                note(waiting.pop(future), future.result())
    return [found[place] for place in places]


def run_trials_on_ray(
    places: Sequence[Path], cluster: Cluster, device: str, tell: Tell
) -> list[Outcome]:
    """Run trials on Ray; `places` lie in a folder that all its machines share.

    Args:
        places: Folders of the trials.
        cluster: Where, and how many at a time.
        device: cpu or cuda.
        tell: Called with each outcome as it comes.

    Raises:
        InputError: Ray cannot be reached, or a machine does not see the folder.
    """
    items = [Item(str(place.absolute()), place.name) for place in places]
    found: dict[str, Outcome] = {}
    for done in run_on_ray(TrialJob(device), items, cluster):
        place = Path(done.path)
        outcome = read_outcome(place) or Outcome(place.name, error=done.error or "gave nothing")
        found[done.path] = outcome
        tell(outcome)
    return [found[item.path] for item in items]


@contextmanager
def _processes(workers: int, threads: int) -> Iterator[Callable[[Path], Future[Outcome]]]:
    """Give what starts a trial; on the way out, whatever still runs is ended."""
    running: set[subprocess.Popen[str]] = set()
    pool = ThreadPoolExecutor(workers)
    try:
        yield lambda place: pool.submit(_run_process, place, threads, running)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running):
            process.kill()
        pool.shutdown(wait=True)


def _run_process(place: Path, threads: int, running: set[subprocess.Popen[str]]) -> Outcome:
    before = read_outcome(place)
    if before is not None:
        (place / "outcome.json").unlink()  # That of a failure: this try has one of its own.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    # The child ends when its standard input does, so it outlives nobody, however we end.
    with subprocess.Popen(
        [sys.executable, "-m", "s3d.explore.work", str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=environment, text=True, errors="replace",
    ) as process:  # fmt: skip
        running.add(process)
        assert process.stderr is not None
        words = process.stderr.read()
        code = process.wait()
        running.discard(process)
    return read_outcome(place) or Outcome(place.name, error=_reason(code, words))


def _reason(code: int, words: str) -> str:
    last = next((line for line in reversed(words.splitlines()) if line.strip()), "")
    how = f"was ended by signal {-code}, perhaps for memory" if code < 0 else f"ended with {code}"
    return f"its process {how}{': ' + last.strip()[-LAST_WORDS:] if last else ''}"


def _end_with_parent() -> None:
    def watch() -> None:
        # Not sys.stdin, whose lock would be held when Python ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(place: str) -> int:
    """Run one trial in this process."""
    _end_with_parent()
    try:
        run_trial(Path(place))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
