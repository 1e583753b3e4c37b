"""s3d predict --timeline: what happens in long videos, and when."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from s3d.cli.model_options import load_recognizer
from s3d.cli.parser import split_words
from s3d.cli.terminal import print_error, progress_bar
from s3d.errors import InputError
from s3d.files import make_folder, show_path

if TYPE_CHECKING:
    from s3d.infer.recognizer import Recognizer
    from s3d.infer.scan import Scan
    from s3d.infer.segments import SegmentRule
    from s3d.infer.timeline import Timeline

RECORD_ENDING = ".windows"
MOST_PRINTED = 1000

ALONE = {
    "stride": "--stride", "frames": "--frames", "rate": "--rate", "threshold": "--threshold",
    "leave": "--leave", "smooth": "--smooth", "least": "--least",
    "nothing_labels": "--nothing-labels",
}  # fmt: skip
"""Options that go with --timeline alone."""
NOT_WITH = {
    "flow_model": "--flow-model", "flow": "--flow", "reversed": "--reversed", "ray": "--ray",
    "workers": "--workers", "all_scores": "--all-scores",
}  # fmt: skip
"""Options that do not go with it."""


def add_timeline_options(parser: argparse.ArgumentParser) -> None:
    """Add --timeline and what goes with it."""
    group = parser.add_argument_group("what happens when, in videos of any length")
    group.add_argument(
        "--timeline", action="store_true",
        help="score windows and write segments to --out as CSV, JSON, SRT and a page",
    )  # fmt: skip
    group.add_argument(
        "--stride", type=float, metavar="SECONDS", help="from window to window [a quarter of one]"
    )
    group.add_argument("--frames", type=int, metavar="N", help="of a window [the model's clip]")
    group.add_argument("--rate", type=float, metavar="FPS", help="of its frames [the model's]")
    group.add_argument(
        "--threshold", type=float, metavar="X",
        help="score from which a label is believed [what s3d calibrate found; else 0.5]",
    )  # fmt: skip
    group.add_argument(
        "--leave", type=float, metavar="X", help="score below which it ends [4/5 of the threshold]"
    )
    group.add_argument(
        "--smooth", type=int, metavar="N", help="mean over N windows, an odd number [1]"
    )
    group.add_argument("--least", type=float, metavar="SECONDS", help="drop what is shorter [0]")
    group.add_argument(
        "--nothing-labels", metavar="A,B", help="labels that mean that nothing happens"
    )


def refuse_timeline_options(options: argparse.Namespace) -> None:
    """Check that nothing is asked for that only a timeline has.

    Raises:
        InputError: Something is.
    """
    for name, flag in ALONE.items():
        if getattr(options, name) is not None:
            raise InputError(f"{flag} goes with --timeline. Add it, or leave {flag} out.")


def predict_timelines(options: argparse.Namespace) -> int:
    """Print and write the segments of each video, and return the exit code: 2 if one failed."""
    for name, flag in NOT_WITH.items():
        if getattr(options, name):
            raise InputError(f"{flag} does not go with --timeline. Leave one out.")
    if options.out is None:
        raise InputError("--timeline needs --out DIR, where segments are written.")
    from s3d.infer.scan import Scan, ScanRecipe

    recipe = ScanRecipe(options.stride, options.frames, options.rate)
    jobs = _list_jobs(options.videos, Path(options.out))
    scan = Scan(load_recognizer(options), recipe)
    rule = _rule(scan.recognizer, options)
    with _hold(Path(options.out)):
        return max(_attempt(job, scan, rule, options) for job in jobs)


def _hold(out: Path) -> BinaryIO:
    """Take the folder of results for this process, until what is returned is closed."""
    from s3d.batch.lock import lock_folder

    make_folder(out)
    lock = lock_folder(out)
    if lock is None:
        raise InputError(
            f"{show_path(out)}: another process writes there. Wait for it, or choose another --out."
        )
    return lock


@dataclass(frozen=True)
class _Job:
    """Name a video, and the place of its files without their endings."""

    video: str
    place: Path


def _list_jobs(sources: Sequence[str], out: Path) -> list[_Job]:
    from s3d.data.find_videos import find_videos
    from s3d.data.frame_folder import split_rate

    videos = dict.fromkeys(video for source in sources for video in find_videos(source, out))
    places: dict[Path, str] = {}
    for video in videos:
        name = os.path.basename(os.path.normpath(split_rate(video)[0]))  # noqa: PTH119
        place = out / (os.path.splitext(name)[0] or name)  # noqa: PTH122
        other = places.setdefault(place, video)
        if other != video:
            raise InputError(
                f"{show_path(video)} and {show_path(other)} would both become "
                f"{show_path(place)}.csv. Give each its own --out."
            )
    if not videos:
        raise InputError(f"{', '.join(map(show_path, sources))}: holds no videos. Check the path.")
    return [_Job(video, place) for place, video in places.items()]


def _rule(recognizer: Recognizer, options: argparse.Namespace) -> SegmentRule:
    from s3d.infer.segments import DEFAULT_THRESHOLD, SegmentRule, check_labels
    from s3d.infer.threshold import find_threshold

    found = find_threshold(recognizer.metrics)
    default = found.value if found else DEFAULT_THRESHOLD
    nothing = split_words(options.nothing_labels)
    rule = SegmentRule(
        default if options.threshold is None else options.threshold,
        options.leave,
        1 if options.smooth is None else options.smooth,
        0.0 if options.least is None else options.least,
        nothing,
    )
    check_labels(recognizer.labels, rule)
    return rule


def _attempt(job: _Job, scan: Scan, rule: SegmentRule, options: argparse.Namespace) -> int:
    from s3d.infer.timeline import compute_timeline
    from s3d.infer.timeline_files import find_url, write_timeline

    begin = time.perf_counter()
    record = job.place.with_name(job.place.name + RECORD_ENDING)
    try:
        tell = progress_bar("windows")
        found = compute_timeline(scan, job.video, rule, record=record, tell=tell)
        write_timeline(found, job.place, options.model, find_url(job.video, job.place.parent))
    except InputError as error:
        if options.json:
            print(json.dumps({"path": job.video, "error": str(error)}, ensure_ascii=False))
        return print_error(str(error))
    seconds = time.perf_counter() - begin
    print(_show_json(found, options.model) if options.json else _show(found, job, seconds))
    return 0


def _show_json(found: Timeline, model: str) -> str:
    return json.dumps({"model": model, **found.to_json()}, ensure_ascii=False)


def _show(found: Timeline, job: _Job, seconds: float) -> str:
    from s3d.infer.timeline_axis import clock

    segments = found.segments[:MOST_PRINTED]
    labels = [show_path(segment.label) for segment in segments]
    wide = max(map(len, labels), default=0)
    lines = [show_path(job.video)]
    lines += [
        f"  {clock(one.start_seconds)}  {clock(one.end_seconds)}  {label:<{wide}}  {one.score:6.1%}"
        for one, label in zip(segments, labels, strict=True)
    ]
    more = len(found.segments) - len(segments)
    lines += [f"  ... and {more:,} more, in the files"] if more else []
    lines += [] if segments else ["  nothing reaches the threshold"]
    enter, leave = found.rule.enter, found.rule.leave_score
    lines.append(f"threshold {enter:.3g}, to go on {leave:.3g} ({found.origin})")
    lines.append(f"windows   {found.windows:,} {found.protocol}")
    lines.append(f"in        {show_path(job.place)}.csv .json .srt .html")
    lines.append(f"speed     {_show_speed(found, seconds)}")
    return "\n".join(lines)


def _show_speed(found: Timeline, seconds: float) -> str:
    if not found.scored:
        return "all windows were scored before"
    share = found.scored / found.windows
    rate = share * found.duration_seconds / seconds
    before = found.windows - found.scored
    resumed = f"; {before:,} windows were scored before" if before else ""
    return f"{rate:.3g} s of video a second, in {seconds:.1f} s{resumed}"
