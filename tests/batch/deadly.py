"""A job whose worker dies over some videos: `python -m tests.batch.deadly OUT` runs it on Ray."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3d.batch.cluster import Cluster, run_on_ray
from s3d.batch.job import Item, Outcome
from s3d.batch.results import Results
from s3d.batch.run import run_batch
from s3d.errors import InputError


@dataclass(frozen=True)
class DeadlyJob:
    device: str = "cpu"

    def open(self) -> DeadlyTask:
        return DeadlyTask()


class DeadlyTask:
    columns: Mapping[str, str] = {"path": "string", "worker": "int64"}
    settings: Mapping[str, Any] = {"verb": "test"}

    def __call__(self, item: Item) -> Outcome:
        if "deadly" in item.path:
            os.kill(os.getpid(), signal.SIGKILL)
        if "odd" in item.path:
            raise RuntimeError("boom")
        return Outcome(item.path, ({"worker": os.getpid()},))


@dataclass(frozen=True)
class RefusedJob:
    """Open here, and nowhere else."""

    device: str = "cpu"

    def open(self) -> DeadlyTask:
        raise InputError("m.safetensors: no such file.")


def start() -> None:
    """Work on 30 videos of which one is deadly, then on one that no worker can begin with."""
    names = [f"v{n}" for n in range(28)]
    items = [Item(name, name) for name in (*names[:9], "deadly", *names[9:], "odd")]
    with Results(Path(sys.argv[1]), DeadlyTask.settings, DeadlyTask.columns) as results:
        summary = run_batch(
            items,
            lambda left: run_on_ray(DeadlyJob(), left, Cluster("auto", 2)),
            results,
            lambda summary, outcome: None,
        )
    print(summary.done, len(summary.failures))
    try:
        run_batch(
            items[:1],
            lambda left: run_on_ray(RefusedJob(), left, Cluster("auto", 1)),
            None,
            lambda summary, outcome: None,
        )
    except InputError as error:
        print(error)


if __name__ == "__main__":
    start()
