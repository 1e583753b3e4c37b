"""Frames get the time they were taken at, whatever a network does to them."""

from __future__ import annotations

import numpy as np
import pytest

from s3d.infer.live.clock import LiveClock, PacedClock


def test_jitter_of_a_network_is_not_in_the_times() -> None:
    clock, rng = LiveClock(), np.random.default_rng(0)
    stamps = 7000 + np.arange(200) / 25
    delays = rng.uniform(0, 0.1, 200)
    delays[0] = 0
    taken = [
        clock.read(s, 50 + s - 7000 + d, is_queued=False)
        for s, d in zip(stamps, delays, strict=True)
    ]
    assert np.abs(np.diff(taken) - 0.04).max() < 0.015
    assert np.abs(np.diff(50 + stamps - 7000 + delays) - 0.04).max() > 0.05


def test_no_frame_is_taken_after_it_came() -> None:
    clock = LiveClock()
    assert clock.read(10.0, 100.0, is_queued=False) == 100.0
    assert clock.read(11.0, 100.5, is_queued=True) == 100.5
    assert clock.read(11.5, 101.2, is_queued=True) == pytest.approx(101.0)


def test_a_queue_is_late_and_a_jump_of_stamps_is_not() -> None:
    clock = LiveClock()
    clock.read(10.0, 100.0, is_queued=False)
    assert clock.late(12.0, 105.0) == pytest.approx(3.0)
    assert clock.read(12.0, 105.0, is_queued=True) == pytest.approx(102.0)
    assert clock.read(3.0, 106.0, is_queued=False) == 106.0
    assert clock.late(4.0, 107.0) == pytest.approx(0.0)


def test_a_clock_that_goes_slow_is_followed() -> None:
    clock = LiveClock()
    late = []
    for number in range(3000):
        arrival = number * 0.04
        late.append(arrival - clock.read(arrival * 0.999, arrival, is_queued=False))
    assert max(late[-100:]) < 0.01


def test_without_stamps_a_frame_is_of_its_arrival() -> None:
    clock = LiveClock()
    assert clock.read(None, 5.0, is_queued=True) == 5.0
    assert clock.late(None, 9.0) == 0.0


def test_a_file_plays_by_its_stamps() -> None:
    clock = PacedClock(100.0, 0.04)
    due = [clock.read(s, 0.0, is_queued=True) for s in (5.0, 5.1, 5.5, None, 5.6)]
    assert due == pytest.approx([100.0, 100.1, 100.5, 100.54, 100.6])
    assert clock.late(5.7, 101.7) == pytest.approx(1.0)


def test_stamps_of_a_file_that_cannot_be_true_cost_one_interval() -> None:
    clock = PacedClock(100.0, 0.04)
    due = [clock.read(s, 0.0, is_queued=True) for s in (5.0, 1e6, 1e6 + 0.1, 3.0, 3.2)]
    assert due == pytest.approx([100.0, 100.04, 100.14, 100.18, 100.38])
