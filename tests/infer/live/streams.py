"""Streams made up for tests, and a web server that sends them in real time and misbehaves."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av
import numpy as np
import numpy.typing as npt

CODECS = {
    "mpegts": ("libx264", "yuv420p", {"tune": "zerolatency", "preset": "ultrafast"}),
    "mpjpeg": ("mjpeg", "yuvj420p", {}),
    "h264": ("libx264", "yuv420p", {"tune": "zerolatency", "preset": "ultrafast"}),
}
KEY_EVERY = 5


@dataclass(frozen=True)
class Film:
    """Hold a stream, and where each of its frames ends in it; the first number is 0.

    Attributes:
        opening: What goes before a frame that is the first to be sent.
    """

    content: bytes
    ends: list[int]
    rate_fps: int
    opening: bytes = b""

    def piece(self, first: int, last: int) -> bytes:
        """Return the bytes of frames."""
        return self.content[self.ends[first] : self.ends[last]]


def grey_frames(levels: Sequence[int], size: tuple[int, int] = (48, 64)) -> npt.NDArray[np.uint8]:
    """Return frames (T, H, W, 3) of even greys: which one is seen can be told from its level."""
    return np.stack([np.full((*size, 3), level, np.uint8) for level in levels])


def make_film(frames: npt.NDArray[np.uint8], rate_fps: int = 25, format: str = "mpegts") -> Film:
    """Encode frames as a stream with a key frame every fifth."""
    codec, pixels, options = CODECS[format]
    file, ends = io.BytesIO(), [0]
    with av.open(file, "w", format=format) as container:
        stream = container.add_stream(codec, rate=rate_fps, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        if codec != "mjpeg":
            stream.codec_context.gop_size = KEY_EVERY
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate_fps)
            container.mux(stream.encode(frame))
            ends.append(file.tell())
        container.mux(stream.encode(None))
    opening = b"--ffmpeg\r\n" if format == "mpjpeg" else b""
    return Film(file.getvalue(), ends, rate_fps, opening)


Send = Callable[[bytes], Any]


def play(film: Film, send: Send, first: int = 0, last: int | None = None) -> None:
    """Send frames at the film's rate."""
    begin = time.monotonic()
    if first:
        send(film.opening)
    for number in range(first, len(film.ends) - 1 if last is None else last):
        time.sleep(max(0.0, begin + (number - first) / film.rate_fps - time.monotonic()))
        send(film.piece(number, number + 1))


@dataclass
class Script:
    """Say what a server answers: one act for each connection, the last for all that follow.

    Attributes:
        acts: Each sends bytes with the function it is given; when it returns the connection ends.
        content_type: Of every answer.
        asked: The Authorization header of every request.
        length: Content-Length of every answer, where it has one.
        password: What Authorization must be; others are refused.
    """

    acts: list[Callable[[Send], None]]
    content_type: str = "video/mp2t"
    asked: list[str | None] = field(default_factory=list)
    length: int | None = None
    password: str | None = None


@contextlib.contextmanager
def serve(script: Script) -> Iterator[str]:
    """Serve a script on the loopback until the block ends; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization")
            if script.password is not None and known != script.password:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
                return
            number = len(script.asked)
            script.asked.append(known)
            self.send_response(200)
            self.send_header("Content-Type", script.content_type)
            if script.length is not None:
                self.send_header("Content-Length", str(script.length))
            self.end_headers()
            with contextlib.suppress(OSError):
                script.acts[min(number, len(script.acts) - 1)](self.wfile.write)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/live"
        finally:
            server.shutdown()
            thread.join()
