"""Where a record was measured."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

from s3d.models.device import name_processor


def describe_machine(device: str = "cpu") -> dict[str, str]:
    """Return what a record needs to say about where it was measured."""
    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {
        **gpu,
        "cpu": name_processor("cpu"),
        "threads": str(torch.get_num_threads()),
        "torch": version("torch"),
        "python": platform.python_version(),
    }
