"""The steps of a graph for one batch: which kernel is called with what memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.infer.native.layer import POINT, Layer, Picture, Weights, Window, describe
from s3d.infer.native.places import plan_places, users
from s3d.infer.native.weights import Kind
from s3d.models.graph import (
    Channels,
    Classification,
    Concatenation,
    Convolution,
    Cubes,
    FeaturesInput,
    FramesInput,
    Gating,
    Graph,
    MaxPooling,
    Node,
)

PAIRS = {("stem", "time7"), ("pool", "points")}
"""What one kernel makes so that what is between stays in the cache."""

CHUNK = 128
"""As in kernels.c: places summed at once."""

Step = Callable[[Tensor], object]


def _find_pairs(readers: dict[Node, list[Node]], kinds: dict[Node, Kind]) -> dict[Node, Node]:
    """Return the nodes that one kernel makes together with the next, which alone reads them."""
    pairs: dict[Node, Node] = {}
    for node, next_ in readers.items():
        first = "pool" if isinstance(node, MaxPooling) else kinds.get(node)
        if len(next_) == 1 and (first, kinds.get(next_[0])) in PAIRS:
            pairs[node] = next_[0]
    return pairs


class Plan:
    """The steps of a graph for one batch, with all memory they need."""

    def __init__(
        self, graph: Graph, weights: dict[Node, Weights], library: ctypes.CDLL, batch: int
    ) -> None:
        self.graph, self.weights, self.library, self.batch = graph, weights, library, batch
        self.kinds = kinds = {node: w.kind for node, w in weights.items()}
        readers = users(graph)
        self.reads_input = all(kinds.get(r) == "stem" for r in readers[graph.input])
        self.followed = _find_pairs(readers, kinds)
        self.joined = frozenset(self.followed.values())
        skipped = frozenset([*self.followed, *([graph.input] if self.reads_input else [])])
        together = {b: a for a, b in self.followed.items()}
        together |= {node: self.siblings(node)[0] for node in graph.nodes if self.is_open(node)}
        self.places = plan_places(graph, batch, skipped, together)
        self.layers: list[Layer] = []
        self.kept: list[Any] = []
        self.found: Tensor | None = None
        self.steps: list[Step] = []
        for node in graph.nodes:
            make = _STEPS[type(node)]
            step = make(self, node)
            if step is not None:
                self.steps.append(step)

    def run(self, x: Tensor) -> Tensor:
        threads = torch.get_num_threads()
        for layer in self.layers:
            layer.threads = threads
        for step in self.steps:
            step(x)
        if self.found is None:
            return self.places[self.graph.output].permute(0, 4, 1, 2, 3).clone()
        return self.found

    def call(self, name: str, *arguments: Any) -> Step:
        """Return a step that calls a kernel."""
        function = getattr(self.library, name)

        def step(_x: Tensor) -> None:
            if function(*arguments):
                raise MemoryError(f"{name} found no memory for what it works on")

        return step

    def layer(self, source: Node, node: Node, window: Window) -> Layer:
        x, y = self.places.get(source), self.places.get(node)
        layer = describe(x, y, window, (self.batch, source.shape), node.shape)
        layer.streams = 1
        self.layers.append(layer)
        return layer

    def take_input(self, node: FramesInput | FeaturesInput) -> Step | None:
        if self.reads_input:
            return None
        held = self.places[node]
        if isinstance(node, FeaturesInput):
            return lambda x: held.copy_(x.movedim(1, 4))
        mean = torch.tensor(node.mean) * 255
        return lambda x: torch.sub(x, mean, out=held)

    def convolve(self, node: Convolution) -> Step | None:
        weights, (source,) = self.weights[node], node.sources
        if node in self.joined:
            return None
        if weights.kind == "points":
            return self.open_branches(node)
        layer = self.layer(source, node, weights.window)
        weights.bind(layer)
        if weights.kind == "stem":
            return self.begin(source, node, layer)
        return self.call(f"s3d_{weights.kind}", ctypes.byref(layer))

    def is_open(self, node: Node) -> bool:
        """Return whether a node is a pointwise convolution of its own."""
        return self.kinds.get(node) == "points" and node not in self.joined

    def siblings(self, node: Node) -> list[Node]:
        """Return the pointwise convolutions that read what this one reads, in order."""
        return [n for n in self.graph.nodes if n.sources == node.sources and self.is_open(n)]

    def open_branches(self, node: Convolution) -> Step | None:
        """Let all pointwise convolutions of one input be made at once, with the first of them."""
        siblings, (source,) = self.siblings(node), node.sources
        if siblings[0] is not node:
            return None
        array = (Layer * len(siblings))()
        for number, sibling in enumerate(siblings):
            layer = self.layer(source, sibling, POINT)
            self.weights[sibling].bind(layer)
            array[number] = layer
            self.layers.append(array[number])
        self.kept.append(array)
        return self.call("s3d_points", array, ctypes.c_long(len(siblings)))

    def begin(self, source: Node, node: Node, layer: Layer) -> Step:
        """Let the stem read the input as it comes, and go on along time where that is next."""
        mean: Tensor | None = None
        if isinstance(source, FramesInput):
            mean = torch.tensor(source.mean) * 255
        function: Any = self.library.s3d_stem
        more: tuple[Any, ...] = ()
        if node in self.followed:
            function, more = self.library.s3d_stem_time7, (self.follow(node),)

        def step(x: Tensor) -> None:
            x = x.float() if mean is None else x.permute(0, 4, 1, 2, 3)
            picture = Picture(x.data_ptr(), None if mean is None else mean.data_ptr(), *x.stride())
            if function(ctypes.byref(layer), ctypes.byref(picture), *more):
                raise MemoryError("the stem found no memory for what it works on")

        return step

    def follow(self, node: Node) -> Any:
        """Return the layer that one kernel makes together with this node's."""
        follower = self.followed[node]
        layer = self.layer(node, follower, self.weights[follower].window)
        self.weights[follower].bind(layer)
        return ctypes.byref(layer)

    def pool(self, node: MaxPooling) -> Step:
        window = Window(node.kernel, node.stride, node.before)
        layer = ctypes.byref(self.layer(node.sources[0], node, window))
        if node in self.followed:
            return self.call("s3d_pool_points", layer, self.follow(node))
        return self.call("s3d_pool", layer)

    def concatenate(self, node: Concatenation) -> Step | None:
        """Copy what could not be written in its place at once."""
        whole, start, copies = self.places[node], 0, []
        for source in node.sources:
            channels = source.shape[0]
            part = whole[..., start : start + channels]
            if self.places[source].data_ptr() != part.data_ptr():
                copies.append((part, self.places[source]))
            start += channels

        def step(_x: Tensor) -> None:
            for part, held in copies:
                part.copy_(held)

        return step if copies else None

    def take_channels(self, node: Channels) -> Step:
        part = self.places[node.sources[0]][..., node.start : node.start + node.shape[0]]
        held = self.places[node]
        return lambda _x: held.copy_(part)

    def gate(self, node: Gating) -> Step:
        layer = self.layer(node.sources[0], node, POINT)
        channels, *sizes = node.shape
        places = int(torch.tensor(sizes).prod())
        sums = torch.empty(self.batch, -(-places // CHUNK), channels, dtype=torch.float64)
        function, scale = self.library.s3d_sums, self.library.s3d_scale

        def step(_x: Tensor) -> None:
            function(ctypes.byref(layer), ctypes.c_void_p(sums.data_ptr()))
            mean = (sums.sum(1) / places).float()
            shares = torch.sigmoid(F.linear(mean, node.weight, node.bias))
            scale(ctypes.byref(layer), ctypes.c_void_p(shares.data_ptr()))

        return step

    def make_cubes(self, node: Cubes) -> Step:
        from s3d.models.blocks import SpaceToDepth

        cubes, source = SpaceToDepth(), self.places[node.sources[0]]
        held = self.places[node]
        return lambda _x: held.copy_(cubes(source.permute(0, 4, 1, 2, 3)).movedim(1, 4))

    def classify(self, node: Classification) -> Step:
        held = self.places[node.sources[0]]
        _, *sizes = node.sources[0].shape
        shares = _shares(tuple(sizes), node.kernel)

        def step(_x: Tensor) -> None:
            mean = torch.einsum("bthwc,thw->bc", held, shares)
            self.found = F.linear(mean, node.weight, node.bias)

        return step


def _shares(sizes: tuple[int, ...], kernel: tuple[int, ...]) -> Tensor:
    """Return what each place weighs in the mean of the means of all windows."""
    windows = torch.ones([1, 1, *(s - k + 1 for s, k in zip(sizes, kernel, strict=True))])
    shares = F.conv_transpose3d(windows, torch.ones(1, 1, *kernel))[0, 0]
    return shares / shares.sum()


_STEPS: dict[type[Node], Callable[[Plan, Any], Step | None]] = {
    FramesInput: Plan.take_input,
    FeaturesInput: Plan.take_input,
    Convolution: Plan.convolve,
    MaxPooling: Plan.pool,
    Concatenation: Plan.concatenate,
    Channels: Plan.take_channels,
    Gating: Plan.gate,
    Cubes: Plan.make_cubes,
    Classification: Plan.classify,
}
