"""Which frames of a video make a clip: arithmetic on seconds, no files.

A clip's k-th frame is the one nearest to start + k / rate_fps, so that a 10-fps and a 50-fps file
of one motion give clips of one motion. Nearest, rather than the last one shown: its error is at
most half a frame either way instead of a whole one always late, and containers that round times to
milliseconds (Matroska) would otherwise repeat and skip frames where both rates are equal.
A video shorter than the clip continues from its beginning.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from s3d.clip import ClipSpec
from s3d.data.decode import Times, VideoInfo
from s3d.errors import InputError

Indices = npt.NDArray[np.int64]

# Times as near as this to a boundary between two frames go to one side, whatever the rounding.
TIE_SECONDS = 1e-3


def clip_indices(info: VideoInfo, spec: ClipSpec, start_seconds: float) -> Indices:
    """Return the frames of one clip.

    Args:
        info: The video.
        spec: Frames and rate of the clip.
        start_seconds: Time of the clip's first frame; any value, taken modulo the duration.

    Returns:
        (spec.frames,) indices in display order; they fall only where the video starts again.
    """
    return indices_at(info, start_seconds + np.arange(spec.frames) / spec.rate_fps)


def latest_start(info: VideoInfo, spec: ClipSpec) -> float:
    """Return the last start in seconds from which a clip needs no looping; 0 if there is none."""
    return max(0.0, info.duration_seconds - spec.span_seconds)


def random_start(info: VideoInfo, spec: ClipSpec, rng: np.random.Generator) -> float:
    """Draw a start: uniform over those that need no looping, over all phases if all loop."""
    latest = latest_start(info, spec)
    return float(rng.uniform(0.0, latest if latest > 0 else info.duration_seconds))


def centre_start(info: VideoInfo, spec: ClipSpec) -> float:
    """Return the start of the clip from the middle of the video."""
    return latest_start(info, spec) / 2


def spread_starts(info: VideoInfo, spec: ClipSpec, views: int) -> list[float]:
    """Return starts of `views` clips, the first at the beginning, the last at the end.

    One view is the centre. Where the video is shorter than a clip all views start at 0.

    Raises:
        InputError: views is below 1.
    """
    if views < 1:
        raise InputError(f"views is {views}; at least 1 is needed.")
    if views == 1:
        return [centre_start(info, spec)]
    return [float(start) for start in np.linspace(0.0, latest_start(info, spec), views)]


def all_indices(info: VideoInfo, spec: ClipSpec) -> Indices:
    """Return all frames of the video at the clip's rate, looped up to spec.frames if shorter.

    Source: paper section 5, evaluation on all frames.
    """
    whole = int(info.duration_seconds * spec.rate_fps + 1e-3)
    return indices_at(info, np.arange(max(whole, spec.frames)) / spec.rate_fps)


def indices_at(info: VideoInfo, seconds: Times) -> Indices:
    """Return the frames nearest to some times, taken modulo the duration."""
    times = info.times_seconds
    # The tie is added before the modulo, so that 2.9999999 of a 3 s video is its frame 0 again.
    local = np.mod(seconds + TIE_SECONDS, info.duration_seconds) - TIE_SECONDS
    boundaries = (times[1:] + times[:-1]) / 2 + TIE_SECONDS
    return np.searchsorted(boundaries, local, side="left").astype(np.int64)
