"""What `s3d watch` prints: a line for people, or a line of JSON, for whatever happens."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from threading import Lock
from typing import TYPE_CHECKING, Any

from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.infer.live.delays import Quantiles
    from s3d.infer.live.events import LiveEvent
    from s3d.infer.live.loop import Moment, Tally


class WatchLines:
    """Print what happens, from whatever thread.

    Attributes:
        text: What is seen just now, for the window.
    """

    def __init__(self, labels: tuple[str, ...], as_json: bool, has_windows: bool) -> None:
        self.labels, self.as_json, self.has_windows = labels, as_json, has_windows
        self.text = ""
        self._lock = Lock()

    def tell(self, line: str) -> None:
        """Say on stderr what is amiss, or well again; as JSON also on stdout."""
        shown = show_path(" ".join(line.split()))
        with self._lock:
            print(f"s3d: {shown}", file=sys.stderr, flush=True)
        if self.as_json:
            self.put({"event": "note", "text": shown})

    def put(self, values: dict[str, Any]) -> None:
        """Print values as a line of JSON."""
        self._print(json.dumps(values, ensure_ascii=False))

    def say(self, line: str) -> None:
        """Print a line for people."""
        if not self.as_json:
            self._print(line)

    def on_event(self, event: LiveEvent) -> None:
        """Print that something began or ended."""
        if self.as_json:
            self.put(event.to_json())
            return
        begins = event.event == "begin"
        seconds = event.start_seconds if begins else event.end_seconds
        lasted = "" if begins else f", lasted {event.end_seconds - event.start_seconds:.1f} s"
        self._print(
            f"{event.time[11:19]}  {'begins' if begins else 'ends  '}  {show_path(event.label)}  "
            f"{event.score:.1%}  at {seconds:.1f} s{lasted}, delay {_ms(event.delay_seconds)}"
        )

    def on_window(self, moment: Moment) -> None:
        """Take note of what a window shows, and print it where that is wanted."""
        place = int(moment.scores.argmax())
        label, score = self.labels[place], float(moment.scores[place])
        self.text = f"{label} {score:.0%}"
        if not self.has_windows:
            return
        if self.as_json:
            self.put(
                {
                    "event": "window",
                    "start_seconds": round(moment.start_seconds, 3),
                    "end_seconds": round(moment.end_seconds, 3),
                    "label": label,
                    "score": round(score, 4),
                    "delay_seconds": round(moment.delay_seconds, 3),
                }
            )
            return
        self._print(f"{moment.end_seconds:9.1f} s  {show_path(label)}  {score:.1%}")

    def on_away(self) -> None:
        """Forget what was seen."""
        self.text = ""

    def on_minute(self, tally: Tally) -> None:
        """Print how it goes, as JSON."""
        if self.as_json:
            self.put({"event": "minute", **tally_to_json(tally)})

    def _print(self, line: str) -> None:
        with self._lock:
            print(line, flush=True)


def tally_to_json(tally: Tally) -> dict[str, Any]:
    """Return a tally as plain JSON values."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(inner) for key, inner in value.items()}
        return round(value, 4) if isinstance(value, float) else value

    return {**rounded(asdict(tally)), "share_seen": round(tally.share_seen, 4)}


def summary_lines(tally: Tally, shown: str, rate_fps: float) -> list[str]:
    """Return what was watched, for people."""
    lines = [
        ("watched", f"{_time(tally.seconds)} of {shown}"),
        ("windows", f"{tally.windows:,} scored, {tally.skipped:,} passed over"),
        (
            "frames",
            f"{tally.arrived:,} came, {tally.dropped:,} dropped undecoded; "
            f"{tally.share_seen:.1%} of the {tally.due:,} at {rate_fps:g} fps were seen",
        ),
        ("delay", _delay(tally.delay)),
    ]
    if tally.first_minute and tally.last_minute:
        first, last = tally.first_minute.p95_seconds, tally.last_minute.p95_seconds
        lines.append(("", f"p95 of the first minute {_ms(first)}, of the last {_ms(last)}"))
    lines.append(("reconnects", f"{tally.reconnects:,}"))
    return [f"{name:<11}{text}" for name, text in lines]


def _delay(delay: Quantiles) -> str:
    if not delay.windows:
        return "none measured: no window was whole"
    p50, p95, longest = delay.p50_seconds, delay.p95_seconds, delay.max_seconds
    return f"p50 {_ms(p50)}, p95 {_ms(p95)}, longest {_ms(longest)}"


def _ms(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} s"
