"""The roofline: what is predicted from peaks and work, and how blocks are timed."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.explore import roofline as module
from s3d.explore.roofline import EngineTimes, Peaks, Roofline, measure_peaks, measure_roofline
from s3d.infer.engines.engine import Engine
from s3d.infer.engines.measure import draw_noise
from s3d.models.cost import BlockCost, Cost
from s3d.models.graph import STEPS
from s3d.models.network import Network, build

PEAKS = Peaks(macs_per_second=1e9, bytes_per_second=1e8)
SPEC = ClipSpec(frames=4, size_px=(32, 32), resize_px=(32, 32))


def block(name: str, macs: int, moved_bytes: int) -> BlockCost:
    return BlockCost(name, (1, 1, 1, 1), 0, macs, 0, moved_bytes)


COST = Cost((block("conv1a", 4_000_000, 100_000), block("pool2a", 0, 300_000)))
FOUND = Roofline(
    COST, PEAKS, (EngineTimes("torch", (2.0, 12.0), 10.0), EngineTimes("eager", (8.0, 3.0), 9.0)), 1
)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return build("s3d_fast", num_classes=3, width=0.1).eval()


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_block_takes_the_longer_of_arithmetic_and_memory() -> None:
    assert PEAKS.ridge_macs_per_byte == 10
    # 4e6 / 1e9 s against 1e5 / 1e8 s, and nothing against 3e5 / 1e8 s.
    assert FOUND.predicted_ms == pytest.approx((4.0, 3.0))


def test_shares_are_of_the_first_engine_and_may_exceed_one() -> None:
    assert FOUND.shares == pytest.approx((2.0, 0.25))
    assert FOUND.whole_share == pytest.approx(0.7)


def test_peaks_are_of_the_fastest_round_that_counts(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two rounds that do not count, then 4, 2 and 3 seconds; a copy takes twice as long.
    seconds = iter([1, 1, 4, 2, 3])
    taken = [0.0]

    def multiply(a: Tensor, b: Tensor, out: Tensor) -> None:
        assert a.shape == b.shape == out.shape == (8, 8)
        taken[0] = next(seconds)
        clock.now += taken[0]

    def copy(self: Tensor, source: Tensor) -> Tensor:
        assert len(self) == len(source) == 100
        clock.now += 2 * taken[0]
        return self

    monkeypatch.setattr(torch, "mm", multiply)
    monkeypatch.setattr(Tensor, "copy_", copy)
    peaks = measure_peaks(rounds=3, side=8, copy_bytes=400)
    assert peaks == Peaks(8**3 / 2, 2 * 400 / 4)


def test_peaks_of_this_machine_are_numbers() -> None:
    peaks = measure_peaks(rounds=1, side=64, copy_bytes=2**12)
    assert peaks.macs_per_second > 1e6
    assert peaks.bytes_per_second > 1e6


def test_times_are_medians_in_turn_without_the_first_run(
    clock: Clock, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    class Fake:
        """Takes longer each time: 100 s at first, then 1, 2 and 6; the whole three times that."""

        def __init__(self, _: Network, spec: ClipSpec, name: str) -> None:
            assert spec is SPEC
            self.name, self.seconds = name, iter([100, 1, 2, 6])

        def run(self, x: Tensor, after: str | None, until: str) -> Tensor:
            order.append(self.name)
            clock.now += next(self.seconds) * (5 if until == "mixed4b" else 1)
            return x

        def logits(self, x: Tensor) -> None:
            clock.now += 3 * next(self.seconds)

    monkeypatch.setattr(module, "Engine", Fake)
    found = measure_roofline(network, SPEC, ("torch", "eager"), 3, PEAKS)
    assert [times.engine for times in found.times] == ["torch", "eager"]
    assert found.runs == 3
    for times in found.times:
        ms = dict(zip(STEPS, times.block_ms, strict=True))
        assert ms.pop("mixed4b") == pytest.approx(10_000)
        assert list(ms.values()) == pytest.approx([2000] * 16)
        assert times.whole_ms == pytest.approx(6000)
    one = len(STEPS)
    assert order == 4 * (one * ["torch"] + one * ["eager"])


@pytest.mark.parametrize("name", ["torch", "eager"])
def test_each_block_is_given_what_the_one_before_gave(
    name: str, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[SimpleNamespace] = []
    run = Engine.run

    def note(engine: Engine, x: Tensor, after: str | None = None, until: str = "head") -> Any:
        y = run(engine, x, after, until)
        calls.append(SimpleNamespace(x=x, after=after, until=until, y=y))
        return y

    monkeypatch.setattr(Engine, "run", note)
    found = measure_roofline(network, SPEC, (name,), 1, PEAKS)
    assert len(calls) == 2 * (len(STEPS) + 1)
    *blocks, whole = calls[: len(STEPS) + 1]
    assert [call.until for call in blocks] == list(STEPS)
    assert [call.after for call in blocks] == [None, *STEPS[:-1]]
    assert all(call.x is before.y for before, call in pairwise(blocks))
    assert torch.equal(whole.x, draw_noise(SPEC, 1))
    torch.testing.assert_close(blocks[-1].y, whole.y)
    assert [cost.name for cost in found.cost.blocks] == list(STEPS)
    for cost, call in zip(found.cost.blocks, blocks, strict=True):
        assert cost.shape == tuple(call.y.shape[1:])
    assert min(found.times[0].block_ms) > 0


def test_no_run_is_refused(network: Network) -> None:
    with pytest.raises(InputError, match="runs is 0; at least 1 is needed"):
        measure_roofline(network, SPEC, ("torch",), 0, PEAKS)


def test_an_engine_that_is_not_there_is_refused(network: Network) -> None:
    with pytest.raises(InputError, match=r"unknown engine 'trch'\. Did you mean torch"):
        measure_roofline(network, SPEC, ("trch",), 1, PEAKS)
