"""One graph for clips of any length, where a network's style has one.

Pads before an axis shift all windows, so that where these follow from the length ("same" and
"static" paddings) each length needs a graph of its own. What a pool pads after the end counts as
nothing: as many places as any length needs may be there for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from s3d.models.graph import (
    Classification,
    Convolution,
    Cubes,
    Graph,
    MaxPooling,
    Node,
    Shape,
)
from s3d.models.network import Network
from s3d.models.outline import build_outline, outline_graph

PERIOD = 8
"""Time is halved three times at most: lengths that differ by 8 are padded alike."""

LONG_FRAMES = 64
"""From here on no kernel shrinks to what is left of time."""


def open_time(graph: Graph, network: Network) -> Graph:
    """Return a network's graph with its time open; the graph itself where it cannot be.

    Args:
        graph: Made from frames or clips to logits, for one length of clips.
        network: What it was made from.
    """
    frames, *size = graph.input.shape[1:]
    lengths = {first + i for first in (frames, LONG_FRAMES) for i in range(PERIOD)}
    outlines = _Outlines(network, (size[0], size[1]))
    alike = [outlines.at(length) for length in sorted(lengths)]
    nodes = _join(graph.nodes, alike)
    if nodes is None or not all(_fits(nodes, outline) for outline in alike):
        return graph
    return Graph(nodes, graph.batch, _find_least(frames, nodes, outlines))


def _find_least(frames: int, nodes: Sequence[Node], outlines: _Outlines) -> int:
    """Return the least length that fits: below it a kernel shrinks to what is left of time."""
    short, long = 0, frames
    while long - short > 1:
        middle = (short + long) // 2
        short, long = (short, middle) if _fits(nodes, outlines.at(middle)) else (middle, long)
    return long


class _Outlines:
    """Give a network's nodes for clips of any length, without its weights."""

    def __init__(self, network: Network, size_px: tuple[int, int]) -> None:
        self.network, self.size_px = build_outline(network), size_px

    def at(self, frames: int) -> tuple[Node, ...]:
        return outline_graph(self.network, frames, self.size_px).nodes


def _join(nodes: Sequence[Node], outlines: Sequence[Sequence[Node]]) -> tuple[Node, ...] | None:
    """Return nodes that may serve all lengths; None where what they do follows from the length."""
    names = [node.name for node in nodes]
    if any([node.name for node in outline] != names for outline in outlines):
        return None
    made: dict[Node, Node] = {}
    for number, node in enumerate(nodes):
        alike = [outline[number] for outline in outlines]
        moved = replace(node, sources=tuple(made[source] for source in node.sources))
        made[node] = _widen(moved, alike)
    return tuple(made.values())


def _widen(node: Node, alike: Sequence[Node]) -> Node:
    if isinstance(node, MaxPooling):
        afters = [one.after for one in alike if isinstance(one, MaxPooling)]
        return replace(node, after=(max(a[0] for a in afters), *node.after[1:]))
    if isinstance(node, Classification) and all(map(_averages_all, alike)):
        return replace(node, kernel=(1, 1, 1))
    return node


def _fits(nodes: Sequence[Node], outline: Sequence[Node]) -> bool:
    """Return whether nodes do what those of another length do."""
    return len(nodes) == len(outline) and all(map(_is_same, nodes, outline))


def _is_same(node: Node, own: Node) -> bool:
    # An axis of 1 is a constant to torch.export, not an open one.
    is_short = len(own.shape) > 1 and own.shape[1] < 2
    if node.name != own.name or isinstance(node, Cubes) or is_short:
        return False
    if isinstance(node, Convolution) and isinstance(own, Convolution):
        return (node.stride, node.before, node.after) == (own.stride, own.before, own.after)
    if isinstance(node, MaxPooling) and isinstance(own, MaxPooling):
        kept = (node.kernel, node.stride, node.before) == (own.kernel, own.stride, own.before)
        return kept and _windows(node, own.sources[0].shape) == own.shape[1]
    if isinstance(node, Classification) and isinstance(own, Classification):
        return node.kernel == own.kernel or (node.kernel == (1, 1, 1) and _averages_all(own))
    return True


def _averages_all(node: Node) -> bool:
    """Return whether one window holds everything: windows of one place average to the same."""
    return isinstance(node, Classification) and node.kernel == node.sources[0].shape[1:]


def _windows(pool: MaxPooling, shape: Shape) -> int:
    """Return how many windows a pool has along time."""
    spare = shape[1] + pool.before[0] + pool.after[0] - pool.kernel[0]
    return spare // pool.stride[0] + 1
