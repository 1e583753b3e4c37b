"""Frames written as an H.264 video, one at a time; the file is whole or absent."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from s3d.data.made_folder import count_cores
from s3d.errors import InputError
from s3d.files import show_path, write_atomically

CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}
OPTIONS = {"preset": "veryfast", "crf": "20"}
MOST_THREADS = 4  # Each holds frames.
TICK_SECONDS = {"mp4": Fraction(1, 90_000), "matroska": Fraction(1, 1000)}
"""Of files with times of their own; Matroska counts in ms."""


class AnnotatedWriter:
    """Write a video frame by frame, in memory that does not grow with its length.

    It is written beside its place, and comes there as the `with` block ends; where the block raises
    there is no file, and what was there before stays.

        with AnnotatedWriter(Path("out.mp4"), (480, 640), 25) as writer:
            writer.write(frame)
    """

    def __init__(self, path: Path, size_px: tuple[int, int], rate_fps: float | Fraction) -> None:
        """Set up; nothing is written yet.

        Args:
            path: Ends in .mp4 or .mkv.
            size_px: (height, width) of the frames. The picture of a side that is odd gets a row
                or column more, like the last one, since H.264 needs even ones.
            rate_fps: Frames a second; where frames come with times it is but a hint.

        Raises:
            InputError: The path ends in something else.
        """
        check_extension(path)
        self.path, self.size_px = path, size_px
        self.count = 0
        self._rate = Fraction(rate_fps).limit_denominator(1001)
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.video.part")
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._first_seconds: float | None = None
        self._tick, self._last_tick = 1 / self._rate, -1

    def __enter__(self) -> AnnotatedWriter:
        """Open the file beside.

        Raises:
            InputError: It cannot be made there.
        """
        options = {"movflags": "+faststart"} if self._format == "mp4" else {}
        try:
            # libav opens it with the first frame: too late for who waits for a detector.
            self._beside.touch()
            self._container = av.open(
                str(self._beside), "w", format=self._format, container_options=options
            )
        except (FFmpegError, OSError) as error:
            raise self._cannot_write(error) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file and put it in its place, or take it away.

        Raises:
            InputError: The disk is full, or no frame came.
        """
        try:
            if kind is None:
                self._finish()
        finally:
            if self._container is not None:
                with contextlib.suppress(FFmpegError, OSError, ValueError):
                    self._container.close()
            with contextlib.suppress(OSError):
                self._beside.unlink(missing_ok=True)

    def write(self, frame: npt.NDArray[np.uint8], time_seconds: float | None = None) -> None:
        """Write the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB, of the size that was said.
            time_seconds: When it is shown, later than those before; the first is shown at once.
                Given for all frames or for none, which then are even.

        Raises:
            InputError: The disk is full.
            ValueError: The frame is of another size.
        """
        if frame.shape != (*self.size_px, 3):
            raise ValueError(f"frame is {frame.shape}; the video is of {(*self.size_px, 3)}.")
        stream = self._stream or self._begin(time_seconds)
        picture = VideoFrame.from_ndarray(_make_even(frame), format="rgb24")
        picture.pts, picture.time_base = self._next_tick(time_seconds), self._tick
        self._mux(stream, picture)
        self.count += 1

    @property
    def _format(self) -> str:
        return CONTAINERS[self.path.suffix.lower()]

    def _begin(self, time_seconds: float | None) -> VideoStream:
        if self._container is None:
            raise ValueError("the video is not open; use `with AnnotatedWriter(...) as writer`.")
        self._first_seconds = time_seconds
        if time_seconds is not None:
            self._tick = TICK_SECONDS[self._format]
        stream = self._container.add_stream("libx264", rate=self._rate, options=OPTIONS)
        stream.height, stream.width = (side + side % 2 for side in self.size_px)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = self._tick
        stream.codec_context.thread_count = min(MOST_THREADS, count_cores())
        self._stream = stream
        return stream

    def _next_tick(self, time_seconds: float | None) -> int:
        tick = self._last_tick + 1
        if time_seconds is not None and self._first_seconds is not None:
            # Two frames of the same time would not be a video.
            tick = max(tick, round((time_seconds - self._first_seconds) / self._tick))
        self._last_tick = tick
        return tick

    def _mux(self, stream: VideoStream, picture: VideoFrame | None) -> None:
        assert self._container is not None
        try:
            self._container.mux(stream.encode(picture))
        except (FFmpegError, OSError) as error:
            raise self._cannot_write(error) from None

    def _finish(self) -> None:
        if self._stream is None or self._container is None:
            raise InputError(f"{show_path(self.path)}: no frame came, so there is no video.")
        self._mux(self._stream, None)
        try:
            self._container.close()
        except (FFmpegError, OSError) as error:
            raise self._cannot_write(error) from None
        write_atomically(self.path, lambda beside: _move(self._beside, beside))

    def _cannot_write(self, error: Exception) -> InputError:
        reason = getattr(error, "strerror", None) or str(error)
        return InputError(
            f"{show_path(self.path)}: cannot be written ({reason}). "
            "Free some room or choose another place."
        )


def check_extension(path: Path) -> None:
    """Check that a video can be written to a file of that name.

    Raises:
        InputError: It ends in something else than .mp4 or .mkv.
    """
    if path.suffix.lower() not in CONTAINERS:
        raise InputError(
            f"{show_path(path)}: an annotated video is written as .mp4 or .mkv. "
            "End the name in one of them."
        )


def _make_even(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(frame)


def _move(source: Path, target: Path) -> None:
    source.replace(target)
