"""Which boxes are learnt from: as many that stand for somebody as there may be, and background."""

from __future__ import annotations

import torch
from torch import Tensor

from s3d.detect.network.match import BACKGROUND


def sample_matches(
    matches: Tensor, count: int, positive_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw boxes to learn from.

    Args:
        matches: (N,), as `match_boxes` gives them; what it ignored is never drawn.
        count: How many at most.
        positive_share: At most this share of them stands for a truth; background fills the rest.
        generator: Of the CPU; all chance comes from it, the same on every device.

    Returns:
        Indices (P,) of boxes that stand for a truth and (Q,) of background, both int64 and rising.
    """
    most = int(count * positive_share)
    positives = _draw(torch.nonzero(matches >= 0).flatten(), most, generator)
    background = torch.nonzero(matches == BACKGROUND).flatten()
    return positives, _draw(background, count - len(positives), generator)


def _draw(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    chosen = torch.randperm(len(rows), generator=generator)[:count].sort().values
    return rows[chosen.to(rows.device)]
