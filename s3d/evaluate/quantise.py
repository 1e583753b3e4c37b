"""A model in 8 bits: ranges from one's own clips, and the accuracy before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from s3d.data.video_list import VideoList
from s3d.errors import InputError
from s3d.evaluate.evaluation import Evaluation, evaluate
from s3d.infer.engines.int8 import INT8, check_int8
from s3d.infer.find_ranges import find_ranges
from s3d.infer.recognizer import Recognizer
from s3d.infer.views import read_views
from s3d.models.model_file import ModelFile
from s3d.models.quantise import Ranges

PLAIN = "openvino"
"""The engine of 32 bits it is held against: the same runtime."""

Progress = Callable[[int, int], None]
Watch = Callable[[str], Progress | None]
"""Gives what is told of the progress of what is named."""


@dataclass(frozen=True, eq=False)
class Quantised:
    """Hold a model with its ranges, and what 8 bits cost it.

    Attributes:
        model: The model; the accuracies are among its metrics.
        clips: Clips that the ranges are from.
        clips_from: Of which part of the data.
        before: Its scores in 32 bits.
        after: Its scores in 8.
        difference: Of the logits of the clips in 8 bits from those in 32, as a share of their norm.
    """

    model: ModelFile
    clips: int
    clips_from: str
    before: Evaluation
    after: Evaluation
    difference: float

    @property
    def alike(self) -> int:
        """Return how many videos are named as before."""
        return int((self.before.scores.argmax(1) == self.after.scores.argmax(1)).sum())


def quantise(
    model: ModelFile,
    videos: VideoList,
    *,
    clips: int = 64,
    protocol: str = "clip",
    watch: Watch = lambda _: None,
) -> Quantised:
    """Find the ranges by which a model can run in 8 bits, and score it before and after.

    Args:
        model: The model.
        videos: Labelled with its classes. Ranges come from the part to train on, where there is
            one, and the accuracy is of the part to be evaluated.
        clips: How many clips ranges come from.
        protocol: Which clips are scored.
        watch: Asked what is to be told of "scoring" and of "looking at values".

    Raises:
        InputError: OpenVINO is not there, the model has no classes, or the videos cannot be used.
    """
    if clips < 1:
        raise InputError(f"clips is {clips}; at least 1 is needed.")
    check_int8(Ranges({}), "cpu")
    plain = Recognizer(replace(model, ranges=None)).use(PLAIN)
    scored = videos.take(videos.evaluated_part)
    before = evaluate(plain, scored, protocol, progress=watch("scoring in 32 bits"))
    part, shown = _read_clips(videos, model, clips)
    ranges = find_ranges(model.network, model.spec, shown, watch("looking at values"))
    ranged = replace(model, ranges=ranges)
    rounded = Recognizer(ranged).use(INT8)
    after = evaluate(rounded, scored, protocol, progress=watch("scoring in 8 bits"))
    difference = _measure_difference(plain, rounded, shown)
    source = f"{len(shown)} clips of {_name_part(videos, part)}"
    told = [m for m in model.metrics if "bits" not in m]
    told += [_metric(before, 32, "no ranges"), _metric(after, 8, f"ranges from {source}")]
    return Quantised(
        replace(ranged, metrics=tuple(told)), len(shown), _name_part(videos, part), before, after,
        difference,
    )  # fmt: skip


def _name_part(videos: VideoList, part: str) -> str:
    return videos.source if part == "all" else f"part {part} of {videos.source}"


def _metric(outcome: Evaluation, bits: int, how: str) -> dict[str, Any]:
    part = "" if outcome.part == "all" else f"part {outcome.part} of "
    return {
        "metric": "top1",
        "value": round(outcome.top(1), 4),
        "protocol": f"{outcome.protocol}, {bits} bits, {outcome.coverage} ({part}{outcome.data}), "
        f"{how}",
        "bits": bits,
    }


def _read_clips(videos: VideoList, model: ModelFile, count: int) -> tuple[str, list[Tensor]]:
    """Return the part that clips are of, and a clip from the middle of videos all over it."""
    has_parts = videos.part is None and any(video.split for video in videos.videos)
    taken = [video for video in videos.videos if video.part == "train"] if has_parts else []
    part = "train" if taken else videos.part or "all"
    chosen = taken or list(videos.videos)
    places = np.linspace(0, len(chosen) - 1, min(count, len(chosen))).round().astype(int)
    clips, reason = list[Tensor](), ""
    for place in places:
        try:
            views = read_views(chosen[place].path, model.spec, "clip")
        except InputError as error:
            reason = str(error)
            continue
        clips += [torch.from_numpy(clip.copy()) for piece in views.pieces for clip in piece]
    if not clips:
        raise InputError(f"not one of {len(places)} videos can be read; first: {reason}")
    return part, clips


def _measure_difference(plain: Recognizer, rounded: Recognizer, clips: Sequence[Tensor]) -> float:
    pairs = [[one.logits_of(clip[None].numpy()) for clip in clips] for one in (plain, rounded)]
    wanted, found = (np.concatenate(logits) for logits in pairs)
    return float(np.linalg.norm(found - wanted)) / max(float(np.linalg.norm(wanted)), 1e-12)
