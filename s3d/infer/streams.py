"""Two streams: what a network of frames and a network of their flow say together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from s3d.data.paths import AnyPath
from s3d.errors import InputError
from s3d.infer.recognizer import Prediction, Recognizer, Scores
from s3d.infer.views import check_protocol

LEAST_SCORE = 1e-38
"""Below it a float32 has no logarithm."""


def fuse_scores(rgb: Scores, flow: Scores) -> Scores:
    """Return the scores of two streams whose logits are added with equal weight.

    Scores are logits up to a constant a video, which softmax forgets; where several views were
    averaged, those of a stream are what it says of the video.

    Args:
        rgb: (..., K) scores of frames.
        flow: (..., K) scores of flow.

    Source: deepmind/kinetics-i3d, evaluate_sample.py.
    """
    logits = sum(np.log(np.maximum(part.astype(np.float64), LEAST_SCORE)) for part in (rgb, flow))
    logits = logits - np.max(logits, -1, keepdims=True)
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


@dataclass(frozen=True, eq=False)
class TwoStreams:
    """Label videos with a model of frames and a model of flow.

    Attributes:
        rgb: The model of frames.
        flow: The model of optical flow, of the same classes.
    """

    rgb: Recognizer
    flow: Recognizer

    def __post_init__(self) -> None:
        for stream, modality in ((self.rgb, "rgb"), (self.flow, "flow")):
            stream.check_has_classes()
            if stream.spec.modality != modality:
                raise InputError(
                    f"the {modality} stream is a model that takes {stream.spec.modality}. "
                    "Name a model of frames with --model, one of flow with --flow-model."
                )
        if set(self.rgb.labels) != set(self.flow.labels):
            other = sorted(set(self.rgb.labels) ^ set(self.flow.labels))[0]
            raise InputError(
                f"the two models know different classes ({other!r} is of one alone). "
                "Train both on the same data."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the classes, in the order of the model of frames."""
        return self.rgb.labels

    def predict(
        self, video: AnyPath, protocol: str = "cover", flow: AnyPath | None = None
    ) -> Prediction:
        """Label one video.

        Args:
            video: A local file.
            protocol: Which clips are scored: see `s3d.infer.views`.
            flow: Its flow, as `s3d flow` keeps it; None computes what is needed.

        Raises:
            InputError: The video cannot be read.
        """
        seen = self.rgb.predict(video, protocol)
        return self._fuse(seen, self.flow.predict(flow or video, protocol))

    def predict_each(
        self,
        videos: Sequence[AnyPath],
        protocol: str = "cover",
        reverse: bool = False,
        threads: int = 1,
        *,
        flow: Sequence[AnyPath] | None = None,
    ) -> Iterator[Prediction | InputError]:
        """Label videos in order; one that cannot be read gives its error.

        Args:
            videos: Local files.
            protocol: As of `predict`.
            reverse: Play them backwards.
            threads: Videos read at a time by each stream.
            flow: The flow of each; None computes what is needed.
        """
        check_protocol(protocol)
        of_frames = self.rgb.predict_each(videos, protocol, reverse, threads)
        of_flow = self.flow.predict_each(flow or videos, protocol, reverse, threads)
        for seen, moved in zip(of_frames, of_flow, strict=True):
            if isinstance(seen, InputError):
                yield seen
            else:
                yield moved if isinstance(moved, InputError) else self._fuse(seen, moved)

    def _fuse(self, seen: Prediction, moved: Prediction) -> Prediction:
        places = [moved.labels.index(label) for label in seen.labels]
        moved = replace(moved, labels=seen.labels, scores=moved.scores[places])
        scores = fuse_scores(seen.scores, moved.scores)
        streams = {"rgb": seen, "flow": moved}
        return replace(
            seen, scores=scores, lengths=(*seen.lengths, *moved.lengths), streams=streams
        )
