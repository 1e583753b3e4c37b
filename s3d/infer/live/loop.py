"""The loop that scores: always the newest whole window, never one that had to wait in a queue.

    while frames come:  wait for a window -> take what is there -> score the newest -> tell

Where scoring takes longer than from window to window, windows are passed over and counted. So a
result is never later than one scoring and one stride after its last frame, however long it runs.

Where the source is away for up to half a second, nothing is missing: ticks take the frames around.
Beyond that no window reaches over the hole. An event that goes on before and after a hole of up to
3 s is one event; a longer one ends it where it was last seen. What began and ended within a hole,
or left less than a window on either side of it, cannot be known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import numpy as np

from s3d.data.video_info import Frames
from s3d.infer.live.delays import Delays, Quantiles
from s3d.infer.live.reading import Counts
from s3d.infer.live.ticks import Stretch, TickRing
from s3d.infer.recognizer import Scores
from s3d.infer.scorer import ScoredWindow

LOOK_SECONDS = 0.1
"""How often the loop looks whether it is to stop."""
DRAW_SECONDS = 0.03
"""The same, where it draws a window."""
PUSHED_TICKS = 8
"""So many frames are handed to the scorer before a window is whole: it may work ahead."""
BRIDGE_SECONDS = 3.0
"""What went on before a hole of up to this length, and goes on after it, is one event."""


class Scorer(Protocol):
    """Score windows of a stream of frames: see `s3d.infer.scorer.WindowScorer`."""

    window_frames: int
    stride_frames: int

    def push(self, frames: Frames, newest_only: bool = False) -> list[ScoredWindow]:
        """Take frames that follow, and return the windows they complete."""

    def reset(self, first_frame: int = 0) -> None:
        """Begin anew with the frame of that number."""

    def finish(self) -> list[ScoredWindow]:
        """Return the window that ends with the last frame."""


class Frontend(Protocol):
    """Bring frames: see `s3d.infer.live.reader.Reader`."""

    ring: TickRing
    counts: Counts

    def check(self) -> None:
        """Raise what ended reading."""


@dataclass(frozen=True, eq=False)
class Moment:
    """Hold what is said of one window.

    Attributes:
        start_seconds: When it began, since the first frame.
        end_seconds: When its last frame ended.
        scores: (K,) probabilities.
        delay_seconds: From when its last frame was taken, or due, until now.
        age_seconds: From the first frame of the stream until now.
    """

    start_seconds: float
    end_seconds: float
    scores: Scores
    delay_seconds: float
    age_seconds: float


@dataclass(frozen=True)
class Tally:
    """Sum up what was watched.

    Attributes:
        seconds: For how long.
        windows: Scored.
        skipped: Windows passed over since scoring took too long.
        arrived: Frames that came.
        dropped: Of these, passed over undecoded since reading was behind.
        due: Frames of the clip's rate while the source was there.
        seen: Of these, in a window that was scored.
        reconnects: How often the source came again.
        delay: Of all windows.
        first_minute: Of those of the first minute; None before it is over.
        last_minute: Of the latest whole minute.
    """

    seconds: float
    windows: int
    skipped: int
    arrived: int
    dropped: int
    due: int
    seen: int
    reconnects: int
    delay: Quantiles
    first_minute: Quantiles | None
    last_minute: Quantiles | None

    @property
    def share_seen(self) -> float:
        """Return the share of the due frames that were in a window."""
        return self.seen / self.due if self.due else 0.0


class Listener(Protocol):
    """Be told what is seen."""

    def on_window(self, moment: Moment) -> None:
        """Take what is said of a window."""

    def on_away(self) -> None:
        """Hear that the source has been away for so long that nothing goes on."""

    def on_minute(self, tally: Tally) -> None:
        """Hear how it goes, once a minute."""


class WatchLoop:
    """Score what a reader brings, until it ends or somebody stops it."""

    def __init__(
        self,
        reader: Frontend,
        scorer: Scorer,
        listeners: Sequence[Listener],
        draw: Callable[[], bool] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up.

        Args:
            reader: Brings frames.
            scorer: Scores windows of them.
            listeners: Are told what is seen.
            draw: Draws a window; returns whether to go on.
            now: Tells the time of the reader's clock.
        """
        self.draw, self.look_seconds = draw, DRAW_SECONDS if draw else LOOK_SECONDS
        self.reader, self.scorer, self.listeners = reader, scorer, listeners
        self.ring, self.now = reader.ring, now
        self.begin = now()
        self.delays = Delays(self.begin)
        self.windows = self.skipped = self.seen = 0
        self._run, self._pushed, self._covered, self._anew_at = -1, 0, 0, 0
        self._next_start: int | None = None
        self._last_taken = self.begin
        self._is_away = False

    def run(self, stop: Event, seconds: float | None = None) -> Tally:
        """Work until the source is over.

        Args:
            stop: Set to end it.
            seconds: End after so long.

        Raises:
            InputError: The source cannot be read on.
        """
        while not stop.is_set() and (seconds is None or self.now() - self.begin < seconds):
            is_over = self.ring.is_closed
            if not self.step() and is_over:
                self._finish()
                break
            if self.draw and not self.draw():
                break
        self._go_away()
        self.reader.check()
        return self.tally()

    def step(self) -> bool:
        """Wait a moment for a window, and score the newest; return whether frames had come."""
        self.ring.wait(self._wanted(), self.look_seconds)
        stretch = self.ring.take(self._run, self._pushed)
        if stretch.frames:
            self._take(stretch)
        elif self.now() - self._last_taken > BRIDGE_SECONDS:
            self._go_away()
        if self.delays.turn(self.now()):
            for listener in self.listeners:
                listener.on_minute(self.tally())
        return bool(stretch.frames)

    def tally(self) -> Tally:
        """Sum up what was watched so far."""
        counts, delays = self.reader.counts, self.delays
        return Tally(
            self.now() - self.begin, self.windows, self.skipped, counts.arrived, counts.dropped,
            self.ring.due, self.seen, counts.reconnects, delays.overall(), delays.first,
            delays.last,
        )  # fmt: skip

    def _wanted(self) -> int:
        """Return the tick worth waiting for: the last of the next window, or one before it."""
        stride, window = self.scorer.stride_frames, self.scorer.window_frames
        start = _multiple_from(max(0, self._pushed - window + 1), stride)
        return min(start + window, self._pushed + PUSHED_TICKS) - 1

    def _take(self, stretch: Stretch) -> None:
        if (stretch.run, stretch.first) != (self._run, self._pushed):
            self._begin_anew(stretch)
        self._pushed, self._last_taken = stretch.end, stretch.taken[-1]
        self._is_away = False
        for window in self.scorer.push(np.stack(stretch.frames), newest_only=True):
            last = window.first_frame + self.scorer.window_frames - 1
            self._tell(window, stretch.taken[last - stretch.first])

    def _begin_anew(self, stretch: Stretch) -> None:
        """Go on after a hole, or after frames that are gone since scoring took too long."""
        if stretch.run != self._run:
            away_seconds = (stretch.first - self._pushed) / self.ring.rate_fps
            if self._run >= 0 and away_seconds > BRIDGE_SECONDS:
                self._go_away()
            self._run = stretch.run
            self._next_start = _multiple_from(stretch.first, self.scorer.stride_frames)
        self._anew_at = stretch.first
        self.scorer.reset(stretch.first)

    def _tell(self, window: ScoredWindow, taken: float) -> None:
        first, end = window.first_frame, window.first_frame + self.scorer.window_frames
        stride = self.scorer.stride_frames
        if self._next_start is not None:
            self.skipped += max(0, first - self._next_start) // stride
        self._next_start = _multiple_from(first + 1, stride)
        self.windows += 1
        self.seen += max(0, min(end, self._pushed) - max(first, self._covered))
        self._covered = min(end, self._pushed)
        now = self.now()
        delay = now - taken
        self.delays.add(delay)
        rate, age = self.ring.rate_fps, now - (self.ring.origin or now)
        moment = Moment(first / rate, end / rate, window.scores, delay, age)
        for listener in self.listeners:
            listener.on_window(moment)

    def _go_away(self) -> None:
        if not self._is_away:
            self._is_away = True
            for listener in self.listeners:
                listener.on_away()

    def _finish(self) -> None:
        """Score what is left of a stream that is over, as far as a window fits into it.

        A stream that is shorter than a window is scored as a file is: continued from its beginning.
        """
        fits = self._pushed - self._anew_at >= self.scorer.window_frames
        if self._covered < self._pushed and (fits or not self._anew_at):
            for window in self.scorer.finish():
                self._tell(window, self._last_taken)


def _multiple_from(number: int, step: int) -> int:
    """Return the first multiple of a step that is not below a number."""
    return -(-number // step) * step
