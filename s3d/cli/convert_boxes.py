"""s3d convert-boxes: annotations of any kind as a CSV of boxes."""

from __future__ import annotations

import argparse
from pathlib import Path

from s3d.cli.model_options import tell_line
from s3d.cli.parser import Verbs, add_verb
from s3d.errors import InputError
from s3d.files import show_path

EXAMPLE = "boxes.csv"
WHAT = (
    "export of CVAT (.xml), Label Studio or COCO (.json), CSV of boxes, or data set NAME:DIR "
    "(ucf101_24, jhmdb, ava)"
)


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "convert-boxes", "turn annotated boxes into a CSV of boxes", run)
    parser.add_argument("file", help=WHAT)
    parser.add_argument("--out", required=True, metavar="FILE", help="boxes.csv to write")


def run(options: argparse.Namespace) -> int:
    """Write the CSV, say what it holds and what was left out, and return the exit code."""
    _check_out(options.out, options.file)
    from s3d.detect.annotations.boxes_csv import write_boxes_csv
    from s3d.detect.annotations.read import read_annotated

    annotated = read_annotated(options.file)
    rows = write_boxes_csv(annotated, options.out)
    tubes = sum(len(video.tubes) for video in annotated.videos)
    print(f"{'videos':<9}{len(annotated.videos):,}")
    print(f"{'tubes':<9}{tubes:,}" if annotated.has_tracks else f"{'boxes':<9}{tubes:,}, no tracks")
    print(f"{'classes':<9}{len(annotated.labels):,}: {show_path(', '.join(annotated.labels))}")
    print(f"{'csv':<9}{show_path(options.out)}, {rows:,} rows")
    for line in annotated.problems.lines():
        tell_line(line)
    return 0


def _check_out(out: str, file: str) -> None:
    """Refuse a place where no file can be, or where the annotations are, before they are read."""
    if not Path(out).name or Path(out).is_dir():
        raise InputError(f"--out is {show_path(out) or 'empty'}; it needs a file, as {EXAMPLE}.")
    if Path(out).exists() and Path(file).exists() and Path(out).samefile(file):
        raise InputError(f"--out is {show_path(file)} itself; it needs another file.")
