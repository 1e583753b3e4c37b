"""Frames between the boxes of a track: missed ones, and those between key frames."""

from __future__ import annotations

import numpy as np

from s3d.detect.tubes.track import Track


def fill_frames(track: Track) -> Track:
    """Return a track with a box in every frame from its first to its last.

    Each side moves linearly from one box to the next. A filled box has the mean of the scores of
    these two; boxes that were there keep their own.

    Args:
        track: Scores (n,) or (n, K).
    """
    if len(track) == 0:
        return track
    frames = np.arange(track.frames[0], track.frames[-1] + 1)
    after = np.searchsorted(track.frames, frames)
    before = after - (track.frames[after] != frames)
    # of a box that was there before and after are the same, so that all of this leaves it alone
    steps = np.maximum(track.frames[after] - track.frames[before], 1)
    share = ((frames - track.frames[before]) / steps)[:, None]
    boxes = track.boxes[before] + share * (track.boxes[after] - track.boxes[before])
    scores = (track.scores[before] + track.scores[after]) / 2
    return Track(
        track.number,
        frames,
        boxes.astype(track.boxes.dtype),
        scores.astype(track.scores.dtype),
    )
