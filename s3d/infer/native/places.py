"""Where in memory each node of a graph leaves what it gives: planned once, copied nowhere.

What is concatenated is written into its slice of the whole at once, a gate works in place, and
memory that nothing will read again is used again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from s3d.models.graph import Classification, Concatenation, Gating, Graph, Node

VECTOR_FLOATS = 16
"""Places are kept this far apart, or a multiple: every row begins on a cache line."""

PAGE_FLOATS = 1024


@dataclass(eq=False)
class _Buffer:
    floats: int
    first: int
    last: int
    start: int = 0


@dataclass(frozen=True)
class _Slice:
    buffer: _Buffer
    channel: int
    apart: int


def plan_places(
    graph: Graph, batch: int, skipped: frozenset[Node], together: dict[Node, Node]
) -> dict[Node, Tensor]:
    """Return for each node of shape (C, T, H, W) its output (B, T, H, W, C), uninitialised.

    Args:
        graph: The graph.
        batch: Clips at once.
        skipped: Nodes whose output is never in memory.
        together: Of nodes that are made at the moment of an earlier one, that one.
    """
    number = {node: i for i, node in enumerate(graph.nodes)}
    number |= {node: number[earlier] for node, earlier in together.items()}
    slices = _place_in_buffers(graph, batch, skipped, number)
    buffers = list(dict.fromkeys(s.buffer for s in slices.values()))
    floats = _assign_starts(buffers)
    memory = torch.empty(floats + PAGE_FLOATS)
    memory = memory[-memory.data_ptr() // 4 % PAGE_FLOATS :][:floats]
    return {node: _view(memory, node, s, batch) for node, s in slices.items()}


def users(graph: Graph) -> dict[Node, list[Node]]:
    """Return the nodes that read each node."""
    found: dict[Node, list[Node]] = {node: [] for node in graph.nodes}
    for node in graph.nodes:
        for source in node.sources:
            found[source].append(node)
    return found


def _place_in_buffers(
    graph: Graph, batch: int, skipped: frozenset[Node], number: dict[Node, int]
) -> dict[Node, _Slice]:
    readers, slices = users(graph), dict[Node, _Slice]()
    for node in reversed(graph.nodes):
        if node in skipped or isinstance(node, Classification):
            continue
        if node not in slices:
            channels, *sizes = node.shape
            apart = -(-channels // VECTOR_FLOATS) * VECTOR_FLOATS
            floats = batch * apart * int(torch.tensor(sizes).prod())
            slices[node] = _Slice(_Buffer(floats, number[node], number[node]), 0, apart)
        mine = slices[node]
        last = max((number[reader] for reader in readers[node]), default=len(graph.nodes))
        mine.buffer.first = min(mine.buffer.first, number[node])
        mine.buffer.last = max(mine.buffer.last, last)
        _place_sources(node, slices, readers, skipped)
    return slices


def _place_sources(
    node: Node,
    slices: dict[Node, _Slice],
    readers: dict[Node, list[Node]],
    skipped: frozenset[Node],
) -> None:
    """Let what a node only puts elsewhere be there from the start."""
    mine, channel = slices[node], 0
    if not isinstance(node, (Concatenation, Gating)):
        return
    for source in node.sources:
        free = source.sources and source not in slices and source not in skipped
        if free and readers[source] == [node]:
            slices[source] = _Slice(mine.buffer, mine.channel + channel, mine.apart)
        channel += source.shape[0]


def _assign_starts(buffers: list[_Buffer]) -> int:
    """Give each buffer the lowest start that no buffer of the same time overlaps."""
    placed: list[_Buffer] = []
    for buffer in sorted(buffers, key=lambda b: -b.floats):
        buffer.floats = -(-buffer.floats // PAGE_FLOATS) * PAGE_FLOATS
        start = 0
        for other in sorted(placed, key=lambda b: b.start):
            apart = other.last < buffer.first or buffer.last < other.first
            if not apart and start + buffer.floats > other.start:
                start = max(start, other.start + other.floats)
        buffer.start = start
        placed.append(buffer)
    return max((b.start + b.floats for b in placed), default=0)


def _view(memory: Tensor, node: Node, s: _Slice, batch: int) -> Tensor:
    channels, *sizes = node.shape
    whole = memory[s.buffer.start :].narrow(0, 0, s.buffer.floats)
    count = batch * int(torch.tensor(sizes).prod()) * s.apart
    places = whole[:count].view(batch, *sizes, s.apart)
    return places[..., s.channel : s.channel + channels]
