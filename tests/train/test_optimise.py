"""Optimizer, learning rate and loss do what their names say."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from s3d.train.config import TrainConfig
from s3d.train.optimise import compute_loss, learning_rate, make_optimizer


def test_step_schedule_falls_to_a_tenth_twice() -> None:
    config = TrainConfig(schedule="step", warmup=0)
    rates = [learning_rate(config, 1.0, step, 80) for step in range(80)]
    assert rates == [pytest.approx(r) for r in [1.0] * 60 + [0.1] * 10 + [0.01] * 10]


def test_cosine_schedule_rises_then_falls_to_almost_nothing() -> None:
    config = TrainConfig(schedule="cosine", warmup=0.1)
    rates = [learning_rate(config, 2.0, step, 100) for step in range(100)]
    np.testing.assert_allclose(rates[:10], [2.0 * (n + 1) / 11 for n in range(10)])
    assert rates[10] == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert rates[99] == pytest.approx(1 + math.cos(math.pi * 89 / 90))
    assert all(a > b for a, b in pairwise(rates[10:]))


def test_a_run_that_only_warms_up_stays_below_its_peak() -> None:
    rates = [learning_rate(TrainConfig(warmup=1), 1.0, step, 4) for step in range(4)]
    assert rates == [pytest.approx(n / 5) for n in range(1, 5)]


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_only_kernels_decay(name: str, kind: type) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = make_optimizer(network, TrainConfig(optimizer=name, weight_decay=0.3), 0.1)
    assert type(optimizer) is kind
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert decays == {id(p): 0.3 if p.ndim == 4 else 0.0 for p in network.parameters()}
    if name == "sgd":
        assert optimizer.param_groups[0]["momentum"] == 0.9


CLIPS = torch.linspace(-1, 1, 6 * 2).view(6, 2)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(2, 3)


def test_plain_loss_is_smoothed_cross_entropy() -> None:
    network = make_network()
    loss, logits = compute_loss(network, CLIPS, LABELS, TrainConfig(label_smoothing=0.2), (0, 0))
    torch.testing.assert_close(logits, network(CLIPS))
    wanted = torch.full((6, 3), 0.2 / 3)
    wanted[torch.arange(6), LABELS] += 0.8
    torch.testing.assert_close(loss, -(wanted * logits.log_softmax(1)).sum(1).mean())


def test_mixup_mixes_clips_and_labels_by_one_share() -> None:
    network, config = make_network(), TrainConfig(mixup=0.4, label_smoothing=0)
    loss, logits = compute_loss(network, CLIPS, LABELS, config, (3, 7))
    rng = np.random.default_rng((3, 7))
    share = rng.beta(0.4, 0.4)
    partner = torch.from_numpy(rng.permutation(6))
    mixed = share * CLIPS + (1 - share) * CLIPS[partner]
    torch.testing.assert_close(logits, network(mixed.float()))
    targets = share * F.one_hot(LABELS, 3) + (1 - share) * F.one_hot(LABELS[partner], 3)
    torch.testing.assert_close(loss, -(targets * logits.log_softmax(1)).sum(1).mean().float())


def test_mixup_follows_from_the_seed() -> None:
    config = TrainConfig(mixup=1.0)
    values = [
        cast(float, compute_loss(make_network(), CLIPS, LABELS, config, seed)[0].item())
        for seed in ((0, 1), (0, 1), (0, 2))
    ]
    assert values[0] == values[1] != values[2]
