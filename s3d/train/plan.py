"""What a run will do where nobody said: chosen from the data and the machine, and said aloud."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, get_args

import numpy as np

from s3d.clip import LEAST_FLOW_SIDE_PX, ClipSpec, FlowMethod, Resize
from s3d.data.flow.file import read_origin
from s3d.data.video_info import FLOW_CHANNELS, VideoInfo
from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.cost import count_cost
from s3d.models.family import network_word
from s3d.models.model_file import ModelFile
from s3d.models.open import InitModel
from s3d.models.style import Style, find_style
from s3d.train.begin import Start
from s3d.train.config import TrainConfig
from s3d.train.effort import PATIENCE_SECONDS, count_effort, shrink
from s3d.train.pace import SCRATCH, START, Pace, find_pace

LONGEST_CLIP_SECONDS = 2.0
TRUNK_CLIP_SECONDS = 4 / 3
"""The same for a trunk that came with s3d: between the best of two data sets, docs/trunk.md."""
RESIZE_MARGIN = 256 / 224
FLOW_SIDE_PX = 256
"""Short side of the frames that the paper computes flow on."""
IMAGE_SIZE_PX = 112
"""Kernels that were trained on images of 224 px see little in smaller frames than this."""


_FLOW_METHODS: dict[str, FlowMethod] = {name: name for name in get_args(FlowMethod)}


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
        style: Its convention.
        spec: The clip.
        epochs: Times each clip is seen; the last may be cut short by the steps asked for.
        lr: Highest learning rate.
        reasons: One line a choice.
        views: Different clips of a video that training sees; 0: new ones at every step.
        start: Where the first weights come from; None for fresh ones.
        freeze_until: The last block that stays as it is; None where all are trained.
        also_until: The same for a training beside this one (`s3d.train.two_ways`); None for none.
    """

    word: str
    width: float
    style: Style
    spec: ClipSpec
    epochs: int
    lr: float
    reasons: tuple[str, ...]
    views: int = 0
    start: Start | None = None
    freeze_until: str | None = None
    also_until: str | None = None

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
        rebuilt = {
            "spec": ClipSpec.from_json(values["spec"]),
            "style": Style.from_json(values["style"]),
            "start": Start.from_json(values["start"]),
            "reasons": tuple(values["reasons"]),
        }
        return cls(**{**values, **rebuilt})


def make_plan(
    config: TrainConfig,
    infos: Sequence[VideoInfo],
    machine: Machine,
    init: InitModel | None = None,
) -> Plan:
    """Choose what the configuration left open.

    Args:
        config: What was asked for.
        infos: The training videos.
        machine: What computes.
        init: What to start from: network and, where it knows videos of one kind, clip are its own.

    Raises:
        InputError: What was asked for cannot be used.
    """
    reasons: list[str] = []
    if init is None:
        style = find_style(config.style or "paper")
        word, width = _choose_network(config, machine, reasons)
        spec = _choose_clip(config, infos, machine, reasons)
    else:
        network = init.model.network
        word, width, style = network.word, network.width, network.style
        if init.is_of_images:
            spec = _choose_clip(config, infos, machine, reasons, least_px=IMAGE_SIZE_PX)
        elif init.is_shipped:
            own = init.model.spec
            spec = _choose_clip(config, infos, machine, reasons, longest=TRUNK_CLIP_SECONDS)
            spec = replace(spec, mean=own.mean, std=own.std)
        else:
            spec = _take_clip(config, init.model, len(infos), machine, reasons)
    spec = _choose_modality(config, spec, infos, reasons)
    if config.batch == 1:
        _check_norms(word, spec)
    epochs = config.epochs
    if config.steps is not None:
        epochs = math.ceil(config.steps / max(1, round(len(infos) / config.batch)))
    pace = find_pace(init)
    epochs = epochs or _choose_epochs(len(infos), pace, reasons)
    lr = config.lr or _choose_rate_of_learning(config, pace, reasons)
    return Plan(word, width, style, spec, epochs, lr, tuple(reasons))


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
    config: TrainConfig,
    infos: Sequence[VideoInfo],
    machine: Machine,
    reasons: list[str],
    least_px: int = 64,
    longest: float = LONGEST_CLIP_SECONDS,
) -> ClipSpec:
    on_gpu = machine.device == "cuda"
    frames = config.frames or (32 if on_gpu else 16)
    duration = float(np.median([info.duration_seconds for info in infos]))
    native = float(np.median([info.rate_fps for info in infos]))
    rate = config.rate_fps or _choose_rate(frames, min(duration, longest), native)
    if config.frames is None:
        reasons.append(f"{frames} frames a clip (--frames)")
    if config.rate_fps is None:
        reasons.append(
            f"{rate:g} frames a second, so that a clip covers {frames / rate:.2g} s of videos of "
            f"{duration:.2g} s at {native:.3g} fps (medians; --rate-fps)"
        )
    size = config.size or _choose_size(infos, max(least_px, 112) if on_gpu else least_px)
    if config.size is None:
        reasons.append(f"{size} x {size} px (--size)")
    resized = round(size * RESIZE_MARGIN)
    resize: Resize = "squash" if config.resize == "squash" else "keep"
    if config.resize is None:
        resize = "squash"
        reasons.append("frames squashed to a square as the paper does, so nothing is cut off")
    return ClipSpec(frames, rate, (resized, resized), (size, size), resize)


def _choose_modality(
    config: TrainConfig, spec: ClipSpec, infos: Sequence[VideoInfo], reasons: list[str]
) -> ClipSpec:
    """Return the clip of rgb frames, or of their flow where that is asked for or given."""
    if infos[0].channels == FLOW_CHANNELS:
        if config.flow is not None:
            raise InputError(
                f"{show_path(infos[0].path)}: is optical flow already. Leave --flow out."
            )
        method, side = read_origin(infos[0].path)
    elif config.flow is None:
        if spec.modality == "flow":
            raise InputError(
                f"--init {config.init} takes optical flow. Name a folder to keep it in with --flow."
            )
        return spec
    else:
        known = spec if spec.modality == "flow" else None
        method = _FLOW_METHODS.get(config.flow_method or "", known.flow_method if known else "tvl1")
        side = config.flow_side or (known.flow_side_px if known else _choose_flow_side(infos))
    reasons.append(f"{method} flow of frames whose short side is {side} px (--flow-side)")
    if spec.modality == "flow":
        return replace(spec, flow_method=method, flow_side_px=side)
    middle = (0.5,) * FLOW_CHANNELS
    return replace(
        spec, modality="flow", mean=middle, std=middle, flow_method=method, flow_side_px=side
    )


def _choose_flow_side(infos: Sequence[VideoInfo]) -> int:
    """Return the paper's 256 px, or the videos' own where enlarging them would only cost time."""
    own = int(np.median([min(info.height_px, info.width_px) for info in infos]))
    return FLOW_SIDE_PX if own >= FLOW_SIDE_PX // 2 else max(own, LEAST_FLOW_SIDE_PX)


def _take_clip(
    config: TrainConfig, model: ModelFile, clips: int, machine: Machine, reasons: list[str]
) -> ClipSpec:
    """Return a model's clip, changed where that was asked for or would take too long."""
    spec = model.spec
    changes: dict[str, Any] = {
        name: getattr(config, name)
        for name in ("frames", "rate_fps", "resize")
        if getattr(config, name) is not None
    }
    if config.size is not None:
        resized = round(config.size * RESIZE_MARGIN)
        changes |= {"resize_px": (resized, resized), "size_px": (config.size, config.size)}
    taken = replace(spec, **changes)
    is_open = config.frames is None and config.size is None and machine.device == "cpu"
    quick = _shrink(config, model, taken, clips, machine) if is_open else taken
    if quick != taken:
        reasons.append(
            f"clips of {quick.describe()}, cheaper than its {taken.describe()}, for which "
            f"{machine.cores} CPU cores would take long (--frames, --size)"
        )
        return quick
    word = "partly " if changes else ""
    reasons.append(
        f"clips {word}as it was trained on: {taken.describe()} (--frames, --rate-fps, --size)"
    )
    return taken


def _shrink(
    config: TrainConfig, model: ModelFile, spec: ClipSpec, clips: int, machine: Machine
) -> ClipSpec:
    """Return the largest clip whose training takes no more than one would wait."""
    epochs = config.epochs or START.count_epochs(clips)
    network = model.network
    for smaller in shrink(spec):
        effort = count_effort(
            network.word, network.width, network.style, smaller, config.frozen_block
        )
        seconds = effort.train_seconds(epochs * clips, machine.cores)
        seconds += effort.fill_seconds(clips, machine.cores)
        if seconds <= PATIENCE_SECONDS:
            break
    return smaller


def _choose_rate(frames: int, span: float, native: float) -> float:
    """Return the rate at which the frames cover most of a video, but no more than is there."""
    rate = min(frames / max(span, 1e-3), max(native, 1.0))
    return max(1.0, round(rate, 1))


def _choose_size(infos: Sequence[VideoInfo], wanted: int) -> int:
    side = int(np.median([min(info.height_px, info.width_px) for info in infos]))
    return max(32, min(wanted, side))


def _choose_rate_of_learning(config: TrainConfig, pace: Pace, reasons: list[str]) -> float:
    lr = (2e-3 if config.optimizer == "adamw" else 0.1) * pace.lr_share
    if pace != SCRATCH:
        reasons.append(f"peak learning rate {lr:g}: trained weights need smaller steps (--lr)")
    return lr


def _choose_epochs(clips: int, pace: Pace, reasons: list[str]) -> int:
    epochs = pace.count_epochs(clips)
    reasons.append(f"{epochs} epochs: {epochs * clips:,} clips shown in all (--epochs)")
    return epochs
