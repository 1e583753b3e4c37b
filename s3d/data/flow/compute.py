"""Optical flow of a video's frames.

flow    (T - 1, H, W, 2) float32 px, x then y: frame t's p is found at p + flow in frame t + 1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.data.flow.levels import Flow, Levels
from s3d.data.flow.tvl1 import TvL1, estimate_tvl1
from s3d.data.video_info import Frames
from s3d.errors import InputError

METHODS = ("tvl1", "dis")
# Rec. 601 in 14 bits, rounded as OpenCV does.
GREY_WEIGHTS = np.array([4899, 9617, 1868], np.uint32)


@dataclass(frozen=True)
class FlowRecipe:
    """Say how flow is computed; files of equal recipes can be mixed.

    Attributes:
        method: "tvl1", the paper's; or "dis", many times faster and less exact, of OpenCV.
        short_side_px: Frames are resized to it first, as the paper does.
        settings: Of TV-L1.
    """

    method: str = "tvl1"
    short_side_px: int = 256
    settings: TvL1 = field(default_factory=TvL1)

    def __post_init__(self) -> None:
        check_method(self.method)
        if not 16 <= self.short_side_px <= 4096:
            raise InputError(f"short side is {self.short_side_px} px; flow takes 16 to 4096.")

    def parameters(self) -> dict[str, Any]:
        """Return what decides the values, as JSON would give it back."""
        extra = {"preset": "medium"} if self.method == "dis" else asdict(self.settings)
        lists = {key: list(v) if isinstance(v, tuple) else v for key, v in extra.items()}
        return {"method": self.method, "short_side_px": self.short_side_px, **lists}


def check_method(method: str) -> None:
    """Check that a method is known and what it needs is installed.

    Raises:
        InputError: It is not.
    """
    if method not in METHODS:
        raise InputError(f"unknown flow method {method!r}. Known: {', '.join(METHODS)}.")
    if method == "dis":
        _load_opencv()


def compute_flow(
    frames: Frames, method: str = "tvl1", device: str = "cpu", settings: TvL1 | None = None
) -> Flow:
    """Compute the flow from each frame to the next.

    Args:
        frames: (T, H, W, 3) uint8 RGB, or (T, H, W) uint8 or float grey in 0..255.
        method: One of METHODS.
        device: "cpu" or "cuda"; "dis" knows the CPU alone.
        settings: Of TV-L1; the published ones if None.

    Returns:
        (T - 1, H, W, 2) float32 px, x then y.

    Raises:
        InputError: There are fewer than 2 frames, they are too small or of another shape, or the
            method is unknown or not installed.

    Source: Section 5 of the paper: TV-L1 on the resized frames.
    """
    check_method(method)
    grey = to_grey(frames)
    if len(grey) < 2:
        raise InputError(f"flow needs at least 2 frames; {len(grey)} came. Take a longer video.")
    return _dis(grey) if method == "dis" else _tvl1(grey, device, settings)


def to_grey(frames: Frames) -> npt.NDArray[Any]:
    """Return (T, H, W) luma of (T, H, W, 3) RGB; grey frames are given back as they are.

    Raises:
        InputError: The frames have neither shape.
    """
    if frames.ndim == 3:
        return frames
    if frames.ndim != 4 or frames.shape[-1] != 3:
        raise InputError(f"frames are {frames.shape}; flow needs (T, H, W, 3) or (T, H, W).")
    grey: Levels = ((frames @ GREY_WEIGHTS + 8192) >> 14).astype(np.uint8)
    return grey


def _tvl1(grey: npt.NDArray[Any], device: str, settings: TvL1 | None) -> Flow:
    import torch

    with _one_thread():
        pictures = torch.from_numpy(np.ascontiguousarray(grey)).to(device, torch.float32)
        found = estimate_tvl1(pictures[:-1], pictures[1:], settings)
        return np.ascontiguousarray(found.permute(0, 2, 3, 1).cpu().numpy())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: the operations are so short that sharing one costs more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _dis(grey: npt.NDArray[Any]) -> Flow:
    cv2 = _load_opencv()
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    pictures = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return np.stack([finder.calc(a, b, None) for a, b in pairwise(pictures)])


def _load_opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise InputError(
            "flow method 'dis' needs OpenCV, which is not installed. "
            "Run pip install 's3d[flow]', or take tvl1."
        ) from None
    return cv2
