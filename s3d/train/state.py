"""The state of a run: all that a killed run needs to go on as if nothing had happened.

Everything random in a step follows from (seed, step), so no generator's state is kept.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from s3d.errors import InputError
from s3d.files import write_bytes


class AveragedWeights:
    """The exponential moving average of the weights and statistics of what is trained."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average = [t.detach().clone() for t in _floats(network)]

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take a step's weights in; early steps count more, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.average, list(_floats(network)), 1 - decay)

    @torch.no_grad()
    def load(self, average: Sequence[Tensor]) -> None:
        """Take up the average of a saved state; ValueError or RuntimeError if it does not fit."""
        for mine, saved in zip(self.average, average, strict=True):
            if mine.shape != saved.shape:
                raise ValueError(f"an average of shape {saved.shape} for {mine.shape}")
            mine.copy_(saved)

    @torch.no_grad()
    def swap(self, network: nn.Module) -> None:
        """Exchange the network's weights and the average; a second call undoes it."""
        for mine, theirs in zip(self.average, _floats(network), strict=True):
            kept = theirs.clone()
            theirs.copy_(mine)
            mine.copy_(kept)


def _floats(network: nn.Module) -> Iterator[Tensor]:
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            yield tensor


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state atomically.

    Raises:
        InputError: The disk will not take it.
    """
    # Through memory, since torch.save says nothing that can be understood of a full disk.
    content = io.BytesIO()
    torch.save(state, content)
    write_bytes(path, content.getbuffer())


def load_state(path: Path) -> dict[str, Any] | None:
    """Read a state; None where there is none yet. Nothing in the file is run.

    Raises:
        InputError: The file is damaged.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise InputError(
            f"{path}: the run's state is damaged ({type(error).__name__}). "
            "Delete it to train from the start."
        ) from None
    if not isinstance(state, dict) or "step" not in state:
        raise InputError(f"{path}: is not the state of a run. Choose another --out.")
    return state
