"""Video file to frames, by index in decode order, with PyAV.

Real files lie: presentation times jump on B-frame AVI, counts are off by one or absent, the picture
is stored turned or squeezed. What is given here is what a player would show, upright, in order.

    frames  (T, H, W, 3) uint8 RGB, displayed orientation
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from s3d.data.paths import AnyPath, check_file, show_path
from s3d.errors import InputError

Frames = npt.NDArray[np.uint8]
Times = npt.NDArray[np.float64]
Indices = Sequence[int] | npt.NDArray[np.int64]

MAX_SIDE_PX = 16384
MAX_COUNTED_PACKETS = 20_000
MAX_MEAN_INTERVAL_SECONDS = 100.0
SANE_RATES_FPS = (0.1, 1000.0)
FALLBACK_RATE_FPS = 25.0

# Named, so that a "video" that is a play list (hls, dash, concat) cannot make us open other files
# or addresses, and text is not shown as a film (libav's tty). Sound is named for its clear refusal.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,m4v,mpeg,mpegts,mpegvideo,h264,hevc,av1,obu,ivf,flv,"
    "live_flv,asf,ogg,gif,apng,nut,mjpeg,mxf,dv,rm,wtv,yuv4mpegpipe,vc1,h263,h261,cavsvideo,dirac,"
    "wav,mp3,aac,flac,aiff,ac3,amr,w64,au"
)
_OPEN_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}


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
    """

    path: str
    height_px: int
    width_px: int
    frames: int
    rate_fps: float
    duration_seconds: float
    times_seconds: Times = field(repr=False)


@dataclass(frozen=True, eq=False)
class Reading:
    """Hold frames that were read and what was learnt about the file.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        decoded: Frames the whole file gave, where its end came before the last wanted frame, so
            that the missing ones were taken from the beginning again; otherwise None.
    """

    frames: Frames
    decoded: int | None


def probe_video(path: AnyPath) -> VideoInfo:
    """Describe a video: packets are counted, and one frame decoded to see that it can be.

    Args:
        path: A local file; never an address, whatever it looks like.

    Raises:
        InputError: The file is missing, unreadable, no video, without pictures, or over
            16384 px a side, or no frame decodes.
    """
    with _open_stream(path) as (container, stream):
        first, packets = _survey(container, stream)
        if first is None:
            raise _no_frame(path)
        height, width = _displayed_size(first, stream, path)
        rate, base = _sane_rate(stream), stream.time_base or Fraction(1, 1000)
        codec = stream.codec_context.name
    if _packets_tell(codec, packets):
        stamps = _in_display_order([pts for pts, _ in packets])
    else:
        stamps = _decoded_stamps(path)
    times = _times_from(stamps, base, rate)
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate
    duration = float(times[-1]) + interval
    count = len(times)
    return VideoInfo(str(path), height, width, count, count / duration, duration, times)


def read_frames(path: AnyPath, indices: Indices, size_px: tuple[int, int] | None = None) -> Frames:
    """Read frames by their index in decode order, resized while they are converted.

    Args:
        path: A local file.
        indices: From 0; unsorted and repeated ones are fine. Where fewer frames decode than a
            file promised, an index beyond the end counts on from the beginning.
        size_px: (height, width) in displayed orientation; None is the displayed size.

    Returns:
        (len(indices), H, W, 3) uint8 RGB, C-contiguous.

    Raises:
        InputError: As `probe_video`.
    """
    return read_what_decodes(path, indices, size_px).frames


def read_what_decodes(
    path: AnyPath, indices: Indices, size_px: tuple[int, int] | None = None
) -> Reading:
    """Read frames as `read_frames` does, and tell whether the file gave fewer than were wanted.

    Args:
        path: A local file.
        indices: From 0, in decode order.
        size_px: (height, width) in displayed orientation; None is the displayed size.

    Raises:
        InputError: As `probe_video`; or an index is negative.
    """
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    if wanted.size and wanted.min() < 0:
        raise InputError(f"frame index {wanted.min()} is negative; indices count from 0.")
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
        (H, W, 3) uint8 RGB, C-contiguous.

    Raises:
        InputError: As `probe_video`.
    """
    with _open_stream(path) as (container, stream):
        convert = _Converter(stream, size_px, path)
        for frame in _decode(container, stream):
            yield convert(frame)
        if convert.turns is None:
            raise _no_frame(path)


class _Converter:
    """Turn decoded frames into upright RGB of one size, fixed by the first frame."""

    def __init__(self, stream: VideoStream, size_px: tuple[int, int] | None, path: AnyPath) -> None:
        self.stream, self.size_px, self.path = stream, size_px, path
        self.reformatter = VideoReformatter()
        self.turns: int | None = None

    def start(self, frame: VideoFrame) -> tuple[int, int]:
        displayed = _displayed_size(frame, self.stream, self.path)
        self.turns = _quarter_turns(frame)
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
            raise _unreadable(self.path, error) from None
        return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), turns))


def _gather(
    path: AnyPath, wanted: npt.NDArray[np.int64], size_px: tuple[int, int] | None
) -> tuple[Frames, int]:
    """Return frames (those that came; others zero) and how many were decoded on the way."""
    last = int(wanted.max()) if wanted.size else 0
    slots: dict[int, list[int]] = {}
    for slot, index in enumerate(wanted.tolist()):
        slots.setdefault(index, []).append(slot)
    out: Frames | None = None
    count = 0
    with _open_stream(path) as (container, stream):
        convert = _Converter(stream, size_px, path)
        for frame in _decode(container, stream):
            if out is None:
                out = np.zeros((len(wanted), *convert.start(frame), 3), np.uint8)
            if count in slots:
                out[slots[count]] = convert(frame)
            count += 1
            if count > last:
                break
    if out is None:
        raise _no_frame(path)
    return out, count


@contextmanager
def _open_stream(path: AnyPath) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the one stream that is the video, for decoding in this thread alone.

    A container left open hangs the workers that are forked later; this is the only place that
    opens one.
    """
    target = f"file:{check_file(path)}"
    try:
        with av.open(target, metadata_errors="ignore", options=_OPEN_OPTIONS) as container:
            stream = _choose_stream(container, path)
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            yield container, stream
    except av.error.FFmpegError as error:
        raise _unreadable(path, error) from None


def _choose_stream(container: InputContainer, path: AnyPath) -> VideoStream:
    shown = show_path(path)
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [s for s in container.streams.video if not s.disposition & covers]
    if not moving:
        held = "sound" if container.streams.audio else "no stream of pictures"
        extra = " and a cover picture" if container.streams.video else ""
        raise InputError(f"{shown}: holds {held}{extra} but no video. Name a file with pictures.")
    known = [s for s in moving if s.codec_context is not None]
    if not known:
        raise InputError(f"{shown}: its video codec is unknown. Convert it to MP4 (H.264).")
    main = max(known, key=_rank)
    _check_size(main.height, main.width, path)
    return main


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    """Order streams: a still codec last, since not every cover picture is marked as one."""
    is_moving = stream.codec_context.name not in ("mjpeg", "png")
    is_default = bool(stream.disposition & Disposition.default)
    return is_moving, is_default, stream.width * stream.height


def _check_size(height: int, width: int, path: AnyPath) -> None:
    if max(height, width) > MAX_SIDE_PX:
        raise InputError(
            f"{show_path(path)}: is {width} x {height} px; at most {MAX_SIDE_PX} px a side can be "
            "read. Scale it down first."
        )


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield packets until the end or until the container breaks; the last is the flush."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        # A damaged tail ends the video. What came before it is good; the decoder is flushed.
        flush = Packet()
        flush.stream = stream
        yield cast("Packet[VideoStream]", flush)


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in _packets(container, stream):
        yield from _decode_packet(packet)


def _decode_packet(packet: Packet[VideoStream]) -> list[VideoFrame]:
    try:
        return packet.decode()
    except av.error.FFmpegError:
        # One bad packet costs its frame, not all that follow.
        return []


def _survey(
    container: InputContainer, stream: VideoStream
) -> tuple[VideoFrame | None, list[tuple[int | None, int]]]:
    """Return the first frame that decodes, and (pts, bytes) of every packet that is shown."""
    first: VideoFrame | None = None
    packets: list[tuple[int | None, int]] = []
    for packet in _packets(container, stream):
        if packet.size and not packet.is_discard:
            packets.append((packet.pts, packet.size))
        if first is None:
            first = next(iter(_decode_packet(packet)), None)
    return first, packets


def _packets_tell(codec: str, packets: list[tuple[int | None, int]]) -> bool:
    """Say whether there is one shown frame to a packet.

    There is not in VP8, which hides reference frames in packets of their own, nor in DivX AVI
    (HMDB-51), whose B-frames are packed with others and leave placeholders of up to 8 bytes. Past
    20,000 packets the count is taken as it is: decoding would cost more than one frame is worth.
    """
    if len(packets) > MAX_COUNTED_PACKETS:
        return True
    return codec != "vp8" and not (codec == "mpeg4" and any(size <= 8 for _, size in packets))


def _decoded_stamps(path: AnyPath) -> list[int | None]:
    with _open_stream(path) as (container, stream):
        return [frame.pts for frame in _decode(container, stream)]


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


def _sane_rate(stream: VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and SANE_RATES_FPS[0] <= rate <= SANE_RATES_FPS[1]:
            return float(rate)
    return FALLBACK_RATE_FPS


def _quarter_turns(frame: VideoFrame) -> int:
    return round(frame.rotation / 90) % 4


def _displayed_size(frame: VideoFrame, stream: VideoStream, path: AnyPath) -> tuple[int, int]:
    aspect = float(stream.sample_aspect_ratio or 1)
    if not 0.1 <= aspect <= 10:
        aspect = 1.0  # A ratio beyond any camera's is damage, not a wish.
    height, width = frame.height, max(1, round(frame.width * aspect))
    _check_size(height, width, path)
    return (width, height) if _quarter_turns(frame) % 2 else (height, width)


def _no_frame(path: AnyPath) -> InputError:
    return InputError(
        f"{show_path(path)}: no frame of it can be decoded; it is damaged or incomplete. "
        "Copy or download it again, or leave it out."
    )


def _unreadable(path: AnyPath, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or (str(error).splitlines() or ["?"])[0]
    if isinstance(error, av.error.ArgumentError):
        reason = "its format is none of video"  # What libav says of a format we did not name.
    return InputError(
        f"{show_path(path)}: is not a video that can be read ({reason}). "
        "Convert it to MP4, for instance with ffmpeg, or leave it out."
    )
