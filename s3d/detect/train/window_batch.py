"""A batch of windows: frames, and how each is changed, become clips and boxes on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.data.video_info import Frames
from s3d.detect.train.truths import Cut, Truth


@dataclass(frozen=True, eq=False)
class Window:
    """Hold what was read and drawn for one key frame."""

    frames: dict[str, Frames]
    cut: Cut
    tone: tuple[float, float]
    truth: Truth


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Hold a process's share of a batch; the clips are still frames."""

    windows: tuple[Window, ...]
    failures: tuple[tuple[str, str], ...]

    def clips(self, specs: Mapping[str, ClipSpec], device: str) -> dict[str, Tensor]:
        """Return clips (B, C, T, H, W) of each stream."""
        return {name: self._clips(name, spec, device) for name, spec in specs.items()}

    def _clips(self, name: str, spec: ClipSpec, device: str) -> Tensor:
        frames = torch.from_numpy(np.stack([w.frames[name] for w in self.windows])).to(device)
        tones = torch.tensor([w.tone for w in self.windows], device=device)
        clips = normalise(frames, spec, tones if name == "rgb" else None)
        cuts = [w.cut for w in self.windows]
        if all(cut.height == cut.width == 1 for cut in cuts):
            return clips
        parts = [_zoom(clip, cut) for clip, cut in zip(clips, cuts, strict=True)]
        if name == "flow":
            # What is enlarged moves by more px.
            parts = [
                part * part.new_tensor([1 / cut.width, 1 / cut.height])
                for part, cut in zip(parts, cuts, strict=True)
            ]
        return torch.stack(parts).permute(0, 4, 1, 2, 3)

    def truths(self, size_px: tuple[int, int], device: str) -> list[tuple[Tensor, Tensor]]:
        """Return the boxes (n, 4), in px, and labels (n, K) of each window."""
        height, width = size_px
        scale = np.array([width, height, width, height], np.float32)
        return [
            (
                torch.from_numpy(w.truth.boxes * scale).to(device),
                torch.from_numpy(w.truth.labels).to(device),
            )
            for w in self.windows
        ]


def _zoom(clip: Tensor, cut: Cut) -> Tensor:
    """Return the seen part of a clip (C, T, H, W), enlarged, as (T, H, W, C)."""
    height, width = clip.shape[2:]
    top, left = round(cut.top * height), round(cut.left * width)
    bottom, right = round((cut.top + cut.height) * height), round((cut.left + cut.width) * width)
    part = clip[:, :, top:bottom, left:right].transpose(0, 1)
    grown = F.interpolate(part, (height, width), mode="bilinear", align_corners=False)
    return grown.permute(0, 2, 3, 1)
