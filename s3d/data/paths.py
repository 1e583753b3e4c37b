"""Paths a person gives: local files, or videos in shards on the web; shown on one line."""

from __future__ import annotations

import os
from pathlib import Path

from s3d.errors import InputError
from s3d.files import show_path as show_path

AnyPath = str | os.PathLike[str]


def is_url(path: str) -> bool:
    """Return whether a path is an address on the web."""
    return path.startswith(("http://", "https://"))


def absolute_name(path: AnyPath) -> str:
    """Return the absolute form of a path; an address is one already."""
    text = os.fspath(path)
    return text if is_url(text) else os.path.abspath(text)  # noqa: PTH100


def check_file(path: AnyPath) -> Path:
    """Return the absolute path of a regular file that can be read and is not empty.

    Raises:
        InputError: The path is missing, a folder, a device or a pipe, unreadable or of 0 bytes.
    """
    shown = show_path(path)
    try:
        absolute = Path(path).absolute()
        if not absolute.exists():
            raise InputError(f"{shown}: no such file. Check the path.")
        if absolute.is_dir():
            raise InputError(f"{shown}: is a folder; a video file is needed. Name one file in it.")
        if not absolute.is_file():
            raise InputError(f"{shown}: is not a regular file. Save the video to a file first.")
        with absolute.open("rb") as file:
            if not file.read(1):
                raise InputError(f"{shown}: is empty (0 bytes). Copy or download it again.")
    except PermissionError:
        raise InputError(f"{shown}: no permission to read it. Change its permissions.") from None
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}). Check the path.") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{shown}: is not a path ({error}). Check the path.") from None
    return absolute
