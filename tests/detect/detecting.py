"""Detectors of seconds: small ones with fresh weights, and options of a run that learns little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from s3d.clip import ClipSpec
from s3d.detect.network.detector import Detector
from s3d.detect.network.shape import DetectorShape
from s3d.detect.train.config import DetectorConfig
from s3d.models.network import build

SIZE_PX = (48, 64)
RGB_CLIP = ClipSpec(8, 12.0, SIZE_PX, SIZE_PX, "squash")
FLOW_CLIP = replace(RGB_CLIP, modality="flow", mean=(0.5, 0.5), std=(0.05, 0.05))
SHAPE = DetectorShape(
    roi_px=(4, 4), image_net="none", anchor_px=(12.0, 24.0), anchor_ratios=(1.0, 2.0), proposals=8
)
TINY: dict[str, Any] = {
    "network": "s3d_fast", "width": 0.02, "frames": 8, "size": "48x64", "roi": 4, "proposals": 8,
    "steps": 6, "batch": 2, "sampled": 8, "device": "cpu", "threads": 2, "ema": 0.8,
}  # fmt: skip


def make_detector(
    modalities: tuple[str, ...] = ("rgb",),
    widths: tuple[float, ...] = (0.02, 0.02),
    style: str = "paper",
    classes: int = 3,
    **shape: Any,
) -> Detector:
    """Build a small detector, in eval mode, with norms that have seen something."""
    torch.manual_seed(0)
    specs = {"rgb": RGB_CLIP, "flow": FLOW_CLIP}
    streams = {
        name: build("s3d_g", num_classes=1, width=width, style=style, channels=specs[name].channels)
        for name, width in zip(modalities, widths, strict=False)
    }
    detector = Detector(
        streams, {name: specs[name] for name in modalities}, replace(SHAPE, **shape), classes
    )
    for name, buffer in detector.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
        if name.endswith("running_mean"):
            buffer.uniform_(-0.2, 0.2)
    return detector.eval()


def make_clips(detector: Detector, batch: int = 2) -> dict[str, torch.Tensor]:
    """Return random clips for each stream."""
    generator = torch.Generator().manual_seed(5)
    return {
        name: torch.randn(batch, spec.channels, spec.frames, *spec.size_px, generator=generator)
        for name, spec in detector.specs.items()
    }


def detect_config(data: Path, out: Path, **options: Any) -> DetectorConfig:
    """Return the configuration of a run of seconds."""
    return DetectorConfig(data=str(data), out=str(out), **{**TINY, **options})
