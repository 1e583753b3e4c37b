"""Regularised logistic regression, and how strongly to regularise: chosen among whole groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.errors import InputError

Features = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

STRENGTHS = (10.0, 2.0, 0.5, 0.1, 0.02, 0.005, 0.001)
"""Of the penalty, strongest first, so that each fit starts from one that is smoother."""
DEFAULT_STRENGTH = 0.1
"""Where there are too few groups to choose."""
INNER_FOLDS = 4
MOST_STEPS = 100
TOLERANCE = 1e-4
"""Of the gradient: the loss on groups left out is then right to the fifth digit."""
LEAST_GAIN = 1e-9
"""Of the loss, in a step: what gains less is the last."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Hold what a classifier learns from, or is scored on.

    Attributes:
        features: (N, D).
        labels: (N,) class numbers.
        groups: (N,) numbers of what each was cut from.
    """

    features: Features
    labels: Numbers
    groups: Numbers

    def take(self, rows: npt.NDArray[np.bool_]) -> Examples:
        """Return some of them, by a mask (N,)."""
        return replace(
            self, features=self.features[rows], labels=self.labels[rows], groups=self.groups[rows]
        )


@dataclass(frozen=True, eq=False)
class Logistic:
    """A linear classifier of standardised features.

    Attributes:
        mean: (D,), subtracted from the features.
        scale: (D,), divides them.
        weight: (K, D).
        bias: (K,).
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def logits(self, features: Features) -> Tensor:
        """Return the logits (N, K), float64, of features (N, D)."""
        standard = (torch.as_tensor(features).double() - self.mean) / self.scale
        return standard @ self.weight.T + self.bias

    def accuracy(self, examples: Examples) -> float:
        """Return the share of the examples that it names right."""
        named = self.logits(examples.features).argmax(1).numpy()
        return float(np.mean(named == examples.labels))

    def loss(self, examples: Examples) -> float:
        """Return the sum over the examples of their cross-entropies."""
        labels = torch.from_numpy(examples.labels)
        return float(F.cross_entropy(self.logits(examples.features), labels, reduction="sum"))


def fit_logistic(
    examples: Examples, classes: int, strengths: Sequence[float]
) -> tuple[Logistic, ...]:
    """Fit a classifier for each strength: least mean cross-entropy + strength / 2 |weight|^2.

    Args:
        examples: Their mean and deviation standardise the features.
        classes: K.
        strengths: Of the penalty, above 0; the bias bears none.

    Returns:
        A classifier a strength, in their order.

    Raises:
        InputError: A class has no example, or a value is not finite.
    """
    _check(examples, classes)
    features = torch.as_tensor(examples.features).double()
    mean = features.mean(0)
    # Of what never changes nothing can be learnt, and by its deviation nothing divided.
    deviation = features.std(0, correction=0)
    scale = torch.where(deviation > 1e-9, deviation, torch.ones_like(deviation))
    # The best weights lie in the span of the examples: these few directions lose nothing.
    left, size, right = torch.linalg.svd((features - mean) / scale, full_matrices=False)
    ones = torch.ones(len(left), 1, dtype=torch.float64)
    places, labels = torch.cat([left * size, ones], 1), torch.from_numpy(examples.labels)
    solution = torch.zeros(classes, places.shape[1], dtype=torch.float64)
    fitted = []
    for strength in strengths:
        solution = _minimise(places, labels, strength, solution)
        fitted.append(Logistic(mean, scale, solution[:, :-1] @ right, solution[:, -1]))
    return tuple(fitted)


def choose_strength(
    examples: Examples, classes: int, strengths: Sequence[float] = STRENGTHS
) -> tuple[float, float]:
    """Choose the penalty whose classifiers say most of groups that they have not seen.

    Args:
        examples: All that may be looked at.
        classes: K.
        strengths: To choose from.

    Returns:
        The strength, and its mean cross-entropy on groups left out. Where no group can be left
        out without losing a class, `DEFAULT_STRENGTH` and infinity.
    """
    parts = part_groups(examples.labels, examples.groups, INNER_FOLDS)
    losses, scored = np.zeros(len(strengths)), 0
    for part in range(INNER_FOLDS):
        seen, unseen = examples.take(parts != part), examples.take(parts == part)
        if not len(unseen.labels) or len(set(seen.labels)) < classes:
            continue
        fitted = fit_logistic(seen, classes, strengths)
        losses += [one.loss(unseen) for one in fitted]
        scored += len(unseen.labels)
    if not scored:
        return DEFAULT_STRENGTH, float("inf")
    best = int(losses.argmin())
    return strengths[best], float(losses[best] / scored)


def part_groups(labels: Numbers, groups: Numbers, parts: int) -> Numbers:
    """Part examples into folds (N,), whole groups each, every class spread evenly.

    Large groups are placed first, each where its classes are fewest so far.
    """
    counts = np.zeros((parts, int(labels.max()) + 1))
    fold = np.zeros(len(labels), np.int64)
    for group, _ in Counter(groups.tolist()).most_common():
        rows = groups == group
        own = np.bincount(labels[rows], minlength=counts.shape[1])
        # The sum of squares is least where the parts are alike.
        chosen = int(((counts + own) ** 2 - counts**2).sum(1).argmin())
        counts[chosen] += own
        fold[rows] = chosen
    return fold


def _minimise(places: Tensor, labels: Tensor, strength: float, start: Tensor) -> Tensor:
    """Return the weights (K, R), the bias last, where the penalised loss is least.

    Args:
        places: (N, R), columns at right angles, of which the last is 1.
        labels: (N,).
        strength: Of the penalty.
        start: (K, R).
    """
    penalty = torch.full((places.shape[1],), strength, dtype=torch.float64)
    penalty[-1] = 0
    # The columns being at right angles, this is nearly how the loss bends along each of them.
    # Measured by it, all directions bend alike, and the search takes a third of the steps.
    share = 1 / len(start)
    bend = (share * (1 - share) * places.square().mean(0) + penalty).sqrt().clamp_min(1e-9)
    places, penalty = places / bend, penalty / bend.square()
    solution = (start * bend).requires_grad_(True)
    search = torch.optim.LBFGS(
        [solution], max_iter=MOST_STEPS, tolerance_grad=TOLERANCE, tolerance_change=LEAST_GAIN,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> Tensor:
        solution.grad = None
        value = F.cross_entropy(places @ solution.T, labels)
        value = value + 0.5 * (penalty * solution.square()).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    return solution.detach() / bend


def _check(examples: Examples, classes: int) -> None:
    missing = sorted(set(range(classes)) - set(examples.labels.tolist()))
    if missing:
        raise InputError(
            f"class number {missing[0]} has no example to learn from; each of {classes} needs one."
        )
    if not np.isfinite(examples.features).all():
        raise InputError(
            "features are not finite; the model's weights are broken. Take another one."
        )
