"""What a network costs: parameters and multiply-adds, per block and in all.

What the paper calls a FLOP is a multiply-add; so it is here. Nothing is computed: the network runs
on the meta device, where tensors have shapes and no values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from s3d.models.network import BLOCKS, Network, build
from s3d.models.style import PAPER, Style


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
) -> Cost:
    """Count a network's parameters and multiply-adds for one clip.

    Args:
        network: A name, a word, or a network; of a network only the kind counts.
        frames: Frames of the clip, T.
        size_px: (height, width) of the clip.
        num_classes: Classes, where a name is given.
        style: Convention, where a name is given.
        width: Channel multiplier, where a name is given.

    Raises:
        InputError: A value cannot be used.
    """
    with torch.device("meta"), torch.no_grad():
        net = _twin(network) if isinstance(network, Network) else None
        net = net or build(network, num_classes=num_classes, style=style, width=width)  # type: ignore[arg-type]
        x = torch.empty(1, net.channels, frames, *size_px)
        net.eval().features(x, "conv1a")  # checks the shape once
        blocks = []
        for name in (*BLOCKS, "head"):
            block = net.get_submodule(name)
            with FlopCounterMode(display=False) as counter:
                x = block(x)
            parameters = sum(p.numel() for p in block.parameters())
            macs = counter.get_total_flops() // 2
            blocks.append(BlockCost(name, tuple(x.shape[1:]), parameters, macs))
    return Cost(tuple(blocks))


def _twin(network: Network) -> Network:
    return build(
        network.word,
        num_classes=network.num_classes,
        style=network.style,
        width=network.width,
        channels=network.channels,
    )
