"""What a step on many processes needs: shares that fit, gradients added up, draws of their own."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from s3d.errors import InputError
from s3d.models.cost import count_cost
from s3d.models.network import Network
from s3d.models.processes import Processes
from s3d.train.config import TrainConfig
from s3d.train.plan import Plan
from s3d.train.trunk import Trunk

Classify = Callable[[Tensor], Tensor]


def check_shares(config: TrainConfig, processes: Processes) -> None:
    """Check that every process has a clip in every part of a step.

    Raises:
        InputError: The batch is too small.
    """
    needed = processes.world * config.accumulate
    if config.batch < needed:
        parts = f" in {config.accumulate} parts" if config.accumulate > 1 else ""
        raise InputError(
            f"--batch {config.batch} on {processes.world} processes{parts} leaves one without a "
            f"clip; at least {needed} are needed: --batch counts the clips of all together."
        )


def check_norms(config: TrainConfig, plan: Plan, processes: Processes) -> None:
    """Check that no norm is left with one value a channel, of which there is no variance.

    Raises:
        InputError: A process would have one clip, of which the last blocks leave one value.
    """
    shared = 1 if config.sync_norms else processes.world
    if config.batch // config.accumulate // shared > 1:
        return
    spec = plan.spec
    cost = count_cost(plan.word, spec.frames, spec.size_px, num_classes=1, width=0.1)
    if math.prod(cost.blocks[-2].shape[1:]) == 1:
        raise InputError(
            f"--batch {config.batch} on {processes.world} processes in {config.accumulate} parts "
            f"leaves a norm one value a channel of clips of {spec.frames} frames, "
            f"{spec.size_px[0]} px; use a larger --batch, or --sync-norms."
        )


def add_gradients(network: Network, trunk: Trunk | None, processes: Processes) -> Classify:
    """Return what classifies clips, or features of the trunk, and adds gradients up backwards.

    Args:
        network: In training mode, with its first weights, which all then take from the first.
        trunk: Its frozen blocks, if there are any.
        processes: Whose gradients become their mean; alone nothing is changed.
    """
    if processes.is_alone:
        return trunk.classify if trunk else network
    device = next(network.parameters()).device
    # Norms that are not synchronised keep statistics of their own, of which the first's are saved.
    options: dict[str, Any] = {buffer_option(): False}
    return DistributedDataParallel(
        _Tail(trunk) if trunk else network,
        device_ids=[device] if device.type == "cuda" else None,
        gradient_as_bucket_view=True,
        **options,
    )


def buffer_option() -> str:
    """Return the name, which PyTorch 2.13 changed, of what copies buffers before each step."""
    names = inspect.signature(DistributedDataParallel.__init__).parameters
    return "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"


def hold_back(classify: Classify, holds: bool) -> AbstractContextManager[None]:
    """Return what keeps gradients of one part to their process until the last part comes."""
    if holds and isinstance(classify, DistributedDataParallel):
        held: AbstractContextManager[None] = classify.no_sync()
        return held
    return nullcontext()


def seed_dropout(seed: int, step: int, rank: int, part: int) -> tuple[int, ...]:
    """Seed what is dropped in a part of a step; return the seed of how its clips are mixed.

    All follows from the four numbers, so that a resumed run drops the same values.
    """
    if rank == part == 0:
        torch.manual_seed(seed * 1_000_003 + step)
        return seed, step
    state = np.random.SeedSequence((seed, step, rank, part)).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0] >> np.uint64(1)))
    return seed, step, rank, part


def describe_processes(config: TrainConfig, processes: Processes, device: str) -> list[str]:
    """Return what is worth saying of how a step is divided, a line each."""
    lines = []
    if not processes.is_alone:
        norms = "all processes" if config.sync_norms else "its own process"
        lines.append(
            f"{processes.world} processes share every batch of {config.batch} clips; a norm sees "
            f"the clips of {norms} (--sync-norms)"
        )
    if config.accumulate > 1:
        lines.append(
            f"a step is done in {config.accumulate} parts; a norm sees one of them (--accumulate)"
        )
    # torchrun says 1 to every process where nobody said anything.
    if processes.local_world > 1 and device == "cpu" and os.environ.get("OMP_NUM_THREADS") == "1":
        lines.append("each process computes with 1 thread (OMP_NUM_THREADS)")
    return lines


class _Tail(nn.Module):
    """What is trained behind frozen blocks, as a module of its own."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.tail, self._classify = trunk.tail, trunk.classify

    def forward(self, features: Tensor) -> Tensor:
        return self._classify(features)
