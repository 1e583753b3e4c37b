"""The thread that reads a source: it decodes always, keeps only the newest, and never gives up.

A source that ends, stalls or sends rubbish is opened again, at first at once and then less and less
often. A file and standard input end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Thread

from s3d.clip import ClipSpec
from s3d.data.container import no_frame
from s3d.errors import InputError
from s3d.infer.live.connect import STALL_SECONDS, open_connection
from s3d.infer.live.feed import Halt, LostError
from s3d.infer.live.reading import Counts, Intake, Reading, Tap
from s3d.infer.live.source import Source
from s3d.infer.live.ticks import TickRing

FIRST_WAIT_SECONDS = 0.1
MOST_WAIT_SECONDS = 10.0
"""Between tries to open a source again."""
PATIENCE_SECONDS = 5.0
JOIN_SECONDS = 2.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Habits:
    """Say how a source is read.

    Attributes:
        loop: Play a file again when it ends.
        patience_seconds: For how long the first frame may be waited for.
        stall_seconds: For how long nothing may come.
        tell: Told in a few words that the source was lost, and that it is there again.
    """

    loop: bool = False
    patience_seconds: float = PATIENCE_SECONDS
    stall_seconds: float = STALL_SECONDS
    tell: Callable[[str], None] = lambda line: None


class Reader:
    """Read a source in a thread of its own.

    Attributes:
        ring: The newest frames, as a network sees them.
        counts: What became of the source so far.
        error: Why reading ended, where it should not have.
    """

    def __init__(
        self,
        source: Source,
        spec: ClipSpec,
        ring: TickRing,
        habits: Habits | None = None,
        taps: Sequence[Tap] = (),
    ) -> None:
        self.source, self.ring = source, ring
        self.habits = habits or Habits()
        self.counts = Counts()
        self.error: Exception | None = None
        self._begun, self._stop = Event(), Halt()
        stall = self.habits.stall_seconds
        self._intake = Intake(spec, ring, taps, self.counts, self._stop, stall, self._find)
        self._is_lost = False
        self._thread = Thread(target=self._run, name="s3d-watch-reader", daemon=True)

    def start(self, stop: Event | None = None) -> None:
        """Begin to read, and return when the first frame is there.

        Args:
            stop: Set where nobody wants to wait for it any longer.

        Raises:
            InputError: It does not come.
        """
        self._thread.start()
        while not self._begun.wait(LOOK_SECONDS) and not (stop and stop.is_set()):
            pass
        self.check()

    def check(self) -> None:
        """Raise what ended reading, if anything did."""
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End reading; a thread that still waits for a network is left to itself."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        try:
            self._read_on()
        except Exception as error:
            # Whatever it is: the thread that scores must hear of it, and not wait for ever.
            self.error = error
        finally:
            self.ring.close()
            self._begun.set()

    def _read_on(self) -> None:
        """Read until the source is over, opening it again as often as it is lost."""
        began, wait = time.monotonic(), FIRST_WAIT_SECONDS
        while not self._stop.is_set():
            before = self.counts.arrived
            reason = self._read_once()
            if self._stop.is_set() or (reason is None and not self.habits.loop):
                return
            if reason is None:
                continue
            if not self._begun.is_set() and time.monotonic() - began > self.habits.patience_seconds:
                raise InputError(
                    f"{self.source.shown}: cannot be watched ({reason}). Check it, or wait longer "
                    "with --patience SECONDS."
                )
            self._lose(reason)
            wait = FIRST_WAIT_SECONDS if self.counts.arrived > before else wait * 2
            self._stop.wait(min(wait, MOST_WAIT_SECONDS))

    def _read_once(self) -> str | None:
        """Read until the source ends, and return why it was lost; None where it is over."""
        source = self.source
        try:
            with open_connection(source, self._stop, self.habits.stall_seconds) as connection:
                Reading(connection, self._intake, source.shown).read()
                is_over = connection.is_paced or not source.comes_back
        except LostError as error:
            if source.comes_back:
                return str(error)
            raise InputError(f"{source.shown}: {error}. Pipe a video in.") from None
        except InputError as error:
            if source.comes_back and self._begun.is_set():
                return str(error)
            raise
        if is_over and not self._begun.is_set() and not self._stop.is_set():
            raise no_frame(source.shown)
        return None if is_over else "it ended"

    def _find(self) -> None:
        """Take note of a frame: the source is there."""
        if self._is_lost:
            self._is_lost = False
            self.counts.reconnects += 1
            self.habits.tell(f"{self.source.shown}: there again")
        self._begun.set()

    def _lose(self, reason: str) -> None:
        if self._begun.is_set() and not self._is_lost:
            self._is_lost = True
            self.habits.tell(f"{self.source.shown}: lost ({reason}); trying again")
