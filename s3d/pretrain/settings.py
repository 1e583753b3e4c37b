"""What a pretraining run can be told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from s3d.errors import InputError
from s3d.train.config import check_range

INGREDIENTS = ("verbs", "pairs", "flow", "facts", "figures")
"""What can be left out: classes, look-alike pairs, where points go, numbers, figures with limbs."""


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("clips", 1, 1_000_000_000),
    ("batch", 2, 4096),
    ("frames", 2, 256),
    ("size_px", 32, 512),
    ("late_size_px", 32, 512),
    ("seed", 0, 2**31 - 1),
)


@dataclass(frozen=True)
class PretrainConfig:
    """Describe a pretraining run: all that decides its weights.

    Attributes:
        network: Of the family.
        width: Multiplier of its channels.
        clips: Shown in all.
        batch: Clips of a step.
        frames: Of a clip.
        size_px: Of a clip, for the first part of the run.
        late_size_px: Of a clip, for the rest.
        late_from: Share of the steps after which clips are of the late size.
        hard_from: Share of the steps in which clips grow as hard as they get.
        lr: Highest learning rate.
        weight_decay: Of kernels.
        warmup: Share of the steps in which the rate rises.
        ema: Decay of the averaged weights.
        seed: Decides everything random.
        left_out: Ingredients to do without.
    """

    network: str = "s3d"
    width: float = 0.25
    clips: int = 400_000
    batch: int = 64
    frames: int = 16
    size_px: int = 48
    late_size_px: int = 64
    late_from: float = 0.8
    hard_from: float = 0.4
    lr: float = 3e-3
    weight_decay: float = 0.05
    warmup: float = 0.03
    ema: float = 0.998
    seed: int = 0
    left_out: tuple[str, ...] = ()
    optimizer: str = "adamw"
    schedule: str = "cosine"
    decay_shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            check_range(name, getattr(self, name), low, high)
        if self.batch % 2:
            raise InputError(f"batch is {self.batch}; clips come in pairs, so it needs to be even.")
        for size in (self.size_px, self.late_size_px):
            if size % 16:
                raise InputError(f"clips of {size} px cannot be drawn; a multiple of 16 is needed.")
        unknown = set(self.left_out) - set(INGREDIENTS)
        if unknown:
            raise InputError(
                f"{', '.join(sorted(unknown))} cannot be left out; {', '.join(INGREDIENTS)} can."
            )

    @property
    def steps(self) -> int:
        """Return how many steps show all clips."""
        return max(1, self.clips // self.batch)

    def size_at(self, step: int) -> int:
        """Return the height and width in px of the clips of a step."""
        return self.late_size_px if step >= self.late_from * self.steps else self.size_px

    def hardest_at(self, step: int) -> float:
        """Return the difficulty of the hardest clips of a step, 0 to 1."""
        return min(1.0, 0.05 + step / max(1.0, self.hard_from * self.steps))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return {**asdict(self), "left_out": list(self.left_out), "decay_shares": []}
