"""The processes that compute together, as torchrun starts them, and what they tell one another.

One that fails ends all: each of the others sees its connection closed, and one of them speaks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, zip_longest
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous

from s3d.errors import InputError

Value = TypeVar("Value")
Item = TypeVar("Item")

STEP_TIMEOUT = timedelta(minutes=30)
"""After which a process that does not answer is given up."""
WAIT_TIMEOUT = timedelta(days=3)
"""The same while one process works for all: decoding a large data set takes hours."""
SILENT_SECONDS = 5.0
FAILED, INTERRUPTED = 2, 130
NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_NOTHING: Any = object()


@dataclass(frozen=True)
class Processes:
    """Say which process this is, of how many, and speak with the others.

    Every method is called by all processes, in the same order; alone it costs nothing.

    Attributes:
        rank: Number of this process, from 0.
        world: How many there are.
        local_rank: Its number on this machine, which is that of its GPU.
        local_world: How many there are on this machine.
        patient: The group in which processes wait for one another.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    patient: Any = None

    @property
    def is_first(self) -> bool:
        """Return whether this one writes and speaks for all."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Return whether there are no others."""
        return self.world == 1

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's share of a list that all have."""
        return items[self.rank :: self.world]

    def wait(self) -> None:
        """Wait, for days if need be, until all have come here."""
        if not self.is_alone:
            dist.barrier(group=self.patient)

    def first(self, work: Callable[[], Value]) -> Value:
        """Let the first process alone do some work; return to all what it gave."""
        if self.is_alone:
            return work()
        given = [work() if self.is_first else None]
        self.wait()
        dist.broadcast_object_list(given, src=0)
        value: Any = given[0]
        return value  # type: ignore[no-any-return]

    def in_turn(self, work: Callable[[], Value]) -> Value:
        """Let one process do what the others then find done.

        The first one begins; then the first of every other machine, which may have a disk of its
        own; then all the rest.
        """
        turn = 0 if self.is_first else 1 if self.local_rank == 0 else 2
        value = _NOTHING
        for current in range(3):
            if current == turn:
                value = work()
            self.wait()
        result: Value = value
        return result

    def gather(self, value: Value) -> list[Value]:
        """Return what each process gave, by rank."""
        if self.is_alone:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def collect(self, items: Sequence[Item]) -> list[Item]:
        """Return the whole list of which each process has the `share` it gives."""
        mixed = chain.from_iterable(zip_longest(*self.gather(items), fillvalue=_NOTHING))
        return [item for item in mixed if item is not _NOTHING]

    def add_up(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all processes."""
        if self.is_alone:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return [float(value) for value in sums]

    @torch.no_grad()
    def copy_first(self, network: nn.Module) -> None:
        """Give a network everywhere the weights and statistics it has in the first process."""
        if self.is_alone:
            return
        for tensor in network.state_dict().values():
            copied = tensor.detach().contiguous()
            dist.broadcast(copied, src=0)
            tensor.copy_(copied)


ALONE = Processes()


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started; without torchrun, be alone.

    What goes wrong in one of them ends all: one says why, the others end with exit code 2.

    Args:
        device: "cpu", "cuda" or "auto": where is computed, which decides how they speak.

    Raises:
        InputError: The others cannot be reached or have ended, or there are more processes than
            GPUs.
    """
    if not all(name in os.environ for name in NEEDED) or os.environ["WORLD_SIZE"] == "1":
        yield ALONE
        return
    rank, world = (int(os.environ[name]) for name in NEEDED[:2])
    store = _reach(rank, world)
    try:
        with_gpu = device != "cpu" and torch.cuda.is_available()
        processes = _join(store, rank, world, with_gpu)
        yield processes
        processes.wait()
        dist.destroy_process_group()
    except KeyboardInterrupt:
        if rank == 0:
            raise
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        lost = isinstance(error, RuntimeError) and _is_loss(error)
        if not _is_first_to_speak(store):
            # torchrun ends all others with the first that ends: that must be the one that speaks.
            time.sleep(SILENT_SECONDS)
            raise SystemExit(FAILED) from None
        if lost:
            raise InputError(
                f"process {rank} of {world} has lost another, which was ended or does not answer. "
                "The same command goes on where a training run stood."
            ) from None
        raise


def _reach(rank: int, world: int) -> Any:
    """Return the store through which the processes find one another."""
    try:
        store, _, _ = next(iter(rendezvous("env://", rank, world, timeout=STEP_TIMEOUT)))
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"process {rank} of {world} cannot reach the first at {where}: {reason}"
        ) from None
    return store


def _join(store: Any, rank: int, world: int, with_gpu: bool) -> Processes:
    local_rank, local_world = (int(os.environ[name]) for name in NEEDED[2:4])
    backend = "cpu:gloo,cuda:nccl" if with_gpu else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=STEP_TIMEOUT)
    patient = dist.new_group(backend="gloo", timeout=WAIT_TIMEOUT)
    if with_gpu:
        gpus = torch.cuda.device_count()
        if local_rank >= gpus:
            raise InputError(
                f"{local_world} processes on a machine where PyTorch sees {gpus} GPUs; each needs "
                f"its own. Use --nproc-per-node {gpus}, or --device cpu."
            )
        torch.cuda.set_device(local_rank)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // local_world))
    return Processes(rank, world, local_rank, local_world, patient)


def _is_loss(error: RuntimeError) -> bool:
    """Return whether it was the others that failed; gloo says so in a plain RuntimeError."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _is_first_to_speak(store: Any) -> bool:
    try:
        return bool(store.add("s3d/spoken", 1) == 1)
    except RuntimeError:  # The store went with the first process.
        return True
