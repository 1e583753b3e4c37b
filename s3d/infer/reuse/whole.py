"""All frames of a video as one clip, piece by piece: the answer is that of the whole at once.

A piece is as long as memory allows. What a block needs beyond the edge of a piece it gets from the
pieces around it, so that nothing but the ends of the video is padded.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.infer.engines.engine import Engine
from s3d.infer.reuse.stages import cut_part, group_blocks
from s3d.infer.reuse.steps import Steps
from s3d.models.blocks import BLOCKS
from s3d.models.layers import Gate
from s3d.models.network import Network
from s3d.models.reach import BlockInTime, TimeMap


def can_go_in_pieces(network: Network) -> bool:
    """Return whether no block of a network sees all of time, as a gate does."""
    return not any(isinstance(module, Gate) for module in network.modules())


def score_whole(engine: Engine, pieces: Iterable[npt.NDArray[np.uint8]], frames: int) -> Tensor:
    """Return logits (K,) of a clip that comes in pieces.

    Args:
        engine: Runs a network for which `can_go_in_pieces` holds.
        pieces: Each (T, H, W, C) uint8, in order.
        frames: Their frames in all.
    """
    passing: _Pass | None = None
    for piece in pieces:
        passing = passing or _Pass(engine, frames, (piece.shape[1], piece.shape[2]))
        passing.add(torch.from_numpy(np.ascontiguousarray(piece)))
    assert passing is not None
    return passing.finish()


class _Pass:
    """Take frames through all blocks, as far as they can go, and keep what later ones need."""

    def __init__(self, engine: Engine, frames: int, size_px: tuple[int, int]) -> None:
        self.engine, self.times = engine, TimeMap(engine.network, size_px)
        self.given = Steps(0)
        self.stages: list[tuple[str | None, BlockInTime, Steps]] = []
        after = None
        for group in group_blocks(self.times.blocks(frames)):
            whole = self.times.measure(after, group[-1].name, group[0].steps_in)
            self.stages.append((after, whole, Steps(0)))
            after = whole.name
        assert after == BLOCKS[-1], "a gate sees all frames at once"
        self.pooled: list[Tensor] = []

    def add(self, frames: Tensor) -> None:
        self.given.add(frames)
        given = self.given
        for after, whole, found in self.stages:
            self._advance(after, whole, given, found)
            given = found
        if given.stop > given.first:
            self.pooled.append(self._pool(given.take(given.first, given.stop)))
            given.forget(given.stop)

    def finish(self) -> Tensor:
        steps = torch.cat(self.pooled, 2)
        with torch.inference_mode():
            logits: Tensor = self.engine.network.head(steps.to(self.engine.device))
        return logits[0].float().cpu()

    def _advance(self, after: str | None, whole: BlockInTime, given: Steps, found: Steps) -> None:
        """Compute the output steps of a stage that its input is enough for."""
        reach = whole.reach
        assert reach is not None
        stop = (given.stop - 1 - reach.after) // reach.stride + 1
        stop = whole.steps_out if given.stop == whole.steps_in else min(stop, whole.steps_out)
        if stop <= found.stop:
            return
        part = cut_part(self.times, whole, after, found.stop, stop)
        values = given.take(part.begin, part.end)
        batch = values[None] if values.ndim == 4 else values
        steps = self.engine.run(batch, after, whole.name)
        found.add(steps.narrow(2, part.skipped, part.count))
        given.forget(reach.stride * stop - reach.before - reach.stride)

    def _pool(self, features: Tensor) -> Tensor:
        """Return features averaged over space as the head does, (1, C, T, 1, 1)."""
        height, width = features.shape[3:]
        kind = self.engine.network.head.kind
        side = 7 if kind == "windows" else max(height, width)
        windows = F.avg_pool3d(features, (1, min(side, height), min(side, width)), stride=1)
        return windows.mean((3, 4), keepdim=True)
