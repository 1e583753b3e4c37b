"""How long and how fast a run learns where nobody said: from random weights, a model, a trunk."""

from __future__ import annotations

import math
from dataclasses import dataclass

from s3d.models.open import InitModel

CLIP_PASSES = 36_000
"""Clips shown in all: a small net learns the order of frames from scratch in 20,000 to 40,000."""
EPOCHS_RANGE = (12, 120)
START_CLIP_PASSES = 6_000
"""The same for trained weights: a guess, enough where it was tried (40 epochs of 30 clips)."""
START_EPOCHS_RANGE = (6, 40)
START_LR_SHARE = 0.5
"""Of the rate from scratch. Tried once, one seed, 5 clips a class of six known actions drawn anew:
all blocks at 2e-3 named 83 % of 240 right, at 1e-3 and at 5e-4 90 %; behind a frozen mixed4f the
rate made no difference (90 % and 89 %)."""
TRUNK_CLIP_PASSES = 6_000
"""The same for a trunk that came with s3d, as are the two below: see docs/trunk.md."""
TRUNK_EPOCHS_RANGE = (6, 60)
TRUNK_LR_SHARE = 0.5


@dataclass(frozen=True)
class Pace:
    """Say how long and how fast a run learns.

    Attributes:
        clip_passes: Clips shown in all, as far as the range of epochs lets them.
        epochs_range: Fewest and most epochs.
        lr_share: Of the learning rate from scratch.
    """

    clip_passes: int
    epochs_range: tuple[int, int]
    lr_share: float

    def count_epochs(self, clips: int) -> int:
        """Return how often each of so many clips is seen."""
        low, high = self.epochs_range
        return min(max(math.ceil(self.clip_passes / clips), low), high)


SCRATCH = Pace(CLIP_PASSES, EPOCHS_RANGE, 1.0)
START = Pace(START_CLIP_PASSES, START_EPOCHS_RANGE, START_LR_SHARE)
TRUNK = Pace(TRUNK_CLIP_PASSES, TRUNK_EPOCHS_RANGE, TRUNK_LR_SHARE)


def find_pace(init: InitModel | None) -> Pace:
    """Return the pace of a run that starts from a model; None for random weights."""
    if init is None:
        return SCRATCH
    return TRUNK if init.is_shipped else START
