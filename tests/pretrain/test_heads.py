"""What the trunk is asked while it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from s3d import build, compiled
from s3d.data.world.batches import WorldPlan, draw_batch
from s3d.data.world.clip import stage_play
from s3d.pretrain.heads import (
    FACT_MEANS,
    FACT_SPREADS,
    TEMPERATURE,
    WEIGHTS,
    Heads,
    flow_loss,
    pair_loss,
)
from s3d.pretrain.pretrain import to_clips

pytestmark = pytest.mark.skipif(
    compiled.find_compiler() is None, reason="no C compiler is here to draw with"
)


def test_likeness_is_asked_of_each_against_all_others() -> None:
    torch.manual_seed(0)
    embedded = torch.randn(6, 5)
    unit = embedded / embedded.norm(dim=1, keepdim=True)
    losses = []
    for i in range(6):
        partner = (i + 3) % 6
        scores = {j: math.exp(float(unit[i] @ unit[j]) / TEMPERATURE) for j in range(6) if j != i}
        losses.append(-math.log(scores[partner] / sum(scores.values())))
    assert float(pair_loss(embedded)) == pytest.approx(np.mean(losses), rel=1e-4)


def test_likeness_of_true_pairs_costs_least() -> None:
    eye = torch.eye(4)
    assert pair_loss(torch.cat([eye, eye])) < pair_loss(torch.cat([eye, eye.roll(1, 0)]))


def test_flow_is_asked_by_the_mean_over_a_cell() -> None:
    torch.manual_seed(1)
    grids = torch.randn(2, 4, 4, 4, 4)
    wanted = torch.zeros(2, 4, 2, 2, 2)
    for t in range(2):
        for y in range(2):
            for x in range(2):
                cell = grids[:, 2 * t : 2 * t + 2, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
                mean = cell.mean((1, 2, 3))
                wanted[:, :3, t, y, x] = mean[:, :3].sign() * torch.log1p(2 * mean[:, :3].abs())
                wanted[:, 3, t, y, x] = 3 * mean[:, 3]
    assert float(flow_loss(wanted, grids)) == pytest.approx(0, abs=1e-6)
    assert float(flow_loss(wanted + 1, grids)) == pytest.approx(1 - 0.15, rel=1e-4)


def test_numbers_are_asked_in_their_own_spread() -> None:
    plan = WorldPlan(seed=4, clips=400, frames=16, size_px=16)
    facts = draw_batch(plan, 0).facts
    away = (facts - torch.tensor(FACT_MEANS)) / torch.tensor(FACT_SPREADS)
    assert away.mean(0).abs().max() < 0.4
    assert away.std(0).min() > 0.5
    assert away.std(0).max() < 1.7
    play, _ = stage_play(np.random.default_rng(0), 16, 1.0)
    assert math.log(0.8) <= math.log(play.span) <= math.log(3.2) + 1e-6


@pytest.mark.parametrize("left_out", ["verbs", "pairs", "flow", "facts"])
def test_what_is_left_out_is_not_asked(left_out: str) -> None:
    torch.manual_seed(0)
    network = build("s3d_fast", num_classes=1, width=0.05)
    heads = Heads(network)
    batch = draw_batch(WorldPlan(0, 4, 8, 32), 0)
    clips = to_clips(batch.frames)
    assert clips.shape == (4, 3, 8, 32, 32)
    assert float(clips.min()) >= -1
    assert float(clips.max()) <= 1
    whole = heads(network, clips, batch, ())
    assert set(whole.parts) == set(WEIGHTS)
    losses = heads(network, clips, batch, (left_out,))
    gone = {left_out, "camera"} if left_out == "facts" else {left_out}
    assert set(losses.parts) == set(WEIGHTS) - gone
    expected = sum(WEIGHTS[name] * float(loss.detach()) for name, loss in losses.parts.items())
    assert float(losses.total.detach()) == pytest.approx(expected, rel=1e-4)
    losses.total.backward()
    assert (heads.verbs.weight.grad is None) == (left_out == "verbs")
    assert (heads.fine.weight.grad is None) == (left_out == "flow")
    grad = network.conv1a.get_parameter(next(n for n, _ in network.conv1a.named_parameters())).grad
    assert grad is not None
    assert float(grad.abs().sum()) > 0
