"""s3d features: what a block gives for windows over videos."""

from __future__ import annotations

import argparse
import os

from s3d.cli.batch_options import (
    absolute_model,
    add_batch_options,
    check_batch_options,
    choose_runner,
    do_batch,
    print_summary,
)
from s3d.cli.model_options import add_model_options
from s3d.cli.parser import Verbs, add_verb
from s3d.models.published.weights import DEFAULT


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "write features of windows over videos; goes on where it was interrupted"
    parser = add_verb(verbs, "features", text, run)
    parser.add_argument(
        "sources", nargs="+", metavar="VIDEO",
        help="files, folders, CSV lists, or data sets NAME:DIR",
    )  # fmt: skip
    add_model_options(parser, default=DEFAULT)
    parser.add_argument("--out", required=True, metavar="DIR", help="where features are to be")
    parser.add_argument("--at", default="mixed5c", metavar="BLOCK", help="the block [mixed5c]")
    parser.add_argument(
        "--stride", type=float, metavar="SECONDS", help="from window to window [a window's span]"
    )
    parser.add_argument("--frames", type=int, metavar="N", help="of a window [the model's clip]")
    parser.add_argument("--rate", type=float, metavar="FPS", help="of its frames [the model's]")
    parser.add_argument(
        "--pool", default="average", metavar="HOW",
        help="average over time and space, or none [average]",
    )  # fmt: skip
    parser.add_argument(
        "--format", default="npz", help="npz: a file a video; or parquet: a row a window [npz]"
    )
    add_batch_options(parser)


def run(options: argparse.Namespace) -> int:
    """Write the features of each video, and return the exit code: 2 if one failed."""
    check_batch_options(options)
    from s3d.batch.features import FeatureJob
    from s3d.batch.items import list_items

    items = list_items(options.sources, options.out, keeps_tree=options.format == "npz")
    job = FeatureJob(
        absolute_model(options.model), os.path.abspath(options.out), options.at,  # noqa: PTH100
        options.stride, options.frames, options.rate, options.pool, options.format, options.device,
        options.engine,
    )  # fmt: skip
    runner, results = choose_runner(job, options)
    return print_summary(do_batch(items, runner, results, "features"), "features", options.out)
