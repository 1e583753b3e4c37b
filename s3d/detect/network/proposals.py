"""Proposals: where in a picture somebody may be, from features and anchors.

Source: Ren et al., Faster R-CNN (2015), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.detect.geometry.boxes import clip_boxes, decode_boxes, encode_boxes, find_large
from s3d.detect.geometry.nms import nms
from s3d.detect.network.losses import Losses, box_loss, objectness_loss
from s3d.detect.network.match import match_boxes
from s3d.detect.network.sample import sample_matches


@dataclass(frozen=True)
class ProposalSettings:
    """Say how proposals are made and learnt.

    Attributes:
        sizes_px: Sides of squares with the anchors' areas.
        ratios: Height by width of the anchors.
        pre_nms: So many of a picture, those that look most like somebody, go into suppression.
        post_nms: So many at most come out.
        nms_iou: With more than this, the weaker of two goes.
        least_px: What is narrower or lower goes.
        batch: Anchors of a picture that are learnt from.
        positive_share: At most this share of them stands for somebody.
        high_iou: An anchor with so much overlap stands for a person.
        low_iou: One with less is background.
    """

    sizes_px: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    pre_nms: int = 1000
    post_nms: int = 300
    nms_iou: float = 0.7
    least_px: float = 4.0
    batch: int = 256
    positive_share: float = 0.5
    high_iou: float = 0.7
    low_iou: float = 0.3

    @property
    def anchors(self) -> int:
        """Return how many anchors a place of the grid has."""
        return len(self.sizes_px) * len(self.ratios)


class Proposals(NamedTuple):
    """Hold a picture's proposals.

    Attributes:
        boxes: (N, 4) in px, inside the picture.
        scores: (N,) falling, 0 to 1.
    """

    boxes: Tensor
    scores: Tensor


class ProposalHead(nn.Module):
    """Say of each anchor whether somebody is there and how the box differs from it."""

    def __init__(self, channels: int, anchors: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or channels
        self.hidden = nn.Conv2d(channels, hidden, 3, padding=1)
        self.objectness = nn.Conv2d(hidden, anchors, 1)
        self.deltas = nn.Conv2d(hidden, 4 * anchors, 1)
        for layer in (self.hidden, self.objectness, self.deltas):
            if not layer.weight.is_meta:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, A, h, w) and deltas (B, 4 * A, h, w) of features (B, C, h, w).

        Channel 4 * a + i of the deltas is number i of anchor a.
        """
        hidden = F.relu(self.hidden(features))
        return self.objectness(hidden), self.deltas(hidden)


@torch.no_grad()
def propose(
    objectness: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    size_px: tuple[int, int],
    settings: ProposalSettings,
) -> list[Proposals]:
    """Return the proposals of each picture; no gradients flow through them.

    Args:
        objectness: (B, A, h, w) logits. An anchor whose numbers are not finite proposes nothing.
        deltas: (B, 4 * A, h, w).
        anchors: (h * w * A, 4), as `make_anchors` gives them.
        size_px: (height, width) of the pictures.
        settings: How.
    """
    logits, differences = by_anchor(objectness.float(), deltas.float())
    return [
        _propose(logits[i], differences[i], anchors, size_px, settings) for i in range(len(logits))
    ]


def proposal_loss(
    objectness: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    truths: list[Tensor],
    generator: torch.Generator,
    settings: ProposalSettings,
) -> Losses:
    """Return what the head's answers cost: drawn anchors of each picture against true boxes.

    Args:
        objectness: (B, A, h, w) logits.
        deltas: (B, 4 * A, h, w).
        anchors: (h * w * A, 4).
        truths: B tensors (M, 4), M from 0 on.
        generator: Of the CPU; says which anchors are drawn.
        settings: How.
    """
    if len(truths) != len(objectness):
        raise ValueError(f"{len(truths)} pictures' truths for {len(objectness)} pictures.")
    logits, differences = by_anchor(objectness.float(), deltas.float())
    asked, is_object, found, wanted = [], [], [], []
    for picture, truth in enumerate(truths):
        matches = match_boxes(anchors, truth, settings.high_iou, settings.low_iou, keep_best=True)
        share = settings.positive_share
        positives, background = sample_matches(matches, settings.batch, share, generator)
        asked.append(logits[picture, torch.cat([positives, background])])
        is_object.append(torch.arange(len(asked[-1]), device=anchors.device) < len(positives))
        found.append(differences[picture, positives])
        wanted.append(encode_boxes(truth[matches[positives]], anchors[positives]))
    scores = objectness_loss(torch.cat(asked), torch.cat(is_object))
    count = sum(len(part) for part in asked)
    return Losses(scores, box_loss(torch.cat(found), torch.cat(wanted), count))


def by_anchor(objectness: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    """Return the head's answers in the anchors' order: (B, h * w * A) and (B, h * w * A, 4)."""
    logits = objectness.permute(0, 2, 3, 1).flatten(1)
    differences = deltas.permute(0, 2, 3, 1).flatten(1)
    return logits, differences.view(*logits.shape, 4)


def _propose(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    size_px: tuple[int, int],
    settings: ProposalSettings,
) -> Proposals:
    """Return one picture's proposals, of (N,) logits and (N, 4) deltas."""
    # topk takes a nan for the highest.
    logits = torch.where(torch.isnan(logits), -torch.inf, logits)
    top, rows = logits.topk(min(settings.pre_nms, len(logits)))
    boxes = clip_boxes(decode_boxes(deltas[rows], anchors[rows]), size_px)
    large = find_large(boxes, settings.least_px)
    large = large[top[large] > -torch.inf]
    boxes, top = boxes[large], top[large]
    # By logits: scores close to 1 are equal.
    kept = nms(boxes, top, settings.nms_iou)[: settings.post_nms]
    return Proposals(boxes[kept], torch.sigmoid(top[kept]))
