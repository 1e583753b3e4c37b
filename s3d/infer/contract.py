"""Hold clips that somebody made against what the network was trained to see."""

from __future__ import annotations

import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError

SLACK = 0.05
"""Share of the range by which values may leave it, as resizing by a cubic makes them."""


def check_contract(clips: Tensor, spec: ClipSpec) -> None:
    """Check that clips are what a network takes.

    Args:
        clips: (B, C, T, H, W), float.
        spec: The network's clip contract.

    Raises:
        InputError: Axes, channels or kind differ; values leave the contract's range; or all of them
            lie between 0 and 1 where the range goes below 0, as frames / 255 do.
    """
    shape = tuple(clips.shape)
    if clips.ndim != 5 or shape[1] != spec.channels:
        raise InputError(
            f"clips have shape {shape}; this model takes (batch, {spec.channels}, time, height, "
            f"width): {spec.modality}."
        )
    if not clips.is_floating_point():
        raise InputError(
            f"clips are {clips.dtype}; this model takes floats from {_range(spec)}. "
            "Give uint8 frames to score_frames."
        )
    if clips.numel():
        _check_values(clips, spec)


def _check_values(clips: Tensor, spec: ClipSpec) -> None:
    low, high = spec.value_range
    least, most = (float(bound) for bound in torch.aminmax(clips.detach()))
    slack = SLACK * (high - low)
    how = f"(frames / 255 - mean) / std with mean {_show(spec.mean)} and std {_show(spec.std)}"
    if not low - slack <= least <= most <= high + slack:
        raise InputError(
            f"clips hold values from {least:.4g} to {most:.4g}; this model takes {_range(spec)}: "
            f"{how}. Give uint8 frames to score_frames, which does that."
        )
    if low < 0 <= least and most <= 1 < high + slack:
        raise InputError(
            f"clips hold values from {least:.4g} to {most:.4g}, as frames / 255 do; this model "
            f"takes {_range(spec)}: {how}. If they are right, say check=False."
        )


def _range(spec: ClipSpec) -> str:
    low, high = spec.value_range
    return f"{low:.4g} to {high:.4g}"


def _show(values: tuple[float, ...]) -> str:
    alike = set(values)
    return f"{values[0]:g}" if len(alike) == 1 else str(values)
