"""What was scored of a long video, on disk as it comes, so that a killed run goes on.

    s3d-windows-1                    the first line
    [kind][bytes][crc32] content     an entry, and another, and another ...

Entries are appended whole. One that a kill tore, and all after it, is dropped when the file is
opened again; a file of other settings begins anew. Numbers are little-endian. Nothing in it is run.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from s3d.errors import InputError
from s3d.files import show_path

MAGIC = b"s3d-windows-1\n"
HEADER, WINDOW, GLANCE, ENDS_AT, COMPLETE = b"H", b"W", b"G", b"E", b"C"
MOST_ENTRY_BYTES = 2**26

_ENTRY = struct.Struct("<cII")
_WINDOW = struct.Struct("<q?")
_NUMBER = struct.Struct("<q")


class WindowEntry(NamedTuple):
    """Hold one window.

    Attributes:
        tick: Its first.
        is_counted: Whether frames were counted though the file can be sought.
        scores: (K,) float32.
    """

    tick: int
    is_counted: bool
    scores: npt.NDArray[np.float32]


@dataclass
class Progress:
    """Say how far a record has come.

    Attributes:
        windows: That are in.
        is_counted: Whether the last was read by counting though the file can be sought.
        ends_at: Frames that the file gives, where that is fewer than it promises.
        glances: Ticks of the small pictures that are in.
        is_complete: Whether nothing is left to do.
    """

    windows: int = 0
    is_counted: bool = False
    ends_at: int | None = None
    glances: frozenset[int] = frozenset()
    is_complete: bool = False


class Record:
    """Take windows as they come, and give them again; use it in a `with` statement to add.

    Attributes:
        path: The file.
        settings: What decides the scores.
        labels: Scores of a window, K.
        progress: What is in.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], labels: int) -> None:
        """Name a record; `with` opens it, or begins it.

        Args:
            path: The file.
            settings: JSON values that decide the scores; a record of others begins anew.
            labels: Scores of a window, K.
        """
        self.path, self.labels = path, labels
        self.settings = dict(settings)
        self._header = json.dumps(settings, sort_keys=True).encode()
        self.progress = Progress()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Record:
        try:
            self._file = self._open()
        except OSError as error:
            raise _refused(self.path, error) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def add_window(self, tick: int, is_counted: bool, scores: npt.NDArray[np.float32]) -> None:
        """Add the next window.

        Raises:
            InputError: The disk will not take it.
        """
        content = _WINDOW.pack(tick, is_counted) + scores.astype("<f4").tobytes()
        self._append(WINDOW, content)
        self.progress.windows += 1
        self.progress.is_counted = is_counted

    def add_glance(self, tick: int, jpeg: bytes) -> None:
        """Add a small picture; one that is in is passed over."""
        if tick not in self.progress.glances:
            self._append(GLANCE, _NUMBER.pack(tick) + jpeg)
            self.progress.glances |= {tick}

    def end_at(self, frames: int) -> None:
        """Note that the file gives fewer frames than it promises."""
        self._append(ENDS_AT, _NUMBER.pack(frames))
        self.progress.ends_at = frames

    def complete(self) -> None:
        """Note that nothing is left to do."""
        if not self.progress.is_complete:
            self._append(COMPLETE, b"")
            self.progress.is_complete = True

    def windows(self) -> Iterator[WindowEntry]:
        """Yield the windows in order, one in memory at a time.

        Raises:
            InputError: The file is gone.
        """
        for kind, content in self._entries():
            if kind == WINDOW:
                tick, is_counted = _WINDOW.unpack_from(content)
                scores = np.frombuffer(content, "<f4", offset=_WINDOW.size)
                yield WindowEntry(tick, is_counted, scores.astype(np.float32))

    def glances(self) -> list[tuple[int, bytes]]:
        """Return the small pictures, (tick, JPEG), in order of time.

        Raises:
            InputError: The file is gone.
        """
        found = [content for kind, content in self._entries() if kind == GLANCE]
        return sorted((_NUMBER.unpack_from(c)[0], c[_NUMBER.size :]) for c in found)

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        try:
            with self.path.open("rb") as file:
                if file.read(len(MAGIC)) == MAGIC:
                    yield from _read_entries(file)
        except OSError as error:
            raise _refused(self.path, error) from None

    def _open(self) -> BinaryIO:
        # Unbuffered: what was added is with the system, and outlives the process.
        file = self.path.open("ab+", buffering=0)
        try:
            file.seek(0)
            end = self._take_up(file)
            file.truncate(end)
            if not end:
                file.write(MAGIC)
                file.write(_pack(HEADER, self._header))
        except BaseException:
            file.close()
            raise
        return file

    def _take_up(self, file: BinaryIO) -> int:
        """Return where what can be used ends: 0 where nothing can."""
        self.progress = Progress()
        if file.read(len(MAGIC)) != MAGIC:
            return 0
        end, entries = 0, _read_entries(file)
        if next(entries, None) != (HEADER, self._header):
            return 0
        end = file.tell()
        glances = set[int]()
        for kind, content in entries:
            if not self._is_sound(kind, content):
                break
            end = file.tell()
            self._note(kind, content, glances)
        self.progress.glances = frozenset(glances)
        return end

    def _is_sound(self, kind: bytes, content: bytes) -> bool:
        if kind == WINDOW:
            return len(content) == _WINDOW.size + 4 * self.labels
        return len(content) >= _NUMBER.size if kind in (GLANCE, ENDS_AT) else kind == COMPLETE

    def _note(self, kind: bytes, content: bytes, glances: set[int]) -> None:
        progress = self.progress
        if kind == WINDOW:
            progress.windows += 1
            progress.is_counted = bool(_WINDOW.unpack_from(content)[1])
        elif kind == GLANCE:
            glances.add(_NUMBER.unpack_from(content)[0])
        elif kind == ENDS_AT:
            progress.ends_at = _NUMBER.unpack_from(content)[0]
        elif kind == COMPLETE:
            progress.is_complete = True

    def _append(self, kind: bytes, content: bytes) -> None:
        if self._file is None:
            raise ValueError("a record takes entries in a `with` statement alone")
        try:
            left = memoryview(_pack(kind, content))
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise _refused(self.path, error) from None


def _pack(kind: bytes, content: bytes) -> bytes:
    return _ENTRY.pack(kind, len(content), zlib.crc32(kind + content)) + content


def _read_entries(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield entries up to the first that is torn."""
    while len(head := file.read(_ENTRY.size)) == _ENTRY.size:
        kind, size, crc = _ENTRY.unpack(head)
        if size > MOST_ENTRY_BYTES:
            return
        content = file.read(size)
        if len(content) != size or zlib.crc32(kind + content) != crc:
            return
        yield kind, content


def _refused(path: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    return InputError(
        f"{show_path(path)}: cannot be read or written ({reason}). "
        "Free some room or choose another place."
    )
