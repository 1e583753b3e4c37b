"""Where weights stand in a network, in words that every published code shares.

A place is (block, branch, part). Each source says under which name it keeps a place's tensors; how
our modules cut the same weights is known here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from s3d.models.blocks import Inception
from s3d.models.layers import Conv, Gate


@dataclass(frozen=True)
class Place:
    """Name a layer with weights.

    Attributes:
        block: As in `s3d.models.network.BLOCKS`, or "head".
        branch: 0 to 3 inside an Inception block, else None.
        part: "reduce" (the 1x1x1 before a branch's own convolution), "space" (a branch's own
            convolution: full, spatial or 1x1x1), "time" (the temporal one beside it), "gate" or
            "classifier".
    """

    block: str
    branch: int | None
    part: str


Read = Callable[[Place, str, tuple[int, ...]], Tensor]
"""Gives the tensor of a place by leaf, in a shape; a leaf is weight, bias or norm.*."""


def list_places(network: nn.Module) -> Iterator[tuple[str, list[Place]]]:
    """Yield each layer's name in the network and the places whose weights it holds, in order."""
    for name, module in network.named_modules():
        block, _, rest = name.partition(".")
        branch = int(rest[6]) if rest.startswith("branch") else None
        if rest == "entry":
            yield name, [Place(block, 0, "space"), *(Place(block, b, "reduce") for b in (1, 2))]
        elif isinstance(module, Conv):
            temporal = module.kernel[0] > 1 and module.kernel[1:] == (1, 1)
            yield name, [Place(block, branch, "time" if temporal else "space")]
        elif isinstance(module, Gate):
            yield name, [Place(block, branch, "gate")]
        elif isinstance(module, nn.Linear):
            yield name, [Place(block, branch, "classifier")]


def collect_state(network: nn.Module, read: Read) -> dict[str, Tensor]:
    """Return the state of a network from published tensors, float32.

    Args:
        network: Gives names and shapes; it may be on the meta device.
        read: Gives the published tensors; each is asked for once.

    Raises:
        InputError: As `read` does.
    """
    wanted = network.state_dict()
    state = {}
    for name, places in list_places(network):
        for full in wanted:
            if full.startswith(f"{name}.") and "num_batches" not in full:
                leaf, shape = full.removeprefix(f"{name}."), tuple(wanted[full].shape)
                shapes = _split(network, name, shape) if len(places) > 1 else [shape]
                parts = [
                    read(place, leaf, part).to(torch.float32)
                    for place, part in zip(places, shapes, strict=True)
                ]
                state[full] = torch.cat(parts)
    return state


def _split(network: nn.Module, name: str, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of what a block's `entry` holds side by side."""
    block = network.get_submodule(name.partition(".")[0])
    assert isinstance(block, Inception)
    return [(width, *shape[1:]) for width in block.entry_widths]
