"""How long a run will take here, by its multiply-adds: so that a laptop is not asked for days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from s3d.clip import ClipSpec
from s3d.models.cost import count_cost
from s3d.models.network import BLOCKS
from s3d.models.style import Style
from s3d.train.trunk import last_fixed

MACS_PER_CORE_SECOND = 25e9
"""A guess between what was seen: 24e9 (S3D, 64 x 224 x 224) and 30e9 (16 x 112 x 112)."""
PATIENCE_SECONDS = 20 * 60.0
"""What is not asked for shrinks until it takes about as long."""
BACKWARD = 2.0
"""Multiply-adds of a step backward, as a share of those forward."""
FEWEST_FRAMES = 16
SMALLEST_PX = 112


@dataclass(frozen=True)
class Effort:
    """Hold the multiply-adds of one clip.

    Attributes:
        trunk: Of the frozen blocks.
        tail: Of what is trained, forward.
    """

    trunk: float
    tail: float

    def train_seconds(self, clips: int, cores: int) -> float:
        """Return the time to train on so many clips, their features at hand."""
        return clips * self.tail * (1 + BACKWARD) / (MACS_PER_CORE_SECOND * cores)

    def fill_seconds(self, clips: int, cores: int) -> float:
        """Return the time to compute the frozen features of so many clips."""
        return clips * self.trunk / (MACS_PER_CORE_SECOND * cores)


@cache
def count_effort(
    word: str, width: float, style: Style, spec: ClipSpec, freeze_until: str | None
) -> Effort:
    """Return the multiply-adds of a clip.

    Args:
        word: The network.
        width: Multiplier of its channels.
        style: Its convention.
        spec: The clip.
        freeze_until: The last frozen block; None where all is trained.
    """
    cost = count_cost(word, spec.frames, spec.size_px, num_classes=2, style=style, width=width)
    frozen = BLOCKS[: BLOCKS.index(last_fixed(freeze_until)) + 1] if freeze_until else ()
    trunk = sum(block.macs for block in cost.blocks if block.name in frozen)
    return Effort(trunk, cost.macs - trunk)


def shrink(spec: ClipSpec) -> Iterator[ClipSpec]:
    """Yield a clip and ever cheaper ones: half the frames, then smaller pictures."""
    yield spec
    while spec.frames >= 2 * FEWEST_FRAMES:
        spec = replace(spec, frames=spec.frames // 2)
        yield spec
    for side in (160, SMALLEST_PX):
        if side < min(spec.size_px):
            margin = [
                round(side * resized / size)
                for resized, size in zip(spec.resize_px, spec.size_px, strict=True)
            ]
            spec = replace(spec, size_px=(side, side), resize_px=(margin[0], margin[1]))
            yield spec


def show_seconds(seconds: float) -> str:
    """Return a time in a word or two."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
