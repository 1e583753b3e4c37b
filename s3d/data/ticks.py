"""Frames of a video on the grid of the clip's rate, in pieces, from any place on.

Tick k is the frame nearest to k / rate_fps, whatever the rate of the file, as in `s3d.data.sample`.
Hours are read in flat memory: a piece is made at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.clip import ClipSpec
from s3d.data.frame_source import FrameSource
from s3d.data.pick import Picked, Wish
from s3d.data.sample import Indices, indices_at
from s3d.data.transform import centre_crop, resized_px
from s3d.data.video_info import Frames, VideoInfo

GLANCE_HEIGHT_PX, GLANCE_MOST_PX = 90, 240
"""Of a small picture: its height, and the most of either side."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Hold the frames of some ticks that follow each other.

    Attributes:
        first: The first tick.
        frames: (n, H, W, C) uint8, cropped; of ticks nobody looks at, 0.
        is_counted: Whether one was found by counting though the file can be sought.
        glances: (tick, (h, w, 3) uint8 RGB) of ticks among them of which that was wanted.
    """

    first: int
    frames: Frames
    is_counted: bool
    glances: tuple[tuple[int, Frames], ...] = ()


@dataclass(frozen=True, eq=False)
class TickWish:
    """Say which ticks are wanted.

    Attributes:
        is_looked_at: (ticks,) of the whole video; the others are not read.
        pieces: (first, stop) of the pieces to give, rising.
        glances: Ticks, looked at, of which a small picture is wanted as well.
        counts: Read as `Wish.counts` has it.
    """

    is_looked_at: npt.NDArray[np.bool_]
    pieces: Iterable[tuple[int, int]]
    glances: tuple[int, ...] = ()
    counts: bool = False


def count_ticks(info: VideoInfo, spec: ClipSpec) -> int:
    """Return how many whole frames of the clip's rate a video has, at least one."""
    return max(1, int(info.duration_seconds * spec.rate_fps + 1e-3))


def tick_indices(info: VideoInfo, spec: ClipSpec) -> Indices:
    """Return the frame of every tick: (ticks,), rising, some of them equal in a slow file."""
    return indices_at(info, np.arange(count_ticks(info, spec)) / spec.rate_fps)


def read_pieces(source: FrameSource, spec: ClipSpec, wish: TickWish) -> Iterator[Piece]:
    """Yield pieces of a video, one in memory at a time; a frame is decoded once.

    Args:
        source: Gives the frames, or their flow.
        spec: The clip: its rate, how frames are resized and cropped.
        wish: Which pieces.

    Raises:
        InputError: The video cannot be read.
        EndsEarlyError: It gives fewer frames than it promised; complete pieces came before.
    """
    info = source.info
    indices, looked_at = tick_indices(info, spec), np.flatnonzero(wish.is_looked_at)
    size = resized_px(info.height_px, info.width_px, spec)
    frames: Iterator[Picked] | None = None
    picked: Picked | None = None
    for first, stop in wish.pieces:
        ticks = first + np.flatnonzero(wish.is_looked_at[first:stop])
        out = np.zeros((stop - first, *spec.size_px, spec.channels), np.uint8)
        glances, is_counted = list[tuple[int, Frames]](), False
        for tick in map(int, ticks):
            if frames is None:
                frames = source.pick(_to_indices(info, indices, size, wish, tick))
            while picked is None or picked.place < indices[tick]:
                picked = next(frames)
            out[tick - first] = centre_crop(picked.frame[None], spec.size_px)[0]
            is_counted |= picked.is_counted
            if tick in wish.glances and picked.glance is not None:
                glances.append((tick, picked.glance))
        # That a tick nobody looks at is there is known by the next that somebody does.
        after = int(np.searchsorted(looked_at, stop))
        if not wish.is_looked_at[stop - 1] and frames is not None and after < len(looked_at):
            while picked is None or picked.place < indices[looked_at[after]]:
                picked = next(frames)
        yield Piece(first, out, is_counted, tuple(glances))


def _to_indices(
    info: VideoInfo, indices: Indices, size: tuple[int, int], wish: TickWish, first: int
) -> Wish:
    return Wish(
        np.unique(indices[wish.is_looked_at]),
        size,
        int(indices[first]),
        wish.counts,
        frozenset(int(indices[tick]) for tick in wish.glances),
        glance_size(info),
    )


def glance_size(info: VideoInfo) -> tuple[int, int]:
    """Return the (height, width) in px of a small picture of a video."""
    scale = GLANCE_HEIGHT_PX / info.height_px
    scale = min(scale, GLANCE_MOST_PX / info.width_px)
    return max(1, round(info.height_px * scale)), max(1, round(info.width_px * scale))
