"""Flow as the grey levels in which files keep it and networks take it; numpy alone.

flow    (T, H, W, 2) float32 px, x then y
levels  (T, H, W, 2) uint8: -20 px is 0, none is 128, 20 px is 255
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from s3d.clip import FLOW_BOUND_PX

Flow = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]

LEVELS_PER_PX = 255 / (2 * FLOW_BOUND_PX)


def quantise_flow(flow: Flow) -> Levels:
    """Return flow in px as grey levels: clipped to 20 px, 128 where nothing moves.

    Source: deepmind/kinetics-i3d, "truncated to the range [-20, 20]".
    """
    scaled = (np.clip(flow, -FLOW_BOUND_PX, FLOW_BOUND_PX) + FLOW_BOUND_PX) * LEVELS_PER_PX
    levels: Levels = np.rint(scaled).astype(np.uint8)
    return levels


def dequantise_flow(levels: Levels) -> Flow:
    """Return the flow in px that grey levels stand for, to 0.08 px."""
    return (levels / np.float32(LEVELS_PER_PX) - np.float32(FLOW_BOUND_PX)).astype(np.float32)


def mirror_flow(levels: Levels) -> Levels:
    """Return the flow (..., H, W, 2) of mirrored frames: left is right, and so is its sign."""
    mirrored = levels[..., ::-1, :].copy()
    mirrored[..., 0] = 255 - mirrored[..., 0]
    return mirrored


def play_flow_backwards(levels: Levels) -> Levels:
    """Return the flow (T, H, W, 2) of frames in reverse order, as nearly as flow itself tells.

    What moved from p to q moves back from q to p; it is kept at p, where it was known.
    """
    return np.asarray(255 - levels[::-1], np.uint8)


def paint_flow(levels: Levels) -> npt.NDArray[np.uint8]:
    """Return pictures (..., H, W, 3) for people: red is motion to the right, green downwards."""
    still = np.full((*levels.shape[:-1], 1), 128, np.uint8)
    return np.concatenate([levels, still], -1)
