"""One graph for clips of any length: where there is one, and that it gives what it should."""

from __future__ import annotations

import pytest
import torch

from s3d.infer.engines.plain_module import PlainModule
from s3d.models.graph import Convolution, MaxPooling, build_graph
from s3d.models.network import Network, build
from s3d.models.open_time import open_time
from tests.tolerances import FLOAT32, assert_close


def tiny(word: str, style: str) -> Network:
    torch.manual_seed(0)
    return build(word, num_classes=3, width=0.05, style=style).eval()


def least(network: Network, frames: int, size_px: int = 32) -> int | None:
    graph = build_graph(network, (1, 3, frames, size_px, size_px))
    return open_time(graph, network).least_frames


@pytest.mark.parametrize(
    ("word", "style", "frames", "wanted"),
    [
        # pool5a rounds up: 9 frames are 5, 3 and 2 steps; 8 are 4, 2 and 1.
        ("s3d", "paper", 16, 9),
        ("s3d", "paper", 8, None),
        # pool5a drops what is odd: 13 frames are 7, 4 and 2 steps.
        ("s3d_g", "torchvision", 16, 13),
        ("i3d", "ibm", 17, 13),
        ("i3d", "mil_nce", 16, 9),
        # Padding before the start follows from the length; cubes are padded where it is odd.
        ("s3d", "slim", 16, None),
        ("s3d", "mil_nce", 16, None),
    ],
)
def test_time_is_open_where_padding_does_not_follow_from_it(
    word: str, style: str, frames: int, wanted: int | None
) -> None:
    assert least(tiny(word, style), frames) == wanted


@pytest.mark.parametrize(
    ("word", "style"),
    [("s3d", "paper"), ("s3d_g", "torchvision"), ("i3d", "ibm"), ("i3d", "mil_nce")],
)
def test_an_open_graph_serves_every_length(word: str, style: str) -> None:
    network = tiny(word, style)
    graph = open_time(build_graph(network, (1, 3, 16, 32, 32)), network)
    assert graph.least_frames is not None
    module = PlainModule(graph)
    for frames in (graph.least_frames, 14, 15, 16, 17, 21):
        clips = torch.randn(2, 3, frames, 32, 32)
        with torch.no_grad():
            assert_close(module(clips)["logits"], network(clips), FLOAT32, f"{frames} frames")


def test_the_head_s_window_is_not_taken_for_all_there_is() -> None:
    # At 64 px the last block is 2 x 2 x 2 for 16 frames, as large as the window.
    assert least(tiny("s3d", "paper"), 16, 64) == 9


def test_a_closed_graph_stays_as_it_was() -> None:
    network = tiny("s3d", "slim")
    graph = build_graph(network, (1, 3, 16, 32, 32))
    assert open_time(graph, network) is graph


def test_weights_and_strides_are_kept() -> None:
    network = tiny("s3d", "paper")
    graph = build_graph(network, (4, 3, 16, 32, 32))
    opened = open_time(graph, network)
    assert opened.batch == 4
    for before, after in zip(graph.nodes, opened.nodes, strict=True):
        assert (before.name, before.shape) == (after.name, after.shape)
        if isinstance(before, Convolution) and isinstance(after, Convolution):
            assert after.weight is before.weight
        if isinstance(before, MaxPooling) and isinstance(after, MaxPooling):
            assert after.stride == before.stride
