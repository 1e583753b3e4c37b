"""What a network needs to run in 8 bits: how large the values are that its convolutions read.

Weights stay what they are. Behind a ReLU values begin at 0, so that of each place the largest value
says all: level 255 of 8 bits. Weights are rounded channel by channel when an engine is made.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from s3d.errors import InputError
from s3d.models.blocks import BLOCKS
from s3d.models.graph import (
    Channels,
    Concatenation,
    Convolution,
    Cubes,
    FramesInput,
    Graph,
    MaxPooling,
    Node,
    build_graph,
)
from s3d.models.network import Network
from s3d.models.outline import build_outline

LEVELS = 256
MOST_RANGES = 10_000
LARGEST = 1e30

_HANDS_ON = (MaxPooling, Concatenation, Channels, Cubes)
"""What gives values that it was given: levels stay levels."""


@dataclass(frozen=True)
class Ranges:
    """Hold the largest value of each place whose values become levels 0 to 255.

    Attributes:
        highest: By the name of the node that makes the values, as in "mixed3b.branch1.0".
    """

    highest: Mapping[str, float]

    def to_json(self) -> dict[str, float]:
        """Return them as plain JSON values."""
        return dict(self.highest)

    @classmethod
    def from_json(cls, values: object) -> Ranges:
        """Rebuild ranges from what `to_json` gave.

        Raises:
            InputError: They are no positive numbers by name, or too many.
        """
        if not isinstance(values, dict) or not 0 < len(values) <= MOST_RANGES:
            raise InputError(f"ranges of 8 bits need 1 to {MOST_RANGES:,} values, each by a name.")
        for name, value in values.items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not isinstance(name, str) or not is_number or not 0 < value < LARGEST:
                shown = f"{reprlib.repr(name)}: {reprlib.repr(value)}"
                raise InputError(f"range {shown}; a positive number by a name is needed.")
        return cls({name: float(value) for name, value in values.items()})

    def check_names(self, graph: Graph) -> None:
        """Check that they are those of a graph.

        Raises:
            InputError: A place is missing or unknown.
        """
        wanted = {node.name for group in find_groups(graph) for node in group}
        odd = sorted(wanted ^ set(self.highest))
        if odd:
            state = "unknown to the network" if odd[0] in self.highest else "missing"
            raise InputError(f"the range of {reprlib.repr(odd[0])} is {state}.")


def find_groups(graph: Graph) -> list[tuple[Node, ...]]:
    """Return the nodes whose values become levels, those together that must share a range.

    These are the convolutions and gates whose values reach another convolution, as they are or
    through pools and concatenations. What meets in a concatenation shares a range, so that what
    comes out is levels again.
    """
    reached: dict[Node, None] = {}
    parent: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        while parent.get(node, node) is not node:
            node = parent[node]
        return node

    for node in graph.nodes:
        if isinstance(node, Convolution):
            for maker in _origins(node.sources[0]):
                if maker.sources:
                    reached[maker] = None
        elif isinstance(node, Concatenation):
            first, *others = _origins(node)
            for other in others:
                parent[root(other)] = root(first)
    groups: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        if node in reached:
            groups.setdefault(root(node), []).append(node)
    return [tuple(group) for group in groups.values()]


def add_blocks(ranges: Ranges, network: Network) -> Ranges:
    """Return ranges with those of what blocks give, by their names, for graphs that begin there.

    Args:
        ranges: Of the whole network.
        network: The network.
    """
    outline, found = build_outline(network), dict(ranges.highest)
    for block in BLOCKS:
        graph = build_graph(outline, (1, outline.channels, 16, 64, 64), until=block)
        known = {ranges.highest.get(node.name) for node in _origins(graph.output)}
        if len(known) == 1 and (high := known.pop()) is not None:
            found[block] = high
    return Ranges(found)


def quantised_convolutions(graph: Graph, ranges: Ranges) -> Iterator[Convolution]:
    """Yield the convolutions that can compute in 8 bits: all they read is levels, or frames."""
    for node in graph.nodes:
        if isinstance(node, Convolution):
            origins = list(_origins(node.sources[0]))
            if all(isinstance(o, FramesInput) or o.name in ranges.highest for o in origins):
                yield node


def _origins(node: Node) -> Iterator[Node]:
    """Yield the nodes whose values a node gives, as they are."""
    if not isinstance(node, _HANDS_ON):
        yield node
        return
    for source in node.sources:
        yield from _origins(source)
