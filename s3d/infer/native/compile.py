"""`kernels.c`, compiled for the processor that is here, and offered where it answers rightly."""

from __future__ import annotations

import ctypes
from pathlib import Path

from s3d.compiled import load_library

SOURCE = Path(__file__).with_name("kernels.c")


def load_kernels() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None where there is no C compiler that can make them.

    The first call on a machine compiles and tries for some seconds: see `s3d.compiled`.
    """
    return load_library(SOURCE, _passes)


def _passes(kernels: Path) -> bool:
    from s3d.infer.native import trial

    return trial.passes_trial(kernels)
