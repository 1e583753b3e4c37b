"""Detectors of some thousand weights that were never trained, and a finder that knows the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from s3d.clip import ClipSpec
from s3d.detect.network.detector import Detector
from s3d.detect.network.detector_file import DetectorFile, build_detector
from s3d.detect.network.shape import DetectorShape
from s3d.detect.run.finder import FrameBoxes
from s3d.models.family import network_word
from s3d.models.style import PAPER

SIZE = (48, 64)
LABELS = ("left", "right")


def make_detector(
    streams: Sequence[str] = ("rgb",),
    *,
    rate_fps: float = 25,
    frames: int = 8,
    image_net: str = "none",
    multi_label: bool = False,
    labels: tuple[str, ...] = LABELS,
) -> DetectorFile:
    """Return a detector whose answers differ from place to place, as random weights go."""
    torch.manual_seed(0)
    shape = DetectorShape(
        roi_px=(3, 3),
        image_net=image_net,
        image_width=0.1,
        anchor_px=(16.0, 32.0),
        proposals=5,
        multi_label=multi_label,
    )
    spec = ClipSpec(frames, rate_fps, SIZE, SIZE, "squash")
    facts = {name: _stream(name, spec) for name in streams}
    detector = build_detector(facts, shape, len(labels)).eval()
    _spread(detector)
    return DetectorFile(detector, labels)


def _stream(name: str, spec: ClipSpec) -> dict[str, Any]:
    if name == "flow":
        spec = replace(
            spec, modality="flow", mean=(0.5,) * 2, std=(0.5,) * 2, flow_method="dis",
            flow_side_px=32,
        )  # fmt: skip
    word = network_word("s3d_fast")
    style, clip = PAPER.to_json(), spec.to_json()
    channels = spec.channels
    return {"word": word, "style": style, "width": 0.1, "channels": channels, "clip": clip}


def _spread(detector: Detector) -> None:
    """Let what a detector says depend on what it sees."""
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.uniform_(0.5, 2)
            module.bias.data.normal_(std=0.2)
    for layer in (detector.proposing.objectness, detector.classes, detector.mending):
        layer.weight.data.normal_(std=0.5)


class KnowingFinder:
    """Find what it was told of each frame: (box, scores) pairs; only its clip is a detector's."""

    def __init__(
        self,
        model: DetectorFile,
        truth: Mapping[int, Sequence[tuple[Sequence[float], Sequence[float]]]],
        labels: tuple[str, ...] | None = None,
    ) -> None:
        self.detector, self.device = model.detector, "cpu"
        self.labels = labels or model.labels
        self.truth = truth

    def boxes_of(self, frame: int) -> FrameBoxes:
        """Return what is in a frame."""
        found = self.truth.get(frame, ())
        boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
        scores = np.array([row for _, row in found], np.float32).reshape(-1, len(self.labels))
        return FrameBoxes(boxes, scores)


def know(finder: KnowingFinder, monkeypatch: Any, multi_label: bool = False) -> KnowingFinder:
    """Let `VideoLook` of this test give what the finder knows of the frames that it would look at.

    Which frames these are, the video's sizes and times, and all behind it are as ever.
    """
    from s3d.detect.run import look

    def in_a_row(self: Any, stride: int, shares: bool = True) -> Any:
        for frame in np.unique(self.indices[::stride]).tolist():
            yield look.Seen(frame, finder.boxes_of(frame))

    monkeypatch.setattr(look.VideoLook, "in_a_row", in_a_row)
    if multi_label:
        detector = finder.detector
        facts = SimpleNamespace(shape=replace(detector.shape, multi_label=True))
        facts.specs, facts.spec = detector.specs, detector.spec
        finder.detector = facts  # type: ignore[assignment]
    return finder
