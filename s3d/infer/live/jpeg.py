"""Pictures as JPEG and back, through libav: how recent frames are kept without much memory."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from s3d.data.video_info import Frames

QUALITY = "4"
"""libav's scale of 2, the best, to 31."""


class JpegWriter:
    """Encode pictures; each may be of another size."""

    def __init__(self) -> None:
        self._context: VideoCodecContext | None = None
        self._count = 0

    def encode(self, picture: Frames) -> bytes:
        """Return a picture (H, W, 3) of even sides as a JPEG file."""
        height, width = picture.shape[:2]
        context = self._context
        if context is None or (context.height, context.width) != (height, width):
            context = self._context = _open_encoder(height, width)
        frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
        frame.pts = self._count
        self._count += 1
        return b"".join(bytes(packet) for packet in context.encode(frame))


class JpegReader:
    """Decode pictures."""

    def __init__(self) -> None:
        self._context = av.CodecContext.create("mjpeg", "r")

    def decode(self, jpeg: bytes) -> Frames:
        """Return the picture (H, W, 3) of a JPEG file.

        Raises:
            FFmpegError: It is damaged.
        """
        frames = self._context.decode(av.Packet(jpeg))
        picture: Frames = np.asarray(frames[0].to_ndarray(format="rgb24"), np.uint8)
        return picture


def _open_encoder(height: int, width: int) -> VideoCodecContext:
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, VideoCodecContext)
    context.height, context.width, context.pix_fmt = height, width, "yuvj420p"
    context.time_base = Fraction(1, 1000)
    context.thread_count = 1
    context.options = {"qmin": QUALITY, "qmax": QUALITY}
    return context
