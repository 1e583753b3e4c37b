"""The loop scores the newest window, is late by no more than it must, and counts what it skips."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import numpy as np
import pytest

from s3d.data.video_info import Frames
from s3d.infer.live.loop import Moment, Tally, WatchLoop
from s3d.infer.live.reading import Counts
from s3d.infer.live.ticks import TickRing
from s3d.infer.scorer import ScoredWindow

RATE_FPS = 10.0
WINDOW, STRIDE = 10, 5


class FakeWorld(TickRing):
    """A clock, and a ring into which frames fall as it goes; nobody really waits."""

    def __init__(self, script: Callable[[int], bool], length: int) -> None:
        """Set up.

        Args:
            script: Says of each tick whether its frame comes.
            length: After so many ticks the stream is over.
        """
        super().__init__(RATE_FPS, WINDOW + STRIDE)
        self.time, self.script, self.length, self.fallen = 1000.0, script, length, 0
        self.ring, self.counts = self, Counts()

    def now(self) -> float:
        return self.time

    def go(self, seconds: float) -> None:
        self.time += seconds
        while self.fallen < self.length and 1000 + self.fallen / RATE_FPS <= self.time + 1e-9:
            due = 1000 + self.fallen / RATE_FPS
            if self.script(self.fallen):
                frame = np.full((1, 1, 3), self.fallen % 256, np.uint8)
                self.put(self.ticks_of(due, 1 / RATE_FPS), frame, due)
            self.fallen += 1
        if self.fallen == self.length:
            self.close()

    def wait(self, tick: int, seconds: float) -> None:
        end = self.time + seconds
        while self._next <= tick and self.time < end - 1e-9 and not self.is_closed:
            self.go(0.01)

    def check(self) -> None:
        pass


class FakeScorer:
    """Take so long for a window; hold that the frames are those of the window."""

    window_frames, stride_frames = WINDOW, STRIDE

    def __init__(self, world: FakeWorld, seconds: float | Callable[[int], float]) -> None:
        self.world, self.seconds = world, seconds
        self.scored: list[int] = []
        self.reset()

    def reset(self, first_frame: int = 0) -> None:
        self.first, self.held = first_frame, list[int]()

    def push(self, frames: Frames, newest_only: bool = False) -> list[ScoredWindow]:
        assert newest_only
        before = self.first + len(self.held)
        self.held += [int(frame[0, 0, 0]) for frame in frames]
        end = self.first + len(self.held)
        ends = range(before + 1, end + 1)
        starts = [e - WINDOW for e in ends if e - WINDOW >= self.first]
        starts = [start for start in starts if start % STRIDE == 0]
        return [self._score(start) for start in starts[-1:]]

    def finish(self) -> list[ScoredWindow]:
        return [self._score(max(0, self.first + len(self.held) - WINDOW))]

    def _score(self, start: int) -> ScoredWindow:
        place = start - self.first
        held = self.held[place : place + WINDOW]
        assert held == [number % 256 for number in range(start, start + len(held))]
        self.scored.append(start)
        cost = self.seconds(start) if callable(self.seconds) else self.seconds
        self.world.go(cost)
        scores = np.array([0.25, 0.75], np.float32)
        return ScoredWindow(start, scores, scores)


class Ear:
    """Keep what is told."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.away: list[int] = []
        self.minutes: list[Tally] = []

    def on_window(self, moment: Moment) -> None:
        self.moments.append(moment)

    def on_away(self) -> None:
        self.away.append(len(self.moments))

    def on_minute(self, tally: Tally) -> None:
        self.minutes.append(tally)


def watch(
    script: Callable[[int], bool], length: int, seconds: float | Callable[[int], float]
) -> tuple[FakeScorer, Ear, Tally]:
    world = FakeWorld(script, length)
    scorer, ear = FakeScorer(world, seconds), Ear()
    world.go(0)
    tally = WatchLoop(world, scorer, [ear], now=world.now).run(Event())
    return scorer, ear, tally


def test_a_fast_scorer_sees_every_window_at_once() -> None:
    scorer, ear, tally = watch(lambda tick: True, 101, 0.05)
    assert scorer.scored == [*range(0, 95, 5), 91]
    assert (tally.windows, tally.skipped) == (20, 0)
    assert (tally.due, tally.seen, tally.share_seen) == (101, 101, 1.0)
    assert max(m.delay_seconds for m in ear.moments) < 0.08
    assert ear.moments[1].start_seconds == pytest.approx(0.5)
    assert ear.moments[1].end_seconds == pytest.approx(1.5)
    assert ear.away == [20]


def test_a_slow_scorer_skips_windows_and_never_lags() -> None:
    _, ear, tally = watch(lambda tick: True, 3001, 0.8)
    delays = [m.delay_seconds for m in ear.moments[:-1]]
    assert max(delays) < 0.8 + STRIDE / RATE_FPS + 0.02
    assert max(delays[-50:]) <= max(delays[:50]) + 0.02
    assert tally.skipped > 100
    assert tally.windows + tally.skipped == len(range(0, 3001 - WINDOW + 1, STRIDE)) + 1
    assert tally.share_seen > 0.9
    assert len(ear.minutes) == 5
    assert tally.first_minute is not None
    assert tally.last_minute is not None


def test_a_scorer_slower_than_the_ring_is_long_begins_anew_with_the_newest() -> None:
    scorer, ear, tally = watch(lambda tick: True, 1001, lambda start: 4.0)
    # Those that come when the stream is over wait for the ones before them.
    live = [m.delay_seconds for m in ear.moments if m.start_seconds < 90]
    assert max(live) < 4.0 + STRIDE / RATE_FPS + 0.02
    assert np.diff(scorer.scored[:-1]).min() >= 30
    assert tally.windows + tally.skipped in (199, 200)
    assert 0.2 < tally.share_seen < 0.3
    assert tally.due == 1001


def test_a_pause_of_the_scorer_is_made_good() -> None:
    scorer, ear, _ = watch(lambda tick: True, 601, lambda start: 20.0 if start == 100 else 0.01)
    late = [m for m in ear.moments if m.delay_seconds > 0.6]
    assert [m.start_seconds for m in late] == [10.0]
    assert scorer.scored[scorer.scored.index(100) + 1] >= 300


def test_no_window_reaches_over_a_hole() -> None:
    scorer, ear, tally = watch(lambda tick: not 42 <= tick < 53, 101, 0.01)
    assert [start for start in scorer.scored if 33 <= start < 55] == []
    assert scorer.scored[scorer.scored.index(30) + 1] == 55
    assert tally.skipped == 0
    assert tally.due == 90
    assert ear.away == [len(ear.moments)]


def test_a_long_hole_ends_what_goes_on_while_the_source_is_still_away() -> None:
    world = FakeWorld(lambda tick: not 42 <= tick < 142, 201)
    scorer, ear = FakeScorer(world, 0.01), Ear()
    world.go(0)
    loop = WatchLoop(world, scorer, [ear], now=world.now)
    while not ear.away:
        loop.step()
    assert world.time - 1004.1 == pytest.approx(3.1, abs=0.2)
    loop.run(Event())
    assert ear.away == [7, len(ear.moments)]


def test_a_stream_shorter_than_a_window_is_scored_once() -> None:
    scorer, ear, tally = watch(lambda tick: True, 4, 0.01)
    assert scorer.scored == [0]
    assert (tally.due, tally.seen) == (4, 4)
    assert len(ear.moments) == 1


def test_what_is_left_after_a_hole_is_no_window() -> None:
    scorer, _, tally = watch(lambda tick: not 20 <= tick < 31, 36, 0.01)
    assert scorer.scored == [0, 5, 10]
    assert (tally.due, tally.seen) == (25, 20)


def test_it_ends_when_asked_and_after_its_seconds() -> None:
    world = FakeWorld(lambda tick: True, 10**6)
    ear = Ear()
    loop = WatchLoop(world, FakeScorer(world, 0.01), [ear], now=world.now)
    tally = loop.run(Event(), seconds=12.0)
    assert tally.seconds == pytest.approx(12.0, abs=0.2)
    stop = Event()
    stop.set()
    assert WatchLoop(world, FakeScorer(world, 0.01), [ear], now=world.now).run(stop).windows == 0


def test_a_window_that_is_closed_ends_it() -> None:
    world = FakeWorld(lambda tick: True, 10**6)
    drawn = iter([True] * 20 + [False])
    loop = WatchLoop(world, FakeScorer(world, 0.01), [], lambda: next(drawn), now=world.now)
    assert loop.run(Event()).seconds < 5


def test_what_ended_reading_is_raised() -> None:
    world = FakeWorld(lambda tick: True, 30)
    world.check = lambda: (_ for _ in ()).throw(RuntimeError("broken"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="broken"):
        WatchLoop(world, FakeScorer(world, 0.01), [], now=world.now).run(Event())
