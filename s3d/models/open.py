"""Open whatever names a model: a model file, shipped or published weights by name, or their file.

Somebody else's checkpoint is converted on the way; weights of images are inflated.
"""

from __future__ import annotations

import difflib
import os
import reprlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.download import fetch_files
from s3d.models.inflate import ImageWeights, find_image_weights
from s3d.models.model_file import ModelFile, load_model
from s3d.models.network import build
from s3d.models.published.convert import convert
from s3d.models.published.named import load_named
from s3d.models.published.tensors import read_contents
from s3d.models.published.tf_checkpoint import checkpoint_prefix
from s3d.models.published.weights import BACKBONE, IMAGES, WEIGHTS
from s3d.models.shipped.table import SHIPPED
from s3d.models.shipped.trunks import load_shipped
from s3d.models.style import Style


def open_model(name: str | Path) -> ModelFile:
    """Return the model that a name or a path means.

    Args:
        name: A model file, one of the `SHIPPED` or of the published `WEIGHTS`, or a file that
            `convert` reads.

    Raises:
        InputError: There is nothing of this name, or it cannot be used.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise InputError(f"model is {reprlib.repr(name)}; it needs a file or a name.")
    if _is_file(name):
        return load_model(name) if _is_model(name) else convert(name).model
    if os.fspath(name) in SHIPPED:
        return load_shipped(os.fspath(name))
    if os.fspath(name) in WEIGHTS:
        return load_named(os.fspath(name))
    raise _nothing(name)


@dataclass(frozen=True)
class InitModel:
    """Hold what a training run starts from.

    Attributes:
        model: The model.
        is_of_images: It was trained on images and inflated; no clip is its own.
        is_shipped: It is a trunk that came with s3d, made to see clips of any length and rate.
    """

    model: ModelFile
    is_of_images: bool
    is_shipped: bool = False


def open_start(
    init: str,
    network: str | None = None,
    width: float | None = None,
    style: str | Style | None = None,
) -> InitModel:
    """Return what a training run starts from.

    Args:
        init: What `open_model` takes, or weights of images by name or file.
        network: Into which weights of images are inflated; s3d if None. A model is what it is.
        width: As for `build`, for weights of images.
        style: As for `build`, for weights of images.

    Raises:
        InputError: As for `open_model`, or weights of images do not fit.
    """
    images = _find_images(init)
    if images is None:
        is_shipped = init in SHIPPED and not _is_file(init)
        return InitModel(open_model(init), is_of_images=False, is_shipped=is_shipped)
    # The same head and gates each time: an interrupted run begins with the same network again.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inflated = build(network or "s3d", style=style, width=width or 1.0, inflate=images)
    source = f"inflated from {images.title}"
    model = ModelFile(inflated.eval(), (), ClipSpec(), (), source, images.licence)
    return InitModel(model, is_of_images=True)


def _find_images(init: str) -> ImageWeights | None:
    if not _is_file(init):
        weights = WEIGHTS.get(init)
        if weights is None or weights.source != IMAGES:
            return None
        return find_image_weights(read_contents(fetch_files(weights.files)[0]))
    return None if _is_model(init) else find_image_weights(read_contents(init))


def _is_file(name: str | Path) -> bool:
    # os.path, unlike Path, answers for a name that no file can have; to Path "" is a folder.
    is_file = os.path.isfile(name)  # noqa: PTH113
    return is_file or (os.fspath(name) != "" and checkpoint_prefix(name) is not None)


def _is_model(path: str | Path) -> bool:
    """Return whether a file is to be read, or complained of, as a model file."""
    return _has_header(path) or (Path(path).suffix == ".safetensors" and not _has_tensors(path))


def _has_header(path: str | Path) -> bool:
    try:
        with safe_open(path, framework="pt") as file:
            return "s3d" in (file.metadata() or {})
    except (SafetensorError, OSError, UnicodeError):
        return False


def _has_tensors(path: str | Path) -> bool:
    try:
        with safe_open(path, framework="pt") as file:
            return any(True for _ in file.keys())  # noqa: SIM118
    except (SafetensorError, OSError, UnicodeError):
        return False


def _nothing(name: str | Path) -> InputError:
    # Weights of a detector's image net are no start of a video network.
    known = [known for known, weights in WEIGHTS.items() if weights.source != BACKBONE]
    near = difflib.get_close_matches(os.fspath(name)[:60], [*SHIPPED, *known], n=2)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return InputError(
        f"{show_path(name)}: no such model file, and no published weights of this name.{hint} "
        "Make one with `s3d train`; `s3d list` shows the weights."
    )
