"""Pictures that move by a known amount, below a pixel too: real frames and a random texture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MARGIN_PX = 16


@dataclass(frozen=True)
class Motion:
    """Describe an affine motion about the picture's centre.

    Attributes:
        right_px: Shift.
        down_px: Shift.
        degrees: Turn.
        zoom: Factor.
    """

    right_px: float
    down_px: float
    degrees: float = 0.0
    zoom: float = 1.0

    def matrix(self) -> Tensor:
        """Return the (2, 2) linear part."""
        a = math.radians(self.degrees)
        turn = [[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]
        return torch.tensor(turn, dtype=torch.float64) * self.zoom

    def shift(self) -> Tensor:
        """Return (2,): right, down."""
        return torch.tensor([self.right_px, self.down_px], dtype=torch.float64)


MOTIONS = {
    "shift (1.3, -0.7)": Motion(1.3, -0.7),
    "shift (4.6, 2.3)": Motion(4.6, 2.3),
    "turn 2 degrees": Motion(0.4, 0.2, degrees=2.0),
    "zoom 1.03": Motion(0.5, -0.3, zoom=1.03),
    "shift (-8.4, 3.2)": Motion(-8.4, 3.2),
}


def render(large: Tensor, motion: Motion, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return two frames (H, W), whole numbers 0..255, and the flow (H, W, 2) between them.

    Args:
        large: (H', W') picture, 0..255; one pixel of a frame is two of it.
        motion: From the first frame to the second.
        size: (H, W) in px; twice it must fit into `large` with room to move.
    """
    height, width = size
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) - (height - 1) / 2,
        torch.arange(width, dtype=torch.float64) - (width - 1) / 2,
        indexing="ij",
    )
    places = torch.stack([x, y], -1)
    matrix, shift = motion.matrix(), motion.shift()
    flow = places @ matrix.T + shift - places
    before = (places - shift) @ torch.linalg.inv(matrix).T
    return _read(large, places), _read(large, before), flow.float()


def random_texture(height: int, width: int) -> Tensor:
    """Return a picture (H, W), 0..255, with detail of several sizes."""
    generator = torch.Generator().manual_seed(0)
    layers = []
    for cell in (3, 8, 24):
        noise = torch.randn(1, 1, height // cell + 2, width // cell + 2, generator=generator)
        layers.append(F.interpolate(noise, (height, width), mode="bicubic")[0, 0])
    total = torch.stack(layers).sum(0)
    return (128 + 40 * total / total.std()).clamp(0, 255)


def end_point_error(flow: Tensor, truth: Tensor) -> float:
    """Return the mean distance in px, but for a margin that may have moved in from outside."""
    inner = slice(MARGIN_PX, -MARGIN_PX)
    return float((flow - truth)[inner, inner].norm(dim=-1).mean())


def _read(large: Tensor, places: Tensor) -> Tensor:
    height, width = large.shape
    unit = torch.tensor([4 / (width - 1), 4 / (height - 1)], dtype=torch.float64)
    picture = F.grid_sample(
        large.double()[None, None], (places * unit)[None], mode="bicubic",
        padding_mode="reflection", align_corners=True,
    )  # fmt: skip
    return picture[0, 0].round().clamp(0, 255).float()
