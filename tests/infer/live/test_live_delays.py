"""Delays are counted in constant memory, true to 2 %."""

from __future__ import annotations

import numpy as np
import pytest

from s3d.infer.live.delays import DelayHistogram, Delays


def test_quantiles_are_true_to_two_percent() -> None:
    histogram, rng = DelayHistogram(), np.random.default_rng(0)
    delays = rng.lognormal(-2, 1, 5000)
    for delay in delays:
        histogram.add(float(delay))
    for share in (0.01, 0.5, 0.95, 1.0):
        true = float(np.quantile(delays, share, method="inverted_cdf"))
        assert true <= histogram.quantile(share) * (1 + 1e-9) <= true * 1.021
    assert histogram.longest == delays.max()
    assert histogram.total == 5000
    assert histogram.counts.size == 700


def test_delays_beyond_the_histogram_are_counted() -> None:
    histogram = DelayHistogram()
    assert histogram.quantile(0.5) == 0.0
    for delay in (-1.0, 0.0, 1e9):
        histogram.add(delay)
    assert histogram.total == 3
    assert histogram.quantile(0.5) == pytest.approx(1e-4)
    assert histogram.quantile(1.0) > 90


def test_minutes_are_told_once_each() -> None:
    delays = Delays(100.0, minute_seconds=10.0)
    delays.add(0.1)
    assert delays.turn(109.9) is None
    first = delays.turn(110.1)
    assert first is not None
    assert first.windows == 1
    assert delays.turn(110.2) is None
    delays.add(0.4)
    delays.add(0.4)
    assert delays.turn(120.1) is not None
    assert delays.first == first
    assert delays.last is not None
    assert (delays.last.windows, delays.minutes) == (2, 2)
    assert delays.last.p95_seconds == pytest.approx(0.4, rel=0.02)
    overall = delays.overall()
    assert (overall.windows, overall.max_seconds) == (3, 0.4)
