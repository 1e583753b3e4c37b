"""What stays as it is of a shipped trunk: measured on the user's own clips where these are few."""

from __future__ import annotations

import math
from dataclasses import dataclass

from s3d.train.config import TrainConfig

FROZEN = "mixed4f"
FEW_BITS = 1000.0
"""Of what the labels say in all, clips x log2 of the classes. Below it a run trains twice, with
blocks up to FROZEN as they are and with all, and keeps what validates better, in doubt the former
(`s3d.train.two_ways`): neither won on every data set of this size. See docs/trunk.md."""


@dataclass(frozen=True)
class Freezing:
    """Say which blocks stay as they are.

    Attributes:
        until: The last of them; None where all are trained.
        also_until: The same for a second training, of which the better is kept; None for one.
        reason: A line about it; "" where there is nothing to say.
    """

    until: str | None = None
    also_until: str | None = None
    reason: str = ""


def plan_freezing(
    config: TrainConfig, is_shipped: bool, counts: tuple[int, int], classes: int
) -> Freezing:
    """Return which blocks a run leaves as they are.

    Args:
        config: What was asked for.
        is_shipped: Whether the run starts from a trunk that came with s3d; only then is it chosen.
        counts: Videos to train, and to validate.
        classes: Of them.
    """
    block, (clips, held_out) = config.frozen_block, counts
    if block is not None:
        return Freezing(block, None, f"blocks up to and with {block} stay as they are")
    if config.freeze_until is not None or not is_shipped:
        return Freezing()
    if held_out == 0 or not is_scarce(clips, classes):
        return Freezing()
    return Freezing(
        None,
        FROZEN,
        f"trains twice, with blocks up to {FROZEN} as they are, then all, and keeps what validates "
        f"better: {clips} clips of {classes} classes are few (--freeze-until)",
    )


def is_scarce(clips: int, classes: int) -> bool:
    """Return whether so many labels say little."""
    return count_bits(clips, classes) < FEW_BITS


def count_bits(clips: int, classes: int) -> float:
    """Return how much so many labels say, in bits."""
    return clips * math.log2(max(classes, 1))
