"""Only order explains the sample data: classifiers of unordered frames must stay at chance.

What a clip's set of frames can say is put in features that no permutation of the frames changes,
once of all 16 frames and once of every second one, as a stem with stride 2 in time sees them. The
same classifiers on ordered features, and on videos that leak on purpose, must do better: otherwise
the test would prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from s3d.data.actions import Stage
from s3d.data.synthetic import ORDER_PAIRS, SampleConfig, render_video

Floats = npt.NDArray[np.float32]
Pair = tuple[str, str]
Make = Callable[[Floats], Floats]

CLIPS_PER_MEMBER = 200
CLIP_FRAMES = 16
CLIP_FPS = 7.5
CONFIG = SampleConfig(1, 1, size_px=32, difficulty=0.5)
GRID = 12


def clips_of(pair: Pair) -> tuple[list[Floats], list[Floats]]:
    """Return clips (16, 12, 12) in grey, first of one member, then of the other.

    Those of the first list begin anywhere in their video, those of the second where it begins.
    """
    # No seed serves both members: twins in two folds would pull a classifier below chance.
    members = np.repeat(pair, CLIPS_PER_MEMBER).tolist()
    with ThreadPoolExecutor(2) as pool:
        clips = list(pool.map(draw_clips, members, range(2 * CLIPS_PER_MEMBER)))
    return [anywhere for anywhere, _ in clips], [first for _, first in clips]


def draw_clips(action: str, seed: int) -> tuple[Floats, Floats]:
    frames, rate_fps = render_video(action, seed, CONFIG)
    room = len(frames) / rate_fps - CLIP_FRAMES / CLIP_FPS
    start = np.random.default_rng((seed, 9)).uniform(0, room)
    return shrink(frames, rate_fps, start), shrink(frames, rate_fps, 0.0)


def shrink(frames: npt.NDArray[np.uint8], rate_fps: int, start_seconds: float) -> Floats:
    places = (start_seconds + np.arange(CLIP_FRAMES) / CLIP_FPS) * rate_fps
    clip = frames[places.astype(int)].astype(np.float32).mean(3)
    for axis in (1, 2):
        size = clip.shape[axis]
        starts = np.arange(GRID) * size // GRID
        widths = np.diff(np.append(starts, size)).astype(np.float32)
        shape = (1, GRID, 1) if axis == 1 else (1, 1, GRID)
        clip = np.add.reduceat(clip, starts, axis) / widths.reshape(shape)
    return clip


def stand_out(clip: Floats) -> Floats:
    """Return (6, T): how much changes, where, how far from what stays, and how bright it is."""
    still = np.median(clip, 0)
    weight = np.abs(clip - still)
    x, y = centres_of(weight)
    still_x, still_y = centres_of(np.abs(still - np.median(still))[None] ** 2)
    distance = np.hypot(x - still_x, y - still_y)
    return np.stack([weight.sum((1, 2)), x, y, distance, clip.mean((1, 2)), clip.std((1, 2))])


def centres_of(weight: Floats) -> tuple[Floats, Floats]:
    across = np.arange(GRID, dtype=np.float32)
    total = weight.sum((1, 2)) + 1e-3
    return weight.sum(1) @ across / total, weight.sum(2) @ across / total


def unordered(clip: Floats) -> Floats:
    """Return features that no permutation of all frames, and of the even ones, changes."""
    parts = []
    for frames in (clip, clip[::2]):
        parts += [frames.mean(0), frames.std(0), frames.min(0), frames.max(0)]
        parts += [np.sort(stand_out(frames), 1)]
    return np.concatenate([part.ravel() for part in parts])


def ordered(clip: Floats) -> Floats:
    """Return features of how each frame differs from the one before."""
    traces = stand_out(clip)
    steps = np.diff(traces, axis=1)
    x, y = traces[1:3] - traces[1:3].mean(1, keepdims=True)
    turns = x[:-1] * y[1:] - x[1:] * y[:-1]
    parts = [np.median(steps, 1), (steps > 0).mean(1), (traces[:, :-1] * steps).mean(1)]
    parts += [np.median(np.diff(clip, axis=0), 0).ravel(), [np.median(turns), turns.mean()]]
    return np.concatenate(parts)


def sigmas_above_chance(clips: list[Floats], make_features: Make) -> list[float]:
    """Cross-validate a linear and a tree classifier between the two halves of the clips."""
    rows = np.stack([make_features(clip) for clip in clips])
    labels = np.repeat([0, 1], len(clips) // 2)
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    linear = make_pipeline(StandardScaler(), RidgeClassifier(alpha=1000.0))
    trees = RandomForestClassifier(60, max_depth=6, random_state=0)
    hits = [
        np.mean(cross_val_predict(m, rows, labels, cv=folds) == labels) for m in (linear, trees)
    ]
    return [float((hit - 0.5) * 2 * np.sqrt(len(clips))) for hit in hits]


@pytest.mark.slow
@pytest.mark.parametrize("pair", ORDER_PAIRS, ids=lambda pair: pair[0])
def test_the_set_of_frames_says_nothing_and_their_order_does(pair: Pair) -> None:
    anywhere, first = clips_of(pair)
    assert np.abs(sigmas_above_chance(anywhere, unordered)).max() < 4
    assert np.abs(sigmas_above_chance(first, unordered)).max() < 4
    assert max(sigmas_above_chance(anywhere, ordered)) > 4


@pytest.mark.slow
@pytest.mark.parametrize("pair", ORDER_PAIRS[:2], ids=lambda pair: pair[0])
def test_a_leak_would_be_found(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin_at_nought(stage: Stage, slow_hz: float, fast_hz: float) -> Floats:
        return (stage.seconds * np.float32((slow_hz + fast_hz) / 2)) % 1

    monkeypatch.setattr(Stage, "cycle", begin_at_nought)
    _, first = clips_of(pair)
    assert max(sigmas_above_chance(first, unordered)) > 5
