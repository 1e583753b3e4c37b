"""What the analyses share that score labelled videos both ways: options, data, files."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3d.cli.analyze_options import add_result_options
from s3d.cli.parser import DATA_HELP
from s3d.files import show_path, write_bytes, write_json, write_text

if TYPE_CHECKING:
    from s3d.data.video_list import VideoList
    from s3d.explore.analyse.partners import Pair

MOST_FAILURES = 10


def add_video_options(parser: argparse.ArgumentParser, analysis: str) -> None:
    """Add MODEL, DATA and the options of an analysis that scores videos both ways."""
    add_model(parser)
    parser.add_argument(
        "data", metavar="DATA", help=f"labelled videos it was not trained on: {DATA_HELP}"
    )
    parser.add_argument(
        "--pairs", metavar="FILE",
        help="classes that are each other backwards: a:b,c:d, or a file with a pair a line "
        "[found in the model's answers]",
    )  # fmt: skip
    parser.add_argument("--protocol", default="clip", help="clip, all-frames, 10x3 or cover [clip]")
    parser.add_argument("--quarantine", metavar="FILE", help="leave out what `s3d check` listed")
    add_result_options(parser, analysis)


def add_model(parser: argparse.ArgumentParser, takes_engine: bool = True) -> None:
    """Add MODEL, and what it runs on; without an engine it runs as it is, by PyTorch's modules."""
    parser.add_argument(
        "model", metavar="MODEL", help="model.safetensors of a run, or published weights by name"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    if takes_engine:
        parser.add_argument(
            "--engine", default="auto", metavar="NAME", help="what runs the network [auto]"
        )
    else:
        parser.set_defaults(engine="eager")


def list_data(options: argparse.Namespace) -> VideoList:
    """Return the part of the data that is there to be scored.

    Raises:
        InputError: The data cannot be listed.
    """
    from s3d.data.quarantine import leave_out
    from s3d.data.videos import list_videos

    listed = list_videos(options.data, least_classes=1)
    return leave_out(listed.take(listed.evaluated_part), options.quarantine)


def take_pairs(options: argparse.Namespace) -> tuple[Pair, ...] | None:
    """Return the pairs that --pairs names, None where it is not given.

    Raises:
        InputError: Something in it is no pair.
    """
    from s3d.explore.analyse.partners import read_pairs

    return None if options.pairs is None else read_pairs(options.pairs)


def write_results(
    folder: Path, name: str, png: bytes, values: dict[str, Any], rows: Sequence[dict[str, Any]]
) -> str:
    """Write what was found as NAME.png, NAME.csv and NAME.json; return a line that says so.

    Raises:
        InputError: A file cannot be written.
    """
    write_bytes(folder / f"{name}.png", png)
    write_text(folder / f"{name}.csv", make_csv(rows))
    write_json(folder / f"{name}.json", values)
    shown = show_path(folder / name)
    return f"written    {shown}.png, {name}.csv, {name}.json"


def make_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as CSV, their keys as its head; empty without rows."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def failure_lines(failures: Sequence[tuple[str, str]]) -> list[str]:
    """Return a line for each video that could not be read, the first few of them."""
    lines = [f"not read   {show_path(path)}: {reason}" for path, reason in failures]
    more = len(lines) - MOST_FAILURES
    return [*lines[:MOST_FAILURES], *([f"           and {more} more"] if more > 0 else [])]
