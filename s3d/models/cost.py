"""What a network costs: parameters, multiply-adds, activations and bytes, per block and in all.

What the paper calls a FLOP is a multiply-add; so it is here. Bytes are those of every operation of
the graph that reads its inputs and weights once and writes its output once, in single precision.
Nothing is computed: the network runs on the meta device, where tensors have shapes and no values.
"""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from s3d.errors import InputError
from s3d.models.graph import STEPS, Classification, Convolution, Gating, Node, build_graph
from s3d.models.layers import Conv, Gate
from s3d.models.network import Network, build
from s3d.models.style import PAPER, Style

LONGEST = 100_000
"""Frames or pixels along one axis; more would overflow the count of values."""

FRAMES_TO_CLIP_BYTES = 5
"""What a value of a clip moves before the first block: a frame's byte read, a float32 written."""


@dataclass(frozen=True)
class BlockCost:
    """Hold one block's cost.

    Attributes:
        name: The block.
        shape: Its output (C, T, H, W).
        parameters: Learnt numbers.
        macs: Multiply-adds for one clip.
        activations: Values of every output inside it, the last included, for one clip.
        moved_bytes: Read and written for one clip by every convolution, pool, concatenation, gate
            and classifier: each input, weight and output once, in float32. Those of the first block
            include turning frames into the clip.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    macs: int
    activations: int
    moved_bytes: int


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

    @property
    def activations(self) -> int:
        """Return the values of every output, for one clip."""
        return sum(block.activations for block in self.blocks)

    @property
    def moved_bytes(self) -> int:
        """Return all bytes read and written, for one clip."""
        return sum(block.moved_bytes for block in self.blocks)


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
    """Count a network's parameters, multiply-adds, activations and bytes for one clip.

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
        nodes = build_graph(net.eval(), tuple(x.shape)).nodes  # checks the shape too
        clip_bytes = FRAMES_TO_CLIP_BYTES * x.numel()
        blocks = []
        for name in STEPS:
            block = net.get_submodule(name)
            x, macs = _run_and_count(block, x)
            parameters = sum(p.numel() for p in block.parameters())
            inside = [node for node in nodes if node.name.partition(".")[0] == name]
            values = sum(math.prod(node.shape) for node in inside)
            moved = sum(map(_moved_bytes, inside)) + (clip_bytes if name == STEPS[0] else 0)
            blocks.append(BlockCost(name, tuple(x.shape[1:]), parameters, macs, values, moved))
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


def _moved_bytes(node: Node) -> int:
    values = sum(math.prod(n.shape) for n in (node, *node.sources))
    if isinstance(node, (Convolution, Gating, Classification)):
        values += node.weight.numel() + node.bias.numel()
    return 4 * values


def _twin(network: Network) -> Network:
    return build(
        network.word,
        num_classes=network.num_classes,
        style=network.style,
        width=network.width,
        channels=network.channels,
    )
