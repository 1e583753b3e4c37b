"""What a candidate costs: multiply-adds by counting, milliseconds by measuring, here."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.explore.candidate import Candidate
from s3d.explore.machine import describe_machine
from s3d.files import write_json
from s3d.infer.engines.choose import Tell, choose_engine
from s3d.infer.engines.measure import draw_noise
from s3d.models.cost import count_cost
from s3d.models.network import Network, build
from s3d.models.style import Style

RUNS = 9
LEAST_SECONDS = 0.5
"""A clip of a millisecond is run until this much is measured."""
MOST_RUNS = 200


@dataclass(frozen=True)
class Contract:
    """Say what candidates share of their networks.

    Attributes:
        spec: A clip, but for its frames, size and rate.
        style: The convention of the layers.
        num_classes: Classes.
        device: Where they run.
    """

    spec: ClipSpec
    style: Style
    num_classes: int
    device: str

    def clip(self, candidate: Candidate) -> ClipSpec:
        """Return the clip of a candidate."""
        side = candidate.size_px
        return ClipSpec.from_json(
            {
                **self.spec.to_json(),
                "frames": candidate.frames,
                "rate_fps": candidate.rate_fps,
                "size_px": [side, side],
                "resize_px": [side, side],
            }
        )

    def network(self, candidate: Candidate) -> Network:
        """Return a fresh network of a candidate, where it is to run."""
        return build(
            candidate.network,
            num_classes=self.num_classes,
            style=self.style,
            width=candidate.width,
            channels=self.spec.channels,
        ).to(self.device)


@dataclass(frozen=True)
class Price:
    """Hold what a clip costs.

    Attributes:
        macs: Multiply-adds.
        parameters: Learnt numbers.
        latency_ms: Median of one clip by the engine; 0 where the network cannot take the clip.
        latency_range_ms: The quartiles.
        engine: Which was the fastest here.
    """

    macs: int
    parameters: int
    latency_ms: float
    latency_range_ms: tuple[float, float]
    engine: str


def measure_price(
    candidate: Candidate, contract: Contract, engine: str = "auto", tell: Tell | None = None
) -> Price:
    """Return what a candidate costs, measured on fresh weights: they do not change its time.

    Args:
        candidate: The network and its clip.
        contract: What it shares with the others.
        engine: By which it is measured; "auto" is the fastest here.
        tell: Told in a line when engines are compared first.

    Raises:
        InputError: The network cannot take the clip, or there is no such engine.
    """
    network, spec = contract.network(candidate).eval(), contract.clip(candidate)
    cost = count_cost(network, spec.frames, spec.size_px)
    runner = choose_engine(network, spec, engine, tell)
    clip = draw_noise(spec, 1)
    runner.logits(clip)
    seconds: list[float] = []
    while len(seconds) < RUNS or (sum(seconds) < LEAST_SECONDS and len(seconds) < MOST_RUNS):
        begin = time.perf_counter()
        runner.logits(clip)
        seconds.append(time.perf_counter() - begin)
    low, middle, high = (1e3 * value for value in statistics.quantiles(seconds, n=4))
    return Price(cost.macs, cost.parameters, middle, (low, high), runner.name)


def measure_prices(
    candidates: Iterable[Candidate], contract: Contract, engine: str, path: Path, tell: Tell
) -> dict[str, Price | InputError]:
    """Return what candidates cost, by name; those measured before on this machine are read.

    Args:
        candidates: To price.
        contract: What they share.
        engine: As `measure_price`.
        path: Where prices are kept.
        tell: Told in lines what is measured.
    """
    key = {"engine": engine, "device": contract.device, **describe_machine(contract.device)}
    kept = _read_prices(path, key)
    found: dict[str, Price | InputError] = {}
    for candidate in candidates:
        name = candidate.name
        try:
            price = kept.get(name) or measure_price(candidate, contract, engine)
        except InputError as error:
            found[name] = error
            tell(f"  {name}: {error}")
            continue
        found[name] = price
        tell(f"  {name:<32}{price.macs / 1e9:9.3f} G{price.latency_ms:9.1f} ms  {price.engine}")
        if name not in kept:
            kept[name] = price
            write_json(path, {**key, "prices": {n: asdict(p) for n, p in kept.items()}})
    return found


def measure_step(candidate: Candidate, contract: Contract, batch: int) -> float:
    """Return the seconds that training takes for a clip, on one thread or one GPU."""
    network, spec = contract.network(candidate).train(), contract.clip(candidate)
    shape = (batch, spec.channels, spec.frames, *spec.size_px)
    clips = torch.zeros(shape, device=contract.device).normal_()
    labels = torch.arange(batch, device=contract.device) % contract.num_classes
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        best = float("inf")
        for _ in range(3):
            begin = time.perf_counter()
            loss = functional.cross_entropy(network(clips), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            float(loss.detach())
            best = min(best, time.perf_counter() - begin)
    finally:
        torch.set_num_threads(threads)
    return best / batch


def _read_prices(path: Path, key: dict[str, Any]) -> dict[str, Price]:
    """Return the prices that were measured here; none where they are of another machine."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if {name: values.get(name) for name in key} != key:
            return {}
        return {
            name: Price(**{**price, "latency_range_ms": tuple(price["latency_range_ms"])})
            for name, price in values["prices"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
