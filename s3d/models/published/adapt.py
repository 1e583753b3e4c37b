"""What IBM's networks store otherwise than ours."""

from __future__ import annotations

import re
from dataclasses import replace

import torch
from torch import Tensor

from s3d.errors import InputError
from s3d.models.blocks import INCEPTION
from s3d.models.published.places import Place
from s3d.models.published.settings import Shapes
from s3d.models.published.torch_names import name_in_ibm
from s3d.models.style import Style

_MOST_CHANNELS = 1024
"""Of a depth-wise kernel: a diagonal one has their square. IBM's widest has 384."""


def adapt_ibm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return IBM's tensors as our layers hold them.

    Their temporal convolutions have a bias before the norm, which is a shift of its mean, and may
    be depth-wise, which is a diagonal kernel.

    Raises:
        InputError: A bias does not fit its norm.
    """
    adapted = dict(tensors)
    for place in _TEMPORAL:
        bias, mean = name_in_ibm(place, "bias"), name_in_ibm(place, "norm.running_mean")
        if bias in tensors and mean in tensors:
            _check_alike(tensors, bias, mean)
            adapted[mean] = tensors[mean] - adapted.pop(bias)
        name = name_in_ibm(place, "weight")
        shape = tuple(tensors[name].shape) if name in tensors else ()
        if shape[1:] == (1, 3, 1, 1) and shape[0] <= _MOST_CHANNELS:
            taps = tensors[name][:, 0, :, 0, 0].T
            adapted[name] = torch.diag_embed(taps).permute(1, 2, 0)[..., None, None]
    return adapted


def _check_alike(tensors: dict[str, Tensor], bias: str, mean: str) -> None:
    pair = [tensors[bias], tensors[mean]]
    if pair[0].shape != pair[1].shape or not all(one.is_floating_point() for one in pair):
        ours, theirs = (f"{one.dtype} {tuple(one.shape)}" for one in pair)
        raise InputError(
            f"tensor {bias!r} is {ours}, its norm's mean {theirs}; they need one shape, of floats."
        )


_TEMPORAL = (
    Place("conv2c", None, "time"),
    *(Place(block, branch, "time") for block in INCEPTION for branch in (1, 2)),
)


def settle_ibm(shapes: Shapes, style: Style, arch: str) -> Style:
    """Return the style of an IBM network.

    Args:
        shapes: Of its tensors.
        style: IBM's.
        arch: What its training script calls it, as "kinetics400-rgb-s3d-ts-max-f64". That tells
            what no tensor shows: "-ts-max" halves time, "-ts-avg" does so with average pools.

    Raises:
        InputError: It has average pools.
    """
    if re.search(r"-t[sp]-avg", arch):
        shown = repr(arch[:100])
        raise InputError(f"its network is {shown}, with average pools; only max pools are built.")
    is_i3d = shapes.get("conv3.conv.weight", ())[2:3] == (3,)
    # "-tp" is how their older names say it.
    never = ("-s3d" in arch or "-i3d" in arch) and not re.search(r"-t[sp]\b", arch)
    strides = "none" if never else style.time_strides
    return replace(style, last_pool=3 if is_i3d else 2, time_strides=strides)
