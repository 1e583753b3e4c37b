"""A folder that one process has for itself; the lock is gone with the process that holds it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from s3d.errors import InputError
from s3d.files import show_path

LOCK = ".lock"


def lock_folder(folder: Path) -> BinaryIO | None:
    """Take a folder for this process, until the file that is returned is closed.

    Args:
        folder: It is there.

    Returns:
        The open file; None where another process has the folder. Where a file system or machine
        knows no locks, everybody gets one.

    Raises:
        InputError: Nothing can be written there.
    """
    try:
        file = (folder / LOCK).open("ab")
    except OSError as error:
        raise InputError(
            f"{show_path(folder)}: cannot be written to ({error.strerror}). Choose another place."
        ) from None
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except (ImportError, OSError):
        pass
    return file
