"""Start a video network from one that was trained on images.

A 2D Inception-v1 has every layer of the family but time. A full convolution starts with the 2D
kernel repeated and divided by its temporal size, a separable one with the 2D kernel as it is and
identity in time. So on a still clip the network answers as the image network does: everywhere where
it is separable, and away from the clip's ends where it is full. (Its logits too, up to 224 px: over
larger frames the head "windows" slides, where an image network averages all; "global" does that.)

Source: paper section 3 (paper.md); Carreira and Zisserman, arXiv 1705.07750, section 2.4.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.blocks import CubeConv
from s3d.models.download import fetch_files
from s3d.models.layers import Conv, make_identity
from s3d.models.published.places import Place, list_places
from s3d.models.published.tensors import Contents, read_contents
from s3d.models.published.tf_checkpoint import checkpoint_prefix
from s3d.models.published.tf_names import Locate, names_in_slim
from s3d.models.published.torch_names import name_in_ibm
from s3d.models.published.weights import BACKBONE, IMAGES, WEIGHTS, refuse_backbone
from s3d.models.style import GOOGLENET, Style

IMAGE_EPSILON = 1e-3
"""Epsilon of the norms of every Inception-v1 that is read here."""


@dataclass(frozen=True)
class ImageWeights:
    """Hold an image network's tensors.

    Attributes:
        tensors: By published name; kernels (C', C, H, W).
        locate: Finds the name of a place's leaf.
        style: On whose grid a network inflated from it answers as it does.
        title: What it is, in a few words.
        licence: Under which licence it was published.
    """

    tensors: Mapping[str, Tensor]
    locate: Locate
    style: Style
    title: str
    licence: str

    def read(self, place: Place, leaf: str) -> Tensor | None:
        """Return a tensor, float32; None where the image network has none there."""
        tensor = self.tensors.get(self.locate(place, leaf))
        return None if tensor is None else tensor.to(torch.float32)


def read_image_weights(source: str | Path) -> ImageWeights:
    """Return weights of images.

    Args:
        source: A file of torchvision's GoogLeNet, a checkpoint of slim's 2D Inception-v1, or
            "googlenet-imagenet", which is downloaded where it is not there yet.

    Raises:
        InputError: It cannot be had, or holds something else.
    """
    if not isinstance(source, (str, os.PathLike)):
        shown = reprlib.repr(source)
        raise InputError(f"inflate is {shown}; it needs a file or googlenet-imagenet.")
    named = WEIGHTS.get(os.fspath(source))
    if named is None and not _is_there(source):
        raise InputError(f"{show_path(source)}: no such file. {_TAKEN}")
    if named is not None and named.source == BACKBONE:
        raise refuse_backbone(os.fspath(source))
    found = None
    if named is None:
        found = find_image_weights(read_contents(source))
    elif named.source == IMAGES:
        found = find_image_weights(read_contents(fetch_files(named.files)[0]))
    if found is None:
        raise InputError(f"{show_path(source)}: not the weights of an image network. {_TAKEN}")
    return found


_TAKEN = "Inflating takes torchvision's GoogLeNet, slim's Inception-v1, or googlenet-imagenet."


def _is_there(source: str | Path) -> bool:
    # os.path, unlike Path, answers for a name that no file can have.
    return os.path.isfile(source) or checkpoint_prefix(source) is not None  # noqa: PTH113


def find_image_weights(contents: Contents) -> ImageWeights | None:
    """Return a file's tensors as weights of images; None where they are something else."""
    tensors = contents.tensors
    places = (Place("conv1a", None, "space"), Place("mixed5c", 2, "space"))
    same = replace(GOOGLENET, padding="same")
    layouts: tuple[tuple[Locate, Style, str, str], ...] = (
        (name_in_ibm, GOOGLENET, "GoogLeNet (torchvision)", "BSD-3-Clause"),
        (names_in_slim(tensors), same, "Inception-v1 (slim)", "Apache-2.0"),
    )
    for locate, style, title, licence in layouts:
        kernels = [tensors.get(locate(place, "weight")) for place in places]
        if all(kernel is not None and kernel.ndim == 4 for kernel in kernels):
            return ImageWeights(tensors, locate, style, title, licence)
    return None


@torch.no_grad()
def inflate_network(network: nn.Module, images: ImageWeights) -> None:
    """Start a network from weights of images; gates, and a head of other classes, stay fresh.

    Args:
        network: A `Network` of width 1.
        images: What to start from. Where a clip has other than its 3 channels, each gets their
            mean.

    Raises:
        InputError: The shapes do not fit.
    """
    for name, places in list_places(network):
        module, part = network.get_submodule(name), places[0].part
        if isinstance(module, nn.Linear):
            _copy_classifier(module, images, places[0])
        elif isinstance(module, Conv) and part == "time":
            make_identity(module)
        elif isinstance(module, Conv):
            _inflate(module, images, places)


def _copy_classifier(head: nn.Linear, images: ImageWeights, place: Place) -> None:
    weight, bias = images.read(place, "weight"), images.read(place, "bias")
    if weight is not None and bias is not None and weight.numel() == head.weight.numel():
        head.weight.copy_(weight.view_as(head.weight))
        head.bias.copy_(bias)


def _inflate(conv: Conv, images: ImageWeights, places: list[Place]) -> None:
    """Set a convolution and its norm from the image network's at these places."""
    kernel = torch.cat([_kernel(images, place) for place in places])
    scale, shift, mean, var = (
        torch.cat([_norm(images, place, leaf) for place in places])
        for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    norm = conv.norm
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    if not isinstance(norm.weight, nn.Parameter):
        # Its norm has no scale: the kernel takes it, and the mean with it.
        kernel, mean = kernel * scale[:, None, None, None], mean * scale
        scale = torch.ones_like(scale)
    inflated = _in_time(conv, _match_channels(conv, kernel))
    if inflated.shape != conv.weight.shape:
        raise InputError(
            f"{images.title}: its layer for {places[0].block} has a kernel {tuple(kernel.shape)}; "
            f"the network's is {tuple(conv.weight.shape)}. Inflate into a network of width 1."
        )
    conv.weight.copy_(inflated)
    norm.weight.copy_(scale)
    norm.bias.copy_(shift)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(var + IMAGE_EPSILON - norm.eps)


def _kernel(images: ImageWeights, place: Place) -> Tensor:
    kernel = images.read(place, "weight")
    if kernel is None or kernel.ndim != 4:
        name = images.locate(place, "weight")
        raise InputError(f"{images.title}: kernel {name!r} is missing or has not 4 axes.")
    return kernel


def _norm(images: ImageWeights, place: Place, leaf: str) -> Tensor:
    tensor = images.read(place, f"norm.{leaf}")
    if tensor is None and leaf == "weight":
        return torch.ones(len(_kernel(images, place)))
    if tensor is None:
        name = images.locate(place, f"norm.{leaf}")
        raise InputError(f"{images.title}: tensor {name!r} is missing.")
    return tensor


def _match_channels(conv: Conv, kernel: Tensor) -> Tensor:
    """Return the stem's kernel for a clip of other than 3 channels: each gets their mean."""
    cubes = 8 if isinstance(conv, CubeConv) else 1
    channels = conv.weight.shape[1] // cubes
    is_stem = kernel.shape[2:] == (7, 7) and kernel.shape[1] == 3
    if not is_stem or channels == 3:
        return kernel
    return kernel.mean(1, keepdim=True).expand(-1, channels, -1, -1)


def _in_time(conv: Conv, kernel: Tensor) -> Tensor:
    """Return a 2D kernel as the convolution's: repeated in time and divided by how often."""
    if isinstance(conv, CubeConv):
        return _on_cubes(kernel)
    frames = conv.kernel[0]
    return kernel[:, :, None].expand(-1, -1, frames, -1, -1) / frames


def _on_cubes(kernel: Tensor) -> Tensor:
    """Return a 7x7 kernel as the 2x4x4 one on cubes of 2x2x2 pixels, of its four frames' mean.

    The 8x8 pixels that it covers begin two before a frame's edge, as TensorFlow's SAME has it.
    """
    out, channels = kernel.shape[:2]
    pixels = F.pad(kernel, (0, 1, 0, 1)).view(out, channels, 1, 1, 4, 2, 4, 2) / 4
    # (out, c, t, dt, h, dh, w, dw) to channels in the order (dt, dh, dw, c), then t, h, w.
    cubes = pixels.expand(-1, -1, 2, 2, -1, -1, -1, -1).permute(0, 3, 5, 7, 1, 2, 4, 6)
    return cubes.reshape(out, 8 * channels, 2, 4, 4)
