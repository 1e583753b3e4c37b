"""Labelled videos scored twice: as they are, and played backwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from s3d.data.video_list import VideoList
from s3d.errors import InputError
from s3d.evaluate.evaluation import Evaluation, evaluate
from s3d.infer.recognizer import Recognizer

Tell = Callable[[int, int], None]
"""Told how many videos are done, and how many there are, both ways counted."""


@dataclass(frozen=True, eq=False)
class BothWays:
    """Hold the scores of the same videos, normal and reversed.

    Attributes:
        forward: Of the videos as they are.
        backward: Of the same videos, in the same order, played backwards.
    """

    forward: Evaluation
    backward: Evaluation

    def __post_init__(self) -> None:
        same = np.array_equal(self.forward.truth, self.backward.truth)
        if not same or self.forward.labels != self.backward.labels:
            raise ValueError("both ways need the same videos of the same classes, in one order.")

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the model's classes."""
        return self.forward.labels

    @property
    def truth(self) -> npt.NDArray[np.int64]:
        """Return the class numbers of the videos, (N,)."""
        return self.forward.truth

    @property
    def named_forward(self) -> npt.NDArray[np.int64]:
        """Return what each video is named, (N,) class numbers."""
        return np.asarray(self.forward.scores.argmax(1), dtype=np.int64)

    @property
    def named_backward(self) -> npt.NDArray[np.int64]:
        """Return what each video is named when it is played backwards, (N,) class numbers."""
        return np.asarray(self.backward.scores.argmax(1), dtype=np.int64)


def play_both_ways(
    recognizer: Recognizer, videos: VideoList, protocol: str = "clip", progress: Tell | None = None
) -> BothWays:
    """Score labelled videos as they are and played backwards.

    A video that can be read one way alone counts in neither.

    Args:
        recognizer: The model.
        videos: What to score; their labels must be the model's.
        protocol: One of `s3d.infer.views.PROTOCOLS`.
        progress: Told after each video.

    Raises:
        InputError: A label is unknown to the model, or not one video can be read.
    """

    def tell_from(before: int) -> Tell | None:
        return progress and (lambda done, total: progress(before + done, 2 * total))

    forward = evaluate(recognizer, videos, protocol, progress=tell_from(0))
    ahead = len(videos.videos)
    backward = evaluate(recognizer, videos, protocol, reverse=True, progress=tell_from(ahead))
    return _of_the_same_videos(forward, backward, videos)


def _of_the_same_videos(forward: Evaluation, backward: Evaluation, videos: VideoList) -> BothWays:
    paths = [_scored_paths(videos, one) for one in (forward, backward)]
    both = set(paths[0]) & set(paths[1])
    if not both:
        raise InputError(f"{videos.source}: not one video can be read both ways.")
    failures = tuple(dict.fromkeys((*forward.failures, *backward.failures)))
    return BothWays(
        _keep(forward, [path in both for path in paths[0]], failures),
        _keep(backward, [path in both for path in paths[1]], failures),
    )


def _scored_paths(videos: VideoList, outcome: Evaluation) -> list[str]:
    failed = {path for path, _ in outcome.failures}
    return [video.path for video in videos.videos if video.path not in failed]


def _keep(
    outcome: Evaluation, is_kept: list[bool], failures: tuple[tuple[str, str], ...]
) -> Evaluation:
    return replace(
        outcome,
        truth=outcome.truth[is_kept],
        scores=outcome.scores[is_kept],
        views=outcome.views[is_kept],
        failures=failures,
    )
