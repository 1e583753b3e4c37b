"""A query laid over a video, window on window: pure numpy.

    query          q0 q1 q2
    video    v0 v1 v2 v3 v4 v5        placement 2: the mean of q0·v2, q1·v3, q2·v4

So what is alike must come in the same order. A video of fewer windows than the query is laid over
the query instead. A query of one window is compared with each window.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from s3d.infer.similar.scale import Features

Likenesses = npt.NDArray[np.float64]

LEAST_NEW = 0.5
"""Of a moment that is told beside a better one of its video: the share that is not in that one."""
LEAST_SECONDS = 1e-9


def lay_over(query: Features, video: Features) -> Likenesses:
    """Return the mean cosine at each placement of the shorter over the longer.

    Args:
        query: (Q, C) of length 1.
        video: (W, C) of length 1.

    Returns:
        (|W - Q| + 1,) from -1 to 1.
    """
    cosines = query.astype(np.float64) @ video.astype(np.float64).T
    if len(query) > len(video):
        cosines = cosines.T
    length, places = len(cosines), cosines.shape[1] - len(cosines) + 1
    total = np.zeros(places)
    for number in range(length):
        total += cosines[number, number : number + places]
    return total / length


def place_spans(
    starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], query: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return when each placement begins and ends in the video, in seconds.

    Args:
        starts: (W,) of the video's windows.
        ends: (W,) of them.
        query: Windows of the query.

    Returns:
        Two of (|W - Q| + 1,).
    """
    windows = len(starts)
    if query >= windows:  # All of the video, wherever it lies on the query.
        places = query - windows + 1
        return np.full(places, starts[0]), np.full(places, ends[-1])
    return starts[: windows - query + 1], ends[query - 1 :]


def choose_moments(
    likenesses: Likenesses,
    starts: npt.NDArray[np.float64],
    ends: npt.NDArray[np.float64],
    most: int,
) -> list[int]:
    """Return the best placements, best first, of which none lies mostly on a better one.

    Args:
        likenesses: (P,).
        starts: (P,) seconds.
        ends: (P,) seconds.
        most: How many are taken at the most.
    """
    is_free = np.isfinite(likenesses)
    chosen: list[int] = []
    for place in np.argsort(-likenesses, kind="stable"):
        if len(chosen) >= most:
            break
        if not is_free[place]:
            continue
        chosen.append(int(place))
        shared = np.minimum(ends, ends[place]) - np.maximum(starts, starts[place])
        is_free &= shared <= (1 - LEAST_NEW) * np.maximum(ends - starts, LEAST_SECONDS)
    return chosen
