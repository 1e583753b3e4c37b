"""What a file gives against what the network gives: the file is kept only where they agree."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer.export.to_onnx import Run
from s3d.models.network import Network

TOLERANCE = 1e-4
"""Of the norm of the logits."""


def measure_difference(
    run: Run, network: Network, spec: ClipSpec, sizes: Iterable[Tensor]
) -> float:
    """Return how far a file's logits are from the network's at most, as a share of their norm.

    Args:
        run: The file at work.
        network: On the CPU, in eval mode.
        spec: How it is shown frames.
        sizes: Frames (B, T, H, W, C) uint8 to compare on.
    """
    largest = 0.0
    for frames in sizes:
        with torch.inference_mode():
            wanted = network(normalise(frames, spec))
        found = torch.from_numpy(np.array(run(frames.numpy())))
        if found.shape != wanted.shape:
            return float("inf")
        share = float((found - wanted).norm() / wanted.norm().clamp_min(1e-12))
        largest = max(largest, share) if share == share else float("inf")
    return largest


def draw_frames(spec: ClipSpec, least_frames: int | None) -> list[Tensor]:
    """Return random frames of other batches, and of other lengths where these are open."""
    lengths = [(1, spec.frames), (3, spec.frames)]
    if least_frames is not None:
        lengths += [(2, least_frames), (1, spec.frames + 3)]
    source = torch.Generator().manual_seed(0)
    return [
        torch.randint(
            0, 256, (batch, frames, *spec.size_px, spec.channels), dtype=torch.uint8,
            generator=source,
        )
        for batch, frames in lengths
    ]  # fmt: skip


def check_difference(difference: float, shown: str) -> None:
    """Check that a file is the network.

    Raises:
        InputError: It is not.
    """
    if not difference <= TOLERANCE:
        raise InputError(
            f"{shown}: what the file gives differs from the network by {difference:.1e} of the "
            f"norm; {TOLERANCE:g} is allowed, so it is not kept. Export to another format."
        )
