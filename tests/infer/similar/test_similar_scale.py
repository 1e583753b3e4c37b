"""What is usual in a folder, against sums written out, and how it behaves with few and many."""

from __future__ import annotations

import numpy as np
import pytest

from s3d.infer.similar.scale import FLOOR, Features, Scale, measure_scale


def draw(rng: np.random.Generator, videos: int, channels: int = 6) -> list[Features]:
    """Return videos of 1 to 5 windows whose channels differ much in mean and spread."""
    mean, spread = 10 * rng.random(channels), np.array([0.01, 0.3, 1, 2, 4, 8])[:channels]
    shapes = [(int(rng.integers(1, 6)), channels) for _ in range(videos)]
    return [(mean + spread * rng.normal(size=shape)).astype(np.float32) for shape in shapes]


def scale_by_definition(videos: list[Features]) -> tuple[list[float], list[float]]:
    """Return centre and spread of each channel, by loops over windows weighed by their video."""
    count, channels = len(videos), videos[0].shape[1]
    weights = [(w, 1 / (count * len(v))) for v in videos for w in v.astype(np.float64)]
    means = [sum(w[c] * weight for w, weight in weights) for c in range(channels)]
    variances = [
        sum((w[c] - means[c]) ** 2 * weight for w, weight in weights) for c in range(channels)
    ]
    usual = sum(variances) / channels
    share = count / (count + 4)
    drawn = [share * v + (1 - share) * usual for v in variances]
    spreads = [max(d, FLOOR**2 * usual) ** 0.5 for d in drawn]
    return [count / (count + 1) * m for m in means], spreads


@pytest.mark.parametrize("videos", [1, 2, 3, 40])
def test_centre_and_spread_are_those_of_the_definition(videos: int) -> None:
    found = draw(np.random.default_rng(videos), videos)
    scale = measure_scale(iter(found), 6)
    centre, spread = scale_by_definition(found)
    np.testing.assert_allclose(scale.centre, centre, rtol=1e-9)
    np.testing.assert_allclose(scale.spread, spread, rtol=1e-9)


def test_units_are_of_length_1_and_what_is_usual_is_0() -> None:
    (video, *_), rng = draw(np.random.default_rng(0), 3), np.random.default_rng(1)
    scale = measure_scale(draw(rng, 5), 6)
    units = scale.units(video)
    assert units.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1, rtol=1e-6)
    for unit, window in zip(units, video, strict=True):
        away = [(window[c] - scale.centre[c]) / scale.spread[c] for c in range(6)]
        length = sum(a * a for a in away) ** 0.5
        np.testing.assert_allclose(unit, [a / length for a in away], rtol=1e-5)
    usual = Scale(np.array([1.0, 2.0]), np.ones(2))
    assert not usual.units(np.array([[1, 2]], np.float32)).any()


def test_one_of_many_windows_weighs_as_much_as_one_of_few() -> None:
    few, many = np.zeros((1, 2), np.float32), np.ones((99, 2), np.float32)
    scale = measure_scale([few, many], 2)
    np.testing.assert_allclose(scale.centre, 2 / 3 * 0.5)


def test_of_one_window_nothing_is_known_but_a_little_of_its_place() -> None:
    scale = measure_scale([np.full((1, 3), 5, np.float32)], 3)
    np.testing.assert_allclose(scale.centre, 5 / 2)
    assert scale.spread.tolist() == [1, 1, 1]
    assert np.isfinite(scale.units(np.zeros((2, 3), np.float32))).all()


def test_a_dead_channel_is_not_blown_up() -> None:
    videos = draw(np.random.default_rng(3), 2000)
    for video in videos:
        video[:, 0] = 0
    scale = measure_scale(videos, 6)
    assert scale.spread[0] >= FLOOR * np.sqrt((scale.spread[1:] ** 2).sum() / 6)


def test_with_many_videos_shift_and_scale_of_a_channel_do_not_matter() -> None:
    rng = np.random.default_rng(4)
    videos = [rng.normal(size=(2, 6)).astype(np.float32) for _ in range(2000)]
    moved = [(100 + video * np.array([1, 2, 3, 4, 2, 1])).astype(np.float32) for video in videos]
    one, other = measure_scale(videos, 6), measure_scale(moved, 6)
    plain = one.units(videos[0]) @ one.units(videos[1]).T
    np.testing.assert_allclose(other.units(moved[0]) @ other.units(moved[1]).T, plain, atol=0.2)


def test_large_means_cost_no_digits() -> None:
    rng = np.random.default_rng(5)
    videos = [(1e6 + rng.integers(0, 2, (3, 4))).astype(np.float32) for _ in range(50)]
    spread = measure_scale(videos, 4).spread
    np.testing.assert_allclose(spread, scale_by_definition(videos)[1], rtol=1e-6)
