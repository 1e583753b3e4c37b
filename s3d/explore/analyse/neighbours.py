"""How well classes part in a space of features: the vote of the nearest neighbours.

A picture of an embedding is no measure: it shows clusters that are not there and hides some that
are. The neighbours are of the features themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.errors import InputError

NEIGHBOURS = 5
SHUFFLES = 200
CHANCE_QUANTILE = 0.975
ROWS_AT_ONCE = 1024
"""Of the table of all pairs; it bounds memory."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NeighbourAccuracy:
    """Say how often the neighbours of a video are right about its class.

    Attributes:
        accuracy: Share of the videos whose class wins the vote.
        chance: The mean of the same where the labels are shuffled.
        chance_high: What 97.5 % of the shuffles stay below: more than that is no luck.
        neighbours: That vote, at most.
        videos: That have neighbours of another source and were counted.
    """

    accuracy: float
    chance: float
    chance_high: float
    neighbours: int
    videos: int


def neighbour_accuracy(
    features: npt.NDArray[np.float32],
    labels: Sequence[str],
    groups: Sequence[str] | None = None,
    k: int = NEIGHBOURS,
    seed: int = 0,
) -> NeighbourAccuracy:
    """Return how often the k nearest others are right about a video's class.

    Nearness is the cosine; most votes win, and among equals the nearer neighbours. Where fewer
    than k others are of another group, these vote; a video without any is not counted.

    Args:
        features: (N, C), a row a video.
        labels: Its class.
        groups: What it was cut from: videos of the same group do not vote. None is a group each.
        k: Neighbours, at least 1.
        seed: Of the shuffles that say what chance gives.

    Raises:
        InputError: k is below 1, the lengths differ, or no video has a neighbour.
    """
    check_neighbours(k)
    groups = [str(i) for i in range(len(features))] if groups is None else groups
    if not len(features) == len(labels) == len(groups):
        raise InputError(
            f"{len(features)} features, {len(labels)} labels and {len(groups)} groups; one each "
            "a video is needed."
        )
    _, truth = np.unique(np.asarray(labels), return_inverse=True)
    nearest, likeness = _find_nearest(features, groups, k)
    counted = np.isfinite(likeness).any(axis=1)
    if not counted.any():
        raise InputError("no video has a neighbour of another source. Give videos of more sources.")
    nearest, likeness = nearest[counted], likeness[counted]

    def share(classes: Indices) -> float:
        return float((_vote(classes[nearest], likeness) == classes[counted]).mean())

    rng = np.random.default_rng(seed)
    shuffled = [share(rng.permutation(truth)) for _ in range(SHUFFLES)]
    high = float(np.quantile(shuffled, CHANCE_QUANTILE))
    return NeighbourAccuracy(share(truth), float(np.mean(shuffled)), high, k, int(counted.sum()))


def check_neighbours(k: int) -> None:
    """Check that so many neighbours can vote.

    Raises:
        InputError: They are none.
    """
    if k < 1:
        raise InputError(f"{k} neighbours are asked for; at least 1 is needed.")


def _find_nearest(
    features: npt.NDArray[np.float32], groups: Sequence[str], k: int
) -> tuple[Indices, npt.NDArray[np.float64]]:
    """Return who is nearest (N, k) and how near; -inf where there is nobody of another group."""
    values = features.astype(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit = values / np.where(lengths > 0, lengths, 1)
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    nearest, nearness = [], []
    for start in range(0, len(unit), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        likeness = unit[rows] @ unit.T
        likeness[group[rows, None] == group] = -np.inf
        nearest.append(np.argsort(-likeness, axis=1, kind="stable")[:, :k])
        nearness.append(np.take_along_axis(likeness, nearest[-1], axis=1))
    return np.concatenate(nearest), np.concatenate(nearness)


def _vote(classes: Indices, likeness: npt.NDArray[np.float64]) -> Indices:
    """Return the class (N,) with most votes; among equals that of the nearer neighbours."""
    votes = np.zeros((len(classes), int(classes.max()) + 1))
    valid = np.isfinite(likeness)
    # Cosines sum to k at most: divided so, they never outweigh a vote.
    weight = np.where(valid, 1 + np.where(valid, likeness, 0) / (2 * classes.shape[1] + 1), 0)
    np.add.at(votes, (np.arange(len(classes))[:, None], classes), weight)
    return np.asarray(votes.argmax(axis=1), np.int64)
