"""Sampling: seconds, not frame numbers."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data.decode import VideoInfo
from s3d.data.sample import (
    all_indices,
    centre_start,
    clip_indices,
    random_start,
    spread_starts,
)
from s3d.errors import InputError

SPEC = ClipSpec(frames=8, rate_fps=10.0)


def video(frames: int, rate_fps: float, times: np.ndarray | None = None) -> VideoInfo:
    times = np.arange(frames) / rate_fps if times is None else times
    return VideoInfo("x", 64, 64, frames, rate_fps, frames / rate_fps, times)


def seconds_of(info: VideoInfo, start: float, spec: ClipSpec) -> np.ndarray:
    return info.times_seconds[clip_indices(info, spec, start)]


@pytest.mark.parametrize("rate", [10, 12.5, 25, 29.97, 50, 240])
@pytest.mark.parametrize("start", [0.0, 0.1, 0.37, 1.0])
def test_any_file_rate_gives_the_same_motion(rate: float, start: float) -> None:
    info = video(int(4 * rate), rate)
    wanted = start + np.arange(8) / 10
    assert np.abs(seconds_of(info, start, SPEC) - wanted).max() <= 0.5 / rate + 2e-3


def test_equal_rates_give_consecutive_frames_though_the_container_rounds_times() -> None:
    info = video(300, 30.0, np.round(np.arange(300) / 30, 3))
    spec = replace(SPEC, rate_fps=30.0, frames=64)
    for first in range(0, 200, 7):
        indices = clip_indices(info, spec, first / 30)
        assert indices.tolist() == list(range(first, first + 64))


def test_a_slow_file_repeats_frames_evenly() -> None:
    spec = replace(SPEC, rate_fps=20.0)
    assert clip_indices(video(20, 10.0), spec, 0.0).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    in_ms = video(90, 15.0, np.round(np.arange(90) / 15, 3))
    twice = clip_indices(in_ms, replace(spec, rate_fps=30.0, frames=100), 0.0)
    assert twice.tolist() == [index // 2 for index in range(100)]


def test_variable_rate_follows_true_times() -> None:
    times = np.array([0.0, 0.1, 0.2, 0.6, 0.7])
    info = replace(video(5, 5 / 0.8, times), duration_seconds=0.8)
    assert clip_indices(info, SPEC, 0.0).tolist() == [0, 1, 2, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("rate", [3.0, 7.0, 10.0, 29.97])
def test_time_never_goes_backwards_within_a_video(rate: float) -> None:
    info = video(int(10 * rate), rate)
    for start in np.linspace(0, 9, 37):
        assert (np.diff(clip_indices(info, SPEC, float(start))) >= 0).all()


def test_short_videos_loop() -> None:
    assert clip_indices(video(3, 10.0), SPEC, 0.0).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert clip_indices(video(3, 10.0), SPEC, 0.2).tolist() == [2, 0, 1, 2, 0, 1, 2, 0]
    assert clip_indices(video(1, 25.0), SPEC, 0.0).tolist() == [0] * 8


def test_looping_is_even_where_the_duration_is_no_binary_fraction() -> None:
    spec = replace(SPEC, frames=900, rate_fps=30.0)
    assert clip_indices(video(7, 30.0), spec, 0.0).tolist() == [i % 7 for i in range(900)]


def test_random_starts_are_uniform_over_all_that_need_no_looping() -> None:
    info, rng = video(50, 10.0), np.random.default_rng(0)
    starts = np.array([random_start(info, SPEC, rng) for _ in range(2000)])
    assert starts.min() >= 0 and starts.max() <= 5 - 0.8
    assert np.histogram(starts, 6, (0, 4.2))[0].min() > 270
    assert max(clip_indices(info, SPEC, float(s)).max() for s in starts) == 49
    assert all((np.diff(clip_indices(info, SPEC, float(s))) >= 0).all() for s in starts[:200])


def test_short_videos_begin_at_any_phase() -> None:
    info, rng = video(4, 10.0), np.random.default_rng(0)
    firsts = {int(clip_indices(info, SPEC, random_start(info, SPEC, rng))[0]) for _ in range(200)}
    assert firsts == {0, 1, 2, 3}


def test_the_same_seed_draws_the_same_start() -> None:
    info = video(50, 10.0)
    draws = [random_start(info, SPEC, np.random.default_rng(3)) for _ in range(2)]
    assert draws[0] == draws[1]


def test_centre_and_spread_cover_the_whole_video() -> None:
    info = video(50, 10.0)
    assert centre_start(info, SPEC) == pytest.approx(2.1)
    starts = spread_starts(info, SPEC, 10)
    assert starts[0] == 0 and np.allclose(np.diff(starts), 4.2 / 9)
    assert clip_indices(info, SPEC, starts[-1]).tolist() == list(range(42, 50))
    assert spread_starts(info, SPEC, 1) == [centre_start(info, SPEC)]
    assert spread_starts(video(3, 10.0), SPEC, 3) == [0.0, 0.0, 0.0]
    with pytest.raises(InputError, match=re.escape("views is 0; at least 1 is needed.")):
        spread_starts(info, SPEC, 0)


def test_all_frames_at_the_rate_and_at_least_a_clip() -> None:
    assert all_indices(video(50, 10.0), SPEC).tolist() == list(range(50))
    assert all_indices(video(50, 20.0), SPEC).tolist() == list(range(0, 50, 2))
    assert all_indices(video(3, 10.0), SPEC).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert all_indices(video(50, 10.0), SPEC).dtype == np.int64
