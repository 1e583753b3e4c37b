"""The options of every verb that puts a detector to work."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from s3d.cli.model_options import tell_line

if TYPE_CHECKING:
    from s3d.detect.run.finder import BoxFinder


def add_detector_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add --model, --device and --engine."""
    parser.add_argument(
        "--model",
        required=required,
        metavar="MODEL",
        help="model.safetensors of `s3d train-detector`",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--engine", default="auto", metavar="NAME",
        help="what runs the network: as for `s3d predict` [auto]",
    )  # fmt: skip


def load_finder(options: argparse.Namespace) -> BoxFinder:
    """Return the detector that --model names, on --device.

    Args:
        options: Holds what `add_detector_options` added.

    Raises:
        InputError: The file is no detector, or there is no such device or engine.
    """
    from s3d.detect.network.detector_file import load_detector
    from s3d.detect.run.finder import BoxFinder
    from s3d.models.device import choose_device

    model = load_detector(options.model)
    return BoxFinder(model, choose_device(options.device), options.engine, tell_line)
