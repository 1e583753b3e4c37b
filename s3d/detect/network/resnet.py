"""A ResNet on a picture: what proposes boxes on the key frame.

    picture -> stem (stride 4) -> layer1 (4) -> layer2 (8) -> layer3 (16) -> layer4 (32)

It ends with the layer that is asked for. Its values are those of torchvision's ResNet ("V1.5": in a
bottleneck the 3x3 has the stride), so weights published for that give the same features.

Source: He et al., Deep Residual Learning (2015), table 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.errors import InputError

LAYERS = ("layer1", "layer2", "layer3", "layer4")
STRIDES_PX = (4, 8, 16, 32)

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB from 0 to 1."""

_STEM_CHANNELS = 64
_LEAST_CHANNELS = 8


@dataclass(frozen=True)
class Depth:
    """Describe a ResNet of the paper's table.

    Attributes:
        blocks: Of each layer.
        is_bottleneck: Whether a block is 1x1, 3x3, 1x1 with four times the channels behind; else
            it is two 3x3.
    """

    blocks: tuple[int, int, int, int]
    is_bottleneck: bool

    @property
    def growth(self) -> int:
        """Return how many times the channels of its inside a block gives."""
        return 4 if self.is_bottleneck else 1


DEPTHS: Mapping[str, Depth] = {
    "resnet18": Depth((2, 2, 2, 2), False),
    "resnet50": Depth((3, 4, 6, 3), True),
}


class ConvNorm(nn.Module):
    """Convolve and normalise; in eval mode, or where norms are frozen, as one convolution."""

    def __init__(self, channels: tuple[int, int], kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2
        self.weight = nn.Parameter(torch.empty(channels[1], channels[0], kernel, kernel))
        self.norm: nn.BatchNorm2d | nn.SyncBatchNorm = nn.BatchNorm2d(channels[1])
        if not self.weight.is_meta:
            nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised convolution of (B, C, H, W)."""
        if self.norm.training:
            normed: Tensor = self.norm(self._convolve(x, self.weight, None))
            return normed
        mean, var = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert var is not None
        scale = torch.rsqrt(var + self.norm.eps) * self.norm.weight
        return self._convolve(
            x, self.weight * scale.view(-1, 1, 1, 1), self.norm.bias - mean * scale
        )

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, weight, bias, self.stride, self.padding)


class Block(nn.Module):
    """Add to a picture's features what two or three convolutions make of them."""

    def __init__(self, carried: int, inside: int, depth: Depth, stride: int) -> None:
        super().__init__()
        out = inside * depth.growth
        if depth.is_bottleneck:
            self.first = ConvNorm((carried, inside), 1)
            self.second = ConvNorm((inside, inside), 3, stride)
            self.third: ConvNorm | None = ConvNorm((inside, out), 1)
        else:
            self.first = ConvNorm((carried, inside), 3, stride)
            self.second = ConvNorm((inside, out), 3)
            self.third = None
        changes = stride != 1 or carried != out
        self.shortcut = ConvNorm((carried, out), 1, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C', H', W') of (B, C, H, W)."""
        y = self.second(F.relu(self.first(x)))
        if self.third is not None:
            y = self.third(F.relu(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nn.Module):
    """A ResNet up to one of its layers, on RGB from 0 to 1.

    Attributes:
        name: Of `DEPTHS`.
        width: Multiplier of its channels.
        stride: Px of the picture to a place of the features, each way.
        out_channels: Channels of the features.
        freezes_norms: Whether its norms stay as they are in training.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, width: float, depth_to: str, freezes_norms: bool) -> None:
        super().__init__()
        depth, last = DEPTHS[name], LAYERS.index(depth_to)
        self.name, self.width, self.freezes_norms = name, width, freezes_norms
        self.set_constants()
        carried = _channels(_STEM_CHANNELS, width)
        self.stem = ConvNorm((3, carried), 7, 2)
        self.names = LAYERS[: last + 1]
        for number, layer in enumerate(self.names):
            inside = _channels(_STEM_CHANNELS << number, width)
            blocks = nn.Sequential()
            for place in range(depth.blocks[number]):
                stride = 2 if number and not place else 1
                blocks.append(Block(carried, inside, depth, stride))
                carried = inside * depth.growth
            self.add_module(layer, blocks)
        self.stride, self.out_channels = STRIDES_PX[last], carried
        self.train()

    def forward(self, pictures: Tensor) -> Tensor:
        """Return features.

        Args:
            pictures: (B, 3, H, W) float RGB from 0 to 1; height and width at least 32 px.

        Returns:
            (B, out_channels, H / stride, W / stride), rounded up, channels-last.
        """
        x = ((pictures - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        for layer in self.names:
            x = self.get_submodule(layer)(x)
        return x

    def train(self, mode: bool = True) -> ResNet:
        """Set training or eval mode; frozen norms stay in eval mode."""
        super().train(mode)
        if self.freezes_norms:
            for module in self.modules():
                if isinstance(module, (nn.BatchNorm2d, nn.SyncBatchNorm)):
                    module.eval()
        return self

    def set_constants(self) -> None:
        """Set what no file holds: to be done again when one built on the meta device is filled."""
        for constant, values in (("mean", IMAGE_MEAN), ("std", IMAGE_STD)):
            self.register_buffer(constant, torch.tensor(values).view(3, 1, 1), persistent=False)

    def freeze_norms(self, frozen: bool = True) -> None:
        """Let norms stay as they are in training, their scale and shift too, or learn again."""
        self.freezes_norms = frozen
        for module in self.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.SyncBatchNorm)):
                module.requires_grad_(not frozen)
        self.train(self.training)


def build_resnet(
    name: str, width: float = 1.0, depth_to: str = "layer3", freeze_norms: bool = False
) -> ResNet:
    """Build a ResNet with fresh weights.

    Args:
        name: Of `DEPTHS`: resnet18 or resnet50.
        width: Multiplies every layer's channels, of which at least 8 are kept; 0.01 to 8.
        depth_to: The last layer; "layer3" gives features at stride 16.
        freeze_norms: Whether norms stay as they are in training: good for small batches, once
            weights are there.

    Raises:
        InputError: There is no such network or layer, or the width cannot be used.
    """
    for what, value, known in (("image network", name, DEPTHS), ("layer", depth_to, LAYERS)):
        if value not in known:
            raise InputError(f"unknown {what} {value!r}. Known: {', '.join(known)}.")
    if not 0.01 <= width <= 8:
        raise InputError(f"width is {width:g}; an image network's needs to be from 0.01 to 8.")
    resnet = ResNet(name, float(width), depth_to, freezes_norms=False)
    if freeze_norms:
        resnet.freeze_norms()
    return resnet


def _channels(whole: int, width: float) -> int:
    return max(round(whole * width), _LEAST_CHANNELS)
