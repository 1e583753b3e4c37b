"""Anchors: the boxes from which proposals start, several at each place of a grid of features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def make_anchors(
    grid: tuple[int, int],
    stride_px: int,
    sizes_px: Sequence[float],
    ratios: Sequence[float],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return the anchors of a grid.

    Args:
        grid: (h, w) of the features.
        stride_px: How many px of the picture a place of the grid stands for, each way.
        sizes_px: Sides of squares that have the anchors' areas.
        ratios: Height by width.
        device: Where to.

    Returns:
        (h * w * A, 4) float32 in px, A = len(sizes_px) * len(ratios): places row by row, at each
        place the sizes in their order, of each size the ratios in theirs. An anchor's centre is
        that of its place's pixels; what reaches over the edge is not clipped.
    """
    shapes = _shapes(sizes_px, ratios, device)
    height, width = grid
    y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride_px
    x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride_px
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    centres = torch.stack([columns, rows, columns, rows], dim=-1)
    return (centres.view(-1, 1, 4) + shapes).view(-1, 4)


def _shapes(
    sizes_px: Sequence[float], ratios: Sequence[float], device: torch.device | str
) -> Tensor:
    """Return (A, 4) anchors around 0, 0."""
    size = torch.tensor(sizes_px, dtype=torch.float32, device=device)[:, None]
    root = torch.tensor(ratios, dtype=torch.float32, device=device).sqrt()
    half_width, half_height = (size / root).flatten() / 2, (size * root).flatten() / 2
    return torch.stack([-half_width, -half_height, half_width, half_height], dim=1)
