"""Features of a video: what a block gives for windows over it, with their times."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from s3d.clip import ClipSpec
from s3d.data.decode import Frames, Times, VideoInfo
from s3d.data.frame_source import FrameSource, open_source
from s3d.data.paths import AnyPath
from s3d.errors import InputError
from s3d.infer.engines.engine import Engine
from s3d.infer.windows import (
    Windows,
    check_stride,
    plan_windows,
    read_windows,
    with_true_length,
)
from s3d.models.network import block_number

Features = npt.NDArray[np.float32]

POOLS = ("average", "none")
WINDOWS_AT_ONCE_PIXELS = 4 * 64 * 224 * 224
"""Pixels of the windows that go through a network at once; it bounds memory."""


@dataclass(frozen=True)
class FeatureRecipe:
    """Say which features are taken.

    Attributes:
        spec: The clip a window is.
        at: The block, one of `s3d.models.blocks.BLOCKS`.
        stride_seconds: From the start of one window to that of the next; None is one window, so
            that they do not overlap.
        pool: "average" over time and space, or "none".
    """

    spec: ClipSpec
    at: str = "mixed5c"
    stride_seconds: float | None = None
    pool: str = "average"

    def __post_init__(self) -> None:
        block_number(self.at)
        check_stride(self.stride)
        if self.pool not in POOLS:
            raise InputError(f"unknown pool {self.pool!r}. Known: {', '.join(POOLS)}.")

    @property
    def stride(self) -> float:
        """Return the seconds from one window to the next."""
        return self.spec.span_seconds if self.stride_seconds is None else self.stride_seconds

    def to_json(self) -> dict[str, Any]:
        """Return every setting as plain JSON values."""
        return {**asdict(self), "spec": self.spec.to_json(), "stride_seconds": self.stride}


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """Hold the features of one video.

    Attributes:
        path: The video.
        recipe: How they were taken.
        features: (W, C) float32; (W, C, T, H, W) where they are not pooled.
        start_seconds: (W,) when each window begins.
        end_seconds: (W,) when it ends.
        video_frames: Frames of the video that decode.
        video_rate_fps: Its own rate.
        duration_seconds: Its duration.
    """

    path: str
    recipe: FeatureRecipe
    features: Features
    start_seconds: Times
    end_seconds: Times
    video_frames: int
    video_rate_fps: float
    duration_seconds: float


def window_spec(spec: ClipSpec, frames: int | None, rate_fps: float | None) -> ClipSpec:
    """Return a clip contract with another number of frames or another rate.

    Raises:
        InputError: One is out of range.
    """
    frames = spec.frames if frames is None else frames
    return replace(spec, frames=frames, rate_fps=spec.rate_fps if rate_fps is None else rate_fps)


def compute_features(engine: Engine, video: AnyPath, recipe: FeatureRecipe) -> VideoFeatures:
    """Return the features of windows over a video.

    Args:
        engine: Runs the network.
        video: A local file; for a network of flow, a file of flow or a video.
        recipe: Which windows, which block.

    Raises:
        InputError: The video cannot be read.
    """

    source = open_source(video, recipe.spec, engine.device)

    def whole(info: VideoInfo) -> VideoFeatures:
        windows = plan_windows(info, recipe.spec, recipe.stride)
        parts = np.concatenate(list(iterate_features(engine, windows, recipe, source)))
        return VideoFeatures(
            os.fspath(video), recipe, parts, windows.start_seconds, windows.end_seconds,
            info.frames, info.rate_fps, info.duration_seconds,
        )  # fmt: skip

    return with_true_length(source.info, whole)


def iterate_features(
    engine: Engine, windows: Windows, recipe: FeatureRecipe, source: FrameSource
) -> Iterator[Features]:
    """Yield the features of a few windows at a time, in order.

    Args:
        engine: Runs the network.
        windows: Where they lie.
        recipe: Which block, and whether it is pooled.
        source: Of the frames, or of their flow.

    Yields:
        (n, C) or (n, C, T, H, W) float32, C-contiguous.

    Raises:
        InputError: The video cannot be read.
        EndsEarlyError: It gives fewer frames than it promised.
    """
    height, width = recipe.spec.size_px
    most = max(1, WINDOWS_AT_ONCE_PIXELS // (recipe.spec.frames * height * width))
    clips: Iterator[Frames] = read_windows(windows, source)
    while group := list(islice(clips, most)):
        found = engine.run(torch.from_numpy(np.stack(group)), until=recipe.at)
        pooled = found.mean((2, 3, 4)) if recipe.pool == "average" else found
        yield np.ascontiguousarray(pooled.numpy())
