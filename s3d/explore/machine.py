"""Where a record was measured."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import torch


def describe_machine(device: str = "cpu") -> dict[str, str]:
    """Return what a record needs to say about where it was measured."""
    cpu = platform.processor() or "unknown"
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {
        **gpu,
        "cpu": cpu,
        "threads": str(torch.get_num_threads()),
        "torch": version("torch"),
        "python": platform.python_version(),
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []
