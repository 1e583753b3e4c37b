"""The frozen blocks of a network, and what is trained behind them."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from s3d.models.network import BLOCKS, Network, block_number
from s3d.train.optimise import mixed_precision

PIECE_PIXELS = 4 * 16 * 112 * 112
"""Of the clips that pass the trunk at a time: more leave the processor's cache, and are slower."""


class Trunk:
    """Hold the first blocks of a network still: no gradients, and norms with fixed statistics.

    Attributes:
        network: The network.
        at: The block whose output is the features: the last frozen one, or the pool behind it.
        tail: What is trained.
    """

    def __init__(self, network: Network, until: str) -> None:
        """Freeze.

        Args:
            network: Changed: the parameters of its frozen blocks need no gradient any more.
            until: The last frozen block.

        Raises:
            InputError: There is no such block.
        """
        self.network, self.at = network, last_fixed(until)
        end = BLOCKS.index(self.at) + 1
        self.frozen = nn.ModuleList(network.get_submodule(name) for name in BLOCKS[:end])
        self.frozen.requires_grad_(False)
        rest = [network.get_submodule(name) for name in BLOCKS[end:]]
        self.tail = nn.ModuleList([*rest, network.head])

    def train(self) -> None:
        """Set the tail to training mode, the frozen blocks to eval mode."""
        self.network.train()
        self.frozen.eval()

    @torch.no_grad()
    def features(self, clips: Tensor) -> Tensor:
        """Return the features (B, C', T', H', W') float32 of clips (B, C, T, H, W).

        A clip's features do not depend on the other clips but for the rounding of the last bit.
        """
        at_once = max(1, PIECE_PIXELS // clips[0, 0].numel())
        with mixed_precision(clips.device.type):
            pieces = [self.network.features(x, self.at) for x in torch.split(clips, at_once)]
        return torch.cat(pieces).float()

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits (B, K) for features."""
        return self.network.classify(features, self.at)

    def fingerprint(self) -> str:
        """Return a name for the frozen weights and where they end."""
        digest = hashlib.sha256(self.at.encode())
        for tensor in self.frozen.state_dict().values():
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()


def last_fixed(until: str) -> str:
    """Return the last block that nothing trained comes before: a pool has nothing to train.

    Behind a pool the features are a sixth of the size.

    Raises:
        InputError: There is no such block.
    """
    number = block_number(until)
    while number + 1 < len(BLOCKS) and BLOCKS[number + 1].startswith("pool"):
        number += 1
    return BLOCKS[number]
