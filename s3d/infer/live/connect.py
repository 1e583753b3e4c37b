"""Opening what SOURCE names: a container that libav reads, whatever brings its bytes.

Addresses are read by us (`s3d.infer.live.feed`), so libav needs no protocol for them; for RTSP and
cameras it opens what is named and nothing else.
"""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from s3d.data.container import CONTAINERS, choose_stream, open_stream
from s3d.errors import InputError
from s3d.infer.live.feed import Halt, LostError, open_feed
from s3d.infer.live.source import Source
from s3d.web import reason_of

STALL_SECONDS = 10.0
"""A stream that brings nothing for so long is opened anew."""
PROBE_BYTES = 1_000_000
PROBE_MICROSECONDS = 500_000
_NO_STAMPS = 0x80
"""libav's AVFMT_NOTIMESTAMPS: the times of such a format are made up."""

# Little is looked at before the first picture: it would be late by as much.
_LIVE = {
    "fpsprobesize": "0",
    "probesize": str(PROBE_BYTES),
    "analyzeduration": str(PROBE_MICROSECONDS),
}
_FED = {"format_whitelist": f"{CONTAINERS},mpjpeg", "protocol_whitelist": "none", **_LIVE}
_RTSP = {
    "format_whitelist": "rtsp,sdp,rtp,mpegts",
    "protocol_whitelist": "rtsp,rtp,srtp,tcp,udp,tls",
    "rtsp_transport": "tcp",
    **_LIVE,
}
_CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation"}


@dataclass(frozen=True)
class Connection:
    """Hold what was opened.

    Attributes:
        container: Gives packets.
        stream: The one that is the video.
        is_paced: Whether it comes faster than it plays, so that each frame waits for its time.
        has_stamps: Whether its times are its own; those of bare streams are made up.
        beat: To be called before a packet is asked for.
    """

    container: InputContainer
    stream: VideoStream
    is_paced: bool
    has_stamps: bool
    beat: Callable[[], None] = lambda: None


@contextmanager
def open_connection(
    source: Source, stop: Halt, stall_seconds: float = STALL_SECONDS
) -> Iterator[Connection]:
    """Open a source for reading in this thread.

    Args:
        source: What to open.
        stop: Set where waiting is to end.
        stall_seconds: For how long nothing may come.

    Raises:
        LostError: It cannot be opened now, or was lost; another time it may be there.
        InputError: It is there and holds no video that can be read.
    """
    if source.kind == "file":
        with open_stream(source.target) as (container, stream):
            yield Connection(container, stream, True, True)
        return
    try:
        if source.kind in ("camera", "rtsp"):
            with _open_device(source, stall_seconds) as container:
                yield _describe(container, source, False)
            return
        feed = open_feed(source, stop, stall_seconds)
        try:
            with av.open(
                feed, "r", format=feed.format, metadata_errors="ignore", options=_FED
            ) as c:
                yield replace(_describe(c, source, feed.is_whole), beat=feed.beat)
        finally:
            feed.close()
    except InputError:
        raise
    except (av.error.FFmpegError, OSError, http.client.HTTPException) as error:
        raise LostError(reason_of(error)) from None


def camera_address(source: Source, platform: str = sys.platform) -> tuple[str, str]:
    """Return libav's format and name of a camera.

    Raises:
        InputError: This system's cameras are not opened by number.
    """
    name = "linux" if platform.startswith("linux") else platform
    if name not in _CAMERA_FORMATS:
        raise InputError(
            f"{source.shown}: cameras are opened on Linux and macOS alone. Elsewhere pipe one in: "
            "ffmpeg -f dshow -i video=NAME -f mpegts - | s3d watch -"
        )
    is_number = source.target.isdigit()
    device = f"/dev/video{source.target}" if name == "linux" and is_number else source.target
    return _CAMERA_FORMATS[name], device


def _open_device(source: Source, stall_seconds: float) -> InputContainer:
    timeout = (stall_seconds, stall_seconds)
    if source.kind == "rtsp":
        return av.open(source.target, metadata_errors="ignore", options=_RTSP, timeout=timeout)
    kind, device = camera_address(source)
    return av.open(device, format=kind, timeout=timeout)


def _describe(container: InputContainer, source: Source, is_paced: bool) -> Connection:
    stream = choose_stream(container, source.shown)
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    has_stamps = not int(container.format.flags) & _NO_STAMPS
    return Connection(container, stream, is_paced, has_stamps)
