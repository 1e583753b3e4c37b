"""Networks and frames for tests of what windows share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from s3d.clip import ClipSpec
from s3d.infer.recognizer import Recognizer
from s3d.models.model_file import ModelFile
from s3d.models.network import Network, build

SIZE_PX = (32, 32)


def make_network(word: str, style: str = "paper") -> Network:
    """Return a network whose norms and head are those of no fresh one: they hide nothing."""
    torch.manual_seed(0)
    network = build(word, style=style, width=0.1, num_classes=5).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    nn.init.normal_(network.head.classifier.weight)
    return network


def make_recognizer(word: str, frames: int, style: str = "paper") -> Recognizer:
    spec = ClipSpec(frames=frames, resize_px=SIZE_PX, size_px=SIZE_PX)
    return Recognizer(ModelFile(make_network(word, style), tuple("abcde"), spec))


def noise(frames: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (frames, *SIZE_PX, 3), np.uint8)


def difference(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
