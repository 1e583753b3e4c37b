"""What a file gives against what the network gives: the file is kept only where they agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer.engines.openvino_runner import OpenVinoRunner
from s3d.infer.export.content import Run
from s3d.models.graph import build_graph
from s3d.models.model_file import ModelFile

TOLERANCE = 1e-4
"""Of the norm of the logits."""


def find_reference(model: ModelFile, spec: ClipSpec, in_8_bits: bool) -> Callable[[Tensor], Tensor]:
    """Return what a file must agree with: the network itself, or what runs it in 8 bits.

    Args:
        model: Its network on the CPU, in eval mode.
        spec: How it is shown frames.
        in_8_bits: The file computes by the model's ranges, as the accuracy in 8 bits was measured.
    """

    def run_network(frames: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model.network(normalise(frames, spec))
        return logits

    def run_in_8_bits(frames: Tensor) -> Tensor:
        batch, time, height, width, channels = frames.shape
        graph = build_graph(model.network, (batch, channels, time, height, width), spec=spec)
        return OpenVinoRunner(graph, ranges=model.ranges)(frames)

    return run_in_8_bits if in_8_bits else run_network


def measure_difference(
    run: Run, reference: Callable[[Tensor], Tensor], samples: Iterable[Tensor]
) -> float:
    """Return how far a file's logits are from the reference's at most, as a share of their norm.

    Args:
        run: The file at work.
        reference: What it must agree with.
        samples: Frames (B, T, H, W, C) uint8 to compare on.
    """
    largest = 0.0
    for frames in samples:
        wanted = reference(frames)
        found = torch.from_numpy(np.array(run(frames.numpy())))
        if found.shape != wanted.shape or not bool(found.isfinite().all()):
            return float("inf")
        share = float((found - wanted).norm() / wanted.norm().clamp_min(1e-12))
        largest = max(largest, share)
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
