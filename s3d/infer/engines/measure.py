"""How long each engine takes on this machine, in turn, so that noise falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.infer.engines.engine import EAGER, LONGEST_REASON, Engine, usable_engines
from s3d.infer.engines.memory import forget_peak, read_peak
from s3d.models.network import Network

TOLERANCE = 1e-4
"""Of the norm of the logits: an engine that differs by more from eager is not taken."""

HALF_TOLERANCE = 2e-2
"""The same where an engine computes in half precision."""

THROUGHPUT_PIXELS = 4 * 64 * 224 * 224
"""Pixels of a batch by which throughput is measured."""

MOST_CLIPS = 8


@dataclass(frozen=True)
class EngineFigures:
    """Hold what was measured of one engine.

    Attributes:
        name: The engine.
        load_ms: Until it is ready for a shape, imports and the first run included.
        latency_ms: Median of one clip.
        clips_per_second: Of a batch of `batch` clips.
        batch: That batch.
        memory_bytes: The most it added, until its first run had ended, to what the process held
            (on a GPU, to what was allocated there); None where the system does not say.
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
        Figures of each, the fastest of those that are equal to eager first, those that cannot run
        last.

    Raises:
        InputError: The network cannot take the clip, or there is no such engine.
    """
    names = usable_engines(next(network.parameters()).device.type) if names is None else names
    one = draw_noise(spec, 1)
    eager = _Trial(Engine(network, spec, EAGER))
    wanted = eager.begin(one)
    trials = [eager if n == EAGER else _Trial(Engine(network, spec, n)) for n in names]
    for trial in trials:
        if trial is not eager:
            trial.begin_beside(one, wanted)
    _time_in_turn(trials, one, runs)
    batch = max(1, min(MOST_CLIPS, THROUGHPUT_PIXELS // int(np.prod(one.shape[1:4]))))
    if measures_batch:
        many = one if batch == 1 else draw_noise(spec, batch)
        for trial in trials:
            trial.time(many)  # What a new shape needs is prepared.
        _time_in_turn(trials, many, max(1, runs // 2))
    found = [trial.figures(len(one), batch) for trial in trials]
    return sorted(found, key=lambda f: (f.error is not None, not f.is_equal, f.latency_ms))


class _Trial:
    """An engine on its way through the measurement; an error ends its way, and no other's."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.load_ms, self.difference = 0.0, 0.0
        self.memory_bytes: int | None = None
        self.error: str | None = None
        self.seconds: dict[int, list[float]] = {}

    def begin(self, frames: Tensor) -> Tensor:
        """Run once, take down what that took, and return the logits."""
        device = self.engine.device
        before = forget_peak(device)
        begin = time.perf_counter()
        logits = self.engine.logits(frames)
        self.load_ms = 1e3 * (time.perf_counter() - begin)
        peak = read_peak(device)
        self.memory_bytes = None if before is None or peak is None else max(0, peak - before)
        return logits

    def begin_beside(self, frames: Tensor, wanted: Tensor) -> None:
        """Run once, and compare the logits with eager's."""
        try:
            logits = self.begin(frames)
        except Exception as error:  # A foreign runtime raises anything; another can do the work.
            self.error = _reason(error)
            return
        self.difference = float((logits - wanted).norm() / wanted.norm().clamp_min(1e-30))

    def time(self, frames: Tensor) -> float | None:
        """Return the seconds that a run takes; None where it fails, now or before."""
        if self.error is not None:
            return None
        begin = time.perf_counter()
        try:
            self.engine.logits(frames)
        except Exception as error:
            self.error = _reason(error)
            return None
        return time.perf_counter() - begin

    def figures(self, one: int, batch: int) -> EngineFigures:
        """Return what was found: of runs of one clip, and of those of a batch."""
        name = self.engine.name
        if self.error is not None:
            return EngineFigures(name, error=self.error)
        rate = batch / statistics.median(self.seconds[batch]) if batch in self.seconds else 0.0
        latency_ms = 1e3 * statistics.median(self.seconds[one])
        return EngineFigures(
            name, self.load_ms, latency_ms, rate, batch, self.memory_bytes, self.difference
        )


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:LONGEST_REASON]


def _time_in_turn(trials: Sequence[_Trial], frames: Tensor, runs: int) -> None:
    for _ in range(runs):
        for trial in trials:
            if (seconds := trial.time(frames)) is not None:
                trial.seconds.setdefault(len(frames), []).append(seconds)


def draw_noise(spec: ClipSpec, batch: int) -> Tensor:
    """Return frames (B, T, H, W, C) uint8 of noise, the same each time."""
    shape = (batch, spec.frames, *spec.size_px, spec.channels)
    return torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
