"""Weights of images as others publish them, and named weights that are ours for a test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.models.blocks import INCEPTION
from s3d.models.download import Remote
from s3d.models.published.places import Place
from s3d.models.published.tf_names import names_in_slim
from s3d.models.published.tf_table import masked_crc32c
from s3d.models.published.torch_names import name_in_ibm
from s3d.models.published.weights import WEIGHTS
from tests.models.published.bundle import field, header, table, varint

Locate = Callable[[Place, str], str]

SLIM_ODD = "InceptionV1/Mixed_5b/Branch_2/Conv2d_0a_3x3/weights"
"""What slim calls 0a where all other blocks have 0b."""


def image_places() -> list[tuple[Place, tuple[int, int, int]]]:
    """Return every convolution of a 2D Inception-v1 with its (out, in, side)."""
    places = [
        (Place("conv1a", None, "space"), (64, 3, 7)),
        (Place("conv2b", None, "space"), (64, 64, 1)),
        (Place("conv2c", None, "space"), (192, 64, 3)),
    ]
    carried = 192
    for block, (b0, b1, b2, b3) in INCEPTION.items():
        places += [
            (Place(block, 0, "space"), (b0, carried, 1)),
            (Place(block, 1, "reduce"), (b1[0], carried, 1)),
            (Place(block, 1, "space"), (b1[1], b1[0], 3)),
            (Place(block, 2, "reduce"), (b2[0], carried, 1)),
            (Place(block, 2, "space"), (b2[1], b2[0], 3)),
            (Place(block, 3, "space"), (b3, carried, 1)),
        ]
        carried = b0 + b1[1] + b2[1] + b3
    return places


def image_state(locate: Locate = name_in_ibm, classes: int = 1000) -> dict[str, Tensor]:
    """Return random weights of a 2D Inception-v1 that keep their scale through its layers."""
    generator = torch.Generator().manual_seed(3)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def even(count: int) -> Tensor:
        return 0.5 + torch.rand(count, generator=generator)

    state = {}
    for place, (out, inside, side) in image_places():
        kernel = noise(out, inside, side, side) * (2 / (inside * side * side)) ** 0.5
        values = (kernel, even(out), noise(out) / 5, noise(out) / 5, even(out))
        leaves = ("weight", *(f"norm.{n}" for n in ("weight", "bias", "running_mean")))
        for leaf, value in zip((*leaves, "norm.running_var"), values, strict=True):
            state[locate(place, leaf)] = value
    head = Place("head", None, "classifier")
    state[locate(head, "weight")] = noise(classes, 1024) / 32
    state[locate(head, "bias")] = noise(classes) / 5
    return state


def slim_image_state() -> dict[str, Tensor]:
    """Return the same under slim's names: no scale of norms, 1001 classes, a kernel for a head."""
    state = image_state(names_in_slim(["InceptionV1/Conv2d_1a_7x7/weights", SLIM_ODD]), 1001)
    state = {name: value for name, value in state.items() if not name.endswith("/gamma")}
    head = "InceptionV1/Logits/Conv2d_0c_1x1/weights"
    state[head] = state[head][:, :, None, None]
    return state


class ImageNet:
    """The 2D network, slow and obvious, as torchvision's GoogLeNet and slim's Inception-v1 are.

    Nothing is shared with `s3d.models` but names of weights.
    """

    def __init__(self, state: dict[str, Tensor], locate: Locate, same: bool) -> None:
        self.state, self.locate, self.same = state, locate, same

    def __call__(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return every block's output for images (B, 3, H, W), and the logits."""
        x, blocks = images, {}
        for name in ("1a", "p2", "2b", "2c", "p3", "3b", "3c", "p4", "4b", "4c", "4d", "4e", "4f"):
            x = blocks[name] = self.block(name, x)
        for name in ("p5", "5b", "5c"):
            x = blocks[name] = self.block(name, x)
        head = Place("head", None, "classifier")
        weight, bias = (self.state[self.locate(head, leaf)] for leaf in ("weight", "bias"))
        return blocks, F.linear(x.mean((2, 3)), weight.flatten(1), bias)

    def block(self, name: str, x: Tensor) -> Tensor:
        if name[0] == "p":
            side = 2 if name == "p5" else 3
            if not self.same:
                return F.max_pool2d(x, side, 2, ceil_mode=True)
            return F.max_pool2d(self.pad_same(x, side, 2), side, 2)
        if name in ("1a", "2b", "2c"):
            return self.conv(x, Place(f"conv{name}", None, "space"), 2 if name == "1a" else 1)
        block = f"mixed{name}"
        ys = [self.conv(x, Place(block, 0, "space"))]
        for branch in (1, 2):
            y = self.conv(x, Place(block, branch, "reduce"))
            ys.append(self.conv(y, Place(block, branch, "space")))
        pooled = F.max_pool2d(x, 3, 1, 1)
        return torch.cat([*ys, self.conv(pooled, Place(block, 3, "space"))], 1)

    def conv(self, x: Tensor, place: Place, stride: int = 1) -> Tensor:
        kernel = self.state[self.locate(place, "weight")]
        side = kernel.shape[-1]
        x = self.pad_same(x, side, stride) if self.same else F.pad(x, (side // 2,) * 4)
        y = F.conv2d(x, kernel, None, stride)
        leaves = ("running_mean", "running_var", "weight", "bias")
        mean, var, scale, shift = (self.state.get(self.locate(place, f"norm.{k}")) for k in leaves)
        return F.batch_norm(y, mean, var, scale, shift, eps=1e-3).relu()

    def pad_same(self, x: Tensor, kernel: int, stride: int) -> Tensor:
        pads = []
        for size in (x.shape[3], x.shape[2]):
            left = size % stride or stride
            total = max(kernel - left, 0)
            pads += [total // 2, total - total // 2]
        return F.pad(x, pads)


def write_tensorflow(prefix: Path, tensors: dict[str, Tensor]) -> tuple[Path, Path]:
    """Write a TensorFlow checkpoint of tensors, kernels in its order; return its two files."""
    rows, data = [(b"", header())], b""
    for name, tensor in sorted(tensors.items()):
        ndim = tensor.ndim
        turned = tensor.permute(*range(2, ndim), 1, 0) if ndim in (2, 4, 5) else tensor
        part = turned.contiguous().numpy().tobytes()
        shape = b"".join(field(2, field(1, side)) for side in turned.shape)
        place = field(4, len(data)) + field(5, len(part))
        crc = varint(6 << 3 | 5) + masked_crc32c(part).to_bytes(4, "little")
        rows.append((name.encode(), field(1, 1) + field(2, shape) + place + crc))
        data += part
    files = prefix.with_name(f"{prefix.name}.data-00000-of-00001"), Path(f"{prefix}.index")
    files[0].write_bytes(data)
    files[1].write_bytes(table([rows]))
    return files


def stand_in(
    monkeypatch: pytest.MonkeyPatch, mirror: Path, name: str, *contents: Any, digest: bool = True
) -> list[Path]:
    """Let named weights be these files, and a mirror folder hold them.

    Args:
        monkeypatch: Undoes it.
        mirror: The folder that S3D_MIRROR then names.
        name: One of `WEIGHTS`.
        contents: For each of its files bytes, or what torch.save takes.
        digest: Whether their checksums are published.
    """
    mirror.mkdir(exist_ok=True)
    remotes: list[Remote] = []
    for remote, content in zip(WEIGHTS[name].files, contents, strict=True):
        path = mirror / remote.file
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        known = f"sha256:{found}" if digest else ""
        remotes.append(replace(remote, digest=known, size_bytes=None))
    monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], files=tuple(remotes)))  # type: ignore[arg-type]
    monkeypatch.setenv("S3D_MIRROR", str(mirror))
    return [mirror / remote.file for remote in remotes]
