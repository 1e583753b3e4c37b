"""Ticks take the nearest frames, are kept in bounded number, and never reach over a hole."""

from __future__ import annotations

import numpy as np
import pytest

from s3d.infer.live.ticks import TickRing


def feed(ring: TickRing, times: list[float], interval: float) -> None:
    for time in times:
        ticks = ring.ticks_of(time, interval)
        if ticks:
            ring.put(ticks, np.full((1, 1, 3), round(time * 100) % 256, np.uint8), time)


def levels(ring: TickRing, run: int = 1, first: int = 0) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in ring.take(run, first).frames]


@pytest.mark.parametrize(
    ("rate_fps", "source_fps", "offset"),
    [(8, 25, 0.0), (25, 25, 0.0), (25, 10, 0.0), (10, 30, 1234.5), (7, 24, 3.3), (30, 29.97, 0)],
)
def test_a_tick_takes_the_nearest_frame(rate_fps: float, source_fps: float, offset: float) -> None:
    ring = TickRing(rate_fps, 1000)
    times = offset + np.arange(60) / source_fps
    taken: list[int] = []
    for number, time in enumerate(times):
        ticks = ring.ticks_of(time, 1 / source_fps)
        taken += [number] * len(ticks)
        ring.put(ticks, np.zeros((1, 1, 3), np.uint8), time)
    places = offset + np.arange(len(taken)) / rate_fps
    distance = np.abs(times[None] - places[:, None])
    assert (distance[np.arange(len(taken)), taken] < distance.min(1) + 2e-3).all()
    assert len(taken) >= 60 * rate_fps / source_fps - 1


def test_the_oldest_are_dropped_and_that_is_told() -> None:
    ring = TickRing(10, 5)
    feed(ring, [n / 10 for n in range(4)], 0.1)
    stretch = ring.take(1, 0)
    assert (stretch.run, stretch.first, stretch.end) == (1, 0, 4)
    assert stretch.taken == (0.0, 0.1, 0.2, 0.3)
    assert not ring.take(1, 4).frames
    feed(ring, [n / 10 for n in range(4, 12)], 0.1)
    late = ring.take(1, 4)
    assert (late.first, late.end) == (7, 12)
    assert levels(ring, 1, 10) == [100, 110]
    assert ring.due == 12


def test_a_hole_begins_a_new_run_on_the_same_grid() -> None:
    ring = TickRing(10, 50)
    feed(ring, [0.0, 0.1, 0.2, 2.33, 2.43], 0.1)
    stretch = ring.take(1, 3)
    assert (stretch.run, stretch.first, stretch.end) == (2, 23, 25)
    assert ring.due == 5


def test_a_short_hole_is_filled_as_by_a_slow_camera() -> None:
    ring = TickRing(10, 50)
    feed(ring, [0.0, 0.1, 0.5, 0.6], 0.1)
    assert ring.take(1, 0).run == 1
    assert levels(ring) == [0, 10, 50, 50, 50, 50, 60]


def test_a_hole_of_frames_that_were_dropped_counts_as_due() -> None:
    ring = TickRing(10, 50)
    feed(ring, [0.0, 0.1], 0.1)
    ring.put(ring.ticks_of(3.0, 0.1, is_skipping=True), np.zeros((1, 1, 3), np.uint8), 3.0)
    assert ring.due == 31
    assert ring.take(1, 0).first == 30


def test_waiting_ends_with_the_tick_the_time_or_the_stream() -> None:
    ring = TickRing(10, 5)
    ring.wait(0, 0.01)
    feed(ring, [0.0], 0.1)
    ring.wait(0, 60)
    ring.close()
    ring.wait(99, 60)
    assert ring.is_closed
