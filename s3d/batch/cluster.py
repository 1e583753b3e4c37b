"""A job on Ray: a pool of processes, on this machine or on many, that may die and come again.

Ray Data hands out a few videos at a time and tries them again where a worker died. Videos whose
worker died at every try come again one by one, so that each suffers for its own faults alone; what
then still ends its worker is a failure like any other.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3d.batch.job import Item, Job, Outcome, attempt
from s3d.batch.run import Outcomes
from s3d.errors import InputError
from s3d.files import show_path

RETRIES = 2
TRIES = 2 * (1 + RETRIES)
MOST_AT_ONCE = 8
"""Videos handed out together: so many are lost with a worker."""

STORE_BYTES = 300 * 2**20
"""What Ray keeps in memory of what passes between processes: names and rows."""

CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Cluster:
    """Say where to work.

    Attributes:
        address: "auto" is the cluster that RAY_ADDRESS names, otherwise a Ray of our own on this
            machine; or HOST:PORT, or ray://HOST:PORT.
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
        for size in (_choose_size(len(items), workers), 1):
            for outcome in _pass_once(job, list(left.values()), workers, size):
                if left.pop(outcome.path, None) is not None:
                    yield outcome
            if not left:
                return
    for path in left:
        yield Outcome(path, error=_died(path))


def _died(path: str) -> str:
    return (
        f"{show_path(path)}: its worker died at each of {TRIES} tries, of memory or of a crash. "
        "Try it alone, and leave it out if it fails again."
    )


def _choose_size(items: int, workers: int) -> int:
    return max(1, min(MOST_AT_ONCE, items // (4 * workers)))


class _Worker:
    """One process of the pool: the job is opened once."""

    def __init__(self, job: Job) -> None:
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
        if self.refused:
            return Outcome(item.path, error=self.refused, is_fatal=True)
        return attempt(self.task, item)


def _pass_once(job: Job, items: Sequence[Item], workers: int, size: int) -> Iterator[Outcome]:
    """Hand out every video; those whose worker died too often do not come back."""
    import ray
    from ray.data import ActorPoolStrategy

    data = ray.data.from_items(
        [{"item": pickle.dumps(item)} for item in items],
        override_num_blocks=-(-len(items) // size),
    )
    pool = ActorPoolStrategy(
        min_size=1, max_size=workers, initial_size=workers,
        # One behind another in a worker's queue would die of the other's fault.
        max_tasks_in_flight_per_actor=1 if size == 1 else 2,
    )  # fmt: skip
    found = data.map_batches(
        _Worker, fn_constructor_args=(job,), compute=pool, batch_size=None, batch_format="pyarrow",
        num_cpus=1, num_gpus=1 if job.device == "cuda" else 0,
        max_restarts=-1, max_task_retries=RETRIES,
    )  # fmt: skip
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
    address = cluster.address
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "local"
    folder = _make_short_folder() if address == "local" else None
    try:
        if folder is not None:
            _start(ray, folder, cluster.workers)
        else:
            _join(ray, address)
        _quiet(ray)
        yield cluster.workers or _count_places(ray, job.device)
    finally:
        with contextlib.suppress(Exception):
            ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def check_ray() -> None:
    """Check that Ray can be used.

    Raises:
        InputError: It is not installed.
    """
    _import_ray()


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError(
            "--ray needs Ray, which is not installed. Run: pip install 's3d[cluster]'"
        ) from None
    return ray


def _make_short_folder() -> Path:
    """Return a folder for Ray's files: sockets' paths may have about 100 characters."""
    top = Path("/tmp")
    return Path(tempfile.mkdtemp(prefix="s3d-ray-", dir=top if top.is_dir() else None))


def _start(ray: Any, folder: Path, workers: int | None) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=workers or len(_cores()),
            object_store_memory=STORE_BYTES,
            _temp_dir=str(folder),
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception as error:
        raise _unreachable("on this machine", error) from None


def _cores() -> Sequence[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


def _join(ray: Any, address: str) -> None:
    place = address.removeprefix("ray://")
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536 or not host:
        raise InputError(
            f"--ray {show_path(address)}: is no address. Use auto, HOST:PORT or ray://HOST:PORT."
        )
    try:
        # Ray itself waits for minutes, and may then end the process.
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:
        raise _unreachable(f"at {show_path(address)}", error) from None


def _unreachable(where: str, error: Exception) -> InputError:
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    return InputError(f"no Ray {where} ({reason}). Start it, or use --ray auto.")


def _quiet(ray: Any) -> None:
    """Leave the terminal to our own words, and let a failed batch not end the rest."""
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1


def _count_places(ray: Any, device: str) -> int:
    return max(1, int(ray.cluster_resources().get("GPU" if device == "cuda" else "CPU", 1)))
