"""What training a detector will do where nobody said: chosen from the data and the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.clip import ClipSpec
from s3d.data.video_info import VideoInfo
from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.network.shape import DetectorShape
from s3d.detect.train.config import DetectorConfig, read_size
from s3d.errors import InputError
from s3d.models.family import network_name, network_word
from s3d.models.model_file import ModelFile
from s3d.models.style import PAPER
from s3d.train.plan import Machine

PAPER_SIZE_PX = (320, 400)
PAPER_FRAMES = 20
SHORT_SIDE_PX = 160
"""Of what two cores look at."""
STEP_PX = 16
ANCHOR_SHARES = (0.1, 0.5, 0.9)
"""Of the boxes, in order of their area, or of their height over width: there the anchors lie."""
LEAST_APART = 1.25
"""Anchors nearer to each other than this factor are one."""
CPU_STEPS, MOST_CPU_STEPS = 1200, 6000
"""At least, and at most, where nobody says: 25 minutes to 2 hours on two cores."""
STEPS_A_VIDEO = 8
GPU_STEPS = 40_000
FLOW_STD = (0.5, 0.5)


@dataclass(frozen=True)
class DetectorPlan:
    """Hold every number of a run that depends on data and machine, and why it was chosen.

    Attributes:
        streams: Of "rgb", "flow" or each: word, style, width, channels and clip, as JSON values.
        shape: What the detector is beside its networks.
        steps: In all.
        lr: Highest learning rate.
        freezes_norms: Whether norms stay as they are.
        reasons: One line a choice.
    """

    streams: Mapping[str, Mapping[str, Any]]
    shape: DetectorShape
    steps: int
    lr: float
    freezes_norms: bool
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return {**asdict(self), "shape": self.shape.to_json(), "reasons": list(self.reasons)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> DetectorPlan:
        """Rebuild a plan from what `to_json` gave.

        Raises:
            InputError: It is not a plan.
        """
        try:
            shape = DetectorShape.from_json(values["shape"])
            return cls(**{**values, "shape": shape, "reasons": tuple(values["reasons"])})
        except (TypeError, KeyError):
            raise InputError("the run's plan is damaged; choose another --out.") from None


def make_plan(
    config: DetectorConfig,
    videos: Sequence[AnnotatedVideo],
    infos: Sequence[VideoInfo],
    machine: Machine,
    starts: Mapping[str, ModelFile],
    multi_label: bool,
) -> DetectorPlan:
    """Choose what the configuration left open.

    Args:
        config: What was asked for.
        videos: What was marked.
        infos: The videos themselves.
        machine: What computes.
        starts: The models that streams start from.
        multi_label: Whether somebody may do several things at once.

    Raises:
        InputError: What was asked for cannot be used.
    """
    reasons: list[str] = []
    on_gpu = machine.device == "cuda"
    spec = _choose_clip(config, infos, on_gpu, reasons)
    streams = {
        name: _choose_stream(config, name, spec, starts.get(name), machine, reasons)
        for name in config.modalities
    }
    shape = _choose_shape(config, spec, videos, on_gpu, multi_label, reasons)
    steps = config.steps or (GPU_STEPS if on_gpu else _count_steps(len(videos)))
    if config.steps is None:
        reasons.append(f"{steps:,} steps of {config.batch} key frames (--steps)")
    lr = config.lr or (1e-3 if config.optimizer == "adamw" else 0.1 * config.batch / 32)
    freezes = config.freeze_norms
    if freezes is None:
        freezes = bool(starts or config.image_init) and config.batch < 32
        if freezes:
            reasons.append("norms stay as they were trained: batches are small (--freeze-norms)")
    return DetectorPlan(streams, shape, steps, lr, freezes, tuple(reasons))


def _choose_clip(
    config: DetectorConfig, infos: Sequence[VideoInfo], on_gpu: bool, reasons: list[str]
) -> ClipSpec:
    frames = config.frames or PAPER_FRAMES
    rate = config.rate_fps or _most_common([info.rate_fps for info in infos])
    if config.rate_fps is None:
        reasons.append(f"{frames} frames around a key frame at {rate:g} fps, that of most videos")
    size = read_size(config.size) if config.size else _choose_size(infos, on_gpu)
    if config.size is None:
        reasons.append(f"frames of {size[0]} x {size[1]} px (height x width, --size)")
    return ClipSpec(frames, rate, size, size, "squash")


def _count_steps(videos: int) -> int:
    return min(max(CPU_STEPS, STEPS_A_VIDEO * videos), MOST_CPU_STEPS)


def _most_common(rates: Sequence[float]) -> float:
    """Return the rate of most videos, the lowest of several; not rounded: 29.97 is a tick off soon.

    Counted durations make rates of one kind differ in their last digits.
    """
    counts = Counter(round(rate, 2) for rate in rates)
    kind = min(counts, key=lambda rate: (-counts[rate], rate))
    return float(np.median([rate for rate in rates if round(rate, 2) == kind]))


def _choose_size(infos: Sequence[VideoInfo], on_gpu: bool) -> tuple[int, int]:
    """Return the paper's size, or on a CPU a small one of the videos' aspect."""
    if on_gpu:
        return PAPER_SIZE_PX
    heights = np.array([info.height_px for info in infos], float)
    widths = np.array([info.width_px for info in infos], float)
    aspect = float(np.median(widths / heights))
    short = min(SHORT_SIDE_PX, float(np.median(np.minimum(heights, widths))))
    height, width = (short, short * aspect) if aspect >= 1 else (short / aspect, short)
    return _whole(height), _whole(width)


def _whole(side: float) -> int:
    return int(np.clip(STEP_PX * round(side / STEP_PX), 2 * STEP_PX, 2048))


def _choose_stream(
    config: DetectorConfig,
    name: str,
    spec: ClipSpec,
    start: ModelFile | None,
    machine: Machine,
    reasons: list[str],
) -> dict[str, Any]:
    on_gpu = machine.device == "cuda"
    if name == "flow":
        # The short side at which flow is computed is that of what is looked at.
        side = max(16, min(spec.size_px))
        spec = replace(spec, modality="flow", mean=(0.5, 0.5), std=FLOW_STD, flow_side_px=side)
    if start is not None:
        network = start.network
        if name == start.spec.modality:
            spec = replace(spec, mean=start.spec.mean, std=start.spec.std)
            spec = replace(spec, flow_method=start.spec.flow_method)
        word, width, style = network.word, network.width, network.style
        reasons.append(f"{name}: {network_name(word)} x {width:g}, from a model")
    else:
        word = network_word(config.network or ("s3d_g" if on_gpu else "s3d_top_4"))
        width, style = config.width or (1.0 if on_gpu else 0.25), PAPER
        if config.network is None:
            why = "the paper's" if on_gpu else "its lower blocks are shared by neighbours"
            reasons.append(f"{name}: {network_name(word)} x {width:g}: {why} (--network, --width)")
    return {
        "word": word,
        "style": style.to_json(),
        "width": width,
        "channels": spec.channels,
        "clip": spec.to_json(),
    }


def _choose_shape(
    config: DetectorConfig,
    spec: ClipSpec,
    videos: Sequence[AnnotatedVideo],
    on_gpu: bool,
    multi_label: bool,
    reasons: list[str],
) -> DetectorShape:
    image_net = config.image_net or ("resnet50" if on_gpu or config.image_init else "none")
    if config.image_net is None:
        what = "the video's features" if image_net == "none" else "a ResNet-50 on the key frame"
        reasons.append(f"boxes are proposed by {what} (--image-net)")
    sizes, ratios = choose_anchors(videos, spec.size_px)
    reasons.append(
        f"anchors of {', '.join(f'{s:.0f}' for s in sizes)} px, height over width "
        f"{', '.join(f'{r:.2g}' for r in ratios)}: as the boxes are"
    )
    roi = config.roi or (14 if on_gpu else 7)
    return DetectorShape(
        roi_px=(roi, roi),
        image_net=image_net,
        image_width=config.image_width,
        anchor_px=sizes,
        anchor_ratios=ratios,
        proposals=config.proposals or (100 if on_gpu else 16),
        multi_label=multi_label,
    )


def choose_anchors(
    videos: Sequence[AnnotatedVideo], size_px: tuple[int, int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the sides and the ratios (height over width) of anchors, as the boxes are.

    Args:
        videos: What was marked.
        size_px: (height, width) of the frames that are looked at.

    Raises:
        InputError: There is not one box.
    """
    scaled = [
        np.concatenate([tube.boxes for tube in video.tubes])
        * np.array([size_px[1] / video.size_px[1], size_px[0] / video.size_px[0]] * 2)
        for video in videos
        if video.tubes
    ]
    if not scaled:
        raise InputError("not one box is marked in the data. Check the annotations.")
    boxes = np.concatenate(scaled)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return _spread(np.sqrt(width * height), 4.0, 4096.0), _spread(height / width, 0.1, 10.0)


def _spread(values: npt.NDArray[np.float64], low: float, high: float) -> tuple[float, ...]:
    """Return typical values, rising, none near another."""
    chosen: list[float] = []
    for value in np.quantile(values, ANCHOR_SHARES).clip(low, high).tolist():
        if not chosen or value >= LEAST_APART * chosen[-1]:
            chosen.append(round(value, 3))
    return tuple(chosen)
