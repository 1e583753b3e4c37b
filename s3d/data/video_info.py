"""What reading a video gives, of whatever kind it is.

frames  (T, H, W, 3) uint8 RGB, displayed orientation; of a flow file (T, H, W, 2) levels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
Times = npt.NDArray[np.float64]
Indices = Sequence[int] | npt.NDArray[np.int64]

RGB_CHANNELS = 3
FLOW_CHANNELS = 2


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
    """

    path: str
    height_px: int
    width_px: int
    frames: int
    rate_fps: float
    duration_seconds: float
    times_seconds: Times = field(repr=False)
    channels: int = RGB_CHANNELS


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
