"""A folder of pictures as a video: Something-Something v1 and everything ffmpeg has unpacked.

Such a video is named by its folder and the rate of its pictures, `frames/7?rate=12`, since no
picture tells how many a second there are. It gives the same description and the same frames as a
file would, so that whatever takes a video takes it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from s3d.data.container import check_size
from s3d.data.paths import AnyPath, show_path
from s3d.data.video_info import Frames, Reading, VideoInfo
from s3d.errors import InputError

PICTURE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
RATES_FPS = (0.01, 1000.0)
_RATE = re.compile(r"(.+)\?rate=([^?&/]*)", re.DOTALL)
# By how a file begins, not by its name: a PNG that is called .jpg is common.
_CODECS = ((b"\xff\xd8", "mjpeg"), (b"\x89PNG", "png"), (b"BM", "bmp"), (b"RIFF", "webp"))


@dataclass(frozen=True)
class FrameFolder:
    """Name the pictures of a video.

    Attributes:
        path: As it was given, with its rate.
        pictures: Paths in natural order of their names.
        rate_fps: Pictures a second.
    """

    path: str
    pictures: tuple[Path, ...]
    rate_fps: float

    def probe(self) -> VideoInfo:
        """Describe the video; one picture is decoded.

        Raises:
            InputError: The first picture cannot be read.
        """
        first = read_picture(self.pictures[0])
        count = len(self.pictures)
        times = np.arange(count) / self.rate_fps
        duration = count / self.rate_fps
        return VideoInfo(
            self.path, first.height, first.width, count, self.rate_fps, duration, times
        )

    def read(self, wanted: npt.NDArray[np.int64], size_px: tuple[int, int] | None) -> Reading:
        """Read pictures by number; one beyond the end counts on from the beginning.

        Args:
            wanted: (T,) numbers from 0.
            size_px: (height, width); None is that of the first picture.

        Raises:
            InputError: A picture cannot be read.
        """
        count = len(self.pictures)
        numbers = wanted % count
        size = size_px or _size_of(read_picture(self.pictures[0]))
        out = np.empty((len(numbers), *size, 3), np.uint8)
        for number in np.unique(numbers):
            out[numbers == number] = _convert(read_picture(self.pictures[number]), size)
        is_short = bool(wanted.size) and int(wanted.max()) >= count
        return Reading(out, count if is_short else None)

    def iterate(self, size_px: tuple[int, int] | None) -> Iterator[Frames]:
        """Yield every picture (H, W, 3) in order, all at the size of the first unless one is given.

        Raises:
            InputError: A picture cannot be read.
        """
        for path in self.pictures:
            frame = read_picture(path)
            size_px = size_px or _size_of(frame)
            yield _convert(frame, size_px)


def find_frame_folder(path: AnyPath) -> FrameFolder | None:
    """Return the folder of pictures that a path names; None where it names no folder of pictures.

    Raises:
        InputError: It does, but says no rate or one that cannot be; or the folder cannot be read.
    """
    folder, rate = split_rate(os.fspath(path))
    try:
        pictures = list_pictures(folder) if os.path.isdir(folder) else ()  # noqa: PTH112
    except OSError as error:
        raise InputError(
            f"{show_path(folder)}: cannot be read ({error.strerror}). Check its permissions."
        ) from None
    if not pictures:
        if rate is not None:
            raise InputError(f"{show_path(folder)}: no such folder of pictures. Check the path.")
        return None
    return FrameFolder(os.fspath(path), pictures, _check_rate(folder, rate))


def split_rate(path: str) -> tuple[str, str | None]:
    """Part "DIR?rate=12" into the folder and the rate; None where there is none."""
    match = None if os.path.exists(path) else _RATE.fullmatch(path)  # noqa: PTH110
    return (match[1], match[2]) if match else (path, None)


def list_pictures(folder: str) -> tuple[Path, ...]:
    """Return the pictures of a folder in natural order: 2.jpg before 10.jpg.

    Raises:
        OSError: The folder cannot be read.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
    kept = (name for name in names if os.path.splitext(name)[1].lower() in PICTURE_ENDINGS)  # noqa: PTH122
    return tuple(Path(folder, name) for name in sorted(kept, key=_number_in))


def read_picture(path: Path) -> VideoFrame:
    """Decode a picture.

    Raises:
        InputError: It is missing, damaged, too large or of a kind that is not known.
    """
    shown = show_path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}). Check the path.") from None
    codec = picture_codec(content)
    frame = _decode(content, codec) if codec else None
    if frame is None:
        raise InputError(
            f"{shown}: is no picture that can be read (JPEG, PNG, BMP, WebP). "
            "Unpack the video again, or leave it out."
        )
    check_size(frame.height, frame.width, path)
    return frame


def picture_codec(content: bytes) -> str | None:
    """Return the codec of a picture by how it begins; None where it is not known."""
    return next((name for start, name in _CODECS if content.startswith(start)), None)


def _decode(content: bytes, codec: str) -> VideoFrame | None:
    decoder = cast(VideoCodecContext, av.CodecContext.create(codec, "r"))
    decoder.thread_count = 1
    decoder.thread_type = "NONE"
    # Without it, libav shows half a JPEG as its upper half and grey.
    decoder.options = {"err_detect": "explode"}
    packet = cast("Packet[VideoStream]", Packet(content))
    try:
        frames = [*decoder.decode(packet), *decoder.decode(None)]
    except av.error.FFmpegError:
        return None
    return frames[0] if frames else None


def _convert(frame: VideoFrame, size_px: tuple[int, int]) -> Frames:
    height, width = size_px
    # One thread: swscale's own pool costs more than it saves, and dies in a fork.
    rgb = VideoReformatter().reformat(frame, width, height, "rgb24", threads=1)
    return np.asarray(rgb.to_ndarray(), np.uint8)


def _size_of(frame: VideoFrame) -> tuple[int, int]:
    return frame.height, frame.width


def _number_in(name: str) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)], name


def _check_rate(folder: str, rate: str | None) -> float:
    shown = show_path(folder)
    if rate is None:
        raise InputError(
            f"{shown}: is a folder of pictures; say how many a second, as in {shown}?rate=12."
        )
    try:
        value = float(rate)
    except ValueError:
        value = -1.0
    low, high = RATES_FPS
    if not low <= value <= high:
        raise InputError(f"{shown}: rate is {rate!r}; it needs a number from {low:g} to {high:g}.")
    return value
