"""Frames at rising places of a file, from any of them on, one in memory at a time.

Where a file can be sought safely nothing before the first frame is decoded, nor pictures that are
not wanted and that no other needs; elsewhere, and where seeking went astray, frames are counted
from the beginning. Which of the two it was is told with each frame, so that who goes on later reads
as was read before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from s3d.data.container import decode_stream, no_frame, open_stream
from s3d.data.decode import Converter, make_converter
from s3d.data.frame_folder import FrameFolder, find_frame_folder
from s3d.data.seek import AstrayError, SpareStamps, frames_by_seeking, plan_seeks
from s3d.data.video_info import RGB_CHANNELS, EndsEarlyError, Frames, VideoInfo
from s3d.errors import InputError


@dataclass(frozen=True, eq=False)
class Wish:
    """Say which frames are wanted.

    Attributes:
        indices: Rising, below the frames that the file promises.
        size_px: (height, width) of the frames.
        first: Give only those from this index on; the others were given before.
        counts: Count from the beginning, since seeking went astray before.
        glances: Indices, among the others, of which a small picture is wanted as well.
        glance_px: (height, width) of these.
    """

    indices: npt.NDArray[np.int64]
    size_px: tuple[int, int]
    first: int = 0
    counts: bool = False
    glances: frozenset[int] = frozenset()
    glance_px: tuple[int, int] = (0, 0)

    @property
    def left(self) -> npt.NDArray[np.int64]:
        """Return the indices that are to be given."""
        return self.indices[np.searchsorted(self.indices, self.first) :]


class Picked(NamedTuple):
    """Hold one frame.

    Attributes:
        place: Its index, in display order.
        frame: (H, W, C) uint8.
        is_counted: Whether it was found by counting though the file can be sought.
        glance: (h, w, 3) uint8 RGB, where one was wanted.
    """

    place: int
    frame: Frames
    is_counted: bool
    glance: Frames | None


def pick_frames(info: VideoInfo, wish: Wish) -> Iterator[Picked]:
    """Yield the frames that are wanted, one in memory at a time.

    Args:
        info: The file; it stays open until all are taken or the generator is closed.
        wish: Which.

    Raises:
        InputError: The file cannot be read.
        EndsEarlyError: It gives fewer frames than it promised.
    """
    left = wish.left
    if folder := find_frame_folder(info.path):
        yield from _from_folder(folder, left, wish)
        return
    given, can_seek = 0, info.seek is not None
    if can_seek and not wish.counts and left.size:
        try:
            for picked in _by_seeking(info, left, wish):
                yield picked
                given += 1
            return
        except (AstrayError, InputError):
            pass  # Counting gives what there is, or says what is wrong.
    for picked in _by_counting(info, left[given:], wish):
        yield picked._replace(is_counted=can_seek)


def _by_seeking(info: VideoInfo, left: npt.NDArray[np.int64], wish: Wish) -> Iterator[Picked]:
    points = info.seek
    if points is None:
        raise AstrayError
    displayed, stored = (info.height_px, info.width_px), (0, 0)
    stamps = points.stamps(info.times_seconds)
    passed, seeks = SpareStamps(points, stamps, wish.indices), plan_seeks(points, left)
    with open_stream(info.path) as (container, stream):
        convert = _Converters(container, stream, info, wish)
        for index, frame in frames_by_seeking(container, stream, stamps, passed, seeks, left):
            if stored != (frame.height, frame.width):
                stored = frame.height, frame.width
                if convert.frames.measure(frame) != displayed:
                    raise AstrayError
            yield convert(index, frame)


def _by_counting(info: VideoInfo, left: npt.NDArray[np.int64], wish: Wish) -> Iterator[Picked]:
    wanted, count = map(int, left), 0
    due = next(wanted, None)
    if due is None:
        return
    with open_stream(info.path) as (container, stream):
        convert = _Converters(container, stream, info, wish)
        for frame in decode_stream(container, stream):
            if count == due:
                yield convert(count, frame)
                due = next(wanted, None)
                if due is None:
                    return
            count += 1
    if not count:
        raise no_frame(info.path)
    raise EndsEarlyError(count)


def _from_folder(folder: FrameFolder, left: npt.NDArray[np.int64], wish: Wish) -> Iterator[Picked]:
    for index in map(int, left):
        place = np.array([index])
        glance = folder.read(place, wish.glance_px).frames[0] if index in wish.glances else None
        yield Picked(index, folder.read(place, wish.size_px).frames[0], False, glance)


class _Converters:
    """Turn decoded frames into what is wanted of them."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, info: VideoInfo, wish: Wish
    ) -> None:
        self.frames = make_converter(container, stream, wish.size_px, info.path)
        self.glances: Converter | None = None
        if wish.glances and info.channels == RGB_CHANNELS:
            self.glances = Converter(stream, wish.glance_px, info.path)
        self.wish = wish

    def __call__(self, index: int, frame: VideoFrame) -> Picked:
        wants = self.glances is not None and index in self.wish.glances
        glance = self.glances(frame) if wants and self.glances else None
        return Picked(index, self.frames(frame), False, glance)
