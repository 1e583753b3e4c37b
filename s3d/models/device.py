"""Where a network computes."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from s3d.errors import InputError


def choose_device(name: str) -> str:
    """Return "cuda" or "cpu".

    Args:
        name: "cpu", "cuda", or "auto": a GPU where there is one.

    Raises:
        InputError: A GPU is asked for and there is none, or the name is unknown.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"unknown device {name!r}. Known: auto, cpu, cuda.")
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError("--device cuda: PyTorch sees no GPU here. Use --device cpu.")
    return "cuda" if has_gpu and name != "cpu" else "cpu"


def try_kernels(device: str) -> None:
    """Let a GPU's library time its kernels on each new shape: in training, shapes come again."""
    if device == "cuda":
        torch.backends.cudnn.benchmark = True


def name_processor(device: str) -> str:
    """Return what computes on a device, "cpu" or "cuda", as its maker calls it."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())
