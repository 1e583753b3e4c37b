"""When a frame was taken: its stamp, laid on our own clock.

What comes over a network comes in bursts; a frame's stamp says when it was taken, up to a constant.
That constant is the smallest (arrival - stamp) seen: no frame arrives before it is taken. So

    time = stamp + offset <= arrival        late = arrival - time

Stamps that jump, stand still or are missing count for nothing: then a frame is of when it arrived.
"""

from __future__ import annotations

from typing import Protocol

MOST_LATE_SECONDS = 0.5
"""A frame that is later, with no others waiting behind it, shows that the stamps have jumped."""
FOLLOW_SHARE = 0.005
"""Of a delay that stays: how much of it each frame takes into the offset; clocks drift."""
MOST_STEP_SECONDS = 10.0
"""A file whose stamps leap further goes on at once."""


class Clock(Protocol):
    """Lay stamps, in seconds from anywhere, on the clock of arrivals."""

    def late(self, stamp: float | None, now: float) -> float:
        """Return by how many seconds what has that stamp comes late; 0 where nobody knows."""

    def read(self, stamp: float | None, arrival: float, is_queued: bool) -> float:
        """Return when a frame was taken, or is due.

        Args:
            stamp: In seconds from anywhere; None where it has none.
            arrival: When it came.
            is_queued: Whether it had come before it was asked for, so that more may wait.
        """


class LiveClock:
    """Lay the stamps of a stream on the clock of arrivals."""

    def __init__(self) -> None:
        self.offset: float | None = None

    def late(self, stamp: float | None, now: float) -> float:
        """Return how far behind its time something comes."""
        return 0.0 if stamp is None or self.offset is None else now - stamp - self.offset

    def read(self, stamp: float | None, arrival: float, is_queued: bool) -> float:
        """Return when a frame was taken, never after it arrived."""
        if stamp is None:
            return arrival
        late = self.late(stamp, arrival)
        has_jumped = late > MOST_LATE_SECONDS and not is_queued
        if self.offset is None or late < 0 or has_jumped:
            self.offset = arrival - stamp
        elif not is_queued:
            self.offset += FOLLOW_SHARE * late
        return min(stamp + self.offset, arrival)


class PacedClock:
    """Say when the frames of a file are due, where it plays in real time."""

    def __init__(self, begin: float, interval: float) -> None:
        """Begin to play.

        Args:
            begin: When its first frame is due.
            interval: Seconds between frames where stamps do not tell.
        """
        self.interval = interval
        self.due = begin - interval
        self.offset: float | None = None

    def late(self, stamp: float | None, now: float) -> float:
        """Return how far behind reading is."""
        return 0.0 if stamp is None or self.offset is None else now - stamp - self.offset

    def read(self, stamp: float | None, arrival: float, is_queued: bool) -> float:
        """Return when a frame is due, however early it was read."""
        due = self.due + self.interval
        if stamp is not None:
            if self.offset is None or not 0 < stamp + self.offset - self.due < MOST_STEP_SECONDS:
                self.offset = due - stamp  # The first one, or a stamp that cannot be true.
            due = stamp + self.offset
        self.due = due
        return due
