"""Prices: counted and measured, kept for this machine, and what cannot be priced."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.explore import price as price_module
from s3d.explore.candidate import Candidate
from s3d.explore.price import Contract, Price, measure_price, measure_prices, measure_step
from s3d.models.cost import count_cost
from s3d.models.style import PAPER

CONTRACT = Contract(ClipSpec(), PAPER, 5, "cpu")
SMALL = Candidate("s3d_fast", 0.1, 4, 32, 8.0)


def test_a_price_is_counted_and_measured() -> None:
    found = measure_price(SMALL, CONTRACT, "eager")
    cost = count_cost("s3d_fast", 4, (32, 32), num_classes=5, width=0.1)
    assert (found.macs, found.parameters) == (cost.macs, cost.parameters)
    low, high = found.latency_range_ms
    assert 0 < low <= found.latency_ms <= high
    assert found.engine == "eager"


def test_a_clip_is_the_candidates_own() -> None:
    spec = CONTRACT.clip(Candidate("i2d", 1.0, 8, 48, 5.0))
    assert (spec.frames, spec.size_px, spec.rate_fps) == (8, (48, 48), 5.0)
    assert replace(spec, frames=64, size_px=(224, 224), resize_px=ClipSpec().resize_px,
                   rate_fps=ClipSpec().rate_fps) == ClipSpec()  # fmt: skip


def test_prices_are_kept_for_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measure(candidate: Candidate, *_: object) -> Price:
        asked.append(candidate.name)
        if candidate.size_px == 33:
            raise InputError("too odd")
        return Price(1, 2, 3.0, (2.0, 4.0), "torch")

    monkeypatch.setattr(price_module, "measure_price", measure)
    path, said = tmp_path / "prices.json", list[str]()
    odd = replace(SMALL, size_px=33)
    found = measure_prices([SMALL, odd], CONTRACT, "auto", path, said.append)
    assert found[SMALL.name] == Price(1, 2, 3.0, (2.0, 4.0), "torch")
    assert isinstance(found[odd.name], InputError)
    assert "3.0 ms  torch" in said[0]
    assert "too odd" in said[1]
    asked.clear()
    assert (
        measure_prices([SMALL], CONTRACT, "auto", path, said.append)[SMALL.name]
        == found[SMALL.name]
    )
    assert not asked
    assert len(said) == 3  # What is known is told as well.
    measure_prices([SMALL], CONTRACT, "eager", path, said.append)
    assert asked == [SMALL.name]
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "cpu": "another"}))
    measure_prices([SMALL], CONTRACT, "eager", path, said.append)
    assert asked == [SMALL.name] * 2
    path.write_text("[]")
    measure_prices([SMALL], CONTRACT, "eager", path, said.append)
    assert asked == [SMALL.name] * 3


def test_a_step_is_timed_for_a_clip() -> None:
    assert 0 < measure_step(SMALL, CONTRACT, 8) < 5
