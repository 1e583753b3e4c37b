"""Start a detector's image network from weights that others trained on ImageNet.

Source: the names are those of torchvision's models/resnet.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from s3d.detect.network.resnet import DEPTHS, LAYERS, ConvNorm, ResNet
from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.download import fetch_files
from s3d.models.published.tensors import Tensors, read_contents
from s3d.models.published.weights import BACKBONE, WEIGHTS

_NORM_LEAVES = ("weight", "bias", "running_mean", "running_var")
_INNER = {"first": "1", "second": "2", "third": "3"}


@dataclass(frozen=True, eq=False)
class Backbone:
    """Hold the weights of a ResNet.

    Attributes:
        name: Which one, of `s3d.detect.network.resnet.DEPTHS`.
        tensors: By torchvision's names.
        shown: The file, for messages.
        title: What it is, in a few words.
        licence: Under which licence it was published; "" where a file does not say.
    """

    name: str
    tensors: Mapping[str, Tensor]
    shown: str
    title: str
    licence: str


def read_backbone(source: str | Path) -> Backbone:
    """Return weights for an image network.

    Args:
        source: resnet18-imagenet or resnet50-imagenet, downloaded where it is not there yet, or a
            file of the state dict of torchvision's ResNet of 18 or 50 layers.

    Raises:
        InputError: It cannot be had, or holds something else.
    """
    named, path = WEIGHTS.get(os.fspath(source)), Path(source)
    if named is not None and named.source != BACKBONE:
        raise InputError(f"{source} is not a ResNet. {_taken()}")
    if named is not None:
        path = fetch_files(named.files)[0]
    elif not os.path.isfile(source):  # noqa: PTH113 - Path raises for a name that no file can have
        raise InputError(f"{show_path(source)}: no such file. {_taken()}")
    shown = show_path(path)
    tensors = read_contents(path).tensors
    name = find_depth(tensors)
    if name is None:
        raise InputError(f"{shown}: not the weights of a ResNet of torchvision's. {_taken()}")
    if named is not None:
        return Backbone(name, tensors, shown, named.title, "BSD-3-Clause")
    return Backbone(name, tensors, shown, f"{name} (torchvision's names)", "")


def find_depth(tensors: Mapping[str, Tensor]) -> str | None:
    """Return which ResNet tensors are of by torchvision's names, or None."""
    if "conv1.weight" not in tensors:
        return None
    counts = tuple(_count_blocks(tensors, layer) for layer in LAYERS[:3])
    is_bottleneck = "layer1.0.conv3.weight" in tensors
    for name, depth in DEPTHS.items():
        if depth.blocks[:3] == counts and depth.is_bottleneck == is_bottleneck:
            return name
    return None


def _count_blocks(tensors: Mapping[str, Tensor], layer: str) -> int:
    ends = (name.removeprefix(f"{layer}.") for name in tensors if name.startswith(f"{layer}."))
    return len({end.partition(".")[0] for end in ends})


@torch.no_grad()
def fill_backbone(resnet: ResNet, backbone: Backbone) -> None:
    """Set an image network to weights; the classifier and layers behind its last are not used.

    Args:
        resnet: Of width 1.
        backbone: What `read_backbone` gave.

    Raises:
        InputError: It is another network's, or a tensor is missing or of another shape; the
            network is then as it was.
    """
    if resnet.width != 1:
        raise InputError(
            f"image width is {resnet.width:g}, and {backbone.title} is whole. Use image width 1."
        )
    if resnet.name != backbone.name:
        raise InputError(
            f"{backbone.shown}: holds a {backbone.name}, and the detector has a {resnet.name}. "
            f"Use --image-net {backbone.name}."
        )
    tensors = Tensors(backbone.tensors, backbone.shown)
    pairs = [
        (own, tensors.take(name, tuple(own.shape)))
        for conv, kernel, norm in _list_layers(resnet)
        for own, name in _leaves(conv, kernel, norm)
    ]
    for own, value in pairs:
        own.copy_(value)


def _leaves(conv: ConvNorm, kernel: str, norm: str) -> Iterator[tuple[Tensor, str]]:
    """Yield a convolution's tensors, each with its name in torchvision."""
    yield conv.weight, f"{kernel}.weight"
    for leaf in _NORM_LEAVES:
        yield getattr(conv.norm, leaf), f"{norm}.{leaf}"


def _list_layers(resnet: ResNet) -> Iterator[tuple[ConvNorm, str, str]]:
    """Yield each convolution with torchvision's name of it and of its norm."""
    for name, module in resnet.named_modules():
        if not isinstance(module, ConvNorm):
            continue
        home, _, part = name.rpartition(".")
        if part == "stem":
            yield module, "conv1", "bn1"
        elif part == "shortcut":
            yield module, f"{home}.downsample.0", f"{home}.downsample.1"
        else:
            yield module, f"{home}.conv{_INNER[part]}", f"{home}.bn{_INNER[part]}"


def _taken() -> str:
    names = " or ".join(name for name, known in WEIGHTS.items() if known.source == BACKBONE)
    return f"An image network starts from {names}, or from a file of such weights."
