"""How far in time blocks look: held against which inputs change which outputs."""

from __future__ import annotations

import pytest
import torch

from s3d.models.blocks import BLOCKS
from s3d.models.cost import count_cost
from s3d.models.graph import build_graph
from s3d.models.reach import Reach, TimeMap, count_macs
from s3d.models.style import STYLES
from tests.infer.reuse.nets import SIZE_PX, make_network


def test_reaches_follow_one_another() -> None:
    stem, pool = Reach(2, 3, 3), Reach(2, 1, 1)
    # Step t of the pool is made of steps 2t-1 .. 2t+1 of the stem, those of frames 4t-5 .. 4t+5.
    assert stem.then(pool) == Reach(4, 5, 5)
    assert pool.then(stem) == Reach(4, 7, 7)
    assert Reach(1, 1, 0).beside(Reach(1, 0, 2)) == Reach(1, 1, 2)


FAMILY = {
    "i2d": {"conv1a": (2, 0, 0), "conv2c": (1, 0, 0), "pool4a": (2, 1, 1), "mixed5c": (1, 0, 0)},
    "s3d": {"conv1a": (2, 3, 3), "conv2c": (1, 1, 1), "pool5a": (2, 0, 1), "mixed3b": (1, 2, 2)},
    "i3d": {"conv1a": (2, 3, 3), "mixed3b": (1, 1, 1), "pool2a": (1, 0, 0)},
}
"""Stride, steps before and steps after, of some blocks in the paper's style."""


@pytest.mark.parametrize(("word", "reaches"), FAMILY.items())
def test_reaches_of_the_family(word: str, reaches: dict[str, tuple[int, int, int]]) -> None:
    found = {b.name: b.reach for b in TimeMap(make_network(word), SIZE_PX).blocks(64)}
    assert {name: found[name] for name in reaches} == {n: Reach(*r) for n, r in reaches.items()}


def test_a_gate_sees_all_of_time() -> None:
    found = {b.name: b.reach for b in TimeMap(make_network("s3d_g"), SIZE_PX).blocks(64)}
    assert found["conv1a"] is not None
    assert found["conv2c"] is None
    assert found["mixed5c"] is None


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("steps", [16, 17])
def test_nothing_beyond_the_reach_changes_a_step(style: str, steps: int) -> None:
    network = make_network("s3d", style)
    times = TimeMap(network, SIZE_PX)
    x = None
    for after, block in zip((None, *BLOCKS), times.blocks(steps), strict=False):
        x = torch.rand(1, 3, steps, *SIZE_PX) if x is None else x
        y = run_block(network, x, after, block.name)
        assert y.shape[2] == block.steps_out
        reach = block.reach
        assert reach is not None
        t = block.steps_out // 2
        low, high = reach.stride * t - reach.before, reach.stride * t + reach.after
        changed = x.clone()
        changed[:, :, : max(0, low)] += 1
        changed[:, :, high + 1 :] += 1
        z = run_block(network, changed, after, block.name)
        torch.testing.assert_close(z[:, :, t], y[:, :, t], msg=block.name)
        x = y


def run_block(
    network: torch.nn.Module, x: torch.Tensor, after: str | None, name: str
) -> torch.Tensor:
    with torch.no_grad():
        y: torch.Tensor = network.get_submodule(name)(x)
    return y


@pytest.mark.parametrize("word", ["s3d_fast", "i3d", "s3d_g"])
def test_multiply_adds_are_those_of_the_cost_table(word: str) -> None:
    network = make_network(word)
    found = count_macs(build_graph(network, (1, 3, 32, 64, 64)))
    wanted = count_cost(network, 32, (64, 64)).macs
    # The table classifies every window of the head; a graph averages first.
    assert found == pytest.approx(wanted, rel=1e-3)
