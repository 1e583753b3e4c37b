"""The options of every verb that puts a trained model to work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3d.errors import InputError

if TYPE_CHECKING:
    from s3d.data.flow.place import FlowPlace
    from s3d.data.flow.videos import FlowTaken
    from s3d.infer.recognizer import Recognizer
    from s3d.infer.streams import TwoStreams


def add_model_options(
    parser: argparse.ArgumentParser, default: str | None = None, required: bool = True
) -> None:
    """Add --model, --device and --engine.

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
    parser.add_argument(
        "--engine", default="auto", metavar="NAME",
        help="what runs the network: native, openvino, onnxruntime, torch, eager, half (GPU), or "
        "auto: the fastest here, measured once (`s3d benchmark`) [auto]",
    )  # fmt: skip


def add_flow_options(parser: argparse.ArgumentParser) -> None:
    """Add --flow-model and --flow, for a second stream."""
    parser.add_argument(
        "--flow-model", metavar="MODEL", help="model of optical flow, fused with --model"
    )
    parser.add_argument(
        "--flow",
        metavar="DIR",
        help="where the flow of the videos is kept; what is missing is computed and added",
    )


def load_recognizer(options: argparse.Namespace) -> Recognizer:
    """Return the model that --model names, on --device.

    Args:
        options: Holds what `add_model_options` added.

    Raises:
        InputError: The file is no model, or there is no such device.
    """
    from s3d.infer.recognizer import load
    from s3d.models.device import choose_device

    recognizer = load(options.model).to(choose_device(options.device))
    return recognizer.use(options.engine, tell=tell_line)


def tell_line(line: str) -> None:
    """Tell a person what happens meanwhile, where what is printed is not disturbed."""
    print(f"s3d: {line}", file=sys.stderr)


def load_streams(options: argparse.Namespace) -> Recognizer | TwoStreams:
    """Return the model that --model names, or its fusion with the one of --flow-model.

    Args:
        options: Holds what `add_model_options` and `add_flow_options` added.

    Raises:
        InputError: As `load_recognizer`; or the models do not go together.
    """
    from s3d.infer.streams import TwoStreams

    rgb = load_recognizer(options)
    if options.flow_model is None:
        _check_flow_is_used(options, rgb)
        return rgb
    flow = load_recognizer(argparse.Namespace(**{**vars(options), "model": options.flow_model}))
    return TwoStreams(rgb, flow)


def find_flow(
    options: argparse.Namespace,
    recognizer: Recognizer | TwoStreams,
    videos: Sequence[str],
    where: FlowPlace,
) -> FlowTaken:
    """Return the flow of videos in the folder of --flow, computed there where it is missing.

    Args:
        options: As of `load_streams`.
        recognizer: The model of flow, or what it is fused in: says how flow is computed.
        videos: Their paths.
        where: Made from --flow.

    Raises:
        InputError: The folder holds flow that was computed otherwise, or cannot be written.
    """
    from s3d.cli.terminal import progress_bar
    from s3d.data.flow.compute import FlowRecipe
    from s3d.data.flow.videos import take_flow
    from s3d.infer.streams import TwoStreams
    from s3d.models.device import choose_device
    from s3d.train.plan import count_cores

    spec = recognizer.flow.spec if isinstance(recognizer, TwoStreams) else recognizer.spec
    recipe = FlowRecipe(spec.flow_method, spec.flow_side_px)
    device, progress = choose_device(options.device), progress_bar("computing flow")
    return take_flow(videos, where, recipe, count_cores(), device, progress)


def _check_flow_is_used(options: argparse.Namespace, recognizer: Recognizer) -> None:
    if options.flow is not None and recognizer.spec.modality != "flow":
        raise InputError(
            f"--flow {options.flow} is given, and --model takes {recognizer.spec.modality}. "
            "Add --flow-model, or leave --flow out."
        )
