"""Optimizer, learning rate and loss of a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.train.config import TrainConfig

MOMENTUM = 0.9


class Optimisation(Protocol):
    """Say how weights are changed: options of whatever trains, as `TrainConfig` has them."""

    @property
    def optimizer(self) -> str: ...
    @property
    def schedule(self) -> str: ...
    @property
    def decay_shares(self) -> tuple[float, ...]: ...
    @property
    def warmup(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


def make_optimizer(network: nn.Module, config: Optimisation, lr: float) -> torch.optim.Optimizer:
    """Return the optimizer of what is trained; norms and biases do not decay."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": kernels, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=MOMENTUM)
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99))


def learning_rate(config: Optimisation, peak: float, step: int, steps: int) -> float:
    """Return the learning rate of a step.

    Args:
        config: Gives schedule and warm-up.
        peak: Highest rate.
        step: Of `steps`, from 0.
        steps: Of the whole run.
    """
    warmup = config.warmup * steps
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if config.schedule == "step":
        return peak * 0.1 ** sum(step >= share * steps for share in config.decay_shares)
    done = (step - warmup) / max(1.0, steps - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * done))


def mixed_precision(device: str) -> AbstractContextManager[Any]:
    """Return what computes in bfloat16 on a GPU; on most CPUs that is tens of times slower."""
    return torch.autocast("cuda", torch.bfloat16) if device == "cuda" else nullcontext()


def compute_loss(
    classify: Callable[[Tensor], Tensor],
    clips: Tensor,
    labels: Tensor,
    config: TrainConfig,
    seed: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    """Return the loss of a batch and its logits.

    Args:
        classify: The network in training mode, or what is trained of it.
        clips: (B, C, T, H, W), or their features.
        labels: (B,).
        config: Gives label smoothing and mixup.
        seed: Decides how clips are mixed.
    """
    smoothing = config.label_smoothing
    if not config.mixup:
        logits = classify(clips)
        return F.cross_entropy(logits, labels, label_smoothing=smoothing), logits
    rng = np.random.default_rng(seed)
    share = float(rng.beta(config.mixup, config.mixup))
    partner = torch.from_numpy(rng.permutation(len(clips))).to(clips.device)
    logits = classify(clips.lerp(clips[partner], 1 - share))
    own = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    other = F.cross_entropy(logits, labels[partner], label_smoothing=smoothing)
    return share * own + (1 - share) * other, logits
