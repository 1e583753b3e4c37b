"""Frames that move by a known amount: a texture of sines, exact at any place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MARGIN_PX = 10
Array = npt.NDArray[np.float64]


def texture(places: Array) -> npt.NDArray[np.uint8]:
    """Return the grey level, uint8, at places (..., 2), x then y in px."""
    rng = np.random.default_rng(3)
    value = np.zeros(places.shape[:-1])
    for period_px in (40, 25, 16, 11, 8, 6):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        way = np.array([np.cos(angle), np.sin(angle)])
        value += np.sin(places @ way * 2 * np.pi / period_px + phase)
    return np.rint(127.5 + 28 * value).clip(0, 255).astype(np.uint8)


def move(
    size: tuple[int, int], shift: tuple[float, float], degrees: float = 0.0, zoom: float = 1.0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return frames (2, H, W) and the flow (H, W, 2) between them.

    Args:
        size: (H, W) in px.
        shift: Right and down, in px.
        degrees: Turn about the centre.
        zoom: Factor.
    """
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    places = np.stack([x - (size[1] - 1) / 2, y - (size[0] - 1) / 2], -1)
    a = np.deg2rad(degrees)
    matrix = zoom * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    flow = places @ matrix.T + shift - places
    before = (places - shift) @ np.linalg.inv(matrix).T
    return np.stack([texture(places), texture(before)]), flow.astype(np.float32)


def slide(count: int, size: tuple[int, int], shift: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Return frames (count, H, W, 3), each moved by the shift from the one before."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    places = np.stack([x, y], -1)
    grey = np.stack([texture(places - np.array(shift) * t) for t in range(count)])
    return np.repeat(grey[..., None], 3, -1)


def error_px(flow: npt.NDArray[np.float32], truth: npt.NDArray[np.float32]) -> float:
    """Return the mean end-point error, but for the margin."""
    inner = (slice(MARGIN_PX, -MARGIN_PX),) * 2
    return float(np.linalg.norm((flow - truth)[inner], axis=-1).mean())
