"""Where `s3d watch` puts what it sees: lines, a webhook, clips, a window."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s3d.cli.watch_lines import WatchLines
from s3d.files import show_path

if TYPE_CHECKING:
    from s3d.infer.live.clips import Recorder
    from s3d.infer.live.events import LiveEvent
    from s3d.infer.live.reading import Tap
    from s3d.infer.live.ticks import TickRing
    from s3d.infer.live.webhook import Webhook
    from s3d.infer.live.window import Window


@dataclass(frozen=True)
class Outputs:
    """Hold what is told of events.

    Attributes:
        lines: Prints them.
        webhook: Sends them.
        recorder: Saves a clip of each.
        window: Shows what comes.
    """

    lines: WatchLines
    webhook: Webhook | None
    recorder: Recorder | None
    window: Window | None

    def taps(self) -> list[Tap]:
        """Return what is shown every frame."""
        return [tap for tap in (self.recorder, self.window) if tap is not None]

    def on_event(self, event: LiveEvent) -> None:
        """Tell all of an event."""
        self.lines.on_event(event)
        if self.recorder:
            self.recorder.take(event)
        if self.webhook:
            self.webhook.send(event.to_json())

    def drawer(self) -> Callable[[], bool] | None:
        """Return what draws the window."""
        window = self.window
        if window is None:
            return None

        def draw() -> bool:
            window.text = self.lines.text
            return window.draw()

        return draw

    def close(self) -> dict[str, int]:
        """Finish what is under way, and return what was saved and sent."""
        if self.window:
            self.window.close()
        done: dict[str, int] = {}
        if self.recorder:
            self.recorder.close()
            done["clips"] = self.recorder.saved
        if self.webhook:
            self.webhook.close()
            done |= {"webhook_sent": self.webhook.sent, "webhook_lost": self.webhook.lost}
        return done


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add --json, --windows, --webhook, --save, --before, --after and --show."""
    parser.add_argument("--json", action="store_true", help="print lines of JSON")
    parser.add_argument("--windows", action="store_true", help="print every window, too")
    parser.add_argument("--webhook", metavar="URL", help="POST each event to it as JSON")
    parser.add_argument("--save", metavar="DIR", help="save a clip around each event here")
    for name in ("before", "after"):
        parser.add_argument(
            f"--{name}", type=float, default=3.0, metavar="SECONDS",
            help=f"what is saved {name} an event [3]",
        )  # fmt: skip
    parser.add_argument("--show", action="store_true", help="show it in a window; q closes it")


def open_outputs(
    options: argparse.Namespace, labels: tuple[str, ...], ring: TickRing, known_seconds: float
) -> Outputs:
    """Open what the options ask for.

    Args:
        options: Hold what `add_output_options` added.
        labels: Class names, in the order of the scores.
        ring: Knows when the first frame came.
        known_seconds: How long after its begin an event is told at the latest.

    Raises:
        InputError: A folder cannot be written, an address is none, or there is no window.
    """
    window = webhook = recorder = None
    lines = WatchLines(labels, options.json, options.windows)
    if options.show:
        from s3d.infer.live.window import Window

        window = Window()
    if options.webhook is not None:
        from s3d.infer.live.webhook import Webhook

        webhook = Webhook(options.webhook, lines.tell)
    if options.save is not None:
        from s3d.infer.live.clips import ClipRule, Recorder

        rule = ClipRule(Path(options.save), options.before, options.after, known_seconds)
        recorder = Recorder(rule, lines.tell, lambda: ring.origin)
    return Outputs(lines, webhook, recorder, window)


def done_lines(done: dict[str, int], options: argparse.Namespace) -> list[str]:
    """Return what was saved and sent, for people."""
    lines = []
    if "clips" in done:
        lines.append(f"{'clips':<11}{done['clips']:,} in {show_path(options.save)}")
    if "webhook_sent" in done:
        lines.append(f"{'webhook':<11}{done['webhook_sent']:,} sent, {done['webhook_lost']:,} lost")
    return lines
