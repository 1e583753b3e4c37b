"""What a verb names by one word: a model file, published weights, or a network of fresh weights."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.family import LAYERS, LETTERS, NETWORKS
from s3d.models.published.weights import WEIGHTS
from s3d.models.shipped.table import SHIPPED

if TYPE_CHECKING:
    from s3d.clip import ClipSpec
    from s3d.models.model_file import ModelFile
    from s3d.models.network import Network

MODEL_HELP = "model file, published weights by name, or a network (`s3d list`) of fresh weights"


def is_network(name: str) -> bool:
    """Return whether a word is a network's; a file or published weights of its name go before.

    Raises:
        InputError: There is nothing of this name.
    """
    # os.path, unlike Path, answers for a name that no file can have.
    if os.path.isfile(name) or name in SHIPPED or name in WEIGHTS:  # noqa: PTH113
        return False
    if name in NETWORKS or (len(name) == len(LAYERS) and set(name) <= set(LETTERS)):
        return True
    near = difflib.get_close_matches(name[:60], [*SHIPPED, *WEIGHTS, *NETWORKS], n=2)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(
        f"{show_path(name)}: no such model file, published weights or network.{hint} "
        "`s3d list` shows weights and networks."
    )


def open_named(name: str, build: Callable[[str], Network]) -> ModelFile:
    """Return the model of a file or of published weights, or a network of fresh weights.

    Args:
        name: What the verb names.
        build: Makes the network.

    Raises:
        InputError: There is nothing of this name, or it cannot be used.
    """
    from s3d.clip import ClipSpec
    from s3d.models.model_file import ModelFile
    from s3d.models.open import open_model

    if is_network(name):
        return ModelFile(build(name), (), ClipSpec(), source="fresh weights")
    return open_model(name)


def change_clip(spec: ClipSpec, frames: int | None, size: int | None) -> ClipSpec:
    """Return a clip of another length or size.

    Args:
        spec: The clip.
        frames: From --frames; None leaves it.
        size: From --size, in px; None leaves it.

    Raises:
        InputError: There can be no such clip.
    """
    from s3d.clip import MAX_SIZE_PX
    from s3d.models.network import SMALLEST_PX

    if frames is not None and frames < 1:
        raise InputError(f"--frames is {frames}; at least 1 is needed.")
    if size is not None and not SMALLEST_PX <= size <= MAX_SIZE_PX:
        raise InputError(
            f"--size is {size}; it needs a number from {SMALLEST_PX} to {MAX_SIZE_PX}."
        )
    if frames is not None:
        spec = replace(spec, frames=frames)
    if size is None:
        return spec
    return replace(spec, size_px=(size, size), resize_px=(size, size))
