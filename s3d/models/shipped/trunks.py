"""Trunks: networks without classes, read from inside the package, and written for it."""

from __future__ import annotations

import copy
import difflib
import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from s3d.errors import InputError
from s3d.models.model_file import ModelFile, load_model, save_model
from s3d.models.network import Network
from s3d.models.shipped.table import SHIPPED


def load_shipped(name: str) -> ModelFile:
    """Return weights that come inside the package, in float32.

    Args:
        name: One of `SHIPPED`.

    Raises:
        InputError: There are none of this name, or their file is not the one that was packed.
    """
    if name not in SHIPPED:
        near = difflib.get_close_matches(name[:60], SHIPPED, n=2)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(
            f"{name!r} does not come with this s3d.{hint} Those that do: {', '.join(SHIPPED)}."
        )
    shipped = SHIPPED[name]
    found = file_sha256(shipped.path)
    if found != shipped.sha256:
        state = "is missing" if found is None else f"is another file (sha256 {found})"
        raise InputError(f"{shipped.path}: {state}; it came with s3d. Install s3d again.")
    return load_model(shipped.path)


def file_sha256(path: Path) -> str | None:
    """Return the hash of a file; None where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def save_trunk(path: str | Path, model: ModelFile) -> None:
    """Write a network as a trunk: without classes, its kernels in 16 bits, its norms in 32.

    Whatever head it was trained with, that in the file hands on what mixed5c gives, averaged over
    time and space: an embedding. The model itself is not changed.

    Args:
        path: The file.
        model: Without labels.

    Raises:
        InputError: It has labels, a weight is too large for 16 bits, or the disk will not take it.
    """
    if model.labels:
        raise InputError(
            f"the model has {len(model.labels)} labels; a trunk has none. Use save_model to keep "
            "its classes."
        )
    network = copy.deepcopy(model.network)
    _hand_on(network)
    save_model(path, replace(model, network=network, ranges=None), in_half=True)


def _hand_on(network: Network) -> None:
    """Give a network a head whose logits are the averages of its features."""
    with torch.random.fork_rng(devices=[]):  # Nobody else's random numbers are touched.
        network.replace_head(network.head.classifier.in_features)
    nn.init.eye_(network.head.classifier.weight)
    nn.init.zeros_(network.head.classifier.bias)
