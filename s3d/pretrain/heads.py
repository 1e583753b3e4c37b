"""What the trunk is asked of each clip while it learns, and what wrong answers cost."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.data.world.batches import WorldBatch
from s3d.data.world.camera import CAMERAS
from s3d.data.world.catalogue import CLASSES
from s3d.data.world.clip import FACTS
from s3d.models.blocks import BLOCKS
from s3d.models.layers import channels_last
from s3d.models.network import Network

FINE, COARSE, LAST = "mixed3c", "mixed4f", "mixed5c"
"""Where the flow is asked for, every 8 and every 16 px, and where all else is."""
TEMPERATURE = 0.15
FACT_MEANS = (0.47, 1.0, 0.0, 0.0, 1.6, 1.2, 0.0, 0.0, 0.0, 0.0)
FACT_SPREADS = (0.4, 1.4, 0.5, 0.5, 1.2, 1.5, 0.2, 0.12, 0.15, 0.12)
"""Of 4,000 clips: see `tests/pretrain/test_heads.py`."""


@dataclass(frozen=True)
class Losses:
    """Hold the parts of a step's loss, and how often the class was named."""

    parts: dict[str, Tensor]
    top1: Tensor

    @property
    def total(self) -> Tensor:
        """Return what is minimised."""
        return torch.stack([WEIGHTS[name] * loss for name, loss in self.parts.items()]).sum()


WEIGHTS = {"verbs": 1.0, "pairs": 0.5, "flow": 2.0, "facts": 1.0, "camera": 0.3}


class Heads(nn.Module):
    """Ask of pooled features for class, numbers and likeness, of early ones for the flow."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        sizes = _channels(network)
        last = sizes[LAST]
        self.verbs = nn.Linear(last, len(CLASSES))
        self.cameras = nn.Linear(last, len(CAMERAS) + 1)
        self.facts = nn.Sequential(nn.Linear(last, 128), nn.ReLU(), nn.Linear(128, FACTS))
        self.likeness = nn.Sequential(nn.Linear(last, 256), nn.ReLU(), nn.Linear(256, 96))
        self.fine = nn.Conv3d(sizes[FINE], 4, 1)
        self.coarse = nn.Conv3d(sizes[COARSE], 4, 1)

    def forward(
        self, network: Network, clips: Tensor, batch: WorldBatch, left_out: tuple[str, ...]
    ) -> Losses:
        """Return the losses of a batch.

        Args:
            network: The trunk; its own head is not asked.
            clips: (B, C, T, H, W) of the batch.
            batch: What is known of them.
            left_out: Parts that are not asked for.
        """
        maps = _maps(network, clips)
        pooled = maps[LAST].mean((2, 3, 4))
        logits = self.verbs(pooled)
        parts = {}
        if "verbs" not in left_out:
            parts["verbs"] = F.cross_entropy(logits, batch.verbs, label_smoothing=0.05)
        if "facts" not in left_out:
            means, spreads = batch.facts.new_tensor([FACT_MEANS, FACT_SPREADS])
            wanted = (batch.facts - means) / spreads
            parts["facts"] = F.smooth_l1_loss(self.facts(pooled), wanted)
            parts["camera"] = self._camera_loss(pooled, batch)
        if "pairs" not in left_out:
            parts["pairs"] = pair_loss(self.likeness(pooled))
        if "flow" not in left_out:
            parts["flow"] = (
                flow_loss(self.fine(maps[FINE]), batch.grids)
                + flow_loss(self.coarse(maps[COARSE]), batch.grids)
            ) / 2
        return Losses(parts, (logits.argmax(1) == batch.verbs).float().mean())

    def _camera_loss(self, pooled: Tensor, batch: WorldBatch) -> Tensor:
        said = self.cameras(pooled)
        kind = F.cross_entropy(said[:, :-1], batch.cameras)
        return kind + F.binary_cross_entropy_with_logits(said[:, -1], batch.has_cut)


def pair_loss(embedded: Tensor) -> Tensor:
    """Return how badly the other look of a motion is told from other motions.

    Args:
        embedded: (B, D); row i and row i + B / 2 are of one motion.

    Source: Chen et al., A Simple Framework for Contrastive Learning (2020), equation 1.
    """
    unit = F.normalize(embedded.float(), dim=1)
    likeness = unit @ unit.T / TEMPERATURE
    likeness.fill_diagonal_(-1e4)
    count = len(unit)
    other = (torch.arange(count, device=unit.device) + count // 2) % count
    return F.cross_entropy(likeness, other)


def flow_loss(said: Tensor, grids: Tensor) -> Tensor:
    """Return how far off a map of the flow is.

    Args:
        said: (B, 4, T', H', W').
        grids: (B, T, H / 8, W / 8, 4), averaged over what a cell of the map covers; flow and speed
            count by the logarithm.
    """
    frames, height, width = said.shape[2:]
    wanted = F.adaptive_avg_pool3d(grids.permute(0, 4, 1, 2, 3), (frames, height, width))
    motion = wanted[:, :3]
    motion = motion.sign() * torch.log1p(2 * motion.abs())
    share = 3 * wanted[:, 3:]
    return F.smooth_l1_loss(said, torch.cat([motion, share], 1), beta=0.3)


def _maps(network: Network, clips: Tensor) -> dict[str, Tensor]:
    x, maps = channels_last(clips), {}
    for name in BLOCKS:
        x = network.get_submodule(name)(x)
        if name in (FINE, COARSE, LAST):
            maps[name] = x
    return maps


@torch.no_grad()
def _channels(network: Network) -> dict[str, int]:
    was_training = network.training
    maps = _maps(network.eval(), torch.zeros(1, network.channels, 4, 32, 32))
    network.train(was_training)
    return {name: x.shape[1] for name, x in maps.items()}
