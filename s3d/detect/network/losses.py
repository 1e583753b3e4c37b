"""What proposals and boxes cost. Of nothing everything costs 0, and a gradient of 0 flows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BETA = 1 / 9
"""Below so large a difference of deltas its square counts, above the difference itself."""


@dataclass(frozen=True, eq=False)
class Losses:
    """Hold what a head's answers cost.

    Attributes:
        scores: What they say of objects or classes.
        boxes: Where they put them.
    """

    scores: Tensor
    boxes: Tensor

    @property
    def total(self) -> Tensor:
        """Return the sum."""
        return self.scores + self.boxes


def objectness_loss(logits: Tensor, is_object: Tensor) -> Tensor:
    """Return the mean binary cross entropy of logits (N,) against (N,) bool."""
    wanted = is_object.to(logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    return loss / max(len(logits), 1)


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return what classes cost.

    Args:
        logits: (N, K).
        labels: (N,) int64, one class each: mean cross entropy. Or (N, K) floats 0 to 1, any
            number of classes each: binary cross entropy, the mean over rows and classes.

    Raises:
        ValueError: The labels are neither.
    """
    if labels.is_floating_point() and labels.shape == logits.shape:
        loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        return loss / max(logits.numel(), 1)
    if labels.dtype == torch.int64 and labels.shape == logits.shape[:1]:
        return F.cross_entropy(logits, labels, reduction="sum") / max(len(logits), 1)
    raise ValueError(
        f"labels are {labels.dtype} {tuple(labels.shape)} for logits {tuple(logits.shape)}; they "
        "need to be (N,) int64 or (N, K) floats."
    )


def box_loss(deltas: Tensor, wanted: Tensor, count: int, beta: float = BETA) -> Tensor:
    """Return the smooth L1 loss of deltas.

    Args:
        deltas: (P, 4), of boxes that stand for a truth.
        wanted: (P, 4).
        count: The sum is divided by it: how many boxes were drawn, background included, so that
            a picture with one person does not weigh as much as one with many.
        beta: Where the square passes into a line.
    """
    loss = F.smooth_l1_loss(deltas, wanted, reduction="sum", beta=beta)
    return loss / max(count, 1)


def box_head_loss(
    logits: Tensor, deltas: Tensor, labels: Tensor, wanted: Tensor, is_positive: Tensor
) -> Losses:
    """Return what the answers of a box head cost.

    Args:
        logits: (N, K), of drawn proposals.
        deltas: (N, 4), the same whatever the class.
        labels: As for `class_loss`.
        wanted: (N, 4) deltas; rows of background count for nothing and may hold anything.
        is_positive: (N,) bool, which proposals stand for a truth.
    """
    boxes = box_loss(deltas[is_positive], wanted[is_positive], len(logits))
    return Losses(class_loss(logits, labels), boxes)
