"""The options of every verb that puts a trained model to work."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3d.infer.recognizer import Recognizer


def add_model_options(
    parser: argparse.ArgumentParser, default: str | None = None, required: bool = True
) -> None:
    """Add --model and --device.

    Args:
        parser: The verb's parser.
        default: The model where none is named; None makes --model needed.
        required: Whether it is needed where there is no default.
    """
    shown = f" [{default}]" if default else ""
    parser.add_argument(
        "--model",
        required=required and default is None,
        default=default,
        metavar="MODEL",
        help=f"model.safetensors of a run, or published weights by name (`s3d list`){shown}",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")


def load_recognizer(options: argparse.Namespace) -> Recognizer:
    """Return the model that --model names, on --device.

    Args:
        options: Holds what `add_model_options` added.

    Raises:
        InputError: The file is no model, or there is no such device.
    """
    from s3d.infer.recognizer import load
    from s3d.models.device import choose_device

    return load(options.model).to(choose_device(options.device))
