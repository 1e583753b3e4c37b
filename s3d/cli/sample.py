"""s3d sample: a small data set to try everything on."""

from __future__ import annotations

import argparse
from pathlib import Path

from s3d.cli.parser import Verbs, add_verb
from s3d.cli.terminal import progress_bar

ALL = "all"


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "write a small data set of MP4 files whose actions only the order of frames tells apart"
    parser = add_verb(verbs, "sample", text, run)
    parser.add_argument("directory", metavar="DIR", help="a new or empty folder")
    parser.add_argument("--train-clips", type=int, default=100, metavar="N", help="a class [100]")
    parser.add_argument("--test-clips", type=int, default=25, metavar="N", help="a class [25]")
    parser.add_argument("--difficulty", type=float, default=0.5, metavar="D", help="0 to 1 [0.5]")
    parser.add_argument(
        "--actions", metavar="A,B",
        help="some of the actions, with commas; all adds those that a look tells apart "
        "[those of order]",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same files [0]"
    )


def run(options: argparse.Namespace) -> int:
    """Write the data set, and return the exit code."""
    from s3d.data.synthetic import ACTIONS, APPEARANCES, SampleConfig, write_sample

    names = options.actions.split(",") if options.actions else ACTIONS
    if options.actions == ALL:
        names = (*ACTIONS, *APPEARANCES)
    config = SampleConfig(
        options.train_clips,
        options.test_clips,
        seed=options.seed,
        difficulty=options.difficulty,
        actions=tuple(name.strip() for name in names),
    )
    summary = write_sample(Path(options.directory), config, progress_bar("drawing"))
    print(
        f"{summary.train_clips} videos to learn from in {summary.directory / 'train'}, "
        f"{summary.test_clips} of unseen scenes in {summary.directory / 'test'}"
    )
    return 0
