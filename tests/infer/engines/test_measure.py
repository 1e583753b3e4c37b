"""Measuring: every engine in turn, those that fail named, memory counted from what is held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.infer.engines import measure as measure_module
from s3d.infer.engines import memory
from s3d.infer.engines.engine import EAGER, KINDS, usable_engines
from s3d.infer.engines.measure import EngineFigures, measure_engines
from s3d.infer.engines.memory import forget_peak, read_peak
from s3d.models.network import Network
from s3d.models.style import PAPER
from tests.models.published.publish import make_network

SPEC = ClipSpec(frames=4, size_px=(32, 32), resize_px=(32, 32))
Run = Callable[[Tensor], Tensor]


@pytest.fixture
def network() -> Network:
    return make_network("sgggggggggg", PAPER)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[Run], Run]], None]:
    """Return what puts something in the place of an engine, around the runner `torch`."""
    make = KINDS["torch"].make

    def put(name: str, around: Callable[[Run], Run]) -> None:
        kind = replace(
            KINDS["torch"], make=lambda graph, device: around(make(graph, device)), is_foreign=True
        )
        monkeypatch.setitem(KINDS, name, kind)

    return put


def test_every_usable_engine_is_measured(network: Network) -> None:
    found = measure_engines(network, SPEC, runs=2)
    assert {f.name for f in found} == set(usable_engines("cpu"))
    for figures in found:
        assert figures.error is None
        assert figures.is_equal
        assert figures.difference < 1e-5
        assert min(figures.load_ms, figures.latency_ms, figures.clips_per_second) > 0
        assert figures.batch == 8
        assert figures.to_json()["name"] == figures.name
    assert [f.latency_ms for f in found] == sorted(f.latency_ms for f in found)
    (eager,) = (f for f in found if f.name == EAGER)
    assert eager.difference == 0


def test_only_those_that_are_named_are_measured(network: Network) -> None:
    assert [f.name for f in measure_engines(network, SPEC, ["torch"], runs=1)] == ["torch"]


def test_an_engine_that_fails_is_reported_and_others_go_on(
    network: Network, fake: Callable[..., None]
) -> None:
    def fail(_: Run) -> Run:
        raise RuntimeError("no such primitive\nat layer 3")

    fake("openvino", fail)
    found = measure_engines(network, SPEC, ["openvino", "torch", EAGER], runs=1)
    last = found[-1]
    assert (last.name, last.is_equal, last.latency_ms) == ("openvino", False, 0.0)
    assert last.error == "engine openvino: no such primitive. Use --engine torch."
    assert {f.name for f in found[:-1]} == {"torch", EAGER}
    assert all(f.is_equal for f in found[:-1])


@pytest.mark.parametrize("good_runs", [1, 2, 4])
def test_an_engine_may_fail_at_any_run(
    network: Network, fake: Callable[..., None], good_runs: int
) -> None:
    def fail_later(run: Run) -> Run:
        left = [good_runs]

        def work(x: Tensor) -> Tensor:
            left[0] -= 1
            if left[0] < 0:
                raise MemoryError
            return run(x)

        return work

    fake("openvino", fail_later)
    found = measure_engines(network, SPEC, ["openvino", "torch"], runs=2)
    assert [f.name for f in found] == ["torch", "openvino"]
    assert found[1].error is not None
    assert "MemoryError" in found[1].error
    assert found[0].clips_per_second > 0


def test_an_engine_that_differs_comes_behind_those_that_do_not(
    network: Network, fake: Callable[..., None]
) -> None:
    fake("openvino", lambda run: lambda x: torch.zeros(len(x), 5))
    found = measure_engines(network, SPEC, ["openvino", "torch"], runs=1)
    assert [f.name for f in found] == ["torch", "openvino"]
    assert (found[1].difference, found[1].is_equal) == (1.0, False)


def test_the_fastest_comes_first_by_its_median(
    network: Network, fake: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(measure_module, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def taking(*seconds: float) -> Callable[[Run], Run]:
        left = list(seconds)

        def around(run: Run) -> Run:
            def work(x: Tensor) -> Tensor:
                now[0] += left.pop(0)
                return run(x)

            return work

        return around

    fake("torch", taking(7.0, 1.0, 9.0, 2.0, 5.0, 4.0))
    fake("openvino", taking(0.5, 3.0, 3.0, 3.0, 5.0, 0.5))
    found = measure_engines(network, SPEC, ["openvino", "torch"], runs=3)
    assert [(f.name, f.load_ms, f.latency_ms) for f in found] == [
        ("torch", 7000.0, 2000.0),
        ("openvino", 500.0, 3000.0),
    ]
    # The first run of a batch is not counted.
    assert [(f.batch, f.clips_per_second) for f in found] == [(8, 2.0), (8, 16.0)]


def test_engines_run_in_turn(network: Network, fake: Callable[..., None]) -> None:
    order: list[str] = []

    def note(name: str) -> Callable[[Run], Run]:
        def around(run: Run) -> Run:
            def work(x: Tensor) -> Tensor:
                order.append(name)
                return run(x)

            return work

        return around

    fake("torch", note("a"))
    fake("openvino", note("b"))
    measure_engines(network, SPEC, ["torch", "openvino"], runs=3, measures_batch=False)
    assert "".join(order) == "ab" + 3 * "ab"


def test_half_precision_may_differ_by_more() -> None:
    assert EngineFigures("half", difference=1e-2).is_equal
    assert not EngineFigures("half", difference=3e-2).is_equal
    assert EngineFigures("torch", difference=9e-5).is_equal
    assert not EngineFigures("torch", difference=2e-4).is_equal
    assert not EngineFigures("torch", error="no").is_equal


def test_a_clip_that_no_engine_takes_is_refused(network: Network) -> None:
    small = ClipSpec(frames=4, size_px=(20, 20), resize_px=(20, 20))
    with pytest.raises(InputError, match="clip is 20 x 20 px"):
        measure_engines(network, small)


def take(count_bytes: int) -> None:
    np.ones(count_bytes, np.uint8)


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="only Linux tells its peaks")
def test_memory_that_is_taken_up_again_is_counted_again() -> None:
    found, kept = [], []
    for _ in range(2):
        before = forget_peak()
        # Small pieces lie in a heap, which keeps what is freed.
        pieces = [np.ones(50_000, np.uint8) for _ in range(2000)]
        after = read_peak()
        kept.append(pieces[-1])  # Behind it the heap cannot shrink by itself.
        del pieces
        assert before is not None
        assert after is not None
        found.append(after - before)
    for taken in found:
        assert 95_000_000 < taken < 140_000_000
    before = forget_peak()
    peak = read_peak()
    assert before is not None
    assert peak is not None
    assert peak - before < 20_000_000


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="only Linux tells its peaks")
def test_memory_of_an_engine_is_what_it_adds(network: Network, fake: Callable[..., None]) -> None:
    def big(run: Run) -> Run:
        def work(x: Tensor) -> Tensor:
            take(200_000_000)
            return run(x)

        return work

    fake("openvino", big)
    found = measure_engines(network, SPEC, ["openvino", "torch"], runs=1, measures_batch=False)
    memory_of = {f.name: f.memory_bytes for f in found}
    assert memory_of["openvino"] is not None
    assert memory_of["torch"] is not None
    assert 190_000_000 < memory_of["openvino"] < 300_000_000
    assert memory_of["torch"] < 60_000_000


def test_where_the_system_is_silent_memory_is_unknown(
    network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "none" / "clear_refs")
    assert forget_peak() is None
    found = measure_engines(network, SPEC, ["torch"], runs=1, measures_batch=False)
    assert found[0].memory_bytes is None
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    assert read_peak() is None
