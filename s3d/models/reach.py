"""How far in time each block looks: which of its input's steps an output step is made of.

step t of the output  <-  steps  stride t - before ... stride t + after  of the input
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cache

from s3d.models.blocks import BLOCKS
from s3d.models.graph import (
    HEAD,
    Channels,
    Classification,
    Concatenation,
    Convolution,
    Cubes,
    Gating,
    Graph,
    MaxPooling,
    Node,
    Shape,
    build_graph,
)
from s3d.models.network import Network


@dataclass(frozen=True)
class Reach:
    """Say of which input steps an output step is made.

    Attributes:
        stride: Input steps from one output step to the next.
        before: Steps before stride t.
        after: Steps after it.
    """

    stride: int = 1
    before: int = 0
    after: int = 0

    def then(self, other: Reach) -> Reach:
        """Return the reach of this and then another."""
        return Reach(
            self.stride * other.stride,
            self.stride * other.before + self.before,
            self.stride * other.after + self.after,
        )

    def beside(self, other: Reach) -> Reach:
        """Return the reach of both, of the same stride, side by side."""
        return Reach(self.stride, max(self.before, other.before), max(self.after, other.after))


@dataclass(frozen=True)
class BlockInTime:
    """Say what a block does to time, for an input of known length.

    Attributes:
        name: The block.
        steps_in: Steps of its input.
        steps_out: Steps of its output.
        reach: None where a gate makes every step depend on all.
        macs: Multiply-adds in all.
    """

    name: str
    steps_in: int
    steps_out: int
    reach: Reach | None
    macs: int


class TimeMap:
    """What blocks do to time, for any length, at one size of the frames.

    Attributes:
        size_px: (height, width) of the frames.
    """

    def __init__(self, network: Network, size_px: tuple[int, int]) -> None:
        self.size_px = size_px
        self._network = copy.deepcopy(network).to("meta")
        self._shapes: dict[str | None, Shape] = {None: (network.channels, *size_px)}
        graph = self._graph(None, HEAD, 64)
        for node in graph.nodes:
            name = block_of(node)
            if name in BLOCKS:
                self._shapes[name] = (node.shape[0], *node.shape[2:])
        self.measure = cache(self._measure)

    def _graph(self, after: str | None, until: str, steps: int) -> Graph:
        channels, *sizes = self._shapes[after]
        return build_graph(self._network, (1, channels, steps, *sizes), after=after, until=until)

    def _measure(self, after: str | None, until: str, steps: int) -> BlockInTime:
        """Return what the blocks behind one, up to another, do to so many steps as one."""
        graph = self._graph(after, until, steps)
        reach = graph_reach(graph)
        steps_out = 1 if until == HEAD else graph.output.shape[1]
        return BlockInTime(until, steps, steps_out, reach, count_macs(graph))

    def bytes_a_step(self, name: str | None) -> int:
        """Return the bytes of one step of what a block gives; None is a frame of uint8."""
        values = math.prod(self._shapes[name])
        return values if name is None else 4 * values

    def blocks(self, frames: int) -> list[BlockInTime]:
        """Return every block's, for clips of so many frames."""
        found: list[BlockInTime] = []
        for after, name in zip((None, *BLOCKS), BLOCKS, strict=False):
            steps = found[-1].steps_out if found else frames
            found.append(self.measure(after, name, steps))
        return found


def block_of(node: Node) -> str:
    """Return the block that a node is of."""
    return node.name.partition(".")[0]


def graph_reach(graph: Graph) -> Reach | None:
    """Return how far in time a graph's output looks; None where it looks everywhere."""
    found: dict[Node, Reach | None] = {}
    for node in graph.nodes:
        found[node] = _node_reach(node, [found[source] for source in node.sources])
    return found[graph.output]


def _node_reach(node: Node, sources: list[Reach | None]) -> Reach | None:
    if not sources:
        return Reach()
    if isinstance(node, (Gating, Classification)) or None in sources:
        return None
    known = [source for source in sources if source is not None]
    first = known[0]
    for other in known[1:]:
        first = first.beside(other)
    if isinstance(node, (Convolution, MaxPooling)):
        before, kernel = node.before[0], node.kernel[0]
        return first.then(Reach(node.stride[0], before, kernel - 1 - before))
    if isinstance(node, Cubes):
        return first.then(Reach(2, 0, 1))
    assert isinstance(node, (Concatenation, Channels)), type(node)
    return first


def count_macs(graph: Graph) -> int:
    """Return the multiply-adds of a graph for one clip."""
    macs = 0
    for node in graph.nodes:
        if isinstance(node, Convolution):
            frames, height, width = node.shape[1:]
            macs += node.weight.numel() * frames * height * width
        elif isinstance(node, (Gating, Classification)):
            macs += node.weight.numel()
    return macs
