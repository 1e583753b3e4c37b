"""Windows over a video: clips of one length, one every few seconds, decoded once as they are taken.

    0        stride    2 stride             duration
    |--------|--------|--------|- - - - - - -|
    [ window 0 ]
             [ window 1 ]
                               [ last window ]   which ends where the video ends

A video shorter than a window has one, which continues from the beginning as every clip does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from s3d.clip import ClipSpec
from s3d.data.decode import Frames, Times, VideoInfo, iterate_frames
from s3d.data.frame_source import FrameSource
from s3d.data.sample import TIE_SECONDS, clip_indices, latest_start
from s3d.data.transform import centre_crop, resized_px
from s3d.data.video_info import EndsEarlyError, shorten
from s3d.errors import InputError
from s3d.files import show_path

MOST_WINDOWS = 1_000_000

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Windows:
    """Say where the windows of a video lie.

    Attributes:
        info: The video.
        spec: The clip a window is.
        start_seconds: (W,) when each begins.
        end_seconds: (W,) when its last frame ends, never after the end of the video.
    """

    info: VideoInfo
    spec: ClipSpec
    start_seconds: Times
    end_seconds: Times


def check_stride(stride_seconds: float) -> None:
    """Check that windows can begin that far apart.

    Raises:
        InputError: It is no time above 0.
    """
    if not (math.isfinite(stride_seconds) and stride_seconds > 0):
        raise InputError(f"stride is {stride_seconds:g} s; it needs seconds above 0.")


def plan_windows(info: VideoInfo, spec: ClipSpec, stride_seconds: float) -> Windows:
    """Lay windows over a video: one every stride, and one that ends where the video does.

    Args:
        info: The video.
        spec: The clip a window is.
        stride_seconds: From one start to the next.

    Raises:
        InputError: The stride is no time, or so short that there would be over a million.
    """
    check_stride(stride_seconds)
    latest = latest_start(info, spec)
    count = math.floor((latest + TIE_SECONDS) / stride_seconds) + 1
    if count > MOST_WINDOWS:
        raise InputError(
            f"{show_path(info.path)}: a window every {stride_seconds:g} s makes {count:,}; at most "
            f"{MOST_WINDOWS:,} are taken. Use a longer stride."
        )
    starts = np.minimum(np.arange(count) * stride_seconds, latest)
    if latest - starts[-1] > TIE_SECONDS:
        starts = np.append(starts, latest)
    ends = np.minimum(starts + spec.span_seconds, info.duration_seconds)
    return Windows(info, spec, starts, ends)


def read_windows(windows: Windows, source: FrameSource | None = None) -> Iterator[Frames]:
    """Yield the frames of each window, centre crop; no more than one window's are kept.

    Args:
        windows: Where they lie.
        source: Gives the frames, or their flow; None reads the file itself.

    Yields:
        (T, H, W, C) uint8, as `windows.spec` has it.

    Raises:
        InputError: The video cannot be read.
        EndsEarlyError: It gives fewer frames than it promised.
    """
    info, spec = windows.info, windows.spec
    size = resized_px(info.height_px, info.width_px, spec)
    frames = source.iterate(size) if source else iterate_frames(info.path, size)
    is_wanted = np.zeros(info.frames, np.bool_)
    for start in windows.start_seconds:
        is_wanted[clip_indices(info, spec, start)] = True
    held: dict[int, Frames] = {}
    read = 0
    for start in windows.start_seconds:
        indices = clip_indices(info, spec, start)
        first, last = int(indices.min()), int(indices.max())
        for number in [number for number in held if number < first]:
            del held[number]
        while read <= last:
            frame = next(frames, None)
            if frame is None:
                raise EndsEarlyError(read)
            if is_wanted[read] and read >= first:
                held[read] = centre_crop(frame[None], spec.size_px)[0].copy()
            read += 1
        yield np.stack([held[int(index)] for index in indices])


def with_true_length(info: VideoInfo, work: Callable[[VideoInfo], Result]) -> Result:
    """Return work(info); where the file ends early, that of what does decode.

    Args:
        info: What the file promises.
        work: Reads the windows. It is begun anew where the file is shorter, so that every window
            holds frames of its own time.
    """
    while True:
        try:
            return work(info)
        except EndsEarlyError as end:
            info = shorten(info, end.decoded)
