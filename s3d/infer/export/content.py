"""What goes into a file, and what runs one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.models.graph import Graph
from s3d.models.quantise import Ranges

Run = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""Gives the logits (B, K) of frames (B, T, H, W, C)."""


@dataclass(frozen=True, eq=False)
class Content:
    """Hold what a file is to hold.

    Attributes:
        graph: From frames to logits, its axes open where they can be.
        about: What the file says of itself, JSON.
        gives_scores: Whether it gives "scores" beside "logits".
        ranges: By which it computes in 8 bits; None computes in 32.
    """

    graph: Graph
    about: str
    gives_scores: bool
    ranges: Ranges | None = None
