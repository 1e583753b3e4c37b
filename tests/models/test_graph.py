"""The graph of a network: what it says of shapes, pads and kernels, and that it is the network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.models.cost import count_cost
from s3d.models.graph import (
    BLOCKS,
    STEPS,
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
    _pool_pads,
    build_graph,
    walk,
)
from s3d.models.layers import MaxPool
from s3d.models.network import Network
from s3d.models.style import MIL_NCE, PAPER, SLIM, STYLES
from tests.models.published.publish import make_network
from tests.tolerances import ENGINE, share_of_norm

MIXED_WORD = "wvg3s2g2sw3"
WORDS = ("22222222222", "33333333333", "sgggggggggg", "222222222ss", MIXED_WORD)
SHAPES = ((4, 32, 32), (1, 33, 47), (5, 40, 36), (13, 57, 34), (16, 64, 48))
"""Frames, height and width: odd and even, and so small that kernels shrink."""

FEW = [(MIXED_WORD, style, SHAPES[2]) for style in STYLES]
ALL = [
    (word, style, SHAPES[(i + j) % len(SHAPES)])
    for i, word in enumerate(WORDS)
    for j, style in enumerate(STYLES)
]
"""Every word in every style, each shape with eight of them."""
CASES = [pytest.param(*case) for case in FEW] + [
    pytest.param(*case, marks=pytest.mark.slow) for case in ALL if case not in FEW
]


def run_slowly(graph: Graph, x: Tensor) -> dict[Node, Tensor]:
    """Compute every node as its docstring says, with nothing but the plainest operations."""
    made: dict[Node, Tensor] = {}
    for node in graph.nodes:
        inputs = [made[source] for source in node.sources] or [x]
        made[node] = compute(node, inputs).double()
    return made


def compute(node: Node, inputs: list[Tensor]) -> Tensor:
    x = inputs[0]
    if isinstance(node, FramesInput):
        return (x - torch.tensor(node.mean) * 255).permute(0, 4, 1, 2, 3)
    if isinstance(node, FeaturesInput):
        return x
    if isinstance(node, Convolution):
        padded = F.pad(x, amounts(node.before, node.after))
        weight, bias = node.weight.double(), node.bias.double()
        return F.conv3d(padded, weight, bias, node.stride).relu()
    if isinstance(node, MaxPooling):
        padded = F.pad(x, amounts(node.before, node.after), value=float("-inf"))
        return F.max_pool3d(padded, node.kernel, node.stride)
    if isinstance(node, Concatenation):
        return torch.cat(inputs, 1)
    if isinstance(node, Channels):
        return x[:, node.start : node.start + node.shape[0]]
    if isinstance(node, Gating):
        shares = F.linear(x.mean((2, 3, 4)), node.weight.double(), node.bias.double()).sigmoid()
        return x * shares[:, :, None, None, None]
    if isinstance(node, Cubes):
        return cubes(x)
    assert isinstance(node, Classification)
    windows = F.avg_pool3d(x, node.kernel, 1).flatten(2).transpose(1, 2)
    return F.linear(windows, node.weight.double(), node.bias.double()).mean(1)


def cubes(x: Tensor) -> Tensor:
    """Return channels (dt, dh, dw, c) of each cube of 2x2x2, by taking every second value."""
    x = F.pad(x, [n for size in reversed(x.shape[2:]) for n in (0, size % 2)])
    parts = [
        x[:, :, t::2, h::2, w::2] for t in range(2) for h in range(2) for w in range(2)
    ]  # fmt: skip
    return torch.cat(parts, 1)


def amounts(before: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
    return [n for axis in (2, 1, 0) for n in (before[axis], after[axis])]


def clips_of(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def ends_of_blocks(graph: Graph) -> dict[str, Node]:
    """Return the last node of each block; a pool that does nothing has none."""
    return {node.name.split(".")[0]: node for node in graph.nodes}


@pytest.mark.parametrize(("word", "style", "shape"), CASES)
@pytest.mark.parametrize("merges", [False, True])
def test_every_block_is_that_of_the_network(
    word: str, style: str, shape: tuple[int, int, int], merges: bool
) -> None:
    network = make_network(word, STYLES[style]).double()
    clips = clips_of(2, 3, *shape).double()
    graph = build_graph(network, (2, 3, *shape), merges_siblings=merges)
    made, ends = run_slowly(graph, clips), ends_of_blocks(graph)
    with torch.no_grad():
        for name in STEPS:
            wanted = network(clips) if name == "head" else network.features(clips, name)
            if name not in ends:
                continue
            assert (len(clips), *ends[name].shape) == wanted.shape, name
            assert share_of_norm(made[ends[name]], wanted) < 1e-9, name
    assert set(STEPS) - set(ends) <= {"pool3a"}
    assert all(made[node].shape[1:] == node.shape for node in graph.nodes)


def test_frames_are_normalised_in_the_first_convolution() -> None:
    spec = ClipSpec(mean=(0.1, 0.5, 0.9), std=(0.2, 0.5, 2.0))
    network = make_network("s3d", PAPER)
    frames = torch.randint(0, 256, (1, 4, 32, 32, 3), dtype=torch.uint8)
    graph = build_graph(network, (1, 3, 4, 32, 32), spec=spec)
    found = run_slowly(graph, frames)[graph.output]
    with torch.no_grad():
        wanted = network(normalise(frames, spec))
    assert isinstance(graph.input, FramesInput)
    assert share_of_norm(found.float(), wanted) < ENGINE
    plain = build_graph(network, (1, 3, 4, 32, 32))
    first, other = (next(n for n in g.nodes if isinstance(n, Convolution)) for g in (graph, plain))
    scale = torch.tensor([1 / (255 * s) for s in spec.std]).view(1, 3, 1, 1, 1)
    torch.testing.assert_close(first.weight, other.weight * scale)
    torch.testing.assert_close(first.bias, other.bias)


def test_a_stem_of_cubes_is_scaled_channel_by_channel_too() -> None:
    spec = ClipSpec(mean=(0.1, 0.5, 0.9), std=(0.2, 0.5, 2.0))
    network = make_network("s3d", MIL_NCE, width=0.25)
    frames = torch.randint(0, 256, (1, 5, 33, 32, 3), dtype=torch.uint8)
    graph = build_graph(network, (1, 3, 5, 33, 32), spec=spec)
    with torch.no_grad():
        wanted = network(normalise(frames, spec))
    # What is padded is zero in both: after the mean is taken off.
    assert share_of_norm(run_slowly(graph, frames)[graph.output].float(), wanted) < ENGINE


@pytest.mark.parametrize("style", STYLES)
def test_its_multiply_adds_are_those_of_the_network(style: str) -> None:
    network = make_network("s3d_g", STYLES[style])
    graph = build_graph(network, (1, 3, 8, 64, 64))
    macs = sum(
        n.weight.numel() * n.shape[1] * n.shape[2] * n.shape[3]
        for n in graph.nodes
        if isinstance(n, Convolution)
    )
    cost = count_cost(network, 8, (64, 64))
    gates = sum(n.weight.numel() for n in graph.nodes if isinstance(n, Gating))
    head = next(n for n in graph.nodes if isinstance(n, Classification))
    assert macs + gates == cost.macs - cost.blocks[-1].macs
    assert head.weight.numel() == network.head.classifier.weight.numel()


def test_siblings_are_one_convolution_or_three() -> None:
    network = make_network("s3d", PAPER)
    block = {
        merges: build_graph(
            network, (1, 3, 4, 32, 32), until="mixed3b", merges_siblings=merges
        ).nodes
        for merges in (True, False)
    }
    entries = {merges: [n for n in nodes if ".entry" in n.name] for merges, nodes in block.items()}
    whole, *parts = entries[True]
    assert isinstance(whole, Convolution)
    assert all(isinstance(n, Channels) and n.sources == (whole,) for n in parts)
    assert all(isinstance(n, Convolution) for n in entries[False])
    assert [n.shape for n in parts] == [n.shape for n in entries[False]]
    weights = [n.weight for n in entries[False] if isinstance(n, Convolution)]
    torch.testing.assert_close(torch.cat(weights), whole.weight)


def test_odd_places_are_padded_after() -> None:
    network = make_network("s3d", SLIM)
    graph = build_graph(network, (1, 3, 8, 64, 64))
    nodes = {n.name: n for n in graph.nodes}
    spatial, pool = nodes["conv1a.0"], nodes["pool2a"]
    assert isinstance(spatial, Convolution)
    assert (spatial.before, spatial.after) == ((0, 2, 2), (1, 3, 3))
    assert isinstance(pool, MaxPooling)
    assert (pool.before, pool.after) == ((0, 0, 0), (0, 1, 1))


@pytest.mark.parametrize("after", [None, *BLOCKS])
def test_a_graph_may_be_of_some_blocks(after: str | None) -> None:
    network = make_network(MIXED_WORD, PAPER).double()
    clips = clips_of(1, 3, 5, 36, 33).double()
    with torch.no_grad():
        x = clips if after is None else network.features(clips, after)
        wanted = network(clips)
    graph = build_graph(network, tuple(x.shape), after=after)
    assert graph.input.shape == x.shape[1:]
    assert share_of_norm(run_slowly(graph, x)[graph.output], wanted) < 1e-9


def test_a_graph_is_shown_at_once() -> None:
    graph = build_graph(make_network("i2d", PAPER), (1, 3, 4, 32, 32))
    assert len(repr(graph).splitlines()) < 1000 * len(graph.nodes)
    assert "sources" not in repr(graph.output)


def test_a_window_that_would_begin_behind_the_end_is_left_out() -> None:
    pool = MaxPool((1, 2, 2), (2, 2, 2), STYLES["googlenet"])
    x = torch.rand(1, 2, 4, 5, 6)
    kernel, before, after = _pool_pads(pool, (4, 5, 6))
    padded = F.pad(x, amounts(before, after))
    assert torch.equal(F.max_pool3d(padded, kernel, pool.stride), pool(x))
    assert (before, after) == ((0, 0, 0), (-1, 1, 0))


def test_weights_are_copies() -> None:
    network = make_network("s3d", replace(PAPER, temporal_norm="bias"))
    graph = build_graph(network, (1, 3, 4, 32, 32))
    frames = clips_of(1, 3, 4, 32, 32)
    before = run_slowly(graph, frames)[graph.output]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert torch.equal(run_slowly(graph, frames)[graph.output], before)


def test_each_output_is_let_go_once_and_after_its_last_use() -> None:
    graph = build_graph(make_network(MIXED_WORD, PAPER), (1, 3, 4, 32, 32), merges_siblings=True)
    gone: set[Node] = set()
    for node, freed in walk(graph):
        assert not gone & set(node.sources)
        assert not gone & set(freed)
        gone |= set(freed)
    assert gone == set(graph.nodes[:-1])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 4, 31, 32), "clip is 32 x 31 px; a network needs at least 32 each way"),
        ((1, 2, 4, 32, 32), "clips have 2 channels; this network takes 3"),
        ((1, 3, 0, 32, 32), "at least 1 clip of 1 frame is needed"),
    ],
)
def test_a_shape_that_the_network_refuses_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_graph(make_network("s3d", PAPER), shape)


def test_flow_has_two_channels() -> None:
    spec = ClipSpec(mean=(0.5, 0.4), std=(0.5, 0.1), modality="flow")
    network: Network = make_network("s3d", replace(PAPER, head="global"), channels=2)
    frames = torch.randint(0, 256, (1, 4, 32, 32, 2), dtype=torch.uint8)
    graph = build_graph(network, (1, 2, 4, 32, 32), spec=spec)
    with torch.no_grad():
        wanted = network(normalise(frames, spec))
    assert share_of_norm(run_slowly(graph, frames)[graph.output].float(), wanted) < ENGINE
