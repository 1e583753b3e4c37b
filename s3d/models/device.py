"""Where a network computes."""

from __future__ import annotations

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
