"""Which blocks of a shipped trunk stay as they are where there are few clips to train them on."""

from __future__ import annotations

import math

from s3d.train.config import TrainConfig

FROZEN = "mixed4f"
FEW_BITS = 200.0
"""Of what the labels say in all, clips x log2 of the classes. Below it blocks up to FROZEN stay as
they are: 144 clips of 2 classes (fights, 144 bits) were named better so, 80 of 16 (320 bits) worse.
Measured: see docs/trunk.md."""


def choose_frozen(clips: int, classes: int) -> str | None:
    """Return the last block that stays as it is; None where the labels say enough to train all.

    Args:
        clips: Training videos in all.
        classes: Of them.
    """
    return FROZEN if clips * math.log2(max(classes, 1)) < FEW_BITS else None


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
        block = choose_frozen(clips, classes)
        reason = f": {clips} clips of {classes} classes say little (--freeze-until)"
    if block is None:
        return None, None
    return block, f"blocks up to and with {block} stay as they are{reason}"
