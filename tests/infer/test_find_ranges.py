"""Ranges from clips: the largest values there are, or a little less."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer.find_ranges import BINS, SHARES, best_share, find_ranges
from s3d.models.graph import build_graph
from s3d.models.network import Network, build
from s3d.models.quantise import find_groups

SPEC = ClipSpec(frames=4, size_px=(32, 32), resize_px=(32, 32))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build("s3d_g", num_classes=2, width=0.05, style="torchvision").eval()


def draw_clips(count: int) -> list[Tensor]:
    source = torch.Generator().manual_seed(1)
    shape = (4, 32, 32, 3)
    return [torch.randint(0, 256, shape, dtype=torch.uint8, generator=source) for _ in range(count)]


def test_ranges_lie_by_the_largest_values(network: Network) -> None:
    clips = draw_clips(3)
    seen: dict[str, float] = {}

    def note(name: str) -> None:
        def look(_module: object, _inputs: object, output: Tensor) -> None:
            seen[name] = max(seen.get(name, 0.0), float(output.max()))

        network.get_submodule(name).register_forward_hook(look)

    for name in ("conv1a", "conv2b", "mixed4d"):
        note(name)
    with torch.no_grad():
        for clip in clips:
            network(normalise(clip[None], SPEC))
    ranges = find_ranges(network, SPEC, clips).highest
    last = {"conv1a": "conv1a.1", "conv2b": "conv2b", "mixed4d": "mixed4d.entry.0"}
    for name, node in last.items():
        assert SHARES[0] * seen[name] < ranges[node] <= seen[name] * 1.0001, name


def test_every_place_has_a_range_and_those_that_meet_one(network: Network) -> None:
    ranges = find_ranges(network, SPEC, draw_clips(1)).highest
    groups = find_groups(build_graph(network, (1, 3, 4, 32, 32), spec=SPEC))
    assert set(ranges) == {node.name for group in groups for node in group}
    for group in groups:
        assert len({ranges[node.name] for node in group}) == 1
    assert all(value > 0 for value in ranges.values())


def test_a_dead_place_has_a_range_too() -> None:
    network = build("s3d", num_classes=2, width=0.05).eval()
    with torch.no_grad():
        network.conv2b.norm.bias.fill_(-1e3)
    ranges = find_ranges(network, SPEC, draw_clips(1))
    assert 0 < ranges.highest["conv2b"] < 1e-5


def test_values_that_are_not_finite_are_refused() -> None:
    network = build("s3d", num_classes=2, width=0.05).eval()
    with torch.no_grad():
        network.conv2b.norm.bias.fill_(float("inf"))
    with pytest.raises(InputError, match="not finite"):
        find_ranges(network, SPEC, draw_clips(1))


def test_without_clips_there_are_no_ranges(network: Network) -> None:
    with pytest.raises(InputError, match="at least 1 clip"):
        find_ranges(network, SPEC, [])


def test_progress_is_told_of_each_clip_twice(network: Network) -> None:
    told: list[tuple[int, int]] = []
    find_ranges(network, SPEC, draw_clips(2), lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_even_values_need_the_whole_range() -> None:
    assert best_share(torch.ones(BINS, dtype=torch.float64)) == 1.0


def test_a_lone_value_far_out_is_cut_off() -> None:
    counts = torch.zeros(BINS, dtype=torch.float64)
    counts[: BINS // 4] = 1e6
    assert best_share(counts) == SHARES[0]
    counts[-1] = 1
    assert best_share(counts) < 0.5


def test_zeros_do_not_count() -> None:
    counts = torch.ones(BINS, dtype=torch.float64)
    counts[0] = 1e12
    assert best_share(counts) == 1.0
