"""Opening a video file: which stream is the video, its packets, its pictures, and what went wrong.

This is the only place that opens a container; `s3d.data.decode` reads frames from it, and
`s3d.data.examine` looks at all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from s3d.data.paths import AnyPath, check_file, show_path
from s3d.data.shards.members import find_member
from s3d.errors import InputError

MAX_SIDE_PX = 16384
SANE_RATES_FPS = (0.1, 1000.0)
FALLBACK_RATE_FPS = 25.0

# Named, so that a "video" that is a play list (hls, dash, concat) cannot make us open other files
# or addresses, and text is not shown as a film (libav's tty). Sound is named for its clear refusal.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,m4v,mpeg,mpegts,mpegvideo,h264,hevc,av1,obu,ivf,flv,"
    "live_flv,asf,ogg,gif,apng,nut,mjpeg,mxf,dv,rm,wtv,yuv4mpegpipe,vc1,h263,h261,cavsvideo,dirac,"
    "wav,mp3,aac,flac,aiff,ac3,amr,w64,au"
)
_OPEN_OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file,subfile"}


class NoVideoError(InputError):
    """Say that a file is whole but holds no moving pictures."""


@contextmanager
def open_stream(path: AnyPath) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the one stream that is the video, for decoding in this thread alone.

    A container left open hangs the workers that are forked later; this is the only place that
    opens one.

    Raises:
        InputError: The file is missing, unreadable, no video, without pictures, or over
            16384 px a side.
    """
    member = find_member(path)
    target = member.open() if member else f"file:{check_file(path)}"
    try:
        with av.open(target, "r", metadata_errors="ignore", options=_OPEN_OPTIONS) as container:
            stream = choose_stream(container, path)
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            yield container, stream
    except av.error.FFmpegError as error:
        raise unreadable(path, error) from None


def choose_stream(container: InputContainer, path: AnyPath) -> VideoStream:
    """Return the stream of an open container that is the video.

    Args:
        container: What was opened.
        path: What errors call it.

    Raises:
        NoVideoError: It holds no moving pictures.
        InputError: Its codec is unknown, or it is over 16384 px a side.
    """
    shown = show_path(path)
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [s for s in container.streams.video if not s.disposition & covers]
    if not moving:
        held = "sound" if container.streams.audio else "no stream of pictures"
        extra = " and a cover picture" if container.streams.video else ""
        raise NoVideoError(f"{shown}: holds {held}{extra} but no video. Name a file with pictures.")
    known = [s for s in moving if s.codec_context is not None]
    if not known:
        raise InputError(f"{shown}: its video codec is unknown. Convert it to MP4 (H.264).")
    main = max(known, key=_rank)
    check_size(main.height, main.width, path)
    return main


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    """Order streams: a still codec last, since not every cover picture is marked as one."""
    is_moving = stream.codec_context.name not in ("mjpeg", "png")
    is_default = bool(stream.disposition & Disposition.default)
    return is_moving, is_default, stream.width * stream.height


def check_size(height: int, width: int, path: AnyPath) -> None:
    """Check that a picture is of a size that can be held.

    Raises:
        InputError: It has more than 16384 px a side.
    """
    if max(height, width) > MAX_SIDE_PX:
        raise InputError(
            f"{show_path(path)}: is {width} x {height} px; at most {MAX_SIDE_PX} px a side can be "
            "read. Scale it down first."
        )


def read_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield packets until the end or until the container breaks; the last is the flush."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        # A damaged tail ends the video. What came before it is good; the decoder is flushed.
        flush = Packet()
        flush.stream = stream
        yield cast("Packet[VideoStream]", flush)


def decode_stream(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames of a stream in order, as many as decode."""
    for packet in read_packets(container, stream):
        yield from decode_packet(packet)


def decode_packet(packet: Packet[VideoStream]) -> list[VideoFrame]:
    """Return the frames that a packet completes; none where it is damaged."""
    # One bad packet costs its frame, not all that follow.
    return try_packet(packet) or []


def try_packet(packet: Packet[VideoStream]) -> list[VideoFrame] | None:
    """Return the frames that a packet completes; None where it is damaged."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return None


def sane_rate(stream: VideoStream) -> float:
    """Return the frames a second that a stream declares, or 25 where that cannot be true."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and SANE_RATES_FPS[0] <= rate <= SANE_RATES_FPS[1]:
            return float(rate)
    return FALLBACK_RATE_FPS


def quarter_turns(frame: VideoFrame) -> int:
    """Return by how many quarter turns, 0 to 3, a frame is shown turned anticlockwise."""
    return round(frame.rotation / 90) % 4


def displayed_size(frame: VideoFrame, stream: VideoStream, path: AnyPath) -> tuple[int, int]:
    """Return (height, width) in px as shown: turned, and with square pixels.

    Raises:
        InputError: As `check_size`.
    """
    aspect = float(stream.sample_aspect_ratio or 1)
    if not 0.1 <= aspect <= 10:
        aspect = 1.0  # A ratio beyond any camera's is damage, not a wish.
    height, width = frame.height, max(1, round(frame.width * aspect))
    check_size(height, width, path)
    return (width, height) if quarter_turns(frame) % 2 else (height, width)


def no_frame(path: AnyPath) -> InputError:
    """Return the error of a file of which not one frame decodes."""
    return InputError(
        f"{show_path(path)}: no frame of it can be decoded; it is damaged or incomplete. "
        "Copy or download it again, or leave it out."
    )


def unreadable(path: AnyPath, error: Exception) -> InputError:
    """Return the error of a file that libav refuses."""
    reason = getattr(error, "strerror", None) or (str(error).splitlines() or ["?"])[0]
    if isinstance(error, av.error.ArgumentError):
        reason = "its format is none of video"  # What libav says of a format we did not name.
    return InputError(
        f"{show_path(path)}: is not a video that can be read ({reason}). "
        "Convert it to MP4, for instance with ffmpeg, or leave it out."
    )
