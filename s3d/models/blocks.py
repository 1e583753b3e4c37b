"""The blocks: what stands between one name of the paper's table and the next."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.models.family import UNGATED
from s3d.models.layers import Conv, Gate, MaxPool
from s3d.models.style import HALVES_TIME, Style

BLOCKS = (
    "conv1a",
    "pool2a",
    "conv2b",
    "conv2c",
    "pool3a",
    "mixed3b",
    "mixed3c",
    "pool4a",
    "mixed4b",
    "mixed4c",
    "mixed4d",
    "mixed4e",
    "mixed4f",
    "pool5a",
    "mixed5b",
    "mixed5c",
)
"""Every block whose output can be asked for, in order."""

INCEPTION: dict[str, tuple[int, tuple[int, int], tuple[int, int], int]] = {
    # branch 0, branch 1 (reduce, out), branch 2 (reduce, out), branch 3
    "mixed3b": (64, (96, 128), (16, 32), 32),
    "mixed3c": (128, (128, 192), (32, 96), 64),
    "mixed4b": (192, (96, 208), (16, 48), 64),
    "mixed4c": (160, (112, 224), (24, 64), 64),
    "mixed4d": (128, (128, 256), (24, 64), 64),
    "mixed4e": (112, (144, 288), (32, 64), 64),
    "mixed4f": (256, (160, 320), (32, 128), 128),
    "mixed5b": (256, (160, 320), (32, 128), 128),
    "mixed5c": (384, (192, 384), (48, 128), 128),
}
"""Output channels of each Inception block at width 1 (paper.md section 1)."""

POOLS = ("pool2a", "pool3a", "pool4a", "pool5a")
"""The pools between stages."""


class SpatioTemporal(nn.Sequential):
    """A kxkxk convolution as a letter has it: 2D, 3D, or separable; gated or not."""

    def __init__(self, letter: str, channels: tuple[int, int], style: Style) -> None:
        kind = UNGATED.get(letter, letter)
        before, after = channels
        if kind == "3":
            super().__init__(Conv(channels, (3, 3, 3), style))
        elif kind == "2":
            super().__init__(Conv(channels, (1, 3, 3), style))
        elif style.temporal_first:
            super().__init__(
                Conv((before, before), (3, 1, 1), style), Conv(channels, (1, 3, 3), style)
            )
        else:
            super().__init__(
                Conv(channels, (1, 3, 3), style), Conv((after, after), (3, 1, 1), style)
            )
        if letter in UNGATED and style.gate_place == "temporal":
            self.append(Gate(after, style.gate_has_bias))


class Projection(nn.Sequential):
    """The tail of branches 0 and 3: a 3x1x1 convolution where the style has one there."""

    def __init__(self, letter: str, channels: int, branch: int, style: Style) -> None:
        super().__init__()
        if letter in "sg" and branch in style.separable_branches:
            self.append(Conv((channels, channels), (3, 1, 1), style))
            if letter == "g" and style.gate_place == "temporal":
                self.append(Gate(channels, style.gate_has_bias))


class SpaceToDepth(nn.Module):
    """Turn each 2x2x2 cube of a clip into 8 times the channels, as MIL-NCE's stem does."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 8 C, T/2, H/2, W/2) for (B, C, T, H, W); odd sizes are padded with zeros."""
        x = F.pad(x, [n for size in reversed(x.shape[2:]) for n in (0, size % 2)])
        b, c, t, h, w = x.shape
        cubes = x.reshape(b, c, t // 2, 2, h // 2, 2, w // 2, 2)
        return cubes.permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(b, 8 * c, t // 2, h // 2, w // 2)


class Stem(nn.Sequential):
    """conv1a: 7x7 in space, stride 2, and time as its letter and the style have it."""

    def __init__(self, letter: str, channels: tuple[int, int], style: Style) -> None:
        frames, kind = style.stem_frames, UNGATED.get(letter, letter)
        step = 2 if "conv1a" in HALVES_TIME[style.time_strides] else 1
        if kind == "2":
            super().__init__(Conv(channels, (1, 7, 7), style, (step, 2, 2)))
        elif kind == "3":
            super().__init__(Conv(channels, (7, 7, 7), style, (step, 2, 2)))
        elif style.stem == "full":
            super().__init__(Conv(channels, (frames, 7, 7), style, (step, 2, 2)))
        elif style.stem == "space_to_depth":
            super().__init__(SpaceToDepth(), CubeConv((8 * channels[0], channels[1]), style))
        else:
            super().__init__(
                Conv(channels, (1, 7, 7), style, (1, 2, 2)),
                Conv((channels[1], channels[1]), (frames, 1, 1), style, (step, 1, 1)),
            )
        if letter in UNGATED:
            self.append(Gate(channels[1], style.gate_has_bias))


class CubeConv(Conv):
    """The 2x4x4 convolution on cubes: padded 0, 1, 1 before the start and 1, 2, 2 after the end."""

    def __init__(self, channels: tuple[int, int], style: Style) -> None:
        super().__init__(channels, (2, 4, 4), style)

    def _pad(self, x: Tensor, axis: object) -> Tensor:
        return F.pad(x, (1, 2, 1, 2, 0, 1))

    def _half(self, axis: object) -> tuple[int, ...]:
        return 0, 0, 0


class Inception(nn.Module):
    """Four branches side by side, concatenated.

    The 1x1x1 convolutions that open branches 0, 1 and 2 read the same input, so they are one
    convolution, `entry`; its output channels are those of branch 0, 1 and 2 in this order.
    """

    def __init__(self, letter: str, channels: int, widths: tuple[int, ...], style: Style) -> None:
        super().__init__()
        b0, b1_reduce, b1, b2_reduce, b2, b3 = widths
        self.entry_widths = (b0, b1_reduce, b2_reduce)
        self.out_channels = b0 + b1 + b2 + b3
        is_2d = UNGATED.get(letter, letter) == "2"
        frames = 1 if is_2d and style.pool_follows_letter else 3
        pool = MaxPool((frames, 3, 3), (1, 1, 1), style)
        project = Conv((channels, b3), (1, 1, 1), style)
        self.entry = Conv((channels, sum(self.entry_widths)), (1, 1, 1), style)
        self.branch0 = Projection(letter, b0, 0, style)
        self.branch1 = SpatioTemporal(letter, (b1_reduce, b1), style)
        self.branch2 = SpatioTemporal(letter, (b2_reduce, b2), style)
        self.branch3 = Projection(letter, b3, 3, style)
        first, second = (pool, project) if style.pool_comes_first else (project, pool)
        self.branch3.insert(0, first)
        self.branch3.insert(1, second)
        self.gate: Gate | None = None
        if letter in UNGATED and style.gate_place in ("branch", "branch_and_concat"):
            for branch, width in zip(self._branches(), (b0, b1, b2, b3), strict=True):
                branch.append(Gate(width, style.gate_has_bias))
        if letter in UNGATED and style.gate_place in ("concat", "branch_and_concat"):
            self.gate = Gate(self.out_channels, style.gate_has_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, T, H, W) for (B, C, T, H, W)."""
        x0, x1, x2 = self.entry(x).split(self.entry_widths, 1)
        y = torch.cat(
            [self.branch0(x0), self.branch1(x1), self.branch2(x2), self.branch3(x)], dim=1
        )
        return y if self.gate is None else self.gate(y)

    def _branches(self) -> tuple[nn.Sequential, ...]:
        return self.branch0, self.branch1, self.branch2, self.branch3


class Classifier(nn.Linear):
    """A linear layer that starts near zero: a fresh network calls all classes alike."""

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:
            nn.init.normal_(self.weight, std=0.01)
            nn.init.zeros_(self.bias)


class Head(nn.Module):
    """Average, drop out, classify, and average over what places are left."""

    def __init__(self, channels: int, num_classes: int, style: Style) -> None:
        super().__init__()
        self.kind = style.head
        self.dropout = nn.Dropout(style.dropout)
        self.classifier = Classifier(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for mixed5c's output (B, C, T, H, W)."""
        if self.kind == "global":
            x = x.mean((2, 3, 4), keepdim=True)
        else:
            frames, height, width = x.shape[2:]
            side = 7 if self.kind == "windows" else max(height, width)
            x = F.avg_pool3d(x, (min(2, frames), min(side, height), min(side, width)), stride=1)
        places = self.dropout(x.flatten(2).transpose(1, 2))
        logits: Tensor = self.classifier(places).mean(1)
        return logits


def scaled(channels: int, width: float, fewest: int = 16) -> int:
    """Return the channels at a width: never below `fewest`, as slim's depth multiplier has it."""
    return max(int(channels * width), min(fewest, channels))


def make_block(
    name: str, letter: str, carried: int, style: Style, width: float
) -> tuple[nn.Module, int]:
    """Return a block and the channels it gives.

    Args:
        name: One of `s3d.models.network.BLOCKS`.
        letter: How it treats time, where it is a spatiotemporal layer.
        carried: Channels it is given.
        style: Its convention.
        width: Multiplier of its channels.
    """
    if name in POOLS:
        return _make_pool(name, style), carried
    if name == "conv1a":
        out = scaled(64, width, style.fewest_channels)
        return Stem(letter, (carried, out), style), out
    if name == "conv2b":
        out = scaled(64, width, style.fewest_channels)
        return Conv((carried, out), (1, 1, 1), style), out
    if name == "conv2c":
        out = scaled(192, width, style.fewest_channels)
        block = SpatioTemporal(letter, (carried, out), style)
        if letter in UNGATED and style.gate_place != "temporal":
            block.append(Gate(out, style.gate_has_bias))
        return block, out
    b0, (b1_reduce, b1), (b2_reduce, b2), b3 = INCEPTION[name]
    wanted = (b0, b1_reduce, b1, b2_reduce, b2, b3)
    widths = tuple(scaled(c, width, style.fewest_channels) for c in wanted)
    inception = Inception(letter, carried, widths, style)
    return inception, inception.out_channels


def _make_pool(name: str, style: Style) -> MaxPool:
    step = 2 if name in HALVES_TIME[style.time_strides] else 1
    if name == "pool2a":
        return MaxPool((1, 3, 3), (1, 2, 2), style)
    if name == "pool3a":
        return MaxPool((1 if style.time_strides == "paper" else 3, 3, 3), (step, 2, 2), style)
    side = 3 if name == "pool4a" else style.last_pool
    return MaxPool((side, side, side), (step, 2, 2), style)
