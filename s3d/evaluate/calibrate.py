"""From which score a label is believed: a threshold chosen on data, for `s3d predict --timeline`.

Softmax scores of windows say which label is likeliest, not whether anything happens at all, and how
high they are depends on the model. So the threshold is taken from windows like those that a
timeline scores, of videos the model was not trained on.

Of labelled videos alone it is known what should be kept, and nothing of what should not: the
threshold is the highest that keeps a share (`keep`, 0.95) of the windows whose likeliest label is
the right one. A window whose likeliest label is wrong is so at any threshold, and does not count.
Each video counts the same, however long, since windows of one video resemble each other.

With videos in which nothing happens it is known as well what should be silent. Then a lower
threshold is taken where it does better: the one with the highest mean of the share of right windows
that are kept and the share of windows of nothing that are silent, in the middle of the widest gap
between scores where many are equally good, and never one that keeps less than `keep`. Windows of
nothing count alike, as time does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.data.video_list import VideoList
from s3d.errors import InputError
from s3d.evaluate.evaluation import number_labels
from s3d.infer.recognizer import Recognizer, Scores
from s3d.infer.scan import Scan, ScanRecipe
from s3d.infer.segments import SegmentRule, check_labels
from s3d.infer.threshold import Threshold

Values = npt.NDArray[np.float64]

DEFAULT_KEEP = 0.95
DIGITS = 4

Tell = Callable[[int, int], None]
"""Told how many videos are done, and how many there are."""


@dataclass(frozen=True, eq=False)
class WindowScores:
    """Hold the scores a threshold is chosen on.

    Attributes:
        right: (R,) of the right label, in windows where it is the likeliest.
        weights: (R,) of these windows; those of all windows of a video sum to 1.
        windows: Of all labelled videos, right or not.
        videos: Labelled ones.
        quiet: (Q,) of the likeliest label that means something, in windows of nothing.
    """

    right: Values
    weights: Values
    windows: int
    videos: int
    quiet: Values


@dataclass(frozen=True)
class Calibration:
    """Hold a threshold and what could not be read on the way.

    Attributes:
        threshold: What was found.
        failures: (path, reason).
    """

    threshold: Threshold
    failures: tuple[tuple[str, str], ...]


def calibrate(
    recognizer: Recognizer,
    videos: VideoList,
    quiet: Sequence[str] = (),
    *,
    keep: float = DEFAULT_KEEP,
    nothing_labels: Sequence[str] = (),
    recipe: ScanRecipe | None = None,
    tell: Tell | None = None,
) -> Calibration:
    """Choose the threshold of a model on data it was not trained on.

    Args:
        recognizer: The model.
        videos: Labelled; those of labels that mean nothing count as videos of nothing.
        quiet: Videos in which nothing happens.
        keep: Share of the right windows that must be kept.
        nothing_labels: Labels of the model that mean that nothing happens.
        recipe: Which windows; those of a timeline if None.
        tell: Told of progress.

    Raises:
        InputError: A label is unknown to the model, no video can be read, or no window is right.
    """
    check_keep(keep)
    check_labels(recognizer.labels, SegmentRule(nothing=tuple(nothing_labels)))
    numbers = number_labels(recognizer.labels, videos)
    jobs: list[tuple[str, int | None]] = [
        (v.path, number) for v, number in zip(videos.videos, numbers, strict=True)
    ]
    jobs += [(path, None) for path in quiet]
    scorer = _Scorer(Scan(recognizer, recipe or ScanRecipe()), nothing_labels)
    failures = list(videos.left_out)
    for done, (path, number) in enumerate(jobs, 1):
        try:
            scorer.add(path, number)
        except InputError as error:
            failures.append((path, str(error)))
        if tell:
            tell(done, len(jobs))
    found = scorer.collect()
    _check_enough(found, len(jobs), failures)
    value = choose_threshold(found, keep)
    kept, false = measure_threshold(found, value)
    threshold = Threshold(
        value, scorer.scan.describe(), videos.source, found.videos,
        found.windows, round(float(found.weights.sum()) / found.videos, DIGITS),
        round(kept, DIGITS), ", ".join([*quiet[:3], *(["..."] if len(quiet) > 3 else [])]),
        len(found.quiet), None if false is None else round(false, DIGITS),
    )  # fmt: skip
    return Calibration(threshold, tuple(failures))


def check_keep(keep: float) -> None:
    """Check that a share can be kept.

    Raises:
        InputError: It is none above 0 and up to 1.
    """
    if not 0 < keep <= 1:
        raise InputError(f"keep is {keep:g}; it needs a share above 0, up to 1.")


def choose_threshold(found: WindowScores, keep: float) -> float:
    """Return the threshold, as the module says; rounded down to 4 digits.

    Args:
        found: At least one right window.
        keep: The share that must be kept.
    """
    highest = _highest_that_keeps(found, keep)
    if not found.quiet.size:
        return _round_down(highest)
    scores = np.unique(np.concatenate([[0.0], found.right, found.quiet, [1.0]]))
    middles = (scores[1:] + scores[:-1]) / 2
    candidates = np.append(middles[middles <= highest], highest)
    widths = np.append(np.diff(scores)[middles <= highest], 0.0)
    worths = np.array([_worth(found, float(value)) for value in candidates])
    is_best = worths >= worths.max() - 1e-12
    place = int(np.argmax(np.where(is_best, widths, -1.0)))
    return _round_down(float(candidates[place]))


def measure_threshold(found: WindowScores, value: float) -> tuple[float, float | None]:
    """Return the share of right windows kept and, where there is any, that of nothing not silent.

    Args:
        found: The windows.
        value: The threshold, which keeps what is equal to it.
    """
    kept = found.weights[found.right >= value].sum() / found.weights.sum()
    false = float((found.quiet >= value).mean()) if found.quiet.size else None
    return float(kept), false


def _highest_that_keeps(found: WindowScores, keep: float) -> float:
    order = np.argsort(-found.right, kind="stable")
    shares = np.cumsum(found.weights[order]) / found.weights.sum()
    place = int(np.searchsorted(shares, keep - 1e-9))
    return float(found.right[order][min(place, len(order) - 1)])


def _worth(found: WindowScores, value: float) -> float:
    kept, false = measure_threshold(found, value)
    return kept - (false or 0.0)


def _round_down(value: float) -> float:
    scale = 10**DIGITS
    return float(max(1, math.floor(value * scale + 1e-9)) / scale)


def _check_enough(found: WindowScores, jobs: int, failures: Sequence[tuple[str, str]]) -> None:
    if not found.videos:
        reason = failures[-1][1] if failures else "none is labelled with an action."
        raise InputError(f"not one of {jobs} videos can be used; last: {reason}")
    if not found.right.size:
        raise InputError(
            f"of {found.windows:,} windows of {found.videos:,} videos not one is labelled right: "
            "there is no score to keep. Check that the data is of the model's classes."
        )


class _Scorer:
    """Score the windows of videos, and keep of each but one number."""

    def __init__(self, scan: Scan, nothing_labels: Sequence[str]) -> None:
        self.scan = scan
        self.means = np.array([label not in nothing_labels for label in scan.recognizer.labels])
        self.right: list[float] = []
        self.weights: list[float] = []
        self.quiet: list[float] = []
        self.windows = self.videos = 0

    def add(self, path: str, number: int | None) -> None:
        """Add the windows of a video; None, or a label that means nothing, is one of nothing."""
        rows = [self._look(window.scores) for window in self.scan.score(path)]
        if number is None or not self.means[number]:
            # Where a label that means nothing is the likeliest, the window is silent by itself.
            self.quiet += [score if self.means[label] else 0.0 for label, score in rows]
            return
        right = [score for label, score in rows if label == number]
        self.right += right
        self.weights += [1 / len(rows)] * len(right)
        self.windows += len(rows)
        self.videos += 1

    def _look(self, scores: Scores) -> tuple[int, float]:
        """Return the likeliest label and its score: all that is kept of a window."""
        label = int(scores.argmax())
        return label, float(scores[label])

    def collect(self) -> WindowScores:
        """Return what was scored."""
        right, weights, quiet = (
            np.array(values, np.float64) for values in (self.right, self.weights, self.quiet)
        )
        return WindowScores(right, weights, self.windows, self.videos, quiet)
