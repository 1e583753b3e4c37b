"""What a training run has to tell: plain data, no torch, nothing about looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Epoch:
    """Hold one line of a run's history.

    Attributes:
        epoch: Its number.
        step: Optimizer steps taken by its end.
        seconds: How long it took.
        rate: Learning rate at its end.
        train_loss: Mean loss over the training clips.
        train_top1: Share of training clips named right, 0 to 1.
        val_loss: Mean loss over the validation clips; None where there are none.
        val_top1: Share of validation clips named right, 0 to 1; None where there are none.
        clips_per_second: Training clips a second.
    """

    epoch: int
    step: int
    seconds: float
    rate: float
    train_loss: float
    train_top1: float
    val_loss: float | None
    val_top1: float | None
    clips_per_second: float


@dataclass(frozen=True, eq=False)
class Example:
    """Hold one clip worth looking at.

    Attributes:
        path: The video.
        label: Its true class.
        predicted: The class it was taken for.
        score: Probability given to the true class, 0 to 1.
        thumbnails: (n, H, W, 3) uint8, some of its frames in order; n may be 0.
    """

    path: str
    label: str
    predicted: str
    score: float
    thumbnails: NDArray[np.uint8]


@dataclass(frozen=True)
class Confusion:
    """Say that `count` of `total` clips of class `true` were taken for class `predicted`."""

    true: int
    predicted: int
    count: int
    total: int


@dataclass(frozen=True, eq=False)
class RunReport:
    """Hold everything the report of one run shows.

    Attributes:
        title: The run's name.
        facts: (name, value): data, network, clip, hardware, protocol, time, ...
        notes: What was decided and why, and warnings.
        epochs: The history, oldest first; may be empty.
        best_epoch: The `Epoch.epoch` whose weights were kept.
        labels: K class names.
        confusion: (K, K) counts of validation clips at the best epoch, rows the true class,
            columns the predicted one; all zero without validation.
        examples: The worst clips, worst first.
        failures: (path, reason) of every file that could not be used.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    epochs: tuple[Epoch, ...]
    best_epoch: int
    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    examples: tuple[Example, ...]
    failures: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        classes = len(self.labels)
        if self.confusion.shape != (classes, classes):
            raise ValueError(
                f"confusion is {self.confusion.shape}; {classes} labels need "
                f"({classes}, {classes})."
            )

    @cached_property
    def best(self) -> Epoch | None:
        """Return the epoch whose weights were kept, None if it is not in the history."""
        return next((e for e in self.epochs if e.epoch == self.best_epoch), None)

    @property
    def top1(self) -> float | None:
        """Return the best epoch's top-1 on validation, None where it was not measured."""
        top1 = self.best.val_top1 if self.best else None
        return None if top1 is None or math.isnan(top1) else top1

    @property
    def clip_count(self) -> int:
        """Return how many validation clips were judged."""
        return int(self.confusion.sum())

    @property
    def commonest_share(self) -> float:
        """Return the accuracy of always guessing the commonest class; nan without clips."""
        count = self.clip_count
        return float(self.confusion.sum(axis=1).max()) / count if count else math.nan

    @cached_property
    def confused(self) -> tuple[Confusion, ...]:
        """Return every mistake that was made: most clips first, then the larger share."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        totals = self.confusion.sum(axis=1)
        pairs = [
            Confusion(int(t), int(p), int(wrong[t, p]), int(totals[t]))
            for t, p in np.argwhere(wrong > 0)
        ]
        return tuple(sorted(pairs, key=lambda c: (-c.count, c.total, c.true, c.predicted)))


def thin_epochs(epochs: Sequence[Epoch], best_epoch: int, limit: int) -> tuple[Epoch, ...]:
    """Return at most about `limit` epochs, evenly spread, the best and the last among them."""
    stride = max(1, math.ceil(len(epochs) / limit))
    last = len(epochs) - 1
    kept = (
        e for i, e in enumerate(epochs) if i % stride == 0 or i == last or e.epoch == best_epoch
    )
    return tuple(kept)
