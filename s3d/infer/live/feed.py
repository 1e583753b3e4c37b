"""Bytes of a stream, read so that nobody waits for ever: from a pipe, or from a web server.

libav gets them from here instead of opening addresses itself: so no stream can make it open a file
or another address, https is verified, and a reader that is told to stop does so at once.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from threading import Event
from typing import Protocol
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    OpenerDirector,
    Request,
    build_opener,
)

from s3d import __version__
from s3d.errors import InputError
from s3d.infer.live.source import Source
from s3d.web import Redirects

LOOK_SECONDS = 0.1
"""How often a reader that waits looks whether it is to stop."""


class LostError(Exception):
    """Say why a stream ended that may come again."""


class Halt(Event):
    """Say that reading is to stop, and wake whoever waits for a network."""

    def __init__(self) -> None:
        super().__init__()
        self.wake: Callable[[], None] | None = None

    def set(self) -> None:
        """Ask to stop."""
        super().set()
        if wake := self.wake:
            wake()


class Feed(Protocol):
    """Give bytes to libav."""

    @property
    def format(self) -> str | None:
        """Return libav's name of the format where it is known."""

    @property
    def is_whole(self) -> bool:
        """Return whether this is a file of known length, which comes faster than it plays."""

    def beat(self) -> None:
        """Hear that a packet is asked for: it must come within the stall's time."""

    def read(self, count: int) -> bytes:
        """Return at most `count` bytes, at least one before the end, or raise LostError."""

    def close(self) -> None:
        """Let go."""


class _Patience:
    """Give up on a stream that brings no packet for a while, whether it is silent or not."""

    def __init__(self, stop: Halt, stall_seconds: float) -> None:
        self.stop, self.stall_seconds = stop, stall_seconds
        self.beat()

    def beat(self) -> None:
        """Begin to wait for a packet."""
        self._end = time.monotonic() + self.stall_seconds

    def check(self) -> None:
        """Raise LostError where it was waited for too long."""
        if time.monotonic() > self._end:
            raise LostError(f"nothing for {self.stall_seconds:g} s")


class PipeFeed(_Patience):
    """Read a FIFO or standard input."""

    format = None
    is_whole = False

    def __init__(self, source: Source, stop: Halt, stall_seconds: float) -> None:
        super().__init__(stop, stall_seconds)
        if source.kind == "stdin":
            self.number = os.dup(sys.stdin.fileno())
        else:  # Without O_NONBLOCK opening waits for somebody who writes.
            self.number = os.open(source.target, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))

    def read(self, count: int) -> bytes:
        """Return what there is, or b"" where the writer is gone."""
        while not self._has_data() and not self.stop.is_set():
            self.check()
        self.check()
        return b"" if self.stop.is_set() else os.read(self.number, count)

    def close(self) -> None:
        """Close our end."""
        os.close(self.number)

    def _has_data(self) -> bool:
        if os.name == "nt":
            return True  # Windows cannot wait for a pipe: reading it waits.
        # poll and not select: a FIFO nobody has opened yet is not at its end.
        poll = select.poll()
        poll.register(self.number, select.POLLIN | select.POLLHUP)
        return bool(poll.poll(LOOK_SECONDS * 1000))


class WebFeed(_Patience):
    """Read what a web server answers."""

    def __init__(self, source: Source, stop: Halt, stall_seconds: float) -> None:
        super().__init__(stop, stall_seconds)
        request = Request(source.target, headers={"User-Agent": f"s3d/{__version__}"})
        self.response: http.client.HTTPResponse = _opener(source).open(
            request, timeout=stall_seconds
        )
        kind = self.response.headers.get_content_type()
        if kind.endswith("mpegurl") or kind == "application/dash+xml":
            self.response.close()
            raise InputError(
                f"{source.shown}: is a play list (HLS or DASH), which would open other addresses. "
                "Pipe it in: ffmpeg -i URL -c copy -f mpegts - | s3d watch -"
            )
        self.format = "mpjpeg" if kind == "multipart/x-mixed-replace" else None
        self.is_whole = self.response.length is not None
        stop.wake = self._wake

    def read(self, count: int) -> bytes:
        """Return what has come, or b"" at the end of the answer."""
        self.check()
        try:
            return self.response.read1(count)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self.stop.is_set():
                return b""
            raise LostError(str(error) or type(error).__name__) from None

    def close(self) -> None:
        """Close the connection."""
        self.stop.wake = None
        with contextlib.suppress(OSError, ValueError):
            self.response.close()

    def _wake(self) -> None:
        """End a read that waits in another thread."""
        # At the end of an answer its file is None already.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            number = self.response.fileno()
            with socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM) as handle:
                handle.shutdown(socket.SHUT_RDWR)


def open_feed(source: Source, stop: Halt, stall_seconds: float) -> Feed:
    """Open what gives the bytes of a web address, a FIFO or standard input.

    Raises:
        OSError: It cannot be opened; urllib's errors are among these.
        InputError: It is a play list.
        http.client.HTTPException: What answers is no web server.
    """
    if source.kind == "web":
        return WebFeed(source, stop, stall_seconds)
    return PipeFeed(source, stop, stall_seconds)


def _opener(source: Source) -> OpenerDirector:
    if source.user is None:
        return build_opener(Redirects)
    keys = HTTPPasswordMgrWithDefaultRealm()
    keys.add_password(None, source.target, *source.user)
    return build_opener(Redirects, HTTPDigestAuthHandler(keys), HTTPBasicAuthHandler(keys))
