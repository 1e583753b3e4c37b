"""Arithmetic on boxes: x1, y1, x2, y2 in px, as everywhere in detection (`s3d.detect.tube`).

All of it is elementwise, on any device, and lets gradients through.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Weights = tuple[float, float, float, float]

PLAIN: Weights = (1.0, 1.0, 1.0, 1.0)
"""Weights of deltas for proposals."""

STRONG: Weights = (10.0, 10.0, 5.0, 5.0)
"""Weights of deltas for a box head, which then are about as large as one another."""

MOST_LOG_SIZE = math.log(1000 / 16)
"""A box grows no further than so: an untrained layer must not reach infinity."""

_LEAST_SIDE_PX = 1e-3


def box_area(boxes: Tensor) -> Tensor:
    """Return the areas (...) of boxes (..., 4) in px^2; 0 where a side is not positive."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the intersection over union of every pair.

    Args:
        boxes: (N, 4).
        others: (M, 4).

    Returns:
        (N, M), 0 to 1; 0 where neither box has an area.
    """
    x1 = torch.maximum(boxes[:, None, 0], others[None, :, 0])
    y1 = torch.maximum(boxes[:, None, 1], others[None, :, 1])
    width = (torch.minimum(boxes[:, None, 2], others[None, :, 2]) - x1).clamp(min=0)
    height = (torch.minimum(boxes[:, None, 3], others[None, :, 3]) - y1).clamp(min=0)
    shared = width * height
    union = box_area(boxes)[:, None] + box_area(others)[None] - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


def clip_boxes(boxes: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Return boxes cut at the edges of a picture.

    Args:
        boxes: (..., 4).
        size_px: (height, width).

    Returns:
        (..., 4); one that lies outside has no area.
    """
    height, width = size_px
    most = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), most)


def encode_boxes(boxes: Tensor, anchors: Tensor, weights: Weights = PLAIN) -> Tensor:
    """Return how boxes differ from anchors: `decode_boxes` undone.

    Args:
        boxes: (..., 4); a side below 0.001 px counts as that.
        anchors: (..., 4), likewise.
        weights: What dx, dy, dw and dh are multiplied by.

    Returns:
        (..., 4): the shift of the centre as shares of the anchor's sides, x then y, and the
        logarithm of how many times as wide and high the box is.
    """
    centre, size = _centre_and_size(boxes)
    from_centre, from_size = _centre_and_size(anchors)
    shift, growth = (centre - from_centre) / from_size, torch.log(size / from_size)
    return torch.cat([shift, growth], dim=-1) * boxes.new_tensor(weights)


def decode_boxes(deltas: Tensor, anchors: Tensor, weights: Weights = PLAIN) -> Tensor:
    """Return the boxes that differ from anchors by deltas.

    Args:
        deltas: (..., 4), as `encode_boxes` gives them.
        anchors: (..., 4); they may lack leading axes of the deltas.
        weights: As they were encoded with.

    Returns:
        (..., 4), not clipped.
    """
    plain = deltas / deltas.new_tensor(weights)
    centre, size = _centre_and_size(anchors)
    middle = centre + plain[..., :2] * size
    half = size * torch.exp(plain[..., 2:].clamp(max=MOST_LOG_SIZE)) / 2
    return torch.cat([middle - half, middle + half], dim=-1)


def find_large(boxes: Tensor, least_px: float) -> Tensor:
    """Return the indices (K,), rising, of boxes (N, 4) both of whose sides are at least so long.

    A box that is not finite is not among them.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    is_finite = torch.isfinite(boxes).all(1)
    return torch.nonzero((sides >= least_px).all(1) & is_finite).flatten()


def scale_boxes(boxes: Tensor, from_px: tuple[int, int], to_px: tuple[int, int]) -> Tensor:
    """Return boxes of a picture as they lie in the same picture at another size.

    Args:
        boxes: (..., 4).
        from_px: (height, width) in which they are measured.
        to_px: (height, width) in which they are wanted.
    """
    y, x = to_px[0] / from_px[0], to_px[1] / from_px[1]
    return boxes * boxes.new_tensor([x, y, x, y])


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return centres and sides, each (..., 2): x, then y."""
    corner, opposite = boxes[..., :2], boxes[..., 2:]
    return (corner + opposite) / 2, (opposite - corner).clamp(min=_LEAST_SIDE_PX)
