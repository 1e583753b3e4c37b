"""What a person means by SOURCE: a camera, an address, a pipe or a file."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from s3d.errors import InputError
from s3d.files import show_path
from s3d.web import is_offline

Kind = Literal["camera", "rtsp", "web", "file", "pipe", "stdin"]

_SCHEMES: dict[str, Kind] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "web", "https": "web"}


@dataclass(frozen=True)
class Source:
    """Name where pictures come from.

    Attributes:
        kind: How it is opened.
        target: A camera's number or device, an address, or a path. Of an http(s) address without
            user name and password; of rtsp with them, since libav wants them there.
        user: Name and password of an http(s) address that holds them.
        shown: What is said of it in messages: never a password.
    """

    kind: Kind
    target: str
    user: tuple[str, str] | None = field(default=None, repr=False)
    shown: str = ""

    @property
    def comes_back(self) -> bool:
        """Return whether it is opened again when it ends: a file and standard input are not."""
        return self.kind not in ("file", "stdin")


def parse_source(text: str) -> Source:
    """Return what a SOURCE names.

    Args:
        text: A number is a camera; rtsp://, rtsps://, http:// and https:// are addresses; "-" is
            standard input; anything else a path: of a file, a FIFO or a camera's device.

    Raises:
        InputError: The scheme is another, an address has no host, or S3D_OFFLINE forbids it.
    """
    if text == "-":
        return Source("stdin", "-", shown="standard input")
    if text.isascii() and text.isdigit():
        return Source("camera", str(int(text)), shown=f"camera {int(text)}")
    if "://" in text:
        return _parse_address(text)
    kind: Kind = "file"
    with contextlib.suppress(OSError, ValueError):
        mode = os.stat(text).st_mode  # noqa: PTH116
        kind = "pipe" if stat.S_ISFIFO(mode) else "camera" if stat.S_ISCHR(mode) else "file"
    return Source(kind, text, shown=show_path(text))


def _parse_address(text: str) -> Source:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("the address of SOURCE cannot be read; write rtsp://host/path.") from None
    kind = _SCHEMES.get(parts.scheme.lower())
    if kind is None:
        raise InputError(
            f"{show_path(parts.scheme)}:// cannot be watched. Known: {', '.join(_SCHEMES)}; "
            "a number for a camera, a file, a FIFO, or - for standard input."
        )
    if not host or not text.isprintable() or " " in text:
        raise InputError(
            f"{show_path(_hide(text))}: names no host. Write {parts.scheme}://host/..."
        )
    if is_offline():
        raise InputError("S3D_OFFLINE forbids the network. Unset it, or watch a file or a camera.")
    place = f"[{host}]" if ":" in host else host
    bare = parts._replace(netloc=f"{place}:{port}" if port else place).geturl()
    user = None
    if parts.username is not None:
        user = unquote(parts.username), unquote(parts.password or "")
    return Source(kind, text if kind == "rtsp" else bare, user if kind == "web" else None, bare)


def _hide(address: str) -> str:
    """Return an address without what stands before its last @."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
