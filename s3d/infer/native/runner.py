"""A graph run by kernels that were compiled for the processor that is here."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.errors import InputError
from s3d.infer.native.compile import load_kernels
from s3d.infer.native.layer import (
    POINT,
    Layer,
    Picture,
    Weights,
    Window,
    describe,
    pack_weights,
)
from s3d.infer.native.places import plan_places, users
from s3d.infer.native.weights import choose_kind
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

MISSING = "no C compiler was found that makes the native kernels. Use --engine torch."
CHUNK = 128
"""As in kernels.c: places summed at once."""

Step = Callable[[Tensor], object]


class NativeRunner:
    """Run a graph on the CPU. Calls from many threads wait for each other.

    Attributes:
        graph: What it runs.
    """

    def __init__(self, graph: Graph) -> None:
        library = load_kernels()
        if library is None:
            raise InputError(MISSING)
        self.graph, self._library, self._lock = graph, library, threading.Lock()
        vector = library.s3d_vector()
        self._weights: dict[Node, Weights] = {
            node: _weigh(node, vector) for node in graph.nodes if isinstance(node, Convolution)
        }
        self._plan: _Plan | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return the output for an input (B, ...) on the CPU, of any batch.

        Memory is laid out for the batch that was last seen.

        Raises:
            InputError: The input is not of the graph's shape.
        """
        _check_input(x, self.graph.input)
        with self._lock, torch.inference_mode():
            if self._plan is None or self._plan.batch != len(x):
                self._plan = None  # so that its memory is free for the next
                self._plan = _Plan(self.graph, self._weights, self._library, len(x))
            return self._plan.run(x)


def _check_input(x: Tensor, node: Node) -> None:
    """Hold an input against the graph: the kernels read memory by the shapes of the graph."""
    channels, *sizes = node.shape
    is_frames = isinstance(node, FramesInput)
    wanted = (*sizes, channels) if is_frames else node.shape
    fits = x.dtype == torch.uint8 if is_frames else x.is_floating_point()
    if x.device.type != "cpu" or x.ndim != 5 or not len(x) or x.shape[1:] != wanted or not fits:
        kind = "uint8" if is_frames else "floats"
        raise InputError(
            f"the input is {x.dtype} {tuple(x.shape)} on {x.device}; the engine was made for "
            f"{kind} (batch, {', '.join(map(str, wanted))}) on the CPU."
        )


def _weigh(node: Convolution, vector: int) -> Weights:
    window = Window(node.kernel, node.stride, node.before)
    channels = node.weight.shape[1]
    kind = choose_kind(channels, node.kernel, node.stride, node.before)
    return pack_weights(kind, node.weight, node.bias, window, vector)


class _Plan:
    """The steps of a graph for one batch, with all memory they need."""

    def __init__(
        self, graph: Graph, weights: dict[Node, Weights], library: ctypes.CDLL, batch: int
    ) -> None:
        self.graph, self.weights, self.library, self.batch = graph, weights, library, batch
        readers = users(graph)
        kinds = {node: w.kind for node, w in weights.items()}
        self.reads_input = all(kinds.get(r) == "stem" for r in readers[graph.input])
        self.followed = {
            node: next_[0]
            for node, next_ in readers.items()
            if kinds.get(node) == "stem" and len(next_) == 1 and kinds.get(next_[0]) == "time7"
        }
        self.joined = frozenset(self.followed.values())
        skipped = frozenset([*self.followed, *([graph.input] if self.reads_input else [])])
        self.places = plan_places(graph, batch, skipped)
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
        if weights.kind == "points":
            return self.open_branches(node)
        if node in self.joined:
            return None
        layer = self.layer(source, node, weights.window)
        weights.bind(layer)
        if weights.kind == "stem":
            return self.begin(source, node, layer)
        return self.call(f"s3d_{weights.kind}", ctypes.byref(layer))

    def open_branches(self, node: Convolution) -> Step | None:
        """Let all pointwise convolutions of one input be made at once, with the first of them."""
        (source,) = node.sources
        siblings = [
            n
            for n in self.graph.nodes
            if n.sources == (source,) and n in self.weights and self.weights[n].kind == "points"
        ]
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
            follower = self.followed[node]
            after = self.layer(node, follower, self.weights[follower].window)
            self.weights[follower].bind(after)
            function, more = self.library.s3d_stem_time7, (ctypes.byref(after),)

        def step(x: Tensor) -> None:
            x = x.float() if mean is None else x.permute(0, 4, 1, 2, 3)
            picture = Picture(x.data_ptr(), None if mean is None else mean.data_ptr(), *x.stride())
            if function(ctypes.byref(layer), ctypes.byref(picture), *more):
                raise MemoryError("the stem found no memory for what it works on")

        return step

    def pool(self, node: MaxPooling) -> Step:
        window = Window(node.kernel, node.stride, node.before)
        return self.call("s3d_pool", ctypes.byref(self.layer(node.sources[0], node, window)))

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


_STEPS: dict[type[Node], Callable[[_Plan, Any], Step | None]] = {
    FramesInput: _Plan.take_input,
    FeaturesInput: _Plan.take_input,
    Convolution: _Plan.convolve,
    MaxPooling: _Plan.pool,
    Concatenation: _Plan.concatenate,
    Channels: _Plan.take_channels,
    Gating: _Plan.gate,
    Cubes: _Plan.make_cubes,
    Classification: _Plan.classify,
}
