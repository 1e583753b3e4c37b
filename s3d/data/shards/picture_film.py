"""A folder of pictures as one file: its JPEGs or PNGs, as they are, in an AVI of their rate."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import cast

import av
from av.packet import Packet
from av.video.stream import VideoStream

from s3d.data.frame_folder import FrameFolder, picture_codec, read_picture
from s3d.data.paths import show_path
from s3d.errors import InputError

_PIXELS = {"mjpeg": "yuvj420p", "png": "rgb24"}
MOST_FILM_BYTES = 1 << 30


def film_pictures(folder: FrameFolder) -> bytes:
    """Return an AVI that gives the frames and times of a folder of pictures; none is encoded anew.

    Args:
        folder: Its pictures must all be JPEG, or all PNG, and of one size.

    Raises:
        InputError: They are not, or one cannot be read.
    """
    contents = [picture.read_bytes() for picture in folder.pictures]
    kinds = {picture_codec(content) for content in contents}
    codec = next(iter(kinds)) or ""
    if len(kinds) > 1 or codec not in _PIXELS:
        raise InputError(
            f"{show_path(folder.path)}: only pictures that are all JPEG or all PNG can be packed. "
            "Make a video of them."
        )
    sizes = {(frame.height, frame.width) for frame in map(read_picture, folder.pictures)}
    if len(sizes) > 1 or sum(map(len, contents)) > MOST_FILM_BYTES:
        raise InputError(
            f"{show_path(folder.path)}: its pictures have {len(sizes)} sizes and "
            f"{sum(map(len, contents)):,} bytes; one size and at most {MOST_FILM_BYTES:,} bytes "
            "can be packed. Make a video of them."
        )
    return _mux(contents, codec, sizes.pop(), folder.rate_fps)


def _mux(contents: list[bytes], codec: str, size_px: tuple[int, int], rate_fps: float) -> bytes:
    rate = Fraction(rate_fps).limit_denominator(100_000)
    file = io.BytesIO()
    with av.open(file, "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=rate))
        stream.height, stream.width = size_px
        stream.pix_fmt = _PIXELS[codec]
        stream.codec_context.thread_count = 1
        for number, content in enumerate(contents):
            packet = Packet(content)
            packet.stream = stream
            packet.time_base = 1 / rate
            packet.pts = packet.dts = number
            packet.duration = 1
            packet.is_keyframe = True
            container.mux(packet)
    return file.getvalue()
