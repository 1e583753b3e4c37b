"""s3d train-detector: from boxes in videos to a detector."""

from __future__ import annotations

import argparse
from dataclasses import fields

from s3d.cli.parser import Verbs, add_fields, add_verb
from s3d.cli.terminal import first_complains
from s3d.detect.train.config import DetectorConfig
from s3d.errors import InputError

BOXES_HELP = (
    "boxes: CSV, COCO video JSON, CVAT or Label Studio export, or data set "
    "ucf101_24:DIR, jhmdb:DIR, ava:DIR"
)
"""What a verb says of the annotations it takes."""


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    text = "train a detector: who does what, where and when"
    parser = add_verb(verbs, "train-detector", text, run)
    parser.add_argument("data", help=BOXES_HELP)
    parser.add_argument("--quiet", action="store_true", help="show nothing")
    add_fields(parser, DetectorConfig, skipped=("data",))


def run(options: argparse.Namespace) -> int:
    """Train, and return the exit code."""
    names = [option.name for option in fields(DetectorConfig)]
    with first_complains():
        config = DetectorConfig(**{name: getattr(options, name) for name in names})
        if not config.out:
            raise InputError("--out is missing: name a folder for the run, as in --out run.")
    from s3d.detect.train.train import train_detector

    train_detector(config, options.quiet)
    return 0
