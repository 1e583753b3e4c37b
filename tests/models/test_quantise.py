"""What a network needs to run in 8 bits: which values share a range, and ranges in a file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.models.graph import Graph, build_graph
from s3d.models.model_file import ModelFile, load_model, save_model
from s3d.models.network import Network, build
from s3d.models.quantise import (
    MOST_RANGES,
    Ranges,
    add_blocks,
    find_groups,
    quantised_convolutions,
)

SPEC = ClipSpec(frames=4, size_px=(32, 32), resize_px=(32, 32))
SHAPE = (1, 3, 4, 32, 32)


def tiny(word: str = "s3d", style: str = "paper") -> Network:
    return build(word, num_classes=2, width=0.05, style=style).eval()


def graph_of(network: Network) -> Graph:
    return build_graph(network, SHAPE, spec=SPEC)


def ranges_of(network: Network) -> Ranges:
    groups = find_groups(graph_of(network))
    return Ranges({n.name: 1.0 + i for i, group in enumerate(groups) for n in group})


def model_of(network: Network, ranges: Ranges | None) -> ModelFile:
    return ModelFile(network, ("a", "b"), SPEC, ranges=ranges)


def names(network: Network) -> list[tuple[str, ...]]:
    return [tuple(node.name for node in group) for group in find_groups(graph_of(network))]


# What shares a range


def test_branches_that_meet_share_a_range() -> None:
    groups = names(tiny(style="torchvision"))
    assert (
        "mixed3b.entry.0", "mixed3b.branch1.1", "mixed3b.branch2.1", "mixed3b.branch3.1",
    ) in groups  # fmt: skip
    assert ("mixed3b.entry.1",) in groups
    assert ("conv1a.0",) in groups


def test_what_no_convolution_reads_has_no_range() -> None:
    found = {name for group in names(tiny()) for name in group}
    # mixed5c's branches go to the classifier, which computes in 32 bits.
    assert not any(name.startswith("mixed5c.branch1.1") for name in found)
    assert "mixed5c.branch1.0" in found


def test_of_a_gated_network_the_gates_have_the_ranges() -> None:
    found = {name for group in names(tiny("s3d_g")) for name in group}
    assert "mixed3b.branch1.2" in found  # the gate
    assert "mixed3b.branch1.1" not in found  # what it weighs
    gated = {name for group in names(tiny("s3d_g", "garden")) for name in group}
    assert "mixed3b.gate" in gated


@pytest.mark.parametrize("word", ["i2d", "s3d", "s3d_g", "i3d"])
@pytest.mark.parametrize("style", ["paper", "slim", "garden", "mil_nce"])
def test_all_convolutions_can_be_of_8_bits(word: str, style: str) -> None:
    network = tiny(word, style)
    graph, ranges = graph_of(network), ranges_of(network)
    convolutions = [node for node in graph.nodes if type(node).__name__ == "Convolution"]
    assert list(quantised_convolutions(graph, ranges)) == convolutions


def test_behind_a_block_its_range_is_that_of_what_it_gave() -> None:
    network, ranges = tiny(), ranges_of(tiny())
    shape = tuple(network.features(torch.zeros(SHAPE), "mixed4b").shape)
    graph = build_graph(network, shape, after="mixed4b")
    alone = {node.name for node in quantised_convolutions(graph, ranges)}
    assert "mixed4c.entry.0" not in alone
    assert "mixed4c.branch1.0" in alone
    added = add_blocks(ranges, network)
    assert {n.name for n in quantised_convolutions(graph, added)} - alone == {
        "mixed4c.entry.0", "mixed4c.entry.1", "mixed4c.entry.2", "mixed4c.branch3.1",
    }  # fmt: skip
    assert added.highest["mixed4b"] == ranges.highest["mixed4b.branch1.1"]
    assert added.highest["pool5a"] == ranges.highest["mixed4f.branch1.1"]
    assert "mixed5c" not in added.highest


# Ranges in a model file


def test_ranges_survive_their_file(tmp_path: Path) -> None:
    network = tiny("s3d_g")
    save_model(tmp_path / "m.safetensors", model_of(network, ranges_of(network)))
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.ranges == ranges_of(network)
    with torch.no_grad():
        clips = torch.randn(SHAPE)
        assert torch.equal(loaded.network(clips), network(clips))


def test_without_ranges_the_header_is_as_it_always_was(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", model_of(tiny(), None))
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert "ranges" not in json.loads(file.metadata()["s3d"])
    assert load_model(tmp_path / "m.safetensors").ranges is None


def write_ranges(folder: Path, ranges: Any) -> Path:
    """Write a good model with other ranges in its header."""
    path = folder / "m.safetensors"
    save_model(path, model_of(tiny(), None))
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["s3d"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {"s3d": json.dumps({**header, "ranges": ranges})})
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1a.0": 0.0}, "range 'conv1a.0': 0.0; a positive number by a name is needed"),
        ({"conv1a.0": -1.0}, "a positive number"),
        ({"conv1a.0": math.nan}, "a positive number"),
        ({"conv1a.0": math.inf}, "a positive number"),
        ({"conv1a.0": True}, "a positive number"),
        ({"conv1a.0": "1"}, "a positive number"),
        ({"conv1a.0": 10**400}, "a positive number"),
        ({"conv9": 1.0}, "the range of 'conv9' is unknown to the network"),
    ],
)
def test_ranges_that_lie_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write_ranges(tmp_path, {**ranges_of(tiny()).to_json(), **change})
    with pytest.raises(InputError, match=message):
        load_model(path)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([], "1 to 10,000 values"),
        ({}, "1 to 10,000 values"),
        (None, "1 to 10,000 values"),
        ({str(n): 1.0 for n in range(MOST_RANGES + 1)}, "1 to 10,000 values"),
        ({"conv1a.0": 1.0}, "is missing"),
    ],
)
def test_other_ranges_are_refused(ranges: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_model(write_ranges(tmp_path, ranges))


def test_ranges_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        save_model(tmp_path / "m.safetensors", model_of(tiny(), Ranges({"conv1a.0": 1.0})))
    assert not list(tmp_path.iterdir())
