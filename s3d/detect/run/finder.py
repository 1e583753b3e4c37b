"""A detector at work on one key frame: features in, boxes with a score for every class out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from s3d.data.video_info import Frames
from s3d.detect.geometry.boxes import STRONG, clip_boxes, decode_boxes
from s3d.detect.geometry.nms import nms, nms_of_groups
from s3d.detect.network.anchors import make_anchors
from s3d.detect.network.detector import Detector
from s3d.detect.network.detector_file import DetectorFile
from s3d.detect.network.proposals import propose
from s3d.detect.network.settings import proposal_settings
from s3d.detect.network.shape import STRIDE_PX, count_places
from s3d.detect.run.engines import choose_for_boxes
from s3d.detect.tube import Boxes, Detections, Scores
from s3d.infer.engines.choose import Tell
from s3d.infer.engines.engine import KINDS, Engine
from s3d.models.blocks import BLOCKS
from s3d.models.network import Network

LEAST_OBJECTNESS = 0.01
"""Of a proposal that is worth a look: most frames hold few people, and each look costs."""


@dataclass(frozen=True)
class Keeping:
    """Say which boxes of a key frame are kept.

    Attributes:
        least_score: Of a box and class.
        iou: Boxes of one class that overlap more are one.
        most: Boxes and classes of a frame, the best.
    """

    least_score: float = 0.01
    iou: float = 0.5
    most: int = 100


@dataclass(frozen=True, eq=False)
class FrameBoxes:
    """Hold what is found in a key frame: each box with a score for every class.

    Attributes:
        boxes: (n, 4) in px of the picture that was asked for.
        scores: (n, K).
    """

    boxes: Boxes
    scores: Scores

    def rows(self, frame: int, keeping: Keeping) -> Detections:
        """Return a row for each box and class that is kept.

        Args:
            frame: Index of the key frame.
            keeping: Which ones.
        """
        boxes, labels = np.nonzero(self.scores >= keeping.least_score)
        scores = self.scores[boxes, labels]
        chosen = nms_of_groups(
            torch.from_numpy(self.boxes[boxes]),
            torch.from_numpy(scores),
            torch.from_numpy(labels),
            keeping.iou,
        )[: keeping.most].numpy()
        frames = np.full(len(chosen), frame, np.int64)
        return Detections(frames, self.boxes[boxes[chosen]], labels[chosen], scores[chosen])

    def people(self, keeping: Keeping) -> FrameBoxes:
        """Return each person once, whatever is done: boxes that overlap are one, the best."""
        best = torch.from_numpy(self.scores.max(1, initial=0.0))
        rows = torch.nonzero(best >= keeping.least_score)[:, 0]
        boxes = torch.from_numpy(self.boxes)
        chosen = rows[nms(boxes[rows], best[rows], keeping.iou)]
        kept = chosen[: keeping.most].numpy()
        return FrameBoxes(self.boxes[kept], self.scores[kept])


class BoxFinder:
    """Find boxes in key frames, by the engines that are the fastest here.

    Attributes:
        detector: In eval mode.
        labels: Class names.
        engines: Of each stream.
    """

    def __init__(
        self,
        model: DetectorFile,
        device: str = "cpu",
        engine: str | None = None,
        tell: Tell | None = None,
    ) -> None:
        """Set up.

        Args:
            model: What to run.
            device: "cpu" or "cuda".
            engine: As for `choose_engine`.
            tell: Is told in a line when engines are measured.

        Raises:
            InputError: There is no such engine, or it cannot run here.
        """
        self.detector: Detector = model.detector.eval().to(device)
        self.labels, self.device = model.labels, device
        self.engines: dict[str, Engine] = {}
        for name, network in self.detector.streams.items():
            assert isinstance(network, Network)
            spec = self.detector.specs[name]
            self.engines[name] = choose_for_boxes(network, spec, model.detector.shape, engine, tell)
        shape, size = self.detector.shape, self.detector.spec.size_px
        anchors = make_anchors(count_places(size), STRIDE_PX, shape.anchor_px, shape.anchor_ratios)
        self._anchors = anchors.to(device)
        self._settings = proposal_settings(shape)

    @torch.inference_mode()
    def find(
        self,
        features: Mapping[str, Tensor],
        picture: Frames | None,
        picture_px: tuple[int, int],
    ) -> FrameBoxes:
        """Find the boxes of one key frame.

        Args:
            features: (1, C, T, h, w) of each stream, as its engine gives them.
            picture: (H, W, 3) uint8, the key frame as the network sees it; for an image net.
            picture_px: (height, width) in px of which boxes are wanted.
        """
        detector, size = self.detector, self.detector.spec.size_px
        moved = {name: x.to(self.device) for name, x in features.items()}
        pictures = None
        if detector.image is not None:
            assert picture is not None
            values = torch.from_numpy(np.ascontiguousarray(picture)).to(self.device)
            pictures = values.permute(2, 0, 1)[None].float() / 255
        objectness, deltas = detector.propose_from(moved, pictures)
        proposed = propose(objectness, deltas, self._anchors, size, self._settings)[0]
        proposals = proposed.boxes[proposed.scores >= LEAST_OBJECTNESS]
        if not len(proposals):
            empty = np.zeros((0, 4), np.float32), np.zeros((0, len(self.labels)), np.float32)
            return FrameBoxes(*empty)
        ends = self._run_ends(detector.cut(moved, [proposals]))
        logits, shifts = detector.name_ends(ends)
        boxes = clip_boxes(decode_boxes(shifts, proposals, STRONG), size)
        height, width = picture_px
        scale = boxes.new_tensor([width / size[1], height / size[0]] * 2)
        return FrameBoxes((boxes * scale).cpu().numpy(), detector.scores(logits).cpu().numpy())

    def _run_ends(self, volumes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the last block gives for volumes (N, C, T, h, w) of each stream."""
        at = self.detector.shape.at
        ends = {}
        for name, volume in volumes.items():
            engine = self.engines[name]
            kind = KINDS.get(engine.name)
            padded = volume if kind is None or kind.takes_any_batch else _pad(volume)
            found = engine.run(padded, after=at, until=BLOCKS[-1])
            ends[name] = found[: len(volume)].to(self.device)
        return ends


def _pad(volume: Tensor) -> Tensor:
    """Return volumes, repeated up to a power of 2: some engines prepare for every number anew."""
    spare = (1 << (len(volume) - 1).bit_length()) - len(volume)
    return torch.cat([volume, volume[:1].expand(spare, -1, -1, -1, -1)]) if spare else volume
