"""What reading a video gives, of whatever kind it is.

frames  (T, H, W, 3) uint8 RGB, displayed orientation; of a flow file (T, H, W, 2) levels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
Times = npt.NDArray[np.float64]
Indices = Sequence[int] | npt.NDArray[np.int64]

RGB_CHANNELS = 3
FLOW_CHANNELS = 2


@dataclass(frozen=True, eq=False)
class SeekPoints:
    """Say where decoding of a file may begin, and how its stamps follow from its times.

    Attributes:
        keys: Frames in display order, rising; the first is 0.
        first_stamp: The pts of frame 0.
        tick_seconds: What a pts counts.
        is_spare: (frames,) whether no other picture is decoded from it, in display order.
    """

    keys: npt.NDArray[np.int64]
    first_stamp: int
    tick_seconds: Fraction
    is_spare: npt.NDArray[np.bool_]

    def stamps(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the pts of frames by their times in seconds."""
        ticks: npt.NDArray[np.int64] = np.rint(times / float(self.tick_seconds)).astype(np.int64)
        return self.first_stamp + ticks


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """Describe a video file as a player would show it.

    Attributes:
        path: As it was given.
        height_px: Displayed height, after rotation flag and pixel aspect.
        width_px: Displayed width.
        frames: Best count known without decoding all; a damaged file may give fewer.
        rate_fps: Average, frames / duration_seconds.
        duration_seconds: From the first frame to the end of the last.
        times_seconds: (frames,) times in display order, from 0, strictly increasing.
        channels: 3 of a video, 2 of its flow.
        seek: What may be passed over; None if nothing, or if stamps cannot be trusted.
    """

    path: str
    height_px: int
    width_px: int
    frames: int
    rate_fps: float
    duration_seconds: float
    times_seconds: Times = field(repr=False)
    channels: int = RGB_CHANNELS
    seek: SeekPoints | None = field(default=None, repr=False)


class EndsEarlyError(Exception):
    """Say that a file gave fewer frames than it promised."""

    def __init__(self, decoded: int) -> None:
        super().__init__(f"{decoded} frames decode")
        self.decoded = decoded


def shorten(info: VideoInfo, frames: int) -> VideoInfo:
    """Return the description of a video's first frames, at least one of them."""
    if frames == info.frames:
        return info
    interval = info.duration_seconds - float(info.times_seconds[-1])
    times = info.times_seconds[:frames]
    duration = float(times[-1]) + interval
    return replace(
        info,
        frames=frames,
        rate_fps=frames / duration,
        duration_seconds=duration,
        times_seconds=times,
    )


@dataclass(frozen=True, eq=False)
class Reading:
    """Hold frames that were read and what was learnt about the file.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB, or (T, H, W, 2) levels of flow.
        decoded: Frames the whole file gave, where its end came before the last wanted frame, so
            that the missing ones were taken from the beginning again; otherwise None.
    """

    frames: Frames
    decoded: int | None
