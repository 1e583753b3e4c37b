"""How much memory a piece of work takes at most: of this process, or of a GPU."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


def forget_peak(device: str = "cpu") -> int | None:
    """Count the peak anew from here.

    What was freed before is given back to the system first; otherwise work that takes it up again
    would seem to need nothing.

    Returns:
        The bytes that are held now; None where the system does not tell peaks.
    """
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    with contextlib.suppress(OSError, AttributeError):  # Of glibc alone.
        ctypes.CDLL(None).malloc_trim(0)
    try:
        CLEAR.write_text("5")
    except OSError:
        return None
    return _read_status("VmRSS")


def read_peak(device: str = "cpu") -> int | None:
    """Return the most bytes that were held since `forget_peak`; None if the system is silent."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else _read_status("VmHWM")


def _read_status(name: str) -> int | None:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(found[0]) if found else None
