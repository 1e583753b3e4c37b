"""The network that a training run began with, made anew from the run's seed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.models.network import Network, build
from s3d.models.style import Style

RUN_FILE = "run.json"


def find_start(model: str | Path, network: Network) -> Network | None:
    """Return the network as `s3d train` began with it, from the run.json beside a model.

    Args:
        model: A path, or a name.
        network: That it holds.

    Returns:
        None where no run of such a network lies there, or it began with another model's weights.
    """
    try:
        values = json.loads((Path(model).parent / RUN_FILE).read_text(encoding="utf-8"))
        plan = values["plan"]
        if not Path(model).is_file() or plan["start"] is not None:
            return None
        style, channels = Style.from_json(plan["style"]), ClipSpec.from_json(plan["spec"]).channels
        found = plan["word"], replace(style, dropout=network.style.dropout), plan["width"], channels
        if found != (network.word, network.style, network.width, network.channels):
            return None
        return make_fresh(*found, values["config"]["seed"])
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None


def make_fresh(word: str, style: Style, width: float, channels: int, seed: int) -> Network:
    """Return a network with fresh weights, its kernels those of a run with this seed.

    Nobody else's random numbers are touched. The head, which comes last, is for one class.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(word, num_classes=1, style=style, width=width, channels=channels)
