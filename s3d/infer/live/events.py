"""What happens, as it begins and ends: windows become events."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from s3d.infer.live.loop import Moment, Tally
from s3d.infer.segments import Change, Segmenter, SegmentRule


@dataclass(frozen=True)
class LiveEvent:
    """Say that something began or ended.

    Attributes:
        event: "begin" or "end".
        number: Counts events from 1; an end has that of its begin.
        time: When it began or ended, ISO 8601 in UTC.
        label: What happens.
        score: The mean of its scores so far.
        start_seconds: When it began, since the first frame.
        end_seconds: When it ended; of one that goes on, up to when it is known.
        delay_seconds: From when the frame that showed it was taken until it is told.
    """

    event: Literal["begin", "end"]
    number: int
    time: str
    label: str
    score: float
    start_seconds: float
    end_seconds: float
    delay_seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        values = asdict(self)
        for name in ("start_seconds", "end_seconds", "delay_seconds"):
            values[name] = round(values[name], 3)
        return {**values, "score": round(self.score, 4)}


class EventKeeper:
    """Follow windows, and tell what begins and ends.

    Attributes:
        count: Events that began.
    """

    def __init__(
        self,
        labels: Sequence[str],
        rule: SegmentRule,
        tellers: Sequence[Callable[[LiveEvent], None]] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Set up.

        Args:
            labels: Class names, in the order of the scores.
            rule: When events begin and end.
            tellers: Are told each.
            wall: Tells the time of day, in seconds.

        Raises:
            InputError: The rule names a label that is none of these.
        """
        self.segmenter = Segmenter(labels, rule)
        self.tellers, self.wall, self.count = list(tellers), wall, 0
        self._delay, self._origin = 0.0, wall()

    def on_window(self, moment: Moment) -> None:
        """Take a window."""
        self._delay = moment.delay_seconds
        self._origin = self.wall() - moment.age_seconds
        self._tell(self.segmenter.push(moment.start_seconds, moment.end_seconds, moment.scores))

    def on_away(self) -> None:
        """End what goes on: the source is away."""
        self._tell(self.segmenter.finish())

    def on_minute(self, tally: Tally) -> None:
        """Pass over it."""

    def _tell(self, changes: list[Change]) -> None:
        for change in changes:
            began = change.kind == "began"
            self.count += began
            segment = change.segment
            seconds = segment.start_seconds if began else segment.end_seconds
            event = LiveEvent(
                "begin" if began else "end", self.count, self._time_of(seconds), segment.label,
                segment.score, segment.start_seconds, segment.end_seconds, self._delay,
            )  # fmt: skip
            for tell in self.tellers:
                tell(event)

    def _time_of(self, seconds: float) -> str:
        """Return the time of day of a second of the stream."""
        return time_text(self._origin + seconds)


def time_text(wall_seconds: float) -> str:
    """Return a time of day, ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(wall_seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
