"""What is usual in a folder, and how far a window is from it: pure numpy.

All videos share much: their features, behind a rectifier, point the same way, and a few channels
outshout the others. So of a window's features the folder's mean is taken away, each channel is
divided by its spread, and what is left is compared by its direction.

    unit = (features - centre) / spread, at length 1        likeness = cosine of two of these

Of a few videos neither mean nor spread is known. So the mean is taken as if there were one video
more, of no features: without their own mean nothing would be left of one or two. The spread is
drawn towards one spread for all channels, as if that had been seen in four more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]

MEAN_PRIOR_VIDEOS, SPREAD_PRIOR_VIDEOS = 1.0, 4.0
FLOOR = 0.1
"""Of a channel's spread, as a share of the root of the mean variance: below that it is noise."""
LEAST_LENGTH = 1e-12


@dataclass(frozen=True, eq=False)
class Scale:
    """Say what is usual in a folder.

    Attributes:
        centre: (C,) taken away from features.
        spread: (C,) by which they are divided; above 0.
    """

    centre: Floats
    spread: Floats

    def units(self, features: Features) -> Features:
        """Return windows (W, C) at length 1 from what is usual; one that is just that is 0."""
        away = (features.astype(np.float64) - self.centre) / self.spread
        length = np.linalg.norm(away, axis=1, keepdims=True)
        units: Features = (away / np.maximum(length, LEAST_LENGTH)).astype(np.float32)
        return units


def measure_scale(videos: Iterable[Features], channels: int) -> Scale:
    """Return what is usual in a folder, in one pass and flat memory.

    Args:
        videos: (W, C) of each, W at least 1. A video counts as one, however many windows it has:
            an hour of one camera must not decide what is usual.
        channels: C.
    """
    count, centre, squares = 0, np.zeros(channels), np.zeros(channels)
    for features in videos:
        # Chan's update of a mean and a sum of squares, which loses no digits where means are large.
        values = features.astype(np.float64)
        mean = values.mean(0)
        step = mean - centre
        squares += values.var(0) + step**2 * count / (count + 1)
        centre += step / (count + 1)
        count += 1
    return _draw_in(count, centre, squares / max(count, 1))


def _draw_in(count: int, centre: Floats, variance: Floats) -> Scale:
    """Return mean and variance of so many videos, drawn towards what is claimed without any."""
    drawn = count / (count + MEAN_PRIOR_VIDEOS) * centre
    share = count / (count + SPREAD_PRIOR_VIDEOS)
    usual = float(variance.mean())
    if usual <= 0:  # Nothing differs, so nothing is known of how much it may.
        return Scale(drawn, np.ones_like(centre))
    mixed = share * variance + (1 - share) * usual
    return Scale(drawn, np.sqrt(np.maximum(mixed, FLOOR**2 * usual)))
