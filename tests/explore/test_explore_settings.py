"""What an exploration can be told, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from s3d.errors import InputError
from s3d.explore.settings import GRID, QUICK_GRID, QUICK_MINUTES, ExploreConfig


def test_lists_are_read_and_doubles_dropped() -> None:
    config = ExploreConfig(budget_ms=5, widths="0.25, 0.5,0.25", frames="8,16", rates="7.5")
    assert config.widths_asked == (0.25, 0.5)
    assert config.frames_asked == (8, 16)
    assert config.rates_asked == (7.5,)
    assert config.sizes_asked == ()
    assert config.network_patterns == tuple(GRID.split(","))


def test_quick_is_a_few_networks_one_seed_halving_and_a_time() -> None:
    config = ExploreConfig(budget_gmacs=1, quick=True)
    assert config.network_patterns == tuple(QUICK_GRID.split(","))
    assert (config.seed_count, config.halves, config.minutes_asked) == (1, True, QUICK_MINUTES)
    slow = ExploreConfig(budget_gmacs=1)
    assert (slow.seed_count, slow.halves, slow.minutes_asked) == (3, False, None)
    assert ExploreConfig(budget_gmacs=1, quick=True, seeds=2).seed_count == 2
    assert ExploreConfig(budget_gmacs=1, quick=True, epochs=4).minutes_asked is None
    assert ExploreConfig(budget_gmacs=1, quick=True, minutes=3).minutes_asked == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name one budget: --budget-ms 200, or --budget-gmacs 40."),
        ({"budget_ms": 1, "budget_gmacs": 1}, "name one budget"),
        ({"budget_ms": -3.0}, "--budget-ms is -3.0; it needs a number from 0.001"),
        ({"budget_ms": float("nan")}, "--budget-ms is nan"),
        ({"budget_ms": 1, "epochs": 3, "minutes": 3}, "--epochs and --minutes both say how long"),
        ({"budget_ms": 1, "folds": 1}, "--folds takes 2 or more"),
        ({"budget_ms": 1, "folds": 4, "scored": "x"}, "leave --scored away"),
        ({"budget_ms": 1, "widths": "0.25,wide"}, "--widths is '0.25,wide'; it needs numbers"),
        ({"budget_ms": 1, "sizes": "16"}, "--sizes is '16'; it needs numbers from 32 to 2048"),
        ({"budget_ms": 1, "frames": ""}, "--frames is ''; it needs numbers from 1 to 4096"),
        ({"budget_ms": 1, "networks": "s4d"}, "unknown network 's4d'"),
        ({"budget_ms": 1, "device": "tpu"}, "device is 'tpu'; it is one of auto, cpu, cuda"),
        ({"budget_ms": 1, "workers": 0}, "--workers is 0; it needs a number from 1 to 1024"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        ExploreConfig(**options)
    assert message in str(refused.value)
