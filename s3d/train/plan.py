"""What a run will do where nobody said: chosen from the data and the machine, and said aloud."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from s3d.clip import ClipSpec, Resize
from s3d.data.decode import VideoInfo
from s3d.errors import InputError
from s3d.models.cost import count_cost
from s3d.models.family import network_word
from s3d.models.style import find_style
from s3d.train.config import TrainConfig

LONGEST_CLIP_SECONDS = 2.0
CLIP_PASSES = 36_000
"""Clips shown in all: a small net learns the order of frames from scratch in 20,000 to 40,000."""
EPOCHS_RANGE = (12, 120)
RESIZE_MARGIN = 256 / 224


@dataclass(frozen=True)
class Machine:
    """Describe what there is to compute with."""

    device: str
    cores: int


def count_cores() -> int:
    """Return the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Plan:
    """Hold every number of a run that depends on data and machine, and why it was chosen.

    Attributes:
        word: The network.
        width: Multiplier of its channels.
        spec: The clip.
        epochs: Times each clip is seen.
        lr: Highest learning rate.
        reasons: One line a choice.
    """

    word: str
    width: float
    spec: ClipSpec
    epochs: int
    lr: float
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return {**asdict(self), "spec": self.spec.to_json(), "reasons": list(self.reasons)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        """Rebuild a plan from what `to_json` gave.

        Raises:
            InputError: It is not a plan.
        """
        if not isinstance(values, dict) or set(values) != {f.name for f in fields(cls)}:
            raise InputError("the run's plan is damaged; choose another --out.")
        spec = ClipSpec.from_json(values["spec"])
        return cls(**{**values, "spec": spec, "reasons": tuple(values["reasons"])})


def make_plan(config: TrainConfig, infos: Sequence[VideoInfo], machine: Machine) -> Plan:
    """Choose what the configuration left open.

    Args:
        config: What was asked for.
        infos: The training videos.
        machine: What computes.

    Raises:
        InputError: What was asked for cannot be used.
    """
    find_style(config.style)
    reasons: list[str] = []
    word, width = _choose_network(config, machine, reasons)
    spec = _choose_clip(config, infos, machine, reasons)
    if config.batch == 1:
        _check_norms(word, spec)
    epochs = config.epochs or _choose_epochs(len(infos), reasons)
    lr = config.lr or (2e-3 if config.optimizer == "adamw" else 0.1)
    return Plan(word, width, spec, epochs, lr, tuple(reasons))


def _choose_network(config: TrainConfig, machine: Machine, reasons: list[str]) -> tuple[str, float]:
    on_gpu = machine.device == "cuda"
    network = config.network or "s3d"
    width = config.width or (1.0 if on_gpu else 0.25)
    place = "a GPU" if on_gpu else f"{machine.cores} CPU cores"
    if config.network is None:
        reasons.append(f"network {network}: it learns the order of frames soonest (--network)")
    if config.width is None:
        reasons.append(f"width {width:g}: what {place} train in reasonable time (--width)")
    return network_word(network), width


def _check_norms(word: str, spec: ClipSpec) -> None:
    shape = count_cost(word, spec.frames, spec.size_px, num_classes=1, width=0.1).blocks[-2].shape
    if math.prod(shape[1:]) == 1:
        raise InputError(
            f"--batch 1 with clips of {spec.frames} frames, {spec.size_px[0]} px leaves a norm one "
            "value a channel; use --batch 2, more --frames or a larger --size."
        )


def _choose_clip(
    config: TrainConfig, infos: Sequence[VideoInfo], machine: Machine, reasons: list[str]
) -> ClipSpec:
    on_gpu = machine.device == "cuda"
    frames = config.frames or (32 if on_gpu else 16)
    duration = float(np.median([info.duration_seconds for info in infos]))
    native = float(np.median([info.rate_fps for info in infos]))
    rate = config.rate_fps or _choose_rate(frames, duration, native)
    if config.frames is None:
        reasons.append(f"{frames} frames a clip (--frames)")
    if config.rate_fps is None:
        reasons.append(
            f"{rate:g} frames a second, so that a clip covers {frames / rate:.2g} s of videos of "
            f"{duration:.2g} s at {native:.3g} fps (medians; --rate-fps)"
        )
    size = config.size or _choose_size(infos, 112 if on_gpu else 64)
    if config.size is None:
        reasons.append(f"{size} x {size} px (--size)")
    resized = round(size * RESIZE_MARGIN)
    resize: Resize = "squash" if config.resize == "squash" else "keep"
    if config.resize is None:
        resize = "squash"
        reasons.append("frames squashed to a square as the paper does, so nothing is cut off")
    return ClipSpec(frames, rate, (resized, resized), (size, size), resize)


def _choose_rate(frames: int, duration: float, native: float) -> float:
    """Return the rate at which the frames cover most of a video, but no more than is there."""
    span = min(duration, LONGEST_CLIP_SECONDS)
    rate = min(frames / max(span, 1e-3), max(native, 1.0))
    return max(1.0, round(rate, 1))


def _choose_size(infos: Sequence[VideoInfo], wanted: int) -> int:
    side = int(np.median([min(info.height_px, info.width_px) for info in infos]))
    return max(32, min(wanted, side))


def _choose_epochs(clips: int, reasons: list[str]) -> int:
    low, high = EPOCHS_RANGE
    epochs = min(max(math.ceil(CLIP_PASSES / clips), low), high)
    reasons.append(f"{epochs} epochs: {epochs * clips:,} clips shown in all (--epochs)")
    return epochs
