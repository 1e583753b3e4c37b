"""s3d watch: what happens in front of a camera, in a stream or in a file, as it happens."""

from __future__ import annotations

import argparse
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING

from s3d.cli.model_options import add_model_options, load_recognizer
from s3d.cli.parser import Verbs, add_verb, split_words
from s3d.cli.watch_lines import summary_lines, tally_to_json
from s3d.cli.watch_outputs import Outputs, add_output_options, done_lines, open_outputs
from s3d.errors import InputError
from s3d.models.published.weights import DEFAULT

if TYPE_CHECKING:
    from s3d.infer.live.events import EventKeeper
    from s3d.infer.live.loop import Listener, Tally
    from s3d.infer.live.source import Source
    from s3d.infer.live.ticks import TickRing
    from s3d.infer.recognizer import Recognizer
    from s3d.infer.scorer import WindowScorer
    from s3d.infer.segments import SegmentRule

STRIDES_A_WINDOW = 4


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "tell what happens in a camera, a stream or a file, as it happens"
    parser = add_verb(verbs, "watch", text, run)
    parser.add_argument(
        "source", metavar="SOURCE",
        help="camera number, rtsp:// or http:// address, file (played in real time), FIFO, or -",
    )  # fmt: skip
    add_model_options(parser, default=DEFAULT)
    _add_event_options(parser)
    add_output_options(parser)
    parser.add_argument("--seconds", type=float, metavar="N", help="stop after so many")
    parser.add_argument("--loop", action="store_true", help="play a file again and again")
    parser.add_argument(
        "--patience", type=float, default=5.0, metavar="SECONDS",
        help="for how long SOURCE may be away at the start [5]",
    )  # fmt: skip


def _add_event_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stride", type=float, metavar="SECONDS",
        help="from window to window [a quarter of a window]",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE",
        help="from which a label is believed [what `s3d calibrate` found, or 0.5]",
    )  # fmt: skip
    parser.add_argument(
        "--leave", type=float, metavar="SCORE",
        help="below which it ends [four fifths of the threshold]",
    )  # fmt: skip
    parser.add_argument(
        "--smooth",
        type=int,
        default=1,
        metavar="WINDOWS",
        help="scores are a mean over so many [1]",
    )
    parser.add_argument(
        "--least", type=float, default=0.0, metavar="SECONDS", help="shorter events are dropped [0]"
    )
    parser.add_argument(
        "--nothing-labels", metavar="A,B", help="labels that mean that nothing happens"
    )  # fmt: skip


@dataclass(frozen=True)
class _Setup:
    """Hold what works together while a source is watched."""

    scorer: WindowScorer
    ring: TickRing
    outputs: Outputs
    keeper: EventKeeper


def run(options: argparse.Namespace) -> int:
    """Watch until the source is over, --seconds are, or somebody stops it; return the exit code."""
    from s3d.infer.live.source import parse_source

    source = parse_source(options.source)
    _check_seconds("--seconds", options.seconds)
    _check_seconds("--patience", options.patience)
    recognizer = _load(options)
    setup = _set_up(options, recognizer)
    try:
        tally = _watch(options, source, recognizer, setup)
    finally:
        done = setup.outputs.close()
    lines, facts = setup.outputs.lines, {"events": setup.keeper.count, **done}
    if options.json:
        lines.put({"event": "summary", **tally_to_json(tally), **facts})
    for line in summary_lines(tally, source.shown, recognizer.spec.rate_fps):
        lines.say(line)
    lines.say(f"{'events':<11}{setup.keeper.count:,}")
    for line in done_lines(done, options):
        lines.say(line)
    return 0


def _load(options: argparse.Namespace) -> Recognizer:
    recognizer = load_recognizer(options)
    recognizer.check_has_classes()
    if recognizer.spec.modality != "rgb":
        raise InputError(
            f"{options.model}: takes {recognizer.spec.modality}; what is watched live is rgb. "
            "Use a model of rgb."
        )
    return recognizer


def _set_up(options: argparse.Namespace, recognizer: Recognizer) -> _Setup:
    from s3d.infer.live.events import EventKeeper
    from s3d.infer.live.ticks import TickRing

    labels, rate = recognizer.labels, recognizer.spec.rate_fps
    scorer, rule = _make_scorer(recognizer, options.stride), _make_rule(recognizer, options)
    window, stride = scorer.window_frames, scorer.stride_frames
    # How long after its begin an event may be told: clips must reach back so far.
    known = rule.least_seconds + (window + (rule.smooth_windows + 2) * stride) / rate + 1
    ring = TickRing(rate, window + stride)
    keeper = EventKeeper(labels, rule)
    outputs = open_outputs(options, labels, ring, known)
    keeper.tellers.append(outputs.on_event)
    return _Setup(scorer, ring, outputs, keeper)


def _make_scorer(recognizer: Recognizer, stride_seconds: float | None) -> WindowScorer:
    """Return what scores windows, after it has scored some: the first take longer than others."""
    import numpy as np

    from s3d.infer.scorer import WindowScorer
    from s3d.infer.windows import check_stride

    spec = recognizer.spec
    stride = max(1, spec.frames // STRIDES_A_WINDOW)
    if stride_seconds is not None:
        check_stride(stride_seconds)
        stride = max(1, round(stride_seconds * spec.rate_fps))
    scorer = WindowScorer(recognizer, stride)
    # Noise, since the scorer proves on the first windows that what they share is the same.
    shape = scorer.window_frames + 2 * stride, *spec.size_px, spec.channels
    scorer.push(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    scorer.reset()
    return scorer


def _make_rule(recognizer: Recognizer, options: argparse.Namespace) -> SegmentRule:
    from s3d.infer.segments import DEFAULT_THRESHOLD, SegmentRule
    from s3d.infer.threshold import find_threshold

    found = find_threshold(recognizer.metrics)
    enter = found.value if found else DEFAULT_THRESHOLD
    enter = enter if options.threshold is None else options.threshold
    nothing = split_words(options.nothing_labels)
    return SegmentRule(enter, options.leave, options.smooth, options.least, nothing)


def _watch(
    options: argparse.Namespace, source: Source, recognizer: Recognizer, setup: _Setup
) -> Tally:
    from s3d.infer.live.loop import WatchLoop
    from s3d.infer.live.reader import Habits, Reader

    outputs = setup.outputs
    habits = Habits(options.loop, options.patience, tell=outputs.lines.tell)
    reader = Reader(source, recognizer.spec, setup.ring, habits, outputs.taps())
    with _stop_when_asked() as stop:
        try:
            reader.start(stop)
            _announce(setup, source, recognizer)
            listeners: list[Listener] = [outputs.lines, setup.keeper]
            loop = WatchLoop(reader, setup.scorer, listeners, outputs.drawer())
            return loop.run(stop, options.seconds)
        finally:
            reader.stop()


def _announce(setup: _Setup, source: Source, recognizer: Recognizer) -> None:
    """Say what is watched, and how."""
    from s3d.infer.live.events import time_text

    scorer, rule, spec = setup.scorer, setup.keeper.segmenter.rule, recognizer.spec
    stride_seconds = scorer.stride_frames / spec.rate_fps
    setup.outputs.lines.say(
        f"{'watching':<11}{source.shown}: {spec.describe()}, a window every "
        f"{stride_seconds:.2g} s, threshold {rule.enter:g}"
    )
    if setup.outputs.lines.as_json:
        values = {
            "source": source.shown,
            "time": time_text(time.time() - (time.monotonic() - (setup.ring.origin or 0.0))),
            "window_seconds": spec.span_seconds,
            "stride_seconds": stride_seconds,
            "threshold": rule.enter,
            "leave": rule.leave_score,
        }
        setup.outputs.lines.put({"event": "start", **values})


@contextmanager
def _stop_when_asked() -> Iterator[Event]:
    """Give an event that Ctrl-C and SIGTERM set; asked a second time, we end at once."""
    stop = Event()
    if current_thread() is not main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_seconds(name: str, seconds: float | None) -> None:
    if seconds is not None and not 0 <= seconds < math.inf:
        raise InputError(f"{name} is {seconds:g}; it needs seconds, 0 or more.")
