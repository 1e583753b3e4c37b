"""What a network costs: parameters and multiply-adds, per block and in all.

What the paper calls a FLOP is a multiply-add; so it is here. Nothing is computed: the network runs
on the meta device, where tensors have shapes and no values.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from s3d.errors import InputError
from s3d.models.layers import Conv, Gate
from s3d.models.network import BLOCKS, Network, build
from s3d.models.style import PAPER, Style

LONGEST = 100_000
"""Frames or pixels along one axis; more would overflow the count of values."""


@dataclass(frozen=True)
class BlockCost:
    """Hold one block's cost.

    Attributes:
        name: The block.
        shape: Its output (C, T, H, W).
        parameters: Learnt numbers.
        macs: Multiply-adds for one clip.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Cost:
    """Hold a network's cost for one clip, by block."""

    blocks: tuple[BlockCost, ...]

    @property
    def parameters(self) -> int:
        """Return all learnt numbers."""
        return sum(block.parameters for block in self.blocks)

    @property
    def macs(self) -> int:
        """Return all multiply-adds."""
        return sum(block.macs for block in self.blocks)


def count_cost(
    network: str | Network,
    frames: int = 64,
    size_px: tuple[int, int] = (224, 224),
    *,
    num_classes: int = 400,
    style: str | Style = PAPER,
    width: float = 1.0,
    channels: int = 3,
) -> Cost:
    """Count a network's parameters and multiply-adds for one clip.

    Args:
        network: A name, a word, or a network; of a network only the kind counts.
        frames: Frames of the clip, T.
        size_px: (height, width) of the clip.
        num_classes: Classes, where a name is given.
        style: Convention, where a name is given.
        width: Channel multiplier, where a name is given.
        channels: Of a clip, where a name is given: 3 for rgb, 2 for flow.

    Raises:
        InputError: A value cannot be used.
    """
    for axis, value in (("frames", frames), ("height", size_px[0]), ("width", size_px[1])):
        if not isinstance(value, int) or not 1 <= value <= LONGEST:
            shown = reprlib.repr(value)
            raise InputError(f"{axis} is {shown}; it needs a whole number from 1 to {LONGEST}.")
    with torch.device("meta"), torch.no_grad():
        if isinstance(network, Network):
            net = _twin(network)
        else:
            net = build(
                network, num_classes=num_classes, style=style, width=width, channels=channels
            )
        x = torch.empty(1, net.channels, frames, *size_px)
        net.eval().features(x, "conv1a")  # checks the shape once
        blocks = []
        for name in (*BLOCKS, "head"):
            block = net.get_submodule(name)
            x, macs = _run_and_count(block, x)
            parameters = sum(p.numel() for p in block.parameters())
            blocks.append(BlockCost(name, tuple(x.shape[1:]), parameters, macs))
    return Cost(tuple(blocks))


def _run_and_count(block: nn.Module, x: Tensor) -> tuple[Tensor, int]:
    """Return a block's output and its multiply-adds: each weight, at each place it is applied."""
    macs = 0

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal macs
        places = 1
        if isinstance(layer, Conv):
            places = output[0, 0].numel()
        elif isinstance(layer, nn.Linear):
            places = output[0, ..., 0].numel()
        assert isinstance(layer.weight, Tensor)
        macs += layer.weight.numel() * places

    layers = [m for m in block.modules() if isinstance(m, (Conv, Gate, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    output = block(x)
    for hook in hooks:
        hook.remove()
    return output, macs


def _twin(network: Network) -> Network:
    return build(
        network.word,
        num_classes=network.num_classes,
        style=network.style,
        width=network.width,
        channels=network.channels,
    )
