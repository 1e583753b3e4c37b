"""Video file to frames, by index in decode order, with PyAV.

Real files lie: presentation times jump on B-frame AVI, counts are off by one or absent, the picture
is stored turned or squeezed. What is given here is what a player would show, upright, in order.

    frames  (T, H, W, 3) uint8 RGB, displayed orientation
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from s3d.data.container import (
    MAX_SIDE_PX,
    decode_packet,
    decode_stream,
    displayed_size,
    no_frame,
    open_stream,
    quarter_turns,
    read_packets,
    sane_rate,
    unreadable,
)
from s3d.data.flow.file import FlowConverter, is_flow
from s3d.data.frame_folder import find_frame_folder
from s3d.data.paths import AnyPath
from s3d.data.seek import (
    AstrayError,
    PacketFacts,
    SpareStamps,
    describe_packet,
    find_seek_points,
    frames_by_seeking,
    plan_seeks,
)
from s3d.data.video_info import RGB_CHANNELS, Frames, Indices, Reading, Times, VideoInfo
from s3d.errors import InputError

__all__ = (
    "MAX_SIDE_PX", "Frames", "Indices", "Reading", "Times", "VideoInfo",
    "iterate_frames", "probe_video", "read_frames", "read_what_decodes",
)  # fmt: skip

MAX_COUNTED_PACKETS = 20_000
DENSE_SHARE = 0.8
"""Of the frames up to the last wanted one: from there on looking at packets gains nothing."""
MAX_MEAN_INTERVAL_SECONDS = 100.0


def probe_video(path: AnyPath) -> VideoInfo:
    """Describe a video: packets are counted, and one frame decoded to see that it can be.

    Args:
        path: A local file, never an address, whatever it looks like; or a folder of pictures with
            their rate, as in "frames/7?rate=12" (`s3d.data.frame_folder`).

    Raises:
        InputError: The file is missing, unreadable, no video, without pictures, or over
            16384 px a side, or no frame decodes.
    """
    if folder := find_frame_folder(path):
        return folder.probe()
    with open_stream(path) as (container, stream):
        first, packets = _survey(container, stream)
        if first is None:
            raise no_frame(path)
        convert = make_converter(container, stream, None, path)
        height, width = convert.start(first)
        rate, base = sane_rate(stream), stream.time_base or Fraction(1, 1000)
        shown = [packet for packet in packets if not packet.is_hidden]
        tells = _packets_tell(stream.codec_context.name, shown)
        if tells:
            times = _times_from(_in_display_order([p.stamp for p in shown]), base, rate)
        seek = find_seek_points(container, stream, packets, times) if tells else None
    if not tells:
        times = _times_from(_decoded_stamps(path), base, rate)
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate
    duration = float(times[-1]) + interval
    count = len(times)
    shape = height, width, count, count / duration, duration
    return VideoInfo(str(path), *shape, times, convert.channels, seek)


def read_frames(
    video: AnyPath | VideoInfo, indices: Indices, size_px: tuple[int, int] | None = None
) -> Frames:
    """Read frames by their index in decode order, resized while they are converted.

    Args:
        video: A local file; or its description, which spares decoding what lies before the frames.
        indices: From 0; unsorted and repeated ones are fine. Where fewer frames decode than a
            file promised, an index beyond the end counts on from the beginning.
        size_px: (height, width) in displayed orientation; None is the displayed size.

    Returns:
        (len(indices), H, W, 3) uint8 RGB, C-contiguous; of a flow file (len(indices), H, W, 2)
        levels, whose values stay in px of the stored size.

    Raises:
        InputError: As `probe_video`.
    """
    return read_what_decodes(video, indices, size_px).frames


def read_what_decodes(
    video: AnyPath | VideoInfo, indices: Indices, size_px: tuple[int, int] | None = None
) -> Reading:
    """Read frames as `read_frames` does, and tell whether the file gave fewer than were wanted.

    Args:
        video: As in `read_frames`.
        indices: From 0, in decode order.
        size_px: (height, width) in displayed orientation; None is the displayed size.

    Raises:
        InputError: As `probe_video`; or an index is negative.
    """
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    if wanted.size and wanted.min() < 0:
        raise InputError(f"frame index {wanted.min()} is negative; indices count from 0.")
    path = video.path if isinstance(video, VideoInfo) else video
    if folder := find_frame_folder(path):
        return folder.read(wanted, size_px)
    if isinstance(video, VideoInfo):
        sought = _seek_out(video, wanted, size_px)
        if sought is not None:
            return Reading(sought, None)
    frames, count = _gather(path, wanted, size_px)
    if not wanted.size or count > wanted.max():
        return Reading(frames, None)
    frames, _ = _gather(path, wanted % count, size_px)
    return Reading(frames, count)


def iterate_frames(path: AnyPath, size_px: tuple[int, int] | None = None) -> Iterator[Frames]:
    """Yield every frame in order, one in memory at a time.

    Args:
        path: A local file.
        size_px: (height, width) in displayed orientation; None is the displayed size.

    Yields:
        (H, W, 3) uint8 RGB, C-contiguous; of a flow file (H, W, 2) levels.

    Raises:
        InputError: As `probe_video`.
    """
    if folder := find_frame_folder(path):
        yield from folder.iterate(size_px)
        return
    with open_stream(path) as (container, stream):
        convert = make_converter(container, stream, size_px, path)
        for frame in decode_stream(container, stream):
            yield convert(frame)
        if not convert.is_started:
            raise no_frame(path)


class Converter:
    """Turn decoded frames into upright RGB of one size, fixed by the first frame."""

    channels = RGB_CHANNELS

    def __init__(self, stream: VideoStream, size_px: tuple[int, int] | None, path: AnyPath) -> None:
        self.stream, self.size_px, self.path = stream, size_px, path
        self.reformatter = VideoReformatter()
        self.turns: int | None = None

    @property
    def is_started(self) -> bool:
        return self.turns is not None

    def measure(self, frame: VideoFrame) -> tuple[int, int]:
        return displayed_size(frame, self.stream, self.path)

    def start(self, frame: VideoFrame) -> tuple[int, int]:
        displayed = self.measure(frame)
        self.turns = quarter_turns(frame)
        self.size_px = self.size_px or displayed
        return self.size_px

    def __call__(self, frame: VideoFrame) -> Frames:
        height, width = (
            self.size_px if self.turns is not None and self.size_px else self.start(frame)
        )
        turns = self.turns or 0
        if turns % 2:
            height, width = width, height
        try:
            # One thread: swscale's own pool costs more than it saves, and dies in a fork.
            rgb = self.reformatter.reformat(frame, width, height, "rgb24", threads=1)
        except ValueError as error:
            raise unreadable(self.path, error) from None
        picture = np.asarray(rgb.to_ndarray(), np.uint8)
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def make_converter(
    container: InputContainer,
    stream: VideoStream,
    size_px: tuple[int, int] | None,
    path: AnyPath,
) -> Converter | FlowConverter:
    """Return what turns the decoded frames of a file into frames of one size."""
    return FlowConverter(size_px) if is_flow(container) else Converter(stream, size_px, path)


def _gather(
    path: AnyPath, wanted: npt.NDArray[np.int64], size_px: tuple[int, int] | None
) -> tuple[Frames, int]:
    """Return frames (those that came; others zero) and how many were decoded on the way."""
    last = int(wanted.max()) if wanted.size else 0
    slots = _slots_of(wanted)
    out: Frames | None = None
    count = 0
    with open_stream(path) as (container, stream):
        convert = make_converter(container, stream, size_px, path)
        for frame in decode_stream(container, stream):
            if out is None:
                out = np.zeros((len(wanted), *convert.start(frame), convert.channels), np.uint8)
            if count in slots:
                _put(out, slots[count], convert(frame))
            count += 1
            if count > last:
                break
    if out is None:
        raise no_frame(path)
    return out, count


def _seek_out(
    info: VideoInfo, wanted: npt.NDArray[np.int64], size_px: tuple[int, int] | None
) -> Frames | None:
    """Return frames read by seeking and passing over; None where that is not safe or no gain."""
    if info.seek is None or not wanted.size or wanted.max() >= info.frames:
        return None
    rising = np.unique(wanted)
    seeks = plan_seeks(info.seek, rising)
    is_sparse = len(rising) <= DENSE_SHARE * (rising[-1] + 1)
    if not seeks and not (is_sparse and info.seek.is_spare.any()):
        return None
    slots, displayed = _slots_of(wanted), (info.height_px, info.width_px)
    out = np.empty((len(wanted), *(size_px or displayed), info.channels), np.uint8)
    stamps = info.seek.stamps(info.times_seconds)
    passed, stored = SpareStamps(info.seek, stamps, rising), (0, 0)
    try:
        with open_stream(info.path) as (container, stream):
            convert = make_converter(container, stream, size_px, info.path)
            for index, frame in frames_by_seeking(container, stream, stamps, passed, seeks, rising):
                if stored != (frame.height, frame.width):
                    stored = frame.height, frame.width
                    if convert.measure(frame) != displayed:
                        return None
                _put(out, slots[index], convert(frame))
    except (AstrayError, InputError):
        return None  # Reading from the start gives what there is, or says what is wrong.
    return out


def _slots_of(wanted: npt.NDArray[np.int64]) -> dict[int, list[int]]:
    slots: dict[int, list[int]] = {}
    for slot, index in enumerate(wanted.tolist()):
        slots.setdefault(index, []).append(slot)
    return slots


def _put(out: Frames, slots: list[int], frame: Frames) -> None:
    for slot in slots:
        out[slot] = frame


def _survey(
    container: InputContainer, stream: VideoStream
) -> tuple[VideoFrame | None, list[PacketFacts]]:
    """Return the first frame that decodes, and what every packet tells."""
    first: VideoFrame | None = None
    packets: list[PacketFacts] = []
    for packet in read_packets(container, stream):
        if packet.size:
            packets.append(describe_packet(packet, stream))
        if first is None:
            first = next(iter(decode_packet(packet)), None)
    return first, packets


def _packets_tell(codec: str, packets: list[PacketFacts]) -> bool:
    """Say whether there is one shown frame to a packet.

    There is not in VP8, which hides reference frames in packets of their own, nor in DivX AVI
    (HMDB-51), whose B-frames are packed with others and leave placeholders of up to 8 bytes. Past
    20,000 packets the count is taken as it is: decoding would cost more than one frame is worth.
    """
    if len(packets) > MAX_COUNTED_PACKETS:
        return True
    return codec != "vp8" and not (codec == "mpeg4" and any(p.size_bytes <= 8 for p in packets))


def _decoded_stamps(path: AnyPath) -> list[int | None]:
    with open_stream(path) as (container, stream):
        return [frame.pts for frame in decode_stream(container, stream)]


def _in_display_order(stamps: list[int | None]) -> list[int | None]:
    known = [stamp for stamp in stamps if stamp is not None]
    return [*sorted(known)] if len(known) == len(stamps) else stamps


def _times_from(stamps: list[int | None], base: Fraction, rate_fps: float) -> Times:
    """Return seconds from 0: the stamps where they can be true, otherwise a uniform rate."""
    count = len(stamps)
    uniform = np.arange(count) / rate_fps
    known = [stamp for stamp in stamps if stamp is not None]
    if count < 2 or len(known) < count:
        return uniform
    ticks = np.asarray(known, np.int64)
    steps = np.diff(ticks)
    seconds: Times = (ticks - ticks[0]) * float(base)
    if steps.min() < 0 or seconds[-1] > MAX_MEAN_INTERVAL_SECONDS * count:
        return uniform
    ties = int((steps == 0).sum())
    if ties > 0.1 * count:
        return uniform
    return seconds + np.arange(count) * 1e-9 if ties else seconds
