"""A network as a graph of plain operations, for engines that are not PyTorch modules.

Norms are folded into kernels, the clip's normalisation into the first convolution, every pad and
pool is explicit, and every shape is known. A graph may be of some blocks only: from what one block
gives to what another gives.

    shape   (C, T, H, W) of what a node gives for one clip; (K,) of logits
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from s3d.clip import ClipSpec
from s3d.models.blocks import BLOCKS, CubeConv, Head, Inception, SpaceToDepth
from s3d.models.layers import (
    PADDED_FIRST,
    SYMMETRIC,
    Conv,
    Gate,
    MaxPool,
    Triple,
    fold_norm,
    padding_amount,
)
from s3d.models.network import Network, check_clips

HEAD = "head"
STEPS = (*BLOCKS, HEAD)
"""Everything a graph can begin after and end at, in order."""

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes:
        name: As the module it comes from is called, as in "mixed3b.branch1.0".
        shape: Of what it gives for one clip.
        sources: The nodes whose output it takes.
    """

    name: str
    shape: Shape
    # Shown, each node would show all before it, and these all before them.
    sources: tuple[Node, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class FramesInput(Node):
    """Take frames (B, T, H, W, C) uint8 and give (B, C, T, H, W): each value less 255 times mean.

    Attributes:
        mean: Per channel, of frames / 255. The division by 255 std is in the first convolution.
    """

    mean: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class FeaturesInput(Node):
    """Take floats (B, C, T, H, W) as they are: clips, or what the block of its name gave."""


@dataclass(frozen=True, eq=False)
class Convolution(Node):
    """Convolve, add the bias, rectify.

    Attributes:
        weight: (C', C, kt, kh, kw).
        bias: (C',).
        stride: Along time, height, width.
        before: Zeros added before each axis.
        after: Zeros added after it.
    """

    weight: Tensor
    bias: Tensor
    stride: Triple
    before: Triple
    after: Triple

    @property
    def kernel(self) -> Triple:
        """Return its size along time, height, width."""
        kernel = self.weight.shape[2:]
        return kernel[0], kernel[1], kernel[2]


@dataclass(frozen=True, eq=False)
class MaxPooling(Node):
    """Take maxima; what is padded counts as nothing.

    Attributes:
        kernel: Along time, height, width.
        stride: Likewise.
        before: Places added before each axis.
        after: Places added after it.
    """

    kernel: Triple
    stride: Triple
    before: Triple
    after: Triple


@dataclass(frozen=True, eq=False)
class Concatenation(Node):
    """Put channels behind each other."""


@dataclass(frozen=True, eq=False)
class Channels(Node):
    """Take channels from `start` on, as many as its shape has."""

    start: int


@dataclass(frozen=True, eq=False)
class Gating(Node):
    """Weigh channels: sigmoid(weight mean(x) + bias) * x, the mean over time and space.

    Attributes:
        weight: (C, C).
        bias: (C,).
    """

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Cubes(Node):
    """Turn each 2x2x2 cube into 8 times the channels, as `blocks.SpaceToDepth`."""


@dataclass(frozen=True, eq=False)
class Classification(Node):
    """Average windows of `kernel` at stride 1, classify each, and average what is found.

    Both are linear, so that the averages may be taken first.

    Attributes:
        kernel: Along time, height, width.
        weight: (K, C).
        bias: (K,).
    """

    kernel: Triple
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """Hold the nodes of some blocks of a network, each after those it takes from.

    Attributes:
        nodes: The first is the input, the last the output.
        batch: Clips at once for which engines may prepare; None is any number.
        least_frames: The graph serves any number of frames from this one on, though its shapes are
            those of one number; None where it serves that one alone.
    """

    nodes: tuple[Node, ...]
    batch: int | None = 1
    least_frames: int | None = None

    @property
    def input(self) -> Node:
        """Return the input."""
        return self.nodes[0]

    @property
    def output(self) -> Node:
        """Return the output."""
        return self.nodes[-1]


def build_graph(
    network: Network,
    shape: Shape,
    *,
    after: str | None = None,
    until: str = HEAD,
    spec: ClipSpec | None = None,
    merges_siblings: bool = False,
) -> Graph:
    """Return the graph of a network, or of some of its blocks, in eval mode.

    Args:
        network: The network; its weights are copied.
        shape: (B, C, T, H, W) of the input.
        after: The block whose output is the input; None for clips.
        until: The block whose output is wanted, or "head" for logits.
        spec: Where clips come as frames: their contract, whose normalisation is taken in. None for
            clips that are normalised, and behind a block.
        merges_siblings: Let the 1x1x1 convolutions that open branches be one.

    Raises:
        InputError: The network cannot take the shape.
    """
    first = 0 if after is None else BLOCKS.index(after) + 1
    if after is None:
        check_clips(torch.empty(shape, device="meta"), network.channels)
    tracer = _Tracer(merges_siblings, spec, after)
    with torch.no_grad():
        x = tracer.begin(tuple(shape[1:]))
        for name in STEPS[first : STEPS.index(until) + 1]:
            x = tracer.trace(name, network.get_submodule(name), x)
    return Graph(tuple(tracer.nodes), shape[0])


class _Tracer:
    """Walk through modules and write down what each does to an input of known shape."""

    def __init__(self, merges_siblings: bool, spec: ClipSpec | None, after: str | None) -> None:
        self.nodes: list[Node] = []
        self.merges_siblings, self.spec, self.after = merges_siblings, spec, after
        self.scale: Tensor | None = None

    def begin(self, shape: Shape) -> Node:
        if self.spec is None:
            return self._add(FeaturesInput(self.after or "input", shape, ()))
        self.scale = torch.tensor([1 / (255 * s) for s in self.spec.std])
        return self._add(FramesInput("input", shape, (), self.spec.mean))

    def trace(self, name: str, module: nn.Module, x: Node) -> Node:
        if isinstance(module, Conv):
            return self._convolve(name, module, x)
        if isinstance(module, MaxPool):
            return self._pool(name, module, x)
        if isinstance(module, Gate):
            return self._gate(name, module, x)
        if isinstance(module, SpaceToDepth):
            channels, *sizes = x.shape
            return self._add(Cubes(name, (8 * channels, *(-(-n // 2) for n in sizes)), (x,)))
        if isinstance(module, Inception):
            return self._branch_out(name, module, x)
        if isinstance(module, Head):
            return self._classify(name, module, x)
        assert isinstance(module, nn.Sequential), type(module)
        for number, layer in module.named_children():
            x = self.trace(f"{name}.{number}", layer, x)
        return x

    def _add(self, node: Node) -> Node:
        self.nodes.append(node)
        return node

    def _convolve(self, name: str, conv: Conv, x: Node, channels: slice | None = None) -> Node:
        weight, bias = _folded(conv)
        if channels is not None:
            weight, bias = weight[channels], bias[channels]
        if self.scale is not None:
            # Of a space-to-depth stem each cube has all channels.
            scale = self.scale.to(weight).repeat(weight.shape[1] // len(self.scale))
            weight, self.scale = weight * scale.view(1, -1, 1, 1, 1), None
        before, after = _conv_pads(conv, x.shape[1:])
        sizes = _sizes(x.shape[1:], conv.kernel, conv.stride, before, after)
        shape = (len(bias), *sizes)
        return self._add(
            Convolution(name, shape, (x,), weight.clone(), bias.clone(), conv.stride, before, after)
        )

    def _pool(self, name: str, pool: MaxPool, x: Node) -> Node:
        kernel, before, after = _pool_pads(pool, x.shape[1:])
        sizes = _sizes(x.shape[1:], kernel, pool.stride, before, after)
        shape = (x.shape[0], *sizes)
        if kernel == pool.stride == (1, 1, 1):
            return x
        return self._add(MaxPooling(name, shape, (x,), kernel, pool.stride, before, after))

    def _gate(self, name: str, gate: Gate, x: Node) -> Node:
        bias = gate.weight.new_zeros(x.shape[0]) if gate.bias is None else gate.bias
        return self._add(Gating(name, x.shape, (x,), gate.weight.clone(), bias.clone()))

    def _branch_out(self, name: str, block: Inception, x: Node) -> Node:
        opened = self._open_branches(name, block, x)
        branches = (block.branch0, block.branch1, block.branch2, block.branch3)
        ends = [
            self.trace(f"{name}.branch{number}", branch, start)
            for number, (branch, start) in enumerate(zip(branches, (*opened, x), strict=True))
        ]
        shape = (sum(end.shape[0] for end in ends), *ends[0].shape[1:])
        y = self._add(Concatenation(f"{name}.concat", shape, tuple(ends)))
        return y if block.gate is None else self._gate(f"{name}.gate", block.gate, y)

    def _open_branches(self, name: str, block: Inception, x: Node) -> list[Node]:
        entry = f"{name}.entry"
        whole = self._convolve(entry, block.entry, x) if self.merges_siblings else x
        opened, start = [], 0
        for number, width in enumerate(block.entry_widths):
            part, shape = f"{entry}.{number}", (width, *x.shape[1:])
            if self.merges_siblings:
                opened.append(self._add(Channels(part, shape, (whole,), start)))
            else:
                channels = slice(start, start + width)
                opened.append(self._convolve(part, block.entry, x, channels))
            start += width
        return opened

    def _classify(self, name: str, head: Head, x: Node) -> Node:
        _, frames, height, width = x.shape
        kernel = (frames, height, width)
        if head.kind != "global":
            side = 7 if head.kind == "windows" else max(height, width)
            kernel = (min(2, frames), min(side, height), min(side, width))
        weight, bias = head.classifier.weight, head.classifier.bias
        return self._add(
            Classification(name, (len(bias),), (x,), kernel, weight.clone(), bias.clone())
        )


def _folded(conv: Conv) -> tuple[Tensor, Tensor]:
    if conv.norm is not None:
        return fold_norm(conv.weight, conv.norm)
    assert conv.bias is not None
    return conv.weight, conv.bias


def _conv_pads(conv: Conv, sizes: Shape) -> tuple[Triple, Triple]:
    if isinstance(conv, CubeConv):
        return (0, 1, 1), (1, 2, 2)
    if conv.padding in SYMMETRIC:
        half = conv.kernel[0] // 2, conv.kernel[1] // 2, conv.kernel[2] // 2
        return half, half
    # A kernel without extent in time passes frames over, and is not padded there.
    pads = [
        padding_amount(conv.padding, size, kernel, stride) if kernel > 1 else (0, 0)
        for size, kernel, stride in zip(sizes, conv.kernel, conv.stride, strict=True)
    ]
    return _transposed(pads)


def _pool_pads(pool: MaxPool, sizes: Shape) -> tuple[Triple, Triple, Triple]:
    """Return the kernel that fits, and the places before and after that make all windows whole."""
    kernel = pool._fit(torch.empty((1, 1, *sizes), device="meta"))
    if pool.padding in PADDED_FIRST:
        pads = [
            padding_amount(pool.padding, *axis)
            for axis in zip(sizes, kernel, pool.stride, strict=True)
        ]
        return kernel, *_transposed(pads)
    half, pads = pool._half(kernel), []
    for axis in range(3):
        size, k, stride, before = sizes[axis], kernel[axis], pool.stride[axis], half[axis]
        spare = (size + 2 * before - k) % stride if pool._rounds_up() else 0
        after = before + (stride - spare if spare else 0)
        # PyTorch leaves out a window that would begin in the padding.
        steps = (size + before + after - k) // stride
        if pool._rounds_up() and steps * stride >= size + before:
            after -= stride
        pads.append((before, after))
    return kernel, *_transposed(pads)


def _transposed(pads: list[tuple[int, int]]) -> tuple[Triple, Triple]:
    (t0, t1), (h0, h1), (w0, w1) = pads
    return (t0, h0, w0), (t1, h1, w1)


def _sizes(sizes: Shape, kernel: Triple, stride: Triple, before: Triple, after: Triple) -> Shape:
    return tuple(
        (size + b + a - k) // s + 1
        for size, k, s, b, a in zip(sizes, kernel, stride, before, after, strict=True)
    )


def count_bytes(graph: Graph) -> int:
    """Return about what running a graph takes: its weights, and what two nodes give at once."""
    floats = sum(node.weight.numel() for node in graph.nodes if isinstance(node, Convolution))
    return 4 * (
        floats + 2 * (graph.batch or 1) * max(math.prod(node.shape) for node in graph.nodes)
    )


def walk(graph: Graph) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Yield each node with those whose last use it is, so that what they gave can be let go."""
    last_use = {source: node for node in graph.nodes for source in node.sources}
    for node in graph.nodes:
        freed = tuple(s for s in dict.fromkeys(node.sources) if last_use[s] is node)
        yield node, freed
