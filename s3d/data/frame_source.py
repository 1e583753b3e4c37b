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
from s3d.data.transform import resize_short_side
from s3d.data.video_info import FLOW_CHANNELS, Frames, VideoInfo, shorten
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

    def _compute(self, grey: Levels, size_px: tuple[int, int]) -> Levels:
        recipe = self.recipe
        flow = quantise_flow(compute_flow(grey, recipe.method, self.device, recipe.settings))
        reformatter = VideoReformatter()
        return np.stack([resize_levels(levels, size_px, reformatter) for levels in flow])


def _runs(rising: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Yield the places of numbers that follow each other by one."""
    edges = [0, *(np.flatnonzero(np.diff(rising) != 1) + 1).tolist(), len(rising)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield slice(start, stop)
