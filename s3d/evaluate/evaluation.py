"""How good a model is on labelled videos: every figure with the protocol that gave it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.data.video_list import VideoList
from s3d.errors import InputError
from s3d.evaluate.metrics import (
    class_accuracy,
    confusion_matrix,
    mean_class_accuracy,
    top_k,
)
from s3d.evaluate.shards import predict_together
from s3d.infer.recognizer import Prediction, Recognizer
from s3d.infer.streams import TwoStreams
from s3d.models.cost import count_cost
from s3d.models.processes import ALONE, Processes

STREAM_FIGURES = ("top1", "top5", "mean_class_accuracy", "macs_per_video")
MOST_COUNTED = 8
"""Lengths whose cost is counted; counting takes tens of milliseconds each."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Hold the scores of a model on labelled videos.

    Attributes:
        protocol: Which clips were scored.
        is_reversed: Whether videos were played backwards.
        labels: The model's classes.
        truth: (N,) class numbers of the videos that could be read.
        scores: (N, K).
        views: (N,) clips and crops scored of each.
        found: Videos listed.
        failures: (path, reason) of those that could not be read.
        macs_per_video: Multiply-adds, the mean over the videos.
        seconds: What it took, decoding included.
        data: What was scored, as it was named.
        part: The part of it: train, val, test or all.
        streams: What each stream reaches by itself, "rgb" and "flow", where two were fused.
    """

    protocol: str
    is_reversed: bool
    labels: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    views: npt.NDArray[np.int64]
    found: int
    failures: tuple[tuple[str, str], ...]
    macs_per_video: float
    seconds: float
    data: str = ""
    part: str = "all"
    streams: Mapping[str, Evaluation] = field(default_factory=dict)

    @property
    def coverage(self) -> str:
        """Return how many of the listed videos the figures are of, as "19,404 of 19,906 videos"."""
        return f"{len(self.truth):,} of {self.found:,} videos"

    @property
    def mean_class_accuracy(self) -> float:
        """Return the mean over the classes of the share that was named right."""
        return mean_class_accuracy(self.confusion)

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Return counts (K, K), rows the truth, columns what was predicted."""
        return confusion_matrix(self.scores.argmax(1), self.truth, len(self.labels))

    def top(self, k: int) -> float:
        """Return the share of videos whose class is among the k likeliest."""
        return top_k(self.scores, self.truth, k)

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain JSON values."""
        recall = class_accuracy(self.confusion)
        streams = {
            name: {key: one.to_json()[key] for key in STREAM_FIGURES}
            for name, one in self.streams.items()
        }
        per_class = {
            label: None if np.isnan(value) else round(float(value), 4)
            for label, value in zip(self.labels, recall, strict=True)
        }
        return {
            "data": self.data,
            "part": self.part,
            "coverage": self.coverage,
            "protocol": self.protocol,
            "reversed": self.is_reversed,
            "top1": round(self.top(1), 4),
            "top5": round(self.top(5), 4) if len(self.labels) > 5 else None,
            "mean_class_accuracy": round(self.mean_class_accuracy, 4),
            "per_class": per_class,
            "videos_found": self.found,
            "videos_scored": len(self.truth),
            "failures": [{"path": path, "reason": reason} for path, reason in self.failures],
            "views_per_video": round(float(self.views.mean()), 2),
            "macs_per_video": round(self.macs_per_video),
            "seconds": round(self.seconds, 2),
            **({"streams": streams} if streams else {}),
        }


def evaluate(
    recognizer: Recognizer | TwoStreams,
    videos: VideoList,
    protocol: str = "clip",
    reverse: bool = False,
    *,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    flow: Sequence[str] | None = None,
    processes: Processes = ALONE,
) -> Evaluation:
    """Score labelled videos under a protocol.

    Args:
        recognizer: The model, or one of frames and one of flow.
        videos: What to score; their labels must be the model's.
        protocol: One of `s3d.infer.views.PROTOCOLS`.
        reverse: Play videos backwards.
        threads: Videos read at a time.
        progress: Told after each video.
        flow: The flow of each video, for two streams; None computes it.
        processes: That share the videos; each returns the whole.

    Raises:
        InputError: A label is unknown to the model, or not one video can be read.
    """
    if isinstance(recognizer, Recognizer):
        recognizer.check_has_classes()
    numbers = number_labels(recognizer.labels, videos)
    begin = time.perf_counter()
    paths = [video.path for video in videos.videos]

    results = _predict_all(
        recognizer, (paths, flow or paths), (protocol, reverse, threads), processes
    )
    found, truth, failures = list[Prediction](), list[int](), list(videos.left_out)
    for done, (path, number, result) in enumerate(zip(paths, numbers, results, strict=True), 1):
        if isinstance(result, Prediction):
            found.append(result)
            truth.append(number)
        else:
            failures.append((path, str(result)))
        if progress:
            progress(done, len(paths))
    if not found:
        reason = failures[-1][1] if failures else "the list is empty."
        raise InputError(f"not one of {len(paths)} videos can be read; first: {reason}")
    outcome = Evaluation(
        protocol,
        reverse,
        recognizer.labels,
        np.array(truth),
        np.stack([one.scores for one in found]),
        np.array([one.views for one in found]),
        videos.listed,
        tuple(failures),
        0.0,
        time.perf_counter() - begin,
        videos.source,
        videos.part or "all",
    )
    if isinstance(recognizer, TwoStreams):
        return _with_streams(outcome, recognizer, found)
    lengths = [one.lengths for one in found]
    return replace(outcome, macs_per_video=_mean_macs(recognizer, lengths))


def _predict_all(
    recognizer: Recognizer | TwoStreams,
    videos: tuple[Sequence[str], Sequence[str]],
    how: tuple[str, bool, int],
    processes: Processes,
) -> Iterable[Prediction | InputError]:
    """Yield what comes of each video, or of it and its flow, whichever process scores it."""

    def predict(share: Sequence[tuple[str, str]]) -> Iterable[Prediction | InputError]:
        own, moved = [path for path, _ in share], [path for _, path in share]
        if isinstance(recognizer, TwoStreams):
            return recognizer.predict_each(own, *how, flow=moved)
        return recognizer.predict_each(own, *how)

    return predict_together(predict, list(zip(*videos, strict=True)), processes)


def _with_streams(
    outcome: Evaluation, streams: TwoStreams, found: Sequence[Prediction]
) -> Evaluation:
    """Add to an evaluation of two streams that of each of them on the same videos."""
    each = {}
    for name, recognizer in (("rgb", streams.rgb), ("flow", streams.flow)):
        own = [one.streams[name] for one in found]
        each[name] = replace(
            outcome,
            scores=np.stack([one.scores for one in own]),
            views=np.array([one.views for one in own]),
            macs_per_video=_mean_macs(recognizer, [one.lengths for one in own]),
        )
    return replace(
        outcome, streams=each, macs_per_video=sum(one.macs_per_video for one in each.values())
    )


def count_macs(recognizer: Recognizer, frames: int) -> int:
    """Return the multiply-adds of one view of so many frames."""
    return count_cost(recognizer.network, frames, recognizer.spec.size_px).macs


def _mean_macs(recognizer: Recognizer, lengths: Sequence[Sequence[int]]) -> float:
    """Return the multiply-adds of a video, given the frames of each view of each video."""
    views = np.array([frames for video in lengths for frames in video])
    distinct = np.unique(views)
    # All-frames may give each video a length of its own; between lengths the cost is a line.
    few = np.linspace(0, len(distinct) - 1, min(len(distinct), MOST_COUNTED)).round().astype(int)
    known = distinct[few]
    macs = [count_macs(recognizer, int(frames)) for frames in known]
    return float(np.interp(views, known, macs).sum()) / len(lengths)


def number_labels(labels: Sequence[str], videos: VideoList) -> list[int]:
    """Return the class number of each video.

    Args:
        labels: The classes of a model.
        videos: Whose labels are among them.

    Raises:
        InputError: A label is unknown to the model.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    unknown = [label for label in videos.labels if label not in numbers]
    if unknown:
        known = ", ".join(labels[:10]) + (" ..." if len(numbers) > 10 else "")
        raise InputError(
            f"{videos.source}: class {unknown[0]!r} is unknown to the model "
            f"({len(unknown)} such). It knows: {known}."
        )
    return [numbers[video.label] for video in videos.videos]
