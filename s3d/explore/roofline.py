"""What bounds each block on this machine: its work, the machine's peaks, and the time it takes.

The peaks are measured here: of arithmetic by products of large square matrices, of memory by copies
of arrays larger than most caches. A block's predicted time is the longer of those that arithmetic
and memory alone would take. Its measured time is that of an engine which is given what the block
before gave. All on the CPU, in single precision, by PyTorch's number of threads.

Source: Williams, Waterman and Patterson, "Roofline" (2009).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.infer.engines.engine import Engine
from s3d.infer.engines.measure import draw_noise
from s3d.models.cost import BlockCost, Cost, count_cost
from s3d.models.graph import STEPS
from s3d.models.network import Network

SIDE = 2048
"""Of the square matrices whose product tells the peak of arithmetic."""

COPY_BYTES = 2**28
"""Of the array whose copy tells the peak of memory."""

PEAK_ROUNDS = 9
WARM_ROUNDS = 2


@dataclass(frozen=True)
class Peaks:
    """Hold the most that simple code gets out of a machine.

    Attributes:
        macs_per_second: Multiply-adds.
        bytes_per_second: Read and written.
    """

    macs_per_second: float
    bytes_per_second: float

    @property
    def ridge_macs_per_byte(self) -> float:
        """Return from how many multiply-adds a byte on arithmetic is what bounds."""
        return self.macs_per_second / self.bytes_per_second

    def predict_ms(self, block: BlockCost) -> float:
        """Return the longer of the times that a block's arithmetic and memory alone would take."""
        arithmetic = block.macs / self.macs_per_second
        return 1e3 * max(arithmetic, block.moved_bytes / self.bytes_per_second)


@dataclass(frozen=True)
class EngineTimes:
    """Hold how long an engine takes for one clip: medians.

    Attributes:
        engine: Its name.
        block_ms: Of each block by itself, given what the one before gave.
        whole_ms: Of the network in one go. Engines do some work of two blocks in one pass, and hand
            less over, so this may be less than the sum of the blocks.
    """

    engine: str
    block_ms: tuple[float, ...]
    whole_ms: float


@dataclass(frozen=True)
class Roofline:
    """Hold what a network costs on a machine, by block.

    Attributes:
        cost: The work.
        peaks: Of the machine.
        times: Of each engine, the one that is asked about first.
        runs: How often each was timed.
    """

    cost: Cost
    peaks: Peaks
    times: tuple[EngineTimes, ...]
    runs: int

    @property
    def predicted_ms(self) -> tuple[float, ...]:
        """Return the predicted time of each block."""
        return tuple(map(self.peaks.predict_ms, self.cost.blocks))

    @property
    def shares(self) -> tuple[float, ...]:
        """Return each block's share of the roof: predicted time over the first engine's.

        More than 1 is no error: multiply-adds and bytes are those of the plain network, and an
        engine may need fewer.
        """
        pairs = zip(self.predicted_ms, self.times[0].block_ms, strict=True)
        return tuple(predicted / measured for predicted, measured in pairs)

    @property
    def whole_share(self) -> float:
        """Return the share of the roof of the network in one go."""
        return sum(self.predicted_ms) / self.times[0].whole_ms


def measure_peaks(
    rounds: int = PEAK_ROUNDS, side: int = SIDE, copy_bytes: int = COPY_BYTES
) -> Peaks:
    """Return the most multiply-adds and bytes a second that simple code gets out of this machine.

    Args:
        rounds: How often each is tried, in turn; the fastest counts.
        side: Of the square matrices.
        copy_bytes: Of the array that is copied.
    """
    a, b, c = (torch.rand(side, side) for _ in range(3))
    source, target = torch.ones(copy_bytes // 4), torch.zeros(copy_bytes // 4)
    products, copies = [], []
    for _ in range(WARM_ROUNDS + rounds):
        products.append(_seconds(lambda: torch.mm(a, b, out=c)))
        copies.append(_seconds(lambda: target.copy_(source)))
    return Peaks(
        side**3 / min(products[WARM_ROUNDS:]),
        2 * 4 * source.numel() / min(copies[WARM_ROUNDS:]),
    )


def measure_roofline(
    network: Network, spec: ClipSpec, engines: Sequence[str], runs: int, peaks: Peaks
) -> Roofline:
    """Measure a network's blocks on this machine.

    Args:
        network: In eval mode, on the CPU.
        spec: The clip.
        engines: By which each block is run, in turn; shares of the roof are those of the first.
        runs: Timed runs of each, after one that is not.
        peaks: Of this machine.

    Raises:
        InputError: The network cannot take the clip, an engine cannot run here, or runs is below 1.
    """
    if runs < 1:
        raise InputError(f"runs is {runs}; at least 1 is needed.")
    cost = count_cost(network, spec.frames, spec.size_px)
    # An engine for each block: one for all could let go of a block that it is asked for again.
    parts = {name: [Engine(network, spec, name) for _ in (*STEPS, "whole")] for name in engines}
    frames = draw_noise(spec, 1)
    seconds: dict[str, list[list[float]]] = {name: [] for name in engines}
    for _ in range(1 + runs):
        for name in parts:
            seconds[name].append(_time_parts(parts[name], frames))
    times = tuple(_medians(name, seconds[name][1:]) for name in parts)
    return Roofline(cost, peaks, times, runs)


def _time_parts(engines: Sequence[Engine], frames: Tensor) -> list[float]:
    """Return the seconds of each block, given what the one before gave, and of the whole."""
    *of_blocks, of_whole = engines
    x, after, seconds = frames, None, []
    for engine, name in zip(of_blocks, STEPS, strict=True):
        begin = time.perf_counter()
        x = engine.run(x, after, name)
        seconds.append(time.perf_counter() - begin)
        after = name
    return [*seconds, _seconds(lambda: of_whole.logits(frames))]


def _medians(engine: str, rounds: Sequence[Sequence[float]]) -> EngineTimes:
    *blocks, whole = (1e3 * statistics.median(part) for part in zip(*rounds, strict=True))
    return EngineTimes(engine, tuple(blocks), whole)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
