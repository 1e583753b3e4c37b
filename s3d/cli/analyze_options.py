"""The options that analyses share, and where what they write comes to lie."""

from __future__ import annotations

import argparse
from pathlib import Path

from s3d.files import make_folder

PLAIN_NAME = "model"
"""What `s3d train` calls a model file; the folder of its run tells more."""


def add_result_options(parser: argparse.ArgumentParser, analysis: str) -> None:
    """Add --out and --json.

    Args:
        parser: The analysis's parser.
        analysis: Its name, with which the folder's name ends where none is given.
    """
    parser.add_argument(
        "--out", metavar="DIR", help=f"folder of what is written [<name of the model>-{analysis}]"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def choose_folder(options: argparse.Namespace) -> Path:
    """Return the folder that results go into, made if need be: --out, or one beside what one does.

    Args:
        options: Hold out, model and analysis.

    Raises:
        InputError: It cannot be made or written to.
    """
    folder = Path(options.out or f"{name_model(options.model)}-{options.analysis}")
    make_folder(folder)
    return folder


def name_model(model: str) -> str:
    """Return a short name for a model: run/model.safetensors is "run", published names stay."""
    path = Path(model)
    stem = path.stem if path.suffix in (".safetensors", ".pt", ".pth", ".ckpt") else path.name
    if stem == PLAIN_NAME:
        stem = path.absolute().parent.name
    return stem or PLAIN_NAME
