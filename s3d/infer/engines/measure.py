"""How long each engine takes on this machine, in turn, so that noise falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.infer.engines.engine import EAGER, Engine, usable_engines
from s3d.models.network import Network

TOLERANCE = 1e-4
"""Of the norm of the logits: an engine that differs by more from eager is not taken."""

HALF_TOLERANCE = 2e-2
"""The same where an engine computes in half precision."""

THROUGHPUT_PIXELS = 4 * 64 * 224 * 224
"""Pixels of a batch by which throughput is measured."""

MOST_CLIPS = 8
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class EngineFigures:
    """Hold what was measured of one engine.

    Attributes:
        name: The engine.
        load_ms: Until it is ready for a shape, the first run included.
        latency_ms: Median of one clip.
        clips_per_second: Of a batch of `batch` clips.
        batch: That batch.
        memory_bytes: The most it added to the process; None where the system does not say.
        difference: Of its logits from eager's, as a share of their norm.
        error: Why it cannot run; the figures are then 0.
    """

    name: str
    load_ms: float = 0.0
    latency_ms: float = 0.0
    clips_per_second: float = 0.0
    batch: int = 1
    memory_bytes: int | None = None
    difference: float = 0.0
    error: str | None = None

    @property
    def is_equal(self) -> bool:
        """Return whether its answers are those of eager."""
        limit = HALF_TOLERANCE if self.name == "half" else TOLERANCE
        return self.error is None and self.difference <= limit

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        return asdict(self)


def measure_engines(
    network: Network,
    spec: ClipSpec,
    names: Sequence[str] | None = None,
    runs: int = 5,
    measures_batch: bool = True,
) -> list[EngineFigures]:
    """Measure engines on clips of noise.

    Args:
        network: In eval mode, where it is to run.
        spec: The clip.
        names: Which engines; None is all that can run here.
        runs: Timed runs of each, after one that is not.
        measures_batch: Measure throughput too.

    Returns:
        Figures of each, the fastest of those that are equal to eager first.
    """
    device = next(network.parameters()).device.type
    names = usable_engines(device) if names is None else names
    one = _noise(spec, 1)
    wanted = Engine(network, spec, EAGER).logits(one)
    ready = [_prepare(Engine(network, spec, name), one, wanted) for name in names]
    engines = [(engine, found) for engine, found in ready if engine is not None]
    latencies = _time_in_turn([engine for engine, _ in engines], one, runs)
    batch = max(1, min(MOST_CLIPS, THROUGHPUT_PIXELS // int(np.prod(one.shape[1:4]))))
    many, rates = _noise(spec, batch), [0.0] * len(engines)
    if measures_batch:
        for engine, _ in engines:
            engine.logits(many)
        seconds = _time_in_turn([engine for engine, _ in engines], many, max(1, runs // 2))
        rates = [batch / s for s in seconds]
    found = [
        EngineFigures(
            engine.name, first.load_ms, 1e3 * latency, rate, batch, first.memory_bytes,
            first.difference,
        )
        for (engine, first), latency, rate in zip(engines, latencies, rates, strict=True)
    ]  # fmt: skip
    failed = [first for engine, first in ready if engine is None]
    return sorted(found, key=lambda f: (not f.is_equal, f.latency_ms)) + failed


def _noise(spec: ClipSpec, batch: int) -> Tensor:
    shape = (batch, spec.frames, *spec.size_px, spec.channels)
    return torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def _prepare(engine: Engine, frames: Tensor, wanted: Tensor) -> tuple[Engine | None, EngineFigures]:
    """Return an engine that has run once, and what that told; None where it cannot run."""
    before = _forget_peak()
    begin = time.perf_counter()
    try:
        found = engine.logits(frames)
    except Exception as error:  # Whatever a foreign runtime raises, another engine can do the work.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return None, EngineFigures(engine.name, error=reason[:200])
    load_ms = 1e3 * (time.perf_counter() - begin)
    peak = _read_status("VmHWM")
    memory = None if before is None or peak is None else max(0, peak - before)
    difference = float((found - wanted).norm() / wanted.norm().clamp_min(1e-30))
    first = EngineFigures(engine.name, load_ms=load_ms, memory_bytes=memory, difference=difference)
    return engine, first


def _time_in_turn(engines: Sequence[Engine], frames: Tensor, runs: int) -> list[float]:
    seconds: list[list[float]] = [[] for _ in engines]
    for _ in range(runs):
        for engine, times in zip(engines, seconds, strict=True):
            begin = time.perf_counter()
            engine.logits(frames)
            times.append(time.perf_counter() - begin)
    return [statistics.median(times) for times in seconds]


def _forget_peak() -> int | None:
    """Return the bytes this process holds now, from which its peak is counted anew."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return None
    return _read_status("VmRSS")


def _read_status(name: str) -> int | None:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(found[0]) if found else None
