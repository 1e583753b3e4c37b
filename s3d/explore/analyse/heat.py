"""Heat over frames: the colours of an activation, and the part of a frame that a network saw."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from s3d.data.transform import resized_px
from s3d.data.video_info import Frames
from s3d.explore.analyse.activation import Activation, Values

COLOURS = "inferno"
"""Even steps of lightness, and told apart without red and green."""
LEAST_OPACITY, MOST_OPACITY = 0.12, 0.72
UNSEEN = 0.35
"""Brightness of what the crop cut away."""
GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Region:
    """Say which part of a picture a network saw: rows and columns in px."""

    top: int
    bottom: int
    left: int
    right: int


def seen_region(found: Activation, size_px: tuple[int, int]) -> Region:
    """Return the part of a picture that lies in the centre crop.

    Args:
        found: Of the video.
        size_px: (height, width) at which a frame is shown.
    """
    resized = resized_px(found.info.height_px, found.info.width_px, found.spec)
    edges = []
    for shown, whole, crop in zip(size_px, resized, found.spec.size_px, strict=True):
        begin = (whole - crop) // 2
        low, high = round(begin / whole * shown), round((begin + crop) / whole * shown)
        edges += [low, max(high, low + 1)]
    return Region(*edges)


def heat_over(frame: Frames, heat: Values, region: Region) -> Frames:
    """Return a frame (H, W, 3) uint8 in grey, with heat over the part that was seen.

    Args:
        frame: (H, W, 3) uint8 RGB.
        heat: (h, w) 0..1 on a block's grid; it is brought to the region, bilinear.
        region: The part that was seen.
    """
    grey = (frame @ GREY)[..., None].repeat(3, 2)
    out = grey * UNSEEN
    rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
    grown = resize_map(heat, (region.bottom - region.top, region.right - region.left))
    opacity = (LEAST_OPACITY + (MOST_OPACITY - LEAST_OPACITY) * grown)[..., None]
    colours = colour_table()[np.rint(grown * 255).astype(np.int64)]
    out[rows, columns] = (1 - opacity) * grey[rows, columns] + opacity * colours
    return np.asarray(np.rint(out).clip(0, 255).astype(np.uint8))


def resize_map(heat: Values, size_px: tuple[int, int]) -> Values:
    """Return a map (h, w) brought to a size, bilinear between the middles of its places."""
    rows, columns = (_mix(many, few) for many, few in zip(size_px, heat.shape, strict=True))
    return np.asarray(rows @ heat @ columns.T, dtype=np.float32).clip(0, 1)


@cache
def colour_table() -> npt.NDArray[np.float32]:
    """Return the colours of 0..1 in 256 steps, (256, 3), 0..255."""
    from matplotlib import colormaps

    return np.asarray(colormaps[COLOURS](np.arange(256))[:, :3] * 255, dtype=np.float32)


@cache
def _mix(many: int, few: int) -> Values:
    """Return (many, few): how each px is made of places."""
    place = ((np.arange(many) + 0.5) * few / many - 0.5).clip(0, few - 1)
    low = np.minimum(place.astype(np.int64), max(few - 2, 0))
    out = np.zeros((many, few), np.float32)
    np.add.at(out, (np.arange(many), low), 1 - (place - low))
    np.add.at(out, (np.arange(many), np.minimum(low + 1, few - 1)), place - low)
    return out
