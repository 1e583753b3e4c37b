"""s3d detect: who does what, where and when in a video."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from s3d.cli.detector_options import add_detector_options, load_finder
from s3d.cli.parser import Verbs, add_verb
from s3d.cli.terminal import progress_bar
from s3d.errors import InputError
from s3d.files import show_path

MOST_TOLD = 20
"""Tubes that are printed."""


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "find who does what in a video, and draw it"
    parser = add_verb(verbs, "detect", text, run)
    parser.add_argument("video", help="a video file, or a folder of pictures DIR?rate=25")
    add_detector_options(parser)
    parser.add_argument("--out", metavar="FILE", help="the annotated video, .mp4 or .mkv")
    parser.add_argument("--json", metavar="FILE", help="tubes: boxes, labels and times, as JSON")
    parser.add_argument(
        "--stride", type=int, default=4, metavar="N", help="frames between key frames [4]"
    )
    parser.add_argument(
        "--least-score", type=float, default=0.3, metavar="S", help="of a box, 0 to 1 [0.3]"
    )
    parser.add_argument(
        "--patience", type=float, default=1.0, metavar="S",
        help="seconds somebody may go unseen and keep their number [1]",
    )  # fmt: skip
    parser.add_argument(
        "--no-sharing", action="store_true", help="look at each key frame by itself: slower"
    )


def run(options: argparse.Namespace) -> int:
    """Look at the video, and return the exit code."""
    from s3d.detect.run.detect import DetectSettings, Outputs, detect_video
    from s3d.detect.run.people import PeopleSettings

    people = PeopleSettings(options.least_score, patience_seconds=options.patience)
    settings = DetectSettings(options.stride, people, not options.no_sharing)
    out, tubes = (Path(name) if name else None for name in (options.out, options.json))
    _check_outputs(out, tubes, taken=(options.video, options.model))
    finder = load_finder(options)
    head = {"model": str(options.model), "stride_frames": options.stride}
    lines: list[str] = []
    outputs = Outputs(out, tubes, head, partial(_tell, lines), progress_bar("looking"))
    done = detect_video(finder, options.video, settings, outputs)
    print("\n".join(lines), end="\n" if lines else "")
    if done.tubes > len(lines):
        print(f"... and {done.tubes - len(lines):,} more; --json keeps all")
    shared = f", shared up to {done.shares_until}" if done.shares_until else ""
    print(
        f"{done.people} people in {done.key_frames:,} key frames, "
        f"{done.key_frames / max(done.seconds, 1e-9):.1f} a second{shared}"
    )
    for path in (out, tubes):
        if path is not None:
            print(show_path(path))
    return 0


def _tell(lines: list[str], tube: dict[str, Any]) -> None:
    """Note a tube in a line, as long as there are few."""
    if len(lines) < MOST_TOLD:
        label, score = show_path(tube["label"]), tube["score"]
        span = f"{tube['start_seconds']:.2f} s to {tube['end_seconds']:.2f} s"
        lines.append(f"#{tube['number']:<4} {label}  {score:.2f}  {span}")


def _check_outputs(out: Path | None, tubes: Path | None, taken: Sequence[str]) -> None:
    """Refuse at once what would be refused after all was computed.

    Args:
        out: The video to write.
        tubes: The JSON to write.
        taken: Files that are read, which nothing may be written over.
    """
    from s3d.detect.draw.video_writer import check_extension
    from s3d.train.run import check_writable

    used = [Path(name) for name in taken]
    for path in (out, tubes):
        if path is None:
            continue
        if any(_is_same(path, other) for other in used):
            raise InputError(f"{show_path(path)}: would be written over. Name another file.")
        if path.is_dir():
            raise InputError(f"{show_path(path)}: is a folder. Name a file.")
        if not path.absolute().parent.is_dir():
            raise InputError(f"{show_path(path.parent)}: no such folder. Make it first.")
        check_writable(path.absolute().parent)
        used.append(path)
    if out is not None:
        check_extension(out)


def _is_same(path: Path, other: Path) -> bool:
    """Return whether two names are of one file, which need not exist."""
    return os.path.realpath(path) == os.path.realpath(other)
