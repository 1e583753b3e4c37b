"""s3d train: from a folder or list of videos to a model."""

from __future__ import annotations

import argparse
from dataclasses import fields

from s3d.cli.parser import DATA_HELP, Verbs, add_fields, add_verb
from s3d.cli.terminal import first_complains
from s3d.errors import InputError
from s3d.train.config import TrainConfig


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "train", "train a recogniser on a folder or list of videos", run)
    parser.add_argument("data", help=DATA_HELP)
    parser.add_argument("--quiet", action="store_true", help="show nothing")
    add_fields(parser, TrainConfig, skipped=("data",))


def run(options: argparse.Namespace) -> int:
    """Train, and return the exit code."""
    names = [option.name for option in fields(TrainConfig)]
    with first_complains():
        config = TrainConfig(**{name: getattr(options, name) for name in names})
        if not config.out:
            raise InputError("--out is missing: name a folder for the run, as in --out run.")
    from s3d.train.train import train

    train(config, options.quiet)
    return 0
