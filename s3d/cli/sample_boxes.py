"""s3d sample-boxes: a small data set with boxes, to try detection on."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from s3d.cli.parser import Verbs, add_verb
from s3d.cli.terminal import progress_bar
from s3d.errors import InputError


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "write a small data set of MP4 files in which figures do different things, with boxes"
    parser = add_verb(verbs, "sample-boxes", text, run)
    parser.add_argument("directory", metavar="DIR", help="a new or empty folder")
    parser.add_argument("--train-videos", type=int, default=200, metavar="N", help="[200]")
    parser.add_argument("--test-videos", type=int, default=50, metavar="N", help="[50]")
    parser.add_argument("--difficulty", type=float, default=0.5, metavar="D", help="0 to 1 [0.5]")
    parser.add_argument(
        "--figures", type=int, default=2, metavar="N", help="that act in most videos, 1 to 4 [2]"
    )
    parser.add_argument("--actions", metavar="A,B", help="some of the actions, with commas [all]")
    parser.add_argument(
        "--size", default="128x96", metavar="WxH", help="of the picture, in px [128x96]"
    )
    parser.add_argument(
        "--seconds", type=float, default=2.4, metavar="S", help="of the shortest video [2.4]"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same files [0]"
    )


def run(options: argparse.Namespace) -> int:
    """Write the data set, and return the exit code."""
    from s3d.detect.figures import FIGURE_ACTIONS, BoxSampleConfig, write_box_sample

    names = options.actions.split(",") if options.actions else FIGURE_ACTIONS
    width_px, height_px = read_size(options.size)
    config = BoxSampleConfig(
        options.train_videos,
        options.test_videos,
        seed=options.seed,
        difficulty=options.difficulty,
        actions=tuple(name.strip() for name in names),
        height_px=height_px,
        width_px=width_px,
        seconds=options.seconds,
        figures=options.figures,
    )
    summary = write_box_sample(Path(options.directory), config, progress_bar("drawing"))
    print(
        f"{summary.train_videos} videos to learn from, boxes in {summary.train_csv}; "
        f"{summary.test_videos} of unseen scenes, boxes in {summary.test_csv}"
    )
    return 0


def read_size(text: str) -> tuple[int, int]:
    """Return width and height out of a text such as 128x96.

    Raises:
        InputError: It is not of that kind.
    """
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(re.fullmatch("[0-9]{1,6}", side) for side in sides):
        raise InputError(f"--size is {text!r}; it needs width and height in px, as in 128x96.")
    width_px, height_px = map(int, sides)
    return width_px, height_px
