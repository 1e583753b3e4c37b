"""Whole networks by the native kernels against the modules themselves."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

import s3d
from s3d.clip import ClipSpec
from s3d.infer.native.compile import load_kernels
from s3d.infer.native.places import plan_places
from s3d.infer.native.runner import NativeRunner
from s3d.models.graph import build_graph
from s3d.models.network import Network

pytestmark = pytest.mark.skipif(load_kernels() is None, reason="no C compiler is here")

NORM_ERROR = 1e-5
"""Of the norm; the kernels' transforms and another order of sums leave 1e-6."""


def make_network(name: str, style: str = "torchvision", width: float = 0.25) -> Network:
    torch.manual_seed(0)
    network = s3d.build(name, num_classes=11, style=style, width=width).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def error(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("style", ["torchvision", "paper", "slim", "mil_nce"])
@pytest.mark.parametrize("name", ["s3d", "s3d_g", "i3d", "s3d_fast", "i2d"])
def test_networks(name: str, style: str) -> None:
    network = make_network(name, style)
    shape = (2, 3, 9, 45, 64)
    x = torch.randn(shape)
    runner = NativeRunner(build_graph(network, shape))
    with torch.inference_mode():
        assert error(runner(x), network(x)) < NORM_ERROR


def test_full_width() -> None:
    network = make_network("s3d", width=1.0)
    x = torch.randn(1, 3, 8, 64, 64)
    runner = NativeRunner(build_graph(network, tuple(x.shape)))
    with torch.inference_mode():
        assert error(runner(x), network(x)) < NORM_ERROR


def test_frames_are_read_as_they_come() -> None:
    network, spec = make_network("s3d"), ClipSpec()
    shape = (1, 3, 8, 64, 64)
    frames = torch.randint(0, 256, (1, 8, 64, 64, 3), dtype=torch.uint8)
    runner = NativeRunner(build_graph(network, shape, spec=spec))
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    x = ((frames / 255 - mean) / std).permute(0, 4, 1, 2, 3)
    with torch.inference_mode():
        assert error(runner(frames), network(x)) < NORM_ERROR


def test_blocks_of_a_network() -> None:
    network = make_network("s3d_g")
    x = torch.randn(1, 3, 8, 64, 64)
    with torch.inference_mode():
        wanted = network.features(x, "mixed4c")
        first = NativeRunner(build_graph(network, tuple(x.shape), until="mixed4c"))
        found = first(x)
        assert error(found, wanted) < NORM_ERROR
        rest = NativeRunner(build_graph(network, tuple(found.shape), after="mixed4c"))
        assert error(rest(found), network(x)) < NORM_ERROR


def test_merged_siblings_are_taken_apart() -> None:
    network = make_network("s3d")
    x = torch.randn(1, 3, 8, 64, 64)
    runner = NativeRunner(build_graph(network, tuple(x.shape), merges_siblings=True))
    with torch.inference_mode():
        assert error(runner(x), network(x)) < NORM_ERROR


def test_any_batch_and_call_after_call() -> None:
    network = make_network("s3d")
    runner = NativeRunner(build_graph(network, (1, 3, 4, 32, 32)))
    for batch in (1, 3, 1):
        for _ in range(2):
            x = torch.randn(batch, 3, 4, 32, 32)
            with torch.inference_mode():
                assert error(runner(x), network(x)) < NORM_ERROR


def test_an_answer_is_not_changed_by_the_next_call() -> None:
    network = make_network("s3d")
    for until in ("head", "mixed3b"):
        runner = NativeRunner(build_graph(network, (1, 3, 4, 32, 32), until=until))
        first = runner(torch.randn(1, 3, 4, 32, 32))
        kept = first.clone()
        runner(torch.randn(1, 3, 4, 32, 32))
        assert torch.equal(first, kept)


def test_threads_may_share_a_runner() -> None:
    network = make_network("s3d")
    runner = NativeRunner(build_graph(network, (1, 3, 4, 32, 32)))
    inputs = [torch.randn(1, 3, 4, 32, 32) for _ in range(4)]
    wanted, found = [runner(x) for x in inputs], [torch.empty(0)] * 4

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = runner(inputs[number])

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)


def test_places_do_not_overlap_while_both_are_needed() -> None:
    graph = build_graph(make_network("s3d_g"), (1, 3, 4, 32, 32))
    places = plan_places(graph, 1, frozenset(), {})
    last = {s: i for i, node in enumerate(graph.nodes) for s in node.sources}
    for number, node in enumerate(graph.nodes):
        if node not in places:
            continue
        places[node].fill_(number)
        for earlier in graph.nodes[:number]:
            if earlier in places and last[earlier] > number:
                value = graph.nodes.index(earlier)
                assert (places[earlier] == value).all(), (earlier.name, node.name)
