"""Batches of the world: drawn from (seed, number), by as many processes as there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from s3d.data.world.catalogue import THING_VERBS, VERBS
from s3d.data.world.clip import Clip, draw_pair


@dataclass(frozen=True)
class WorldBatch:
    """Hold clips in pairs of one motion and two looks: clip i and clip i + B / 2.

    Attributes:
        frames: (B, T, H, W, 3) uint8.
        grids: (B, T, H / 8, W / 8, 4): see `Clip.grid`.
        verbs: (B,) numbers of classes.
        cameras: (B,) numbers of kinds of camera.
        facts: (B, FACTS).
        has_cut: (B,) 1 where there are two shots.
    """

    frames: Tensor
    grids: Tensor
    verbs: Tensor
    cameras: Tensor
    facts: Tensor
    has_cut: Tensor

    def to(self, device: torch.device) -> WorldBatch:
        """Return the batch on a device; from pinned memory it is still on its way there."""
        return self._map(lambda values: values.to(device, non_blocking=True))

    def pin_memory(self) -> WorldBatch:
        """Return the batch in memory that a GPU reads by itself; PyTorch's loader calls this."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> WorldBatch:
        return WorldBatch(*(change(getattr(self, f.name)) for f in fields(self)))


@dataclass(frozen=True)
class WorldPlan:
    """Say what clips are drawn.

    Attributes:
        seed: Of all clips.
        clips: In a batch; even.
        frames: Of a clip.
        size_px: Height and width, a multiple of 16.
        hardest: Difficulty of the hardest clips, 0 to 1.
        has_figures: Figures with limbs act too, not things alone.
    """

    seed: int
    clips: int
    frames: int
    size_px: int
    hardest: float = 1.0
    has_figures: bool = True


def draw_batch(plan: WorldPlan, number: int) -> WorldBatch:
    """Return the batch of that number: the same number, the same batch.

    Raises:
        InputError: There is no C compiler.
    """
    verbs = VERBS if plan.has_figures else THING_VERBS
    pairs = [
        draw_pair((plan.seed, number, k), plan.frames, plan.size_px, plan.hardest, verbs)
        for k in range(plan.clips // 2)
    ]
    return _stack([first for first, _ in pairs] + [second for _, second in pairs])


def _stack(clips: list[Clip]) -> WorldBatch:
    return WorldBatch(
        frames=torch.from_numpy(np.stack([c.frames for c in clips])),
        grids=torch.from_numpy(np.stack([c.grid for c in clips])),
        verbs=torch.tensor([c.verb for c in clips]),
        cameras=torch.tensor([c.camera for c in clips]),
        facts=torch.from_numpy(np.stack([c.facts for c in clips])),
        has_cut=torch.tensor([float(c.cut > 0) for c in clips]),
    )


class _Batches(Dataset[WorldBatch]):
    """Draw batches where they are asked for, in a process of the loader."""

    def __init__(self, plans: list[tuple[int, WorldPlan]]) -> None:
        self.plans = plans

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, place: int) -> WorldBatch:
        number, plan = self.plans[place]
        return draw_batch(plan, number)


def stream_batches(
    plans: list[tuple[int, WorldPlan]], processes: int, ahead: int = 4, pins: bool = False
) -> Iterator[WorldBatch]:
    """Yield batches in order, drawn ahead of their use.

    Args:
        plans: The number of each batch and what is drawn.
        processes: That draw; 0 draws here, when a batch is asked for.
        ahead: Batches that each process has ready.
        pins: They come in pinned memory, for a GPU.
    """
    loader = DataLoader(
        _Batches(plans),
        batch_size=None,
        num_workers=processes,
        prefetch_factor=ahead if processes else None,
        worker_init_fn=_be_alone if processes else None,
        pin_memory=pins,
    )
    yield from loader


def _be_alone(_: int) -> None:
    torch.set_num_threads(1)
