"""Windows over a stream: each answers as by itself, whatever is shared and however frames come."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from s3d.errors import InputError
from s3d.infer import scorer as scorer_module
from s3d.infer.engines.engine import Engine
from s3d.infer.reuse import stages as stages_module
from s3d.infer.reuse.windows import SharedWindows
from s3d.infer.scorer import TOLERANCE, TRIALS, ScoredWindow, WindowScorer
from s3d.models.style import STYLES
from tests.infer.reuse.nets import difference, make_recognizer, noise

FRAMES = noise(75)


@pytest.fixture(autouse=True)
def nothing_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let networks as small as these share as larger ones do, whatever the machine is doing."""
    monkeypatch.setattr(scorer_module, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(stages_module, "CALL_MACS", 0)
    monkeypatch.setattr(stages_module, "BYTE_MACS", 0)


PIECES = (1, 30, 0, 7, 22, 15)
"""How the frames come."""


def feed(scorer: WindowScorer, newest_only: bool = False) -> list[ScoredWindow]:
    found, begin = [], 0
    for count in PIECES:
        found += scorer.push(FRAMES[begin : begin + count], newest_only)
        begin += count
    assert begin == len(FRAMES)
    return found + scorer.finish()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("word", ["s3d_fast", "i3d_top_4", "s3d", "2222s2s2ggg"])
def test_every_window_answers_as_by_itself(word: str, style: str) -> None:
    recognizer = make_recognizer(word, 40, style)
    scorer = WindowScorer(recognizer, 4)
    found = feed(scorer)
    assert [w.first_frame for w in found] == [*range(0, 33, 4), 35]
    for window in found:
        frames = FRAMES[window.first_frame : window.first_frame + 40]
        wanted = recognizer.logits_of(frames[None])[0]
        assert difference(window.logits, wanted) < TOLERANCE, window.first_frame
        np.testing.assert_allclose(window.scores.sum(), 1, rtol=1e-5)
    assert scorer.shares_until is not None


def test_only_the_newest_window_is_scored_where_that_is_asked() -> None:
    recognizer = make_recognizer("s3d_fast", 24)
    every = {w.first_frame: w for w in feed(WindowScorer(recognizer, 4))}
    newest = feed(WindowScorer(recognizer, 4), newest_only=True)
    # After 31, 38, 60 and 75 frames, and the window that ends with the last one.
    assert [w.first_frame for w in newest] == [4, 12, 36, 48, 51]
    for window in newest:
        assert difference(window.logits, every[window.first_frame].logits) < TOLERANCE


@pytest.mark.parametrize("reuse", [True, False])
def test_a_stream_can_begin_anew_anywhere(reuse: bool) -> None:
    scorer = WindowScorer(make_recognizer("s3d_fast", 24), 8, reuse=reuse)
    whole = {w.first_frame: w for w in feed(scorer)}
    scorer.reset(21)
    again = scorer.push(FRAMES[21:])
    assert [w.first_frame for w in again] == [24, 32, 40, 48]
    for window in again:
        assert difference(window.logits, whole[window.first_frame].logits) < TOLERANCE


def test_a_stream_shorter_than_a_window_goes_on_from_its_beginning() -> None:
    recognizer = make_recognizer("s3d_fast", 24)
    scorer = WindowScorer(recognizer, 8)
    assert scorer.push(FRAMES[:10]) == []
    (window,) = scorer.finish()
    looped = np.concatenate([FRAMES[:10], FRAMES[:10], FRAMES[:4]])
    assert difference(window.logits, recognizer.logits_of(looped[None])[0]) < TOLERANCE
    assert window.first_frame == 0
    assert scorer.finish() == []


def test_a_stream_that_ends_with_a_window_has_no_other_one() -> None:
    scorer = WindowScorer(make_recognizer("s3d_fast", 24), 8)
    assert len(scorer.push(FRAMES[:32])) == 2
    assert scorer.finish() == []
    assert WindowScorer(make_recognizer("s3d_fast", 24), 8).finish() == []


def test_frames_that_nobody_looks_at_may_hold_anything() -> None:
    scorer = WindowScorer(make_recognizer("s3d_fast", 24), 4)
    assert scorer.looks_at_every == 2
    assert WindowScorer(make_recognizer("s3d", 24), 4).looks_at_every == 1
    true = scorer.push(FRAMES)
    scorer.reset()
    spoilt = FRAMES.copy()
    spoilt[1::2] = 7
    for a, b in zip(true, scorer.push(spoilt), strict=True):
        assert difference(a.logits, b.logits) < TOLERANCE


@pytest.mark.parametrize("reuse", [True, False])
def test_frames_may_be_written_over_once_they_are_pushed(reuse: bool) -> None:
    scorer = WindowScorer(make_recognizer("s3d_fast", 24), 8, reuse=reuse)
    wanted = [w.logits for w in scorer.push(FRAMES[:40])]
    scorer.reset()
    found, buffer = [], np.empty((8, *FRAMES.shape[1:]), np.uint8)
    for begin in range(0, 40, 8):
        buffer[:] = FRAMES[begin : begin + 8]
        found += [w.logits for w in scorer.push(buffer)]
    assert len(found) == 3
    for a, b in zip(found, wanted, strict=True):
        assert difference(a, b) < TOLERANCE


def test_what_is_shared_and_wrong_is_shared_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = make_recognizer("s3d_fast", 24)
    scorer = WindowScorer(recognizer, 8)
    assert scorer.shares_until is not None
    share = SharedWindows.score
    # Nobody knows how; but a runtime that answers otherwise for another length would be this.
    monkeypatch.setattr(SharedWindows, "score", lambda self, n: share(self, n) + 1e-3)
    found = feed(scorer)
    assert scorer.shares_until is None
    for window in found[1:]:  # the first one of all shares nothing yet
        frames = FRAMES[window.first_frame : window.first_frame + 24]
        assert difference(window.logits, recognizer.logits_of(frames[None])[0]) < TOLERANCE


@pytest.mark.parametrize("is_slow", [True, False])
def test_sharing_stays_where_it_saves_time(monkeypatch: pytest.MonkeyPatch, is_slow: bool) -> None:
    scorer = WindowScorer(make_recognizer("s3d_fast", 24), 4)
    share, single = SharedWindows.score, Engine.logits

    def score(windows: SharedWindows, count: int) -> torch.Tensor:
        time.sleep(0.2 if is_slow else 0)
        return share(windows, count)

    def logits(engine: Engine, frames: torch.Tensor) -> torch.Tensor:
        time.sleep(0 if is_slow else 0.2)
        return single(engine, frames)

    monkeypatch.setattr(SharedWindows, "score", score)
    monkeypatch.setattr(Engine, "logits", logits)
    monkeypatch.setattr(scorer_module, "perf_counter", time.perf_counter)
    found = scorer.push(FRAMES[: 24 + 4 * TRIALS])
    assert len(found) == TRIALS + 1
    assert (scorer.shares_until is None) == is_slow
    assert [w.first_frame for w in found + scorer.push(FRAMES[36:44])] == [0, 4, 8, 12, 16, 20]


def test_little_is_held_however_long_a_stream_is() -> None:
    scorer = WindowScorer(make_recognizer("s3d_fast", 24), 8)
    for _ in range(20):
        scorer.push(FRAMES[:40])
    windows = scorer._windows
    assert isinstance(windows, SharedWindows)
    assert windows.frames.stop == 800
    # What comes in one piece is let go in one piece.
    assert windows.frames.stop - windows.frames.first <= 24 + 40
    for stage, held in zip(windows.sharing.stages, windows._held, strict=True):
        assert held.stop - held.first <= (24 + 2 * 24) // stage.frames_a_step


def test_a_stride_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="stride is 0 frames; at least 1 is needed"):
        WindowScorer(make_recognizer("i2d", 8), 0)


def test_logits_are_floats_of_their_own() -> None:
    scorer = WindowScorer(make_recognizer("i2d", 8), 8)
    (window,) = scorer.push(FRAMES[:8])
    assert window.logits.dtype == window.scores.dtype == np.float32
    assert torch.from_numpy(window.logits).shape == (5,)
