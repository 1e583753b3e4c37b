"""A moment as a few small frames in one picture, which a page plays like a film."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.data.decode import Frames, VideoInfo, probe_video, read_frames
from s3d.data.sample import indices_at
from s3d.data.video_info import FLOW_CHANNELS
from s3d.errors import InputError
from s3d.infer.similar.rank import Hit
from s3d.page.picture import encode_frame, jpeg_url

FRAMES = 10
BOX_PX = (90, 160)
"""Height and width that a frame fits into."""
PLAYED_SECONDS = (0.5, 3.0)
"""A moment plays at its own speed, but for the shortest and the longest."""
NEUTRAL_LEVEL = 128


@dataclass(frozen=True)
class Film:
    """Hold the frames of a moment, side by side.

    Attributes:
        url: Of the picture; "" where none could be read.
        frames: How many there are.
        size_px: (height, width) of each.
        seconds: How long they play.
    """

    url: str
    frames: int
    size_px: tuple[int, int]
    seconds: float


def make_film(moment: Hit) -> Film:
    """Return the film of a moment; an empty one where the video can no longer be read."""
    low, high = PLAYED_SECONDS
    seconds = min(max(moment.end_seconds - moment.start_seconds, low), high)
    try:
        info = probe_video(moment.path)
        frames = read_frames(info, choose_frames(info, moment), fit_px(info))
    except InputError:
        return Film("", 0, BOX_PX, seconds)
    if frames.shape[3] == FLOW_CHANNELS:
        third = np.full((*frames.shape[:3], 1), NEUTRAL_LEVEL, np.uint8)
        frames = np.concatenate([frames, third], 3)
    url = jpeg_url(encode_frame(_side_by_side(frames)))
    return Film(url, len(frames), (frames.shape[1], frames.shape[2]), seconds)


def choose_frames(info: VideoInfo, moment: Hit) -> npt.NDArray[np.int64]:
    """Return which frames are shown: spread evenly over the moment, none twice."""
    length = moment.end_seconds - moment.start_seconds
    times = moment.start_seconds + (np.arange(FRAMES) + 0.5) * length / FRAMES
    return np.unique(indices_at(info, times))


def fit_px(info: VideoInfo) -> tuple[int, int]:
    """Return the (height, width) of a video's frames made to fit the box, aspect kept."""
    scale = min(BOX_PX[0] / info.height_px, BOX_PX[1] / info.width_px)
    return max(1, round(scale * info.height_px)), max(1, round(scale * info.width_px))


def _side_by_side(frames: Frames) -> Frames:
    count, height, width, channels = frames.shape
    return np.ascontiguousarray(
        frames.transpose(1, 0, 2, 3).reshape(height, count * width, channels)
    )
