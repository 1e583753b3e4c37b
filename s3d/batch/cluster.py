"""A job on Ray: a pool of processes, on this machine or on many, that may die and come again.

Ray Data hands out a few videos at a time, and hands them out again for ever where a worker died. So
a ledger counts how often work on a video began and never ended; a video that has ended its worker
too often is a failure like any other, and its neighbours do not suffer for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3d.batch.job import Item, Job, Outcome, attempt
from s3d.batch.lock import LOCK, lock_folder
from s3d.batch.run import Outcomes
from s3d.errors import InputError
from s3d.files import show_path

TRIES = 3
"""So many workers may die over one video."""

MOST_AT_ONCE = 8
"""Videos handed out together: so many are lost with a worker."""

STORE_BYTES = 300 * 2**20
"""What Ray keeps in memory of what passes between processes: names and rows."""

CONNECT_SECONDS = 10.0
FOLDER = "s3d-ray-"

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
}
"""Of Ray: no telemetry, no bars, no log of its own on our terminal."""


@dataclass(frozen=True)
class Cluster:
    """Say where to work.

    Attributes:
        address: "auto" is the cluster that RAY_ADDRESS names, otherwise a Ray of our own on this
            machine; or HOST:PORT of a cluster's head, from a machine of that cluster.
        workers: Processes; None is one for each core, or GPU where the work is done on GPUs.
    """

    address: str = "auto"
    workers: int | None = None


def run_on_ray(job: Job, items: Sequence[Item], cluster: Cluster) -> Outcomes:
    """Yield what becomes of each video once, in any order.

    Args:
        job: What to do.
        items: The videos. Their paths, the model and the place of results must mean the same on
            every machine.
        cluster: Where.

    Raises:
        InputError: Ray is not installed or cannot be reached, or its workers cannot begin.
    """
    if not items:
        return
    with _joined(cluster, job) as workers:
        left = {item.path: item for item in items}
        for outcome in _hand_out(job, items, workers):
            if left.pop(outcome.path, None) is not None:
                yield outcome
    for path in left:
        yield Outcome(path, error=f"{show_path(path)}: Ray gave no result. Start again for it.")


def _choose_size(items: int, workers: int) -> int:
    return max(1, min(MOST_AT_ONCE, items // (4 * workers)))


class _Ledger:
    """Count for each video how often work on it began and never ended."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()

    def begin(self, path: str) -> int:
        """Note that work begins, and return how many times it did without an end."""
        self.begun[path] += 1
        return self.begun[path]

    def end(self, path: str) -> None:
        """Note that work has ended."""
        self.begun.pop(path, None)


class _Worker:
    """One process of the pool: the job is opened once."""

    def __init__(self, job: Job, ledger: Any) -> None:
        self.ledger = ledger
        self.refused: str | None = None
        try:
            self.task = job.open()
        except InputError as error:
            self.refused = f"on {socket.gethostname()}: {error}"

    def __call__(self, batch: Any) -> Any:
        import pyarrow as pa

        found = [self._work(pickle.loads(packed)) for packed in batch["item"].to_pylist()]
        # Pickled, as Ray pickles all that passes between its processes.
        return pa.table({"outcome": pa.array(map(pickle.dumps, found), pa.large_binary())})

    def _work(self, item: Item) -> Outcome:
        import ray

        if self.refused:
            return Outcome(item.path, error=self.refused, is_fatal=True)
        if ray.get(self.ledger.begin.remote(item.path)) > TRIES:
            return Outcome(
                item.path,
                error=f"{show_path(item.path)}: its worker died {TRIES} times over it, of memory "
                "or of a crash. Try it alone, and leave it out if it fails again.",
            )
        outcome = attempt(self.task, item)
        self.ledger.end.remote(item.path)
        return outcome


def _hand_out(job: Job, items: Sequence[Item], workers: int) -> Iterator[Outcome]:
    """Yield what becomes of the videos, as it comes; of some twice where a worker died."""
    import ray
    from ray.data import ActorPoolStrategy

    size = _choose_size(len(items), workers)
    data = ray.data.from_items(
        [{"item": pickle.dumps(item)} for item in items],
        override_num_blocks=-(-len(items) // size),
    )
    ledger = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Ledger).remote()
    # Workers and their work come again without limit: so Ray Data has it where nothing is said.
    found = data.map_batches(
        _Worker,
        fn_constructor_args=(job, ledger),
        compute=ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1,
        num_gpus=1 if job.device == "cuda" else 0,
    )
    try:
        for row in found.iter_rows():
            yield pickle.loads(row["outcome"])
    except ray.exceptions.RayError as error:
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
        raise InputError(
            f"Ray ended the work: {reason.strip()}. What is done is kept; every machine needs s3d "
            "of this version, the model and the videos."
        ) from None


@contextlib.contextmanager
def _joined(cluster: Cluster, job: Job) -> Iterator[int]:
    """Be in a cluster, and yield how many workers there are to be."""
    ray = _import_ray()
    if ray.is_initialized():  # By whoever calls us from Python: it is theirs to end.
        _quiet(ray)
        yield cluster.workers or _count_places(ray, job.device)
        return
    address = cluster.address
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "local"
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_short_folder()) if address == "local" else None
        stack.callback(ray.shutdown)
        if folder is not None:
            _start(ray, folder, cluster.workers)
        else:
            _join(ray, address)
        _quiet(ray)
        yield cluster.workers or _count_places(ray, job.device)


def check_ray() -> None:
    """Check that Ray can be used.

    Raises:
        InputError: It is not installed.
    """
    _import_ray()


def _import_ray() -> Any:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError(
            "--ray needs Ray, which is not installed. Run: pip install 's3d[cluster]'"
        ) from None
    return ray


@contextlib.contextmanager
def _short_folder() -> Iterator[Path]:
    """Have a folder for Ray's files: the paths of its sockets may have about 100 characters."""
    top = Path("/tmp")
    folder = Path(tempfile.mkdtemp(prefix=FOLDER, dir=top if top.is_dir() else None))
    lock = lock_folder(folder)
    _sweep(folder)
    try:
        yield folder
    finally:
        if lock is not None:
            lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(own: Path) -> None:
    """Remove the folders of processes that were killed."""
    for left in own.parent.glob(f"{FOLDER}*/{LOCK}"):
        with contextlib.suppress(InputError):  # Somebody else's.
            lock = lock_folder(left.parent) if left.parent != own else None
            if lock is not None:
                lock.close()
                shutil.rmtree(left.parent, ignore_errors=True)


def _start(ray: Any, folder: Path, workers: int | None) -> None:
    try:
        _init(
            ray,
            address="local",
            num_cpus=workers or len(_cores()),
            object_store_memory=STORE_BYTES,
            _temp_dir=str(folder),
            include_dashboard=False,
        )
    except Exception as error:
        raise _unreachable("on this machine", error) from None


def _cores() -> Sequence[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


def _join(ray: Any, address: str) -> None:
    host, colon, port = address.rpartition(":")
    if "://" in address:
        raise InputError(
            f"--ray {show_path(address)}: Ray Data does not work through Ray's client. Give the "
            "HOST:PORT of the head, on a machine of the cluster."
        )
    if not colon or not port.isdigit() or not 0 < int(port) < 65536 or not host:
        raise InputError(f"--ray {show_path(address)}: is no address. Use auto or HOST:PORT.")
    try:
        # Ray itself waits for minutes, and may then end the process.
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        _init(ray, address=address)
    except Exception as error:
        raise _unreachable(f"at {show_path(address)}", error) from None


def _init(ray: Any, **options: Any) -> None:
    """Start or join without a word: Ray's own code tells the terminal how loud it will be."""
    kept, silence = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        ray.init(**options, logging_level=logging.ERROR, log_to_driver=False)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silence)


def _unreachable(where: str, error: Exception) -> InputError:
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    return InputError(
        f"no Ray {where} ({reason}). Start it, or use --ray auto; if it asks for a token, set "
        "RAY_AUTH_MODE=token."
    )


def _quiet(ray: Any) -> None:
    """Leave the terminal to our own words, and let a failed batch not end the rest."""
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1


def _count_places(ray: Any, device: str) -> int:
    return max(1, int(ray.cluster_resources().get("GPU" if device == "cuda" else "CPU", 1)))
