"""Flow on disk: a grey H.264 video, x above y, that says in its comment what it holds.

It reads as fast as any video, takes some 10 kB a frame at 340 x 256, and any player shows it.
Grey levels come back within half a level on average: 0.06 px of the flow, quantisation included.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from s3d.clip import FLOW_BOUND_PX, FlowMethod
from s3d.data.container import open_stream, sane_rate
from s3d.data.flow.levels import Flow, Levels, quantise_flow
from s3d.data.paths import AnyPath, show_path
from s3d.data.video_info import FLOW_CHANNELS, Times
from s3d.errors import InputError
from s3d.files import write_atomically

FORMAT = "s3d flow"
_MARK = f'{{"format": "{FORMAT}"'
VERSION = 1
TICK = Fraction(1, 90_000)
# Measured on real flow: as many bytes as the best preset at crf 8, and decoded in half the time.
ENCODING = {"preset": "ultrafast", "crf": "12", "threads": "1"}


@dataclass(frozen=True)
class FlowInfo:
    """Describe a flow file.

    Attributes:
        path: As it was given.
        frames: One less than those of the video it is of.
        height_px: Of the flow; the stored picture is twice as high.
        width_px: Of the flow.
        rate_fps: Average.
        bound_px: The flow that level 255 stands for; level 0 is its negative.
        parameters: How it was computed: method, short_side_px and the method's own.
        source: Of the video: name, bytes, height_px, width_px, rate_fps, frames.
    """

    path: str
    frames: int
    height_px: int
    width_px: int
    rate_fps: float
    bound_px: float
    parameters: dict[str, Any]
    source: dict[str, Any]


def save_flow(
    path: AnyPath, flow: Flow, times_seconds: Times, parameters: dict[str, Any],
    source: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Save the flow of one video.

    Args:
        path: Where to; by custom NAME.flow.mp4.
        flow: (T - 1, H, W, 2) px, x then y; clipped to 20 px.
        times_seconds: When each frame is shown, rising; (T - 1,) or longer.
        parameters: How it was computed, as of `FlowRecipe.parameters`.
        source: What is known of the video.

    Raises:
        InputError: The flow is of another shape or empty, or the disk will not take it.
    """
    if flow.ndim != 4 or flow.shape[-1] != 2:
        raise InputError(f"flow is {flow.shape}; (T, H, W, 2) is needed, x then y.")
    write_levels(path, [quantise_flow(flow)], times_seconds, parameters, source)


def write_levels(
    path: AnyPath, parts: Iterable[Levels], times_seconds: Times, parameters: dict[str, Any],
    source: dict[str, Any] | None = None,
) -> int:  # fmt: skip
    """Write quantised flow as it comes, and return how many frames there were.

    Args:
        path: Where to; the file appears when all is written.
        parts: (n, H, W, 2) uint8 each, of one size.
        times_seconds: When each frame is shown; beyond its end the last interval goes on.
        parameters: As of `save_flow`.
        source: As of `save_flow`.

    Raises:
        InputError: There is not one frame, or the disk will not take it.
    """
    note = {"format": FORMAT, "version": VERSION, "bound_px": FLOW_BOUND_PX, **parameters}
    note["source"] = source or {}
    count = 0

    def write(beside: Path) -> None:
        nonlocal count
        count = _encode(beside, parts, _ticks(times_seconds), json.dumps(note))

    write_atomically(Path(path), write)
    return count


def probe_flow(path: AnyPath) -> FlowInfo:
    """Describe a flow file by its head; nothing is decoded.

    Raises:
        InputError: The file is missing, unreadable or not of `save_flow`.
    """
    with open_stream(path) as (container, stream):
        note = _read_note(container.metadata.get("comment", ""), path)
        count, rate = stream.frames, sane_rate(stream)
        height, width = stream.height // 2, stream.width
    known = {"format", "version", "bound_px", "source"}
    parameters = {key: value for key, value in note.items() if key not in known}
    bound, source = float(note["bound_px"]), dict(note["source"])
    return FlowInfo(str(path), count, height, width, rate, bound, parameters, source)


def read_origin(path: AnyPath) -> tuple[FlowMethod, int]:
    """Return by which method a file's flow was computed, on frames of which short side in px.

    Raises:
        InputError: As `probe_flow`, or the file does not say.
    """
    parameters = probe_flow(path).parameters
    method, side = parameters.get("method"), parameters.get("short_side_px")
    known = [name for name in get_args(FlowMethod) if name == method]
    if not known or not isinstance(side, int):
        raise InputError(
            f"{show_path(path)}: says no method of flow that is known. Make it again with s3d flow."
        )
    return known[0], side


def is_flow(container: InputContainer) -> bool:
    """Return whether an open file says that it holds flow."""
    return container.metadata.get("comment", "").startswith(_MARK)


class FlowConverter:
    """Turn the pictures of a flow file into levels of one size, as RGB converters do frames.

    The values stay in px of the stored size, as those of a crop do.
    """

    channels = FLOW_CHANNELS

    def __init__(self, size_px: tuple[int, int] | None) -> None:
        self.size_px, self.is_started = size_px, False
        self.reformatter = VideoReformatter()

    def measure(self, frame: VideoFrame) -> tuple[int, int]:
        """Return the (height, width) of the flow that a picture holds."""
        return frame.height // 2, frame.width

    def start(self, frame: VideoFrame) -> tuple[int, int]:
        """Return the (height, width) of what is given, settled by the first picture."""
        self.is_started = True
        self.size_px = self.size_px or self.measure(frame)
        return self.size_px

    def __call__(self, frame: VideoFrame) -> Levels:
        """Return (H, W, 2) of a picture of x above y."""
        plane = frame.planes[0]
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
        picture, half = rows[: frame.height, : frame.width], frame.height // 2
        levels = np.stack([picture[:half], picture[half : 2 * half]], -1)
        return resize_levels(levels, self.start(frame), self.reformatter)


def resize_levels(
    levels: Levels, size_px: tuple[int, int], reformatter: VideoReformatter
) -> Levels:
    """Return levels (H, W, 2) at another size, each direction resized by itself."""
    if levels.shape[:2] == size_px:
        return levels
    halves = (np.ascontiguousarray(levels[..., axis]) for axis in range(FLOW_CHANNELS))
    return np.stack([_resize(half, size_px, reformatter) for half in halves], -1)


def _ticks(times_seconds: Times) -> npt.NDArray[np.int64]:
    """Return rising whole ticks, one for each time."""
    ticks = np.rint(np.asarray(times_seconds, np.float64) / float(TICK)).astype(np.int64)
    index = np.arange(len(ticks))
    return np.maximum.accumulate(ticks - index) + index


def _encode(beside: Path, parts: Iterable[Levels], ticks: npt.NDArray[np.int64], note: str) -> int:
    count = 0
    step = int(ticks[-1] - ticks[0]) // max(1, len(ticks) - 1) or 3600
    with av.open(str(beside), "w", format="mp4") as container:
        container.metadata["comment"] = note
        stream: VideoStream | None = None
        for part in parts:
            for levels in part:
                stream = stream or _add_stream(container, levels, Fraction(int(1 / TICK), step))
                picture = np.concatenate([levels[..., 0], levels[..., 1]])
                frame = VideoFrame.from_ndarray(picture, "gray")
                over = count - len(ticks) + 1
                frame.pts = int(ticks[count]) if over <= 0 else int(ticks[-1]) + over * step
                frame.time_base = TICK
                container.mux(stream.encode(frame))
                count += 1
        if stream is None:
            raise InputError("not one flow frame came; a video of at least 2 frames is needed.")
        container.mux(stream.encode())
    return count


def _add_stream(container: Any, levels: Levels, rate: Fraction) -> VideoStream:
    stream: VideoStream = container.add_stream("libx264", rate=rate, options=ENCODING)
    stream.height, stream.width = 2 * levels.shape[0], levels.shape[1]
    stream.pix_fmt = "gray"
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = TICK
    return stream


def _read_note(text: str, path: AnyPath) -> dict[str, Any]:
    shown = show_path(path)
    try:
        note = json.loads(text)
        version = note["version"] if note["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError):
        version = None
    if version is None:
        raise InputError(f"{shown}: is no flow file. Make one with s3d flow.")
    if version != VERSION:
        raise InputError(f"{shown}: is of flow format {version}; {VERSION} is known. Update s3d.")
    return dict(note)


def _resize(
    picture: Levels, size_px: tuple[int, int], reformatter: VideoReformatter
) -> npt.NDArray[np.uint8]:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), "gray")
    small = reformatter.reformat(frame, size_px[1], size_px[0], "gray", threads=1)
    return np.asarray(small.to_ndarray(), np.uint8)
