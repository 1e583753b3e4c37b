"""What IBM's networks store otherwise than ours."""

from __future__ import annotations

import re
from dataclasses import replace

import torch
from torch import Tensor

from s3d.errors import InputError
from s3d.models.published.settings import Shapes
from s3d.models.style import Style


def adapt_ibm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return IBM's tensors as our layers hold them.

    Their temporal convolutions have a bias before the norm, which is a shift of its mean, and may
    be depth-wise, which is a diagonal kernel.
    """
    adapted = dict(tensors)
    for name in [name for name in tensors if name.endswith("conv_t.bias")]:
        mean = name.removesuffix("conv_t.bias") + "bn_t.running_mean"
        if mean in adapted and adapted[mean].shape == adapted[name].shape:
            adapted[mean] = adapted[mean] - adapted.pop(name)
    for name, tensor in tensors.items():
        if name.endswith("conv_t.weight") and tensor.ndim == 5 and tensor.shape[1] == 1:
            taps = tensor[:, 0, :, 0, 0].T
            adapted[name] = torch.stack([torch.diag(tap) for tap in taps], 2)[..., None, None]
    return adapted


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
        raise InputError(f"its network is {arch!r}, with average pools; only max pools are built.")
    is_i3d = shapes.get("conv3.conv.weight", (0,) * 5)[2] == 3
    # "-tp" is how their older names say it.
    never = ("-s3d" in arch or "-i3d" in arch) and not re.search(r"-t[sp]\b", arch)
    strides = "none" if never else style.time_strides
    return replace(style, last_pool=3 if is_i3d else 2, time_strides=strides)
