"""When the action goes on: a path of a person is cut to the stretches in which it does.

Each box is inside the action, which gains its score, or outside, which gains 1 less its score; each
change from one to the other costs alpha. The best of all ways to say so is taken. So a stretch
survives a few low scores in it, and a few high ones begin none.

Source: Saha et al. 2016 (arXiv 1608.01529).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from s3d.detect.tubes.track import AnyScores


def find_stretches(scores: AnyScores, alpha: float) -> list[slice]:
    """Return the stretches in which an action goes on.

    Args:
        scores: (n,) of the boxes of a track in every frame, 0 to 1.
        alpha: What a change costs, 0 or more.

    Returns:
        Slices in order of time, none of them empty; [] where it never goes on. What gains the same
        inside and outside is outside.
    """
    if not len(scores):
        return []
    inside = np.asarray(scores, np.float64)
    states = _best_states(np.stack([1 - inside, inside], 1), alpha)
    edges = np.diff(states, prepend=0, append=0)
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [slice(int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)]


def _best_states(gains: npt.NDArray[np.float64], alpha: float) -> npt.NDArray[np.int64]:
    """Return the state, 0 or 1, of each row of gains (n, 2)."""
    total = gains[0]
    back = np.zeros(gains.shape, np.int64)
    for row in range(1, len(gains)):
        changes = total[::-1] - alpha > total
        back[row] = np.where(changes, [1, 0], [0, 1])
        total = np.maximum(total, total[::-1] - alpha) + gains[row]
    states = np.zeros(len(gains), np.int64)
    states[-1] = int(total[1] > total[0])
    for row in range(len(gains) - 1, 0, -1):
        states[row - 1] = back[row, states[row]]
    return states
