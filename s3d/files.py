"""Writing so that a file is whole or absent: beside its place, then renamed into it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from s3d.errors import InputError


def show_path(path: str | os.PathLike[str]) -> str:
    """Return a path as one printable line, whatever bytes its name holds."""
    text = os.fspath(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, then rename it into place.

    Args:
        path: Where the file is to be.
        write: Fills the path it is given.

    Raises:
        InputError: The disk is full, the folder is missing or may not be written to. Nothing
            half-written is left.
    """
    if not path.name:
        shown = show_path(path) or "an empty name"
        raise InputError(f"{shown}: no file can be there. Name a file.")
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(beside)
        with beside.open("rb+") as file:  # Windows flushes only what may be written
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from None
        raise


def write_together(paths: Sequence[Path], write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder beside with files of these names, then rename them into place.

    Where there are several, the last stands for all: it is taken away before the others change and
    comes after them, so that there is never one that does not fit them.

    Args:
        paths: Where the files are to be, in one folder.
        write: Fills the folder it is given.

    Raises:
        InputError: As `write_atomically`.
    """
    last = paths[-1]
    folder = last.with_name(f".{last.name}.{os.getpid()}.part")
    try:
        folder.mkdir()
        write(folder)
        for path in paths:
            with (folder / path.name).open("rb+") as file:
                os.fsync(file.fileno())
        if len(paths) > 1:
            last.unlink(missing_ok=True)
        for path in paths:
            (folder / path.name).replace(path)
    except OSError as error:
        raise _cannot_write(last, error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cannot_write(path: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    return InputError(
        f"{show_path(path)}: cannot be written ({reason}). Free some room or choose another place."
    )


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write bytes atomically; raises as `write_atomically`."""

    def write(beside: Path) -> None:
        beside.write_bytes(content)

    write_atomically(path, write)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; raises as `write_atomically`."""
    write_bytes(path, text.encode())


def write_json(path: Path, values: object) -> None:
    """Write JSON atomically; raises as `write_atomically`."""
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    # Of file names that are not UTF-8 Python keeps bytes as surrogates, which JSON takes escaped.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        InputError: It cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{show_path(path)}: the folder cannot be made ({reason}). Choose another place."
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{show_path(path)}: no permission to write there. Choose another place.")


def cache_folder() -> Path:
    """Return S3D_HOME if set, else `s3d` in XDG_CACHE_HOME or ~/.cache; it need not exist.

    Raises:
        InputError: No home folder is known.
    """
    home, cache = os.environ.get("S3D_HOME"), os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(home or Path(cache or "~/.cache", "s3d")).expanduser().absolute()
    except RuntimeError:
        raise InputError(
            "no home folder is known to keep weights in; set S3D_HOME to a folder."
        ) from None
