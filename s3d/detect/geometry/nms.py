"""Non-maximum suppression: of boxes that lie over each other, the one with the highest score.

A box is kept unless one that is kept has a higher score and an IoU above a threshold with it. Boxes
are taken in falling score, some hundreds at a time: first what is kept already strikes out, then
they strike out each other, round by round until nothing changes, as whole matrices. What a round
leaves is what a loop over boxes leaves, for every box that depends on fewer others than there were
rounds; so when two rounds agree, all of it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from s3d.detect.geometry.boxes import box_iou
from s3d.detect.geometry.compiled import compiled_nms, uses_compiled

CHUNK_BOXES = 256
"""So many at a time: their matrices stay in a processor's cache."""


@torch.no_grad()
def nms(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Return which boxes stay.

    Args:
        boxes: (N, 4). One that is not finite is left out.
        scores: (N,), any range. A box whose score is nan is left out; of equal scores the first
            box counts as higher.
        iou: A box goes where it has more than this with a higher one, 0 to 1.

    Returns:
        (K,) int64 indices in falling score.
    """
    usable = torch.isfinite(boxes).all(1) & ~torch.isnan(scores)
    rows = torch.nonzero(usable).flatten()
    order = rows[scores[rows].argsort(descending=True, stable=True)]
    ranked = boxes[order].float()
    if len(order) and uses_compiled(boxes.device.type):
        # Ranks in place of scores: they have no ties to break.
        falling = torch.arange(len(order), 0, -1, device=boxes.device, dtype=torch.float32)
        return order[compiled_nms(ranked, falling, iou)]
    return order[_keep(ranked, iou)]


@torch.no_grad()
def nms_of_groups(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float) -> Tensor:
    """Return which boxes stay where only those of one group strike out each other.

    Args:
        boxes: (N, 4), as for `nms`.
        scores: (N,), as for `nms`.
        groups: (N,) whole numbers, as classes.
        iou: As for `nms`.

    Returns:
        (K,) int64 indices in falling score, whatever the group.
    """
    # Group by group: to move groups apart instead costs digits of the boxes, and so overlaps.
    parts = [torch.empty(0, dtype=torch.int64, device=boxes.device)]
    for group in torch.unique(groups):
        rows = torch.nonzero(groups == group).flatten()
        parts.append(rows[nms(boxes[rows], scores[rows], iou)])
    kept = torch.cat(parts).sort().values
    return kept[scores[kept].argsort(descending=True, stable=True)]


def _keep(ranked: Tensor, iou: float) -> Tensor:
    """Return the places of boxes (N, 4) in falling score that stay."""
    kept, parts = ranked[:0], [torch.empty(0, dtype=torch.int64, device=ranked.device)]
    for start in range(0, len(ranked), CHUNK_BOXES):
        chunk = ranked[start : start + CHUNK_BOXES]
        free = torch.nonzero(~(box_iou(kept, chunk) > iou).any(0)).flatten()
        chunk = chunk[free]
        stays = _sweep(box_iou(chunk, chunk) > iou)
        parts.append(start + free[stays])
        kept = torch.cat([kept, chunk[stays]])
    return torch.cat(parts)


def _sweep(overlaps: Tensor) -> Tensor:
    """Return which of n boxes in falling score stay, (n,) bool, by (n, n) who overlaps whom."""
    strikes = overlaps.triu(1)
    stays = torch.ones(len(overlaps), dtype=torch.bool, device=overlaps.device)
    while True:
        after = ~(strikes & stays[:, None]).any(0)
        if torch.equal(after, stays):
            return stays
        stays = after
