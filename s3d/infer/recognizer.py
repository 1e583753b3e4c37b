"""A model at work: videos in, labelled scores out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.loader import run_ahead
from s3d.data.paths import AnyPath
from s3d.errors import InputError
from s3d.infer.contract import check_contract
from s3d.infer.engines.choose import AUTO, Tell, choose_engine
from s3d.infer.engines.engine import Engine, check_engine
from s3d.infer.engines.int8 import INT8, check_int8, choose_int8
from s3d.infer.features import FeatureRecipe, VideoFeatures, compute_features, window_spec
from s3d.infer.reuse.whole import can_go_in_pieces, score_whole
from s3d.infer.views import Views, check_protocol, read_views
from s3d.models.model_file import ModelFile
from s3d.models.network import Network
from s3d.models.open import open_model
from s3d.models.quantise import Ranges

if TYPE_CHECKING:
    from s3d.infer.export.export import Exported

if TYPE_CHECKING:
    from s3d.infer.segments import SegmentRule
    from s3d.infer.timeline import Timeline

Scores = npt.NDArray[np.float32]

VIEWS_AT_ONCE_PIXELS = 4 * 64 * 224 * 224
"""Pixels of the views that go through a network at once; it bounds memory."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Hold what a model says of one video.

    Attributes:
        path: The video.
        labels: Class names.
        scores: (K,) probabilities, their sum 1.
        lengths: Frames of each clip or crop that was scored.
        streams: What each stream says, "rgb" and "flow", where two were fused.
    """

    path: str
    labels: tuple[str, ...]
    scores: Scores
    lengths: tuple[int, ...]
    streams: Mapping[str, Prediction] = field(default_factory=dict)

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the likeliest classes, best first, as (label, score)."""
        order = np.argsort(-self.scores, kind="stable")[:count]
        return [(self.labels[i], float(self.scores[i])) for i in order]

    @property
    def views(self) -> int:
        """Return how many clips and crops were scored."""
        return len(self.lengths)

    @property
    def label(self) -> str:
        """Return the likeliest class."""
        return self.top(1)[0][0]


class Recognizer:
    """Label videos with a model.

    Attributes:
        network: The `nn.Module`, in eval mode: `network(clips)` gives logits,
            `network.features(clips, at="mixed5c")` a block's output.
        labels: Class names, in the order of the logits; none where these are an embedding.
        spec: The clip the network takes.
        metrics: What was measured of it, each with its protocol.
        ranges: By which it can run in 8 bits, where `s3d quantize` found them.
    """

    def __init__(self, model: ModelFile) -> None:
        self.network: Network = model.network.eval()
        self.labels: tuple[str, ...] = model.labels
        self.spec: ClipSpec = model.spec
        self.metrics: tuple[dict[str, Any], ...] = model.metrics
        self.source, self.licence = model.source, model.licence
        self.ranges: Ranges | None = model.ranges
        self._wanted: str | None = None
        self._engine: Engine | None = None
        self._tell: Tell | None = None

    def to(self, device: str) -> Recognizer:
        """Move the network to a device and return self."""
        self.network.to(device)
        self._engine = None
        return self

    def use(self, engine: str | None = None, tell: Tell | None = None) -> Recognizer:
        """Say by which engine frames are scored, and return self.

        Args:
            engine: One of `s3d.infer.engines.engine.ENGINES`, or "int8" for a model that has
                ranges; "auto" or None is what S3D_ENGINE names, or int8 where it can run, or the
                fastest here, which is measured when it is first needed and then remembered on
                this machine.
            tell: Is told in a line when it is measured.

        Raises:
            InputError: There is no such engine, or it cannot run here.
        """
        if engine == INT8:
            check_int8(self.ranges, self._device)
        elif engine not in (None, AUTO):
            check_engine(engine, self._device)
        self._wanted, self._tell, self._engine = engine, tell, None
        return self

    @property
    def engine(self) -> Engine:
        """Return what frames are scored by."""
        if self._engine is None:
            asked = self._wanted, self._tell
            self._engine = choose_int8(self.network, self.spec, self.ranges, *asked)
        if self._engine is None:
            self._engine = choose_engine(self.network, self.spec, *asked)
        return self._engine

    def predict(self, video: AnyPath, protocol: str = "cover", reverse: bool = False) -> Prediction:
        """Label one video.

        Args:
            video: A local file; to a model of flow, one of `s3d flow` or a video, whose flow is
                then computed as far as it is needed.
            protocol: Which clips are scored: see `s3d.infer.views`.
            reverse: Play it backwards.

        Raises:
            InputError: The video cannot be read, or the model has no classes.
        """
        self.check_has_classes()
        views = read_views(video, self.spec, protocol, reverse, self._device)
        return self._predict(video, views)

    def predict_each(
        self,
        videos: Sequence[AnyPath],
        protocol: str = "cover",
        reverse: bool = False,
        threads: int = 1,
    ) -> Iterator[Prediction | InputError]:
        """Label videos in order, the next ones read while one is scored.

        Yields:
            A prediction; or for a video that cannot be read the error, and goes on.

        Raises:
            InputError: There is no such protocol, or the model has no classes.
        """
        check_protocol(protocol)
        self.check_has_classes()

        def read(video: AnyPath) -> Views | InputError:
            try:
                return read_views(video, self.spec, protocol, reverse, self._device)
            except InputError as error:
                return error

        results = run_ahead(read, list(videos), threads, ahead=threads)
        for video, views in zip(videos, results, strict=True):
            yield views if isinstance(views, InputError) else self._try(video, views)

    @property
    def _device(self) -> str:
        return next(self.network.parameters()).device.type

    def _predict(self, video: AnyPath, views: Views) -> Prediction:
        return Prediction(str(video), self.labels, self.score(views), views.lengths)

    def _try(self, video: AnyPath, views: Views) -> Prediction | InputError:
        try:
            return self._predict(video, views)
        except InputError as error:  # Pieces of a long video are read while it is scored.
            return error

    def features(
        self,
        video: AnyPath,
        at: str = "mixed5c",
        stride_seconds: float | None = None,
        *,
        pool: str = "average",
        frames: int | None = None,
        rate_fps: float | None = None,
    ) -> VideoFeatures:
        """Return a block's features of windows over a video, with their times.

        Args:
            video: A local file.
            at: The block.
            stride_seconds: From one window to the next; None is the span of a clip.
            pool: "average" over time and space, or "none".
            frames: Of a window; None is the clip's.
            rate_fps: Of its frames; None is the clip's.

        Raises:
            InputError: The video cannot be read, or an option cannot be used.
        """
        spec = window_spec(self.spec, frames, rate_fps)
        recipe = FeatureRecipe(spec, at, stride_seconds, pool)
        return compute_features(self.engine, video, recipe)

    def timeline(
        self,
        video: AnyPath,
        stride_seconds: float | None = None,
        *,
        frames: int | None = None,
        rate_fps: float | None = None,
        rule: SegmentRule | None = None,
        record: AnyPath | None = None,
    ) -> Timeline:
        """Say what happens in a video of any length, and when, in flat memory.

        Args:
            video: A local file.
            stride_seconds: From one window to the next; None is a quarter of a window.
            frames: Of a window; None is the clip's.
            rate_fps: Of its frames; None is the clip's.
            rule: When a segment begins and ends; None takes the threshold that `s3d calibrate`
                found, or 0.5.
            record: A file that takes scores as they come: the same call goes on from it after a
                kill. None keeps them in a temporary file.

        Raises:
            InputError: The video cannot be read, or an option cannot be used.
        """
        from s3d.infer.scan import Scan, ScanRecipe
        from s3d.infer.timeline import compute_timeline

        scan = Scan(self, ScanRecipe(stride_seconds, frames, rate_fps))
        return compute_timeline(scan, video, rule, record=record)

    def score_clips(self, clips: Tensor, check: bool = True) -> Scores:
        """Score clips that you made yourself.

        Args:
            clips: (B, C, T, H, W) or (C, T, H, W), float, as `spec` has it; lengths and sizes may
                differ from it.
            check: Refuse clips that break the contract. Without, only shapes are checked.

        Returns:
            (B, K) probabilities; of an embedding (B, K) logits.

        Raises:
            InputError: The clips are not what the network takes.
        """
        if not isinstance(clips, Tensor):
            raise InputError(
                f"clips are a {type(clips).__name__}; a Tensor is needed. Use torch.from_numpy, or "
                "give uint8 frames to score_frames."
            )
        batch = clips[None] if clips.ndim == 4 else clips
        if check:
            check_contract(batch, self.spec)
        weight = next(self.network.parameters())
        floats = batch.to(weight) if batch.is_floating_point() else batch.to(weight.device)
        with torch.inference_mode():
            logits: Tensor = self.network(floats).float().cpu()
        scores: Scores = (logits.softmax(1) if self.labels else logits).numpy()
        return scores

    def score_frames(self, frames: npt.NDArray[np.uint8]) -> Scores:
        """Score frames as they come from a camera or a decoder.

        Args:
            frames: (T, H, W, C) or (B, T, H, W, C), uint8; cropped as you like.

        Returns:
            As `score_clips`.

        Raises:
            InputError: They are of another kind or shape.
        """
        batch = np.asarray(frames)
        batch = batch[None] if batch.ndim == 4 else batch
        if batch.dtype != np.uint8 or batch.ndim != 5 or batch.shape[4] != self.spec.channels:
            raise InputError(
                f"frames are {batch.dtype} {np.shape(frames)}; this model takes uint8 "
                f"(time, height, width, {self.spec.channels}): {self.spec.modality}."
            )
        logits = torch.from_numpy(self.logits_of(np.ascontiguousarray(batch)))
        scores: Scores = (logits.softmax(1) if self.labels else logits).numpy()
        return scores

    def export(
        self,
        path: str | Path,
        to: str | None = None,
        *,
        frames: int | None = None,
        size_px: int | None = None,
    ) -> Exported:
        """Write the model as a file of another runtime: it takes uint8 frames, and needs no s3d.

        Args:
            path: The file, with the suffix of its format: .onnx, .xml or .pt2.
            to: "onnx", "openvino" or "torch"; None is what the suffix says.
            frames: Of a clip; None is the model's.
            size_px: Height and width of a clip; None is the model's.

        Returns:
            What was written, and by how much what it gives differs from the network.

        Raises:
            InputError: As `s3d.infer.export.export.export_model`.
        """
        from s3d.infer.export.export import export_model

        return export_model(self.to_file(), path, to, frames=frames, size_px=size_px)

    def to_file(self) -> ModelFile:
        """Return what `save_model` writes."""
        return ModelFile(
            self.network, self.labels, self.spec, self.metrics, self.source, self.licence,
            self.ranges,
        )  # fmt: skip

    def check_has_classes(self) -> None:
        """Check that the model names classes.

        Raises:
            InputError: It gives an embedding.
        """
        if not self.labels:
            raise InputError(
                "this model gives an embedding, not classes: it knows none. Train it on yours with "
                "`s3d train DATA --init MODEL`; `s3d features` and `s3d similar` take it as it is."
            )

    def logits_of(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return logits (B, K) of frames (B, T, H, W, C) uint8, cropped as the clip has it."""
        found: npt.NDArray[np.float32] = self.engine.logits(torch.from_numpy(frames)).numpy()
        return found

    def score(self, views: Views) -> Scores:
        """Return the scores (K,) of a video's views."""
        if views.average_logits and len(views.lengths) > 1 and can_go_in_pieces(self.network):
            pieces = (piece[0] for piece in views.pieces)
            return score_whole(self.engine, pieces, sum(views.lengths)).softmax(0).numpy()
        logits, weights = [], []
        for piece in views.pieces:
            for part in _parts(piece):
                logits.append(torch.from_numpy(self.logits_of(part)))
                weights += [part.shape[1]] * len(part)
        return _combine(torch.cat(logits), torch.tensor(weights), views.average_logits)


def load(model: str | Path) -> Recognizer:
    """Load a model.

    Args:
        model: A model file that `s3d train`, `s3d convert` or `save_model` wrote; published
            weights by name, as "s3d-kinetics400" (`s3d list` shows them), which are downloaded
            once; or somebody's checkpoint that `s3d convert` reads.

    Raises:
        InputError: There is no such model, or it is damaged or foreign.
    """
    return Recognizer(open_model(model))


def _parts(piece: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    pixels = int(np.prod(piece.shape[1:4]))
    most = max(1, VIEWS_AT_ONCE_PIXELS // pixels)
    return [piece[i : i + most] for i in range(0, len(piece), most)]


def _combine(logits: Tensor, weights: Tensor, average_logits: bool) -> Scores:
    """Average over views: logits by their frames, or scores evenly."""
    if average_logits:
        share = weights / weights.sum()
        return (logits * share[:, None]).sum(0).softmax(0).numpy()
    return logits.softmax(1).mean(0).numpy()
