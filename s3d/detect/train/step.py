"""What a step learns from: proposals against true boxes, and what is done in some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from s3d.detect.geometry.boxes import STRONG, encode_boxes
from s3d.detect.network.anchors import make_anchors
from s3d.detect.network.detector import Detector
from s3d.detect.network.losses import Losses, box_head_loss
from s3d.detect.network.match import match_boxes
from s3d.detect.network.proposals import proposal_loss, propose
from s3d.detect.network.sample import sample_matches
from s3d.detect.network.settings import proposal_settings
from s3d.detect.network.shape import STRIDE_PX, count_places

SAME_IOU = 0.5
"""From this overlap on a proposal is of the person; below it is of nobody."""
POSITIVE_SHARE = 0.25
"""Of the boxes that the head learns from, at most so many are of somebody."""
PROPOSALS_PER_SAMPLE = 4

Truths = Sequence[tuple[Tensor, Tensor]]
"""Of each window the boxes (n, 4) in px and what is done in them, (n, K) 0 or 1."""


class DetectorLoss(nn.Module):
    """Return the loss of a batch: a module, so that `torchrun` can add its gradients up.

    Attributes:
        detector: What is trained.
    """

    def __init__(self, detector: Detector, sampled: int) -> None:
        super().__init__()
        self.detector, self.sampled = detector, sampled
        shape, size = detector.shape, detector.spec.size_px
        anchors = make_anchors(count_places(size), STRIDE_PX, shape.anchor_px, shape.anchor_ratios)
        self.register_buffer("anchors", anchors, persistent=False)
        self.settings = proposal_settings(shape, PROPOSALS_PER_SAMPLE * sampled)

    def forward(
        self,
        clips: Mapping[str, Tensor],
        pictures: Tensor | None,
        truths: Truths,
        generator: torch.Generator,
    ) -> Tensor:
        """Return (4,): what objects, their boxes, classes and the mended boxes cost.

        Args:
            clips: (B, C, T, H, W) of each stream.
            pictures: (B, 3, H, W) key frames, RGB from 0 to 1, for an image net.
            truths: Of each window.
            generator: Of the CPU; draws what is learnt from.
        """
        detector = self.detector
        features = detector.features(clips)
        objectness, deltas = detector.propose_from(features, pictures)
        boxes = [found for found, _ in truths]
        anchors = self.get_buffer("anchors")
        first = proposal_loss(objectness, deltas, anchors, boxes, generator, self.settings)
        size = detector.spec.size_px
        proposed = propose(objectness, deltas, anchors, size, self.settings)
        second = self._name(features, [p.boxes for p in proposed], truths, generator)
        return torch.stack([first.scores, first.boxes, second.scores, second.boxes])

    def _name(
        self,
        features: Mapping[str, Tensor],
        proposed: Sequence[Tensor],
        truths: Truths,
        generator: torch.Generator,
    ) -> Losses:
        drawn = [
            self._draw(boxes, truth, generator)
            for boxes, truth in zip(proposed, truths, strict=True)
        ]
        logits, shifts = self.detector.name_volumes(
            self.detector.cut(features, [boxes for boxes, _, _, _ in drawn])
        )
        labels, wanted, is_positive = (torch.cat([parts[i] for parts in drawn]) for i in (1, 2, 3))
        return box_head_loss(logits.float(), shifts.float(), labels, wanted, is_positive)

    def _draw(
        self, proposed: Tensor, truth: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draw boxes of a window: them, what is done in them, their wanted shifts, who is one."""
        boxes, labels = truth
        # True boxes are among them, so that the head learns before proposals are any good.
        every = torch.cat([proposed, boxes])
        matches = match_boxes(every, boxes, SAME_IOU, SAME_IOU)
        positives, background = sample_matches(matches, self.sampled, POSITIVE_SHARE, generator)
        chosen = torch.cat([positives, background])
        which = matches[chosen].clamp(min=0)
        is_positive = matches[chosen] >= 0
        if not len(boxes):
            done = labels.new_zeros(len(chosen), labels.shape[1])
            return every[chosen], self._targets(done, is_positive), every[chosen], is_positive
        wanted = encode_boxes(boxes[which], every[chosen], STRONG)
        done = self._targets(labels[which], is_positive)
        return every[chosen], done, wanted, is_positive

    def _targets(self, labels: Tensor, is_positive: Tensor) -> Tensor:
        """Return what the class loss takes: (n, K) floats, or (n,) with K for nobody."""
        if self.detector.shape.multi_label:
            return labels * is_positive[:, None]
        nobody = self.detector.num_classes
        return torch.where(is_positive, labels.argmax(1), nobody)


def key_pictures(clips: Tensor, place: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return the key frames (B, 3, H, W), RGB from 0 to 1, of clips as a network sees them.

    Args:
        clips: (B, 3, T, H, W).
        place: Of the key frame.
        mean: Of the clip contract.
        std: Likewise.
    """
    middle = clips[:, :, place]
    scale = middle.new_tensor(list(std)).view(1, -1, 1, 1)
    shift = middle.new_tensor(list(mean)).view(1, -1, 1, 1)
    return middle * scale + shift
