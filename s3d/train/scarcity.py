"""Which blocks of a shipped trunk stay as they are where there are few clips to train them on."""

from __future__ import annotations

import math

from s3d.train.config import TrainConfig

FROZEN_WHERE: tuple[tuple[float, float, str], ...] = ((200.0, math.inf, "mixed3c"),)
"""Rows (clips a class, clips in all, last frozen block), most scarce first: the first row counts
that a run has less than on both. Measured: see docs/trunk.md."""


def choose_frozen(clips_per_class: float, clips: int) -> str | None:
    """Return the last block that stays as it is; None where there is enough to train all.

    Args:
        clips_per_class: Training videos a class, on average.
        clips: Training videos in all.
    """
    for most_per_class, most, block in FROZEN_WHERE:
        if clips_per_class < most_per_class and clips < most:
            return block
    return None


def plan_frozen(
    config: TrainConfig, is_shipped: bool, clips: int, classes: int
) -> tuple[str | None, str | None]:
    """Return the last block that a run leaves as it is, and a line about it; None where none is.

    Args:
        config: What was asked for.
        is_shipped: Whether the run starts from a trunk that came with s3d; only then is it chosen.
        clips: Training videos.
        classes: Of them.
    """
    block, reason = config.frozen_block, ""
    if config.freeze_until is None and is_shipped:
        block = choose_frozen(clips / classes, clips)
        reason = f": {clips / classes:.3g} clips a class are few (--freeze-until)"
    if block is None:
        return None, None
    return block, f"blocks up to and with {block} stay as they are{reason}"
