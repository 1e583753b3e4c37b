"""Which true box a box stands for, by overlap."""

from __future__ import annotations

import torch
from torch import Tensor

from s3d.detect.geometry.boxes import box_iou

BACKGROUND = -1
IGNORED = -2


@torch.no_grad()
def match_boxes(
    boxes: Tensor, truths: Tensor, high: float, low: float, keep_best: bool = False
) -> Tensor:
    """Return which truth each box stands for.

    Args:
        boxes: (N, 4), anchors or proposals.
        truths: (M, 4); none makes everything background.
        high: A box with this IoU or more stands for the truth that it overlaps most.
        low: A box that has less with every truth is background; between, it is ignored.
        keep_best: Whether the boxes that overlap a truth most stand for something even below
            `high`, for the truth that they overlap most themselves: so no truth goes without.

    Returns:
        (N,) int64: the place of a truth, `BACKGROUND` or `IGNORED`.

    Source: Ren et al., Faster R-CNN (2015), section 3.1.2.
    """
    if len(truths) == 0:
        return torch.full((len(boxes),), BACKGROUND, dtype=torch.int64, device=boxes.device)
    overlaps = box_iou(boxes, truths)
    most, which = overlaps.max(1)
    missed = torch.where(most < low, BACKGROUND, IGNORED)
    is_match = most >= high
    if keep_best and len(boxes):
        best = overlaps.amax(0)
        # A truth outside the picture overlaps nothing: it has no best box.
        is_match |= ((overlaps == best) & (best > 0)).any(1)
    return torch.where(is_match, which, missed)
