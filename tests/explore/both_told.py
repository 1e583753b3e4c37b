"""Scores of videos played both ways, as a table says them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from s3d.evaluate.evaluation import Evaluation
from s3d.explore.analyse.both_ways import BothWays

Table = npt.NDArray[np.float32]


def make_both(
    labels: Sequence[str], truth: Sequence[int], forward: Table, backward: Table
) -> BothWays:
    """Return what an evaluation both ways would have given."""

    def make(scores: Table, is_reversed: bool) -> Evaluation:
        views = np.ones(len(truth), np.int64)
        rows = np.asarray(scores, np.float32)
        return Evaluation(
            "clip", is_reversed, tuple(labels), np.array(truth), rows, views, len(truth), (), 0.0,
            0.0, "told",
        )  # fmt: skip

    return BothWays(make(forward, False), make(backward, True))


def name_all(names: Sequence[int], classes: int) -> Table:
    """Return scores that name each video as told: 0.9, the rest shared."""
    scores = np.full((len(names), classes), 0.1 / (classes - 1), np.float32)
    scores[np.arange(len(names)), names] = 0.9
    return scores


def two_classes(log_odds: Sequence[float]) -> Table:
    """Return scores of two classes by the log-odds of the first against the second."""
    share = 1 / (1 + np.exp(-np.asarray(log_odds, np.float64)))
    return np.stack([share, 1 - share], 1).astype(np.float32)
