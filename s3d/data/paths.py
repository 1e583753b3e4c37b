"""Paths a person gives: local files, or videos in shards on the web; shown on one line."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from s3d.errors import InputError
from s3d.files import show_path as show_path

AnyPath = str | os.PathLike[str]
_KNOWS_EFFECTIVE_IDS = os.access in os.supports_effective_ids
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


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
    try:
        absolute = Path(path).absolute()
        _check_state(absolute, path)
    except PermissionError:
        raise InputError(
            f"{show_path(path)}: no permission to read it. Change its permissions."
        ) from None
    except OSError as error:
        reason = f"cannot be read ({error.strerror}). Check the path."
        if error.errno in _NOT_THERE:
            reason = "no such file. Check the path."
        raise InputError(f"{show_path(path)}: {reason}") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{show_path(path)}: is not a path ({error}). Check the path.") from None
    return absolute


def _check_state(absolute: Path, path: AnyPath) -> None:
    # One look at the disk: every clip that is read comes through here.
    state = absolute.stat()
    if stat.S_ISDIR(state.st_mode):
        reason = "is a folder; a video file is needed. Name one file in it."
    elif not stat.S_ISREG(state.st_mode):
        reason = "is not a regular file. Save the video to a file first."
    elif not os.access(absolute, os.R_OK, effective_ids=_KNOWS_EFFECTIVE_IDS):
        reason = "no permission to read it. Change its permissions."
    elif not state.st_size:
        reason = "is empty (0 bytes). Copy or download it again."
    else:
        return
    raise InputError(f"{show_path(path)}: {reason}")
