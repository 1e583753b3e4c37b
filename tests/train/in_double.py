"""The command in float64, ended where a test says: `python -m tests.train.in_double WORDS...`.

In float32 the rounding of sums in another order grows tenfold a step in so small a network, and
after a few steps hides what is compared. RANK and step at which a process kills itself are in
S3D_TEST_KILL, as "1:5".
"""

from __future__ import annotations

import copy
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s3d.cli import main
from s3d.models.model_file import ModelFile, save_model
from s3d.models.network import Network
from s3d.train import loop
from s3d.train.loop import Trainer


def compute_in_double(patch: Any) -> None:
    """Let networks be built, and clips be given to them, in float64."""
    features = Network.features

    def features_in_double(self: Network, clips: Tensor, at: str = "mixed5c") -> Tensor:
        return features(self, clips.to(next(self.parameters()).dtype), at)

    def save_single(path: Path, model: ModelFile) -> None:
        save_model(path, replace(model, network=copy.deepcopy(model.network).float()))

    patch(Network, "features", features_in_double)
    patch(loop, "save_model", save_single)  # A model file holds no float64.
    torch.set_default_dtype(torch.float64)


def kill_at(rank: int, step: int) -> None:
    """Let a process kill itself when it has taken so many steps, before they are saved."""
    whole_step = Trainer._take_step

    def take_step(self: Trainer, parts: Any) -> None:
        whole_step(self, parts)
        if self.step == step and self.processes.rank == rank:
            os.kill(os.getpid(), signal.SIGKILL)

    Trainer._take_step = take_step  # type: ignore[method-assign]


if __name__ == "__main__":
    if os.environ.get("S3D_TEST_KILL"):
        kill_at(*map(int, os.environ["S3D_TEST_KILL"].split(":")))
    compute_in_double(setattr)
    sys.exit(main())
