"""What frozen features are worth: a linear classifier of them, on folds that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from s3d.data.video_list import Video
from s3d.errors import InputError
from s3d.train.logistic import (
    Examples,
    Features,
    Logistic,
    Numbers,
    choose_strength,
    fit_logistic,
)


@dataclass(frozen=True, eq=False)
class Probe:
    """Hold a classifier of features.

    Attributes:
        classifier: What was fitted.
        loss: Mean cross-entropy on groups left out in turn, all of those that it learnt from: by
            it blocks can be chosen between without a look at what is tested.
    """

    classifier: Logistic
    loss: float


def fit_probe(seen: Examples, classes: int) -> Probe:
    """Fit a linear classifier whose penalty is chosen on groups that are left out in turn.

    Args:
        seen: All that may be looked at.
        classes: K.

    Raises:
        InputError: A class has no example, or a value is not finite.
    """
    strength, loss = choose_strength(seen, classes)
    return Probe(fit_logistic(seen, classes, (strength,))[0], loss)


def probe_folds(
    features: Features, labels: Sequence[str], groups: Sequence[str], folds: Sequence[str]
) -> dict[str, float]:
    """Return the accuracy on each fold of a classifier that has seen the others alone.

    Args:
        features: (N, D), a row a video.
        labels: The class of each.
        groups: What each was cut from; the penalty is chosen between whole groups.
        folds: The fold of each.

    Returns:
        The share named right, by fold.

    Raises:
        InputError: There is one fold only, or a class is in one fold alone.
    """
    return {fold: score.accuracy for fold, score in score_folds(features, labels, groups, folds)}


@dataclass(frozen=True)
class FoldScore:
    """Say what a probe of one block came to on one fold.

    Attributes:
        accuracy: Share of the fold that was named right.
        loss: As in `Probe`: it knows nothing of the fold.
    """

    accuracy: float
    loss: float


def score_folds(
    features: Features, labels: Sequence[str], groups: Sequence[str], folds: Sequence[str]
) -> list[tuple[str, FoldScore]]:
    """Return each fold with what a probe came to on it; arguments and errors as `probe_folds`."""
    names, fold_of = sorted(set(folds)), np.array(folds)
    if len(names) < 2:
        raise InputError(f"there is {len(names)} fold; at least 2 are needed to leave one out.")
    examples = Examples(features, _number(labels), _number(groups))
    found = []
    for name in names:
        probe = fit_probe(examples.take(fold_of != name), len(set(labels)))
        accuracy = probe.classifier.accuracy(examples.take(fold_of == name))
        found.append((name, FoldScore(accuracy, probe.loss)))
    return found


def make_examples(features: Features, videos: Sequence[Video]) -> Examples:
    """Return the examples that videos with their features (N, D) are; classes in name's order."""
    groups = [video.path if video.group is None else video.group for video in videos]
    return Examples(features, _number([video.label for video in videos]), _number(groups))


def _number(names: Sequence[str]) -> Numbers:
    place = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([place[name] for name in names], np.int64)
