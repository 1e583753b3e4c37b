"""What a network looks at in a video: its frames, or its flow, read from a file or computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from s3d.clip import ClipSpec
from s3d.data.decode import iterate_frames, probe_video, read_frames, read_what_decodes
from s3d.data.flow.compute import FlowRecipe, compute_flow, to_grey
from s3d.data.flow.file import resize_levels
from s3d.data.flow.levels import Levels, quantise_flow
from s3d.data.paths import AnyPath, show_path
from s3d.data.pick import Picked, Wish, pick_frames
from s3d.data.transform import resize_short_side
from s3d.data.video_info import FLOW_CHANNELS, EndsEarlyError, Frames, VideoInfo, shorten
from s3d.errors import InputError

PAIRS_AT_ONCE = 8


class FrameSource(Protocol):
    """Give what a network looks at, by index or in order.

    Attributes:
        info: Of the video as it is looked at: its flow has one frame less than it.
    """

    info: VideoInfo

    def read(self, indices: npt.NDArray[np.int64], size_px: tuple[int, int]) -> Frames:
        """Return (len(indices), H, W, C) uint8, as `s3d.data.decode.read_frames` does."""

    def iterate(self, size_px: tuple[int, int]) -> Iterator[Frames]:
        """Yield every one (H, W, C) uint8 in order, one in memory at a time."""

    def pick(self, wish: Wish) -> Iterator[Picked]:
        """Yield those that are wanted, few in memory at a time, as `s3d.data.pick` does.

        Whichever is the first, the others are the same to the last bit.
        """


def open_source(path: AnyPath, spec: ClipSpec, device: str = "cpu") -> FrameSource:
    """Open a video for a network.

    Args:
        path: A video; or its flow, for a network that takes flow. The flow of a video that is given
            to such a network is computed as its frames are asked for.
        spec: What the network takes.
        device: Where TV-L1 is computed.

    Raises:
        InputError: The video cannot be read, or it is flow and the network takes frames.
    """
    info = probe_video(path)
    if info.channels == spec.channels:
        return _FileSource(info)
    if info.channels == FLOW_CHANNELS:
        raise InputError(
            f"{show_path(path)}: holds optical flow; the model takes rgb. Give the video itself."
        )
    return _FlowSource(info, FlowRecipe(spec.flow_method, spec.flow_side_px), device)


def describe_flow(info: VideoInfo) -> VideoInfo:
    """Return the description of a video's flow: its last frame has none.

    Raises:
        InputError: The video has but one frame.
    """
    if info.frames < 2:
        raise InputError(
            f"{show_path(info.path)}: has 1 frame; flow needs at least 2. Leave it out."
        )
    return replace(shorten(info, info.frames - 1), channels=FLOW_CHANNELS, seek=None)


class _FileSource:
    """Read what a file holds."""

    def __init__(self, info: VideoInfo) -> None:
        self.info = info

    def read(self, indices: npt.NDArray[np.int64], size_px: tuple[int, int]) -> Frames:
        return read_frames(self.info, indices, size_px)

    def iterate(self, size_px: tuple[int, int]) -> Iterator[Frames]:
        return iterate_frames(self.info.path, size_px)

    def pick(self, wish: Wish) -> Iterator[Picked]:
        return pick_frames(self.info, wish)


class _FlowSource:
    """Compute the flow of the frames that are asked for, each to the frame that follows it."""

    def __init__(self, video: VideoInfo, recipe: FlowRecipe, device: str) -> None:
        self.info, self.recipe, self.device = describe_flow(video), recipe, device
        self.video = video
        self.computed_px = resize_short_side(video, recipe.short_side_px)

    def read(self, indices: npt.NDArray[np.int64], size_px: tuple[int, int]) -> Frames:
        wanted, places = np.unique(indices, return_inverse=True)
        needed = np.union1d(wanted, wanted + 1)
        reading = read_what_decodes(self.video, needed, self.computed_px)
        if reading.decoded is not None:  # The file gives fewer frames than it promised.
            return self.read(indices % max(1, reading.decoded - 1), size_px)
        grey = to_grey(reading.frames)
        found = np.empty((len(wanted), *size_px, FLOW_CHANNELS), np.uint8)
        for run in _runs(wanted):
            first = int(np.searchsorted(needed, wanted[run.start]))
            count = run.stop - run.start
            found[run] = self._compute(grey[first : first + count + 1], size_px)
        return found[places.reshape(-1)]

    def iterate(self, size_px: tuple[int, int]) -> Iterator[Frames]:
        held: list[Levels] = []
        for frame in iterate_frames(self.info.path, self.computed_px):
            held.append(to_grey(frame[None])[0])
            if len(held) > PAIRS_AT_ONCE:
                yield from self._compute(np.stack(held), size_px)
                held = held[-1:]
        if len(held) > 1:
            yield from self._compute(np.stack(held), size_px)

    def pick(self, wish: Wish) -> Iterator[Picked]:
        try:
            yield from self._pick(wish)
        except EndsEarlyError as end:
            raise EndsEarlyError(max(0, end.decoded - 1)) from None

    def _pick(self, wish: Wish) -> Iterator[Picked]:
        # Groups are those of the whole wish, since what TV-L1 finds of a pair depends, in its last
        # digits, on those that it is computed with.
        indices, left = wish.indices, int(np.searchsorted(wish.indices, wish.first))
        groups = [group for group in _groups(indices, PAIRS_AT_ONCE) if group.stop > left]
        if not groups:
            return
        first, needed = int(indices[groups[0].start]), np.union1d(indices, indices + 1)
        pictures = pick_frames(
            self.video, replace(wish, indices=needed, first=first, size_px=self.computed_px)
        )
        held: list[Picked] = []
        for group in groups:
            held = [picked for picked in held if picked.place >= indices[group.start]]
            while not held or held[-1].place <= indices[group.stop - 1]:
                picked = next(pictures)
                held.append(picked._replace(frame=to_grey(picked.frame[None])[0]))
            found = self._compute(np.stack([picked.frame for picked in held]), wish.size_px)
            for place, levels in enumerate(found):
                if group.start + place >= left:
                    yield held[place]._replace(frame=levels)

    def _compute(self, grey: Levels, size_px: tuple[int, int]) -> Levels:
        recipe = self.recipe
        flow = quantise_flow(compute_flow(grey, recipe.method, self.device, recipe.settings))
        reformatter = VideoReformatter()
        return np.stack([resize_levels(levels, size_px, reformatter) for levels in flow])


def _groups(rising: npt.NDArray[np.int64], most: int) -> Iterator[slice]:
    """Yield the places of runs of numbers, cut where a multiple of `most` begins."""
    cuts = (np.diff(rising) != 1) | (np.diff(rising // most) != 0)
    edges = [0, *(np.flatnonzero(cuts) + 1).tolist(), len(rising)]
    yield from (slice(start, stop) for start, stop in pairwise(edges) if stop > start)


def _runs(rising: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Yield the places of numbers that follow each other by one."""
    edges = [0, *(np.flatnonzero(np.diff(rising) != 1) + 1).tolist(), len(rising)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield slice(start, stop)
