"""Videos inside plain tar files, on this machine or on a web server, each a range of bytes.

Such a video is named by its tar and its name there, "DIR/000003.tar#12/wave.mp4": a path is all
that travels from the list to the decoder. Where it lies in the tar says the `index.json` beside the
tar; where there is none, the headers of the tar, which are walked once and remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from s3d.data.paths import AnyPath, absolute_name, check_file, is_url, show_path
from s3d.data.shards.index import (
    INDEX,
    MOST_INDEX_BYTES,
    Index,
    Row,
    Shard,
    index_tar,
    parse_index,
    parse_shard,
)
from s3d.data.shards.tar import BLOCK_BYTES, header_fits
from s3d.data.shards.web import fetch_whole, read_range, refusal
from s3d.errors import InputError
from s3d.files import cache_folder, make_folder, write_json

MOST_FETCHED_BYTES = 2 << 30
"""The largest video that is fetched from a server: it is held in memory while it is decoded."""
MOST_HELD_BYTES = 64 << 20
"""The largest fetched video that a thread holds on to: what is probed is decoded next."""

_MARK = ".tar#"
_CHUNK_BYTES = 1 << 20
_LOCAL_AHEAD_BYTES, _WEB_AHEAD_BYTES = 1 << 13, 1 << 16


@dataclass(frozen=True)
class Member:
    """Name a video in a tar.

    Attributes:
        path: As it was given.
        tar: The path or address of the tar.
        shard: What the tar holds.
        row: The video.
    """

    path: str
    tar: str
    shard: Shard
    row: Row

    def open(self) -> str | io.BytesIO:
        """Return what libav opens: a range of a local file, or the bytes from a server.

        Raises:
            InputError: The tar is gone, has changed or is cut off, or the server fails.
        """
        if not self.row.size:
            raise InputError(f"{show_path(self.path)}: is empty (0 bytes). Leave it out.")
        if is_url(self.tar):
            content = _Content(self._fetch())
            content.name = self.row.name
            return content
        file = check_file(self.tar)
        self._check(_read_local(file, self.row.offset - BLOCK_BYTES, BLOCK_BYTES))
        begin, end = self.row.offset, self.row.offset + self.row.size
        # libav reads the range itself: no Python between it and the disk.
        return f"subfile,,start,{begin},end,{end},,:file:{file}"

    def read(self) -> Iterator[bytes]:
        """Yield the bytes in pieces; raises as `open`."""
        if is_url(self.tar):
            yield self._fetch()
            return
        with Path(self.tar).open("rb") as file:
            file.seek(self.row.offset)
            left = self.row.size
            while left and (data := file.read(min(left, _CHUNK_BYTES))):
                left -= len(data)
                yield data

    def stamp(self) -> tuple[int, int]:
        """Return the size of the tar and a number that changes with it."""
        if not is_url(self.tar):
            state = Path(self.tar).stat()
            return state.st_size, state.st_mtime_ns
        state_name = hashlib.sha256(self.shard.version.encode()).hexdigest()
        return self.shard.bytes, int(state_name[:15], 16)

    def _fetch(self) -> bytes:
        held: dict[str, bytes] = _held.__dict__.setdefault("content", {})
        key = f"{self.path} {self.stamp()}"
        if key not in held:
            held.clear()
            content = self._request()
            if len(content) > MOST_HELD_BYTES:
                return content
            held[key] = content
        return held[key]

    def _request(self) -> bytes:
        size = self.row.size
        if size > MOST_FETCHED_BYTES:
            raise InputError(
                f"{show_path(self.path)}: has {size} bytes; at most {MOST_FETCHED_BYTES} are "
                "fetched from a server. Copy the shard to this machine."
            )
        piece = read_range(self.tar, self.row.offset - BLOCK_BYTES, BLOCK_BYTES + size)
        if piece.total_bytes != self.shard.bytes:
            raise _changed(self.tar, piece.total_bytes, self.shard.bytes)
        self._check(piece.content[:BLOCK_BYTES])
        return piece.content[BLOCK_BYTES:]

    def _check(self, header: bytes) -> None:
        if not header_fits(header, self.row.name, self.row.size):
            raise InputError(
                f"{show_path(self.path)}: is not where the index of its shard says. "
                f"Copy the shard and its {INDEX} again, both of one time."
            )


class _Content(io.BytesIO):
    """Bytes with a name, by whose ending libav guesses as it does of a file."""

    name = ""


_held = threading.local()


def split_member(path: str) -> tuple[str, str] | None:
    """Part "x.tar#a.mp4" into the tar and the name in it; None where a path has no such form."""
    if _MARK not in path:
        return None
    places = [at + 4 for at in range(len(path)) if path.startswith(_MARK, at)]
    if not is_url(path) and os.path.exists(path):  # noqa: PTH110
        return None
    real = (at for at in places if os.path.isfile(path[:at]))  # noqa: PTH113
    at = places[0] if is_url(path) else next(real, places[0])
    return path[:at], path[at + 1 :]


def find_member(path: AnyPath) -> Member | None:
    """Return the video in a tar that a path names; None where it names none.

    Raises:
        InputError: It does, but the tar is missing, unreadable or holds no such video.
    """
    parts = split_member(os.fspath(path))
    if parts is None:
        return None
    tar, name = parts
    shard, rows = _KNOWN.shard(tar)
    row = rows.get(name)
    if row is None:
        raise InputError(f"{show_path(path)}: the tar holds no such video. Check the name.")
    return Member(os.fspath(path), tar, shard, row)


def load_shard(tar: str) -> Shard:
    """Return what a tar holds.

    Args:
        tar: A path or an address.

    Raises:
        InputError: It is missing, cannot be read, is no plain tar, or does not fit its index.
    """
    return _KNOWN.shard(tar)[0]


def load_index(folder: str) -> Index | None:
    """Return the index of a folder or address of shards; None where it has none.

    Raises:
        InputError: It cannot be read or is none.
    """
    return _KNOWN.index(folder)


def join_place(folder: str, name: str) -> str:
    """Return the path or address of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else os.path.join(folder, name)  # noqa: PTH118


def content_size(path: str) -> int | None:
    """Return the bytes of a video that is a file, alone or in a tar; None where it is none."""
    try:
        if member := find_member(path):
            return member.row.size
        return os.path.getsize(path) if os.path.isfile(path) else None  # noqa: PTH113, PTH202
    except (InputError, OSError):
        return None


def read_content(path: str) -> Iterator[bytes]:
    """Yield the bytes of such a video in pieces.

    Raises:
        InputError: Its tar cannot be read.
        OSError: The file cannot.
    """
    if member := find_member(path):
        yield from member.read()
        return
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


class _Known:
    """Remember what tars hold: each is asked once, and a local one again where it has changed."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._indices: dict[str, tuple[object, Index | None]] = {}
        self._shards: dict[str, tuple[object, Shard, dict[str, Row]]] = {}

    def index(self, folder: str) -> Index | None:
        place = join_place(folder, INDEX)
        state = _state_of(place)
        with self._lock:  # Held while it is read: all threads want the same one.
            found = self._indices.get(place)
            if found is None or found[0] != state:
                content = _read_index(place)
                found = state, None if content is None else parse_index(content, place)
                self._indices[place] = found
        return found[1]

    def shard(self, tar: str) -> tuple[Shard, dict[str, Row]]:
        _, shard, rows = self._find(tar)
        return shard, rows

    def _find(self, tar: str) -> tuple[object, Shard, dict[str, Row]]:
        state = _state_of(tar)
        with self._lock:
            found = self._shards.get(tar)
        if found is None or found[0] != state:
            shard = self._load(tar)
            found = state, shard, {row.name: row for row in shard.rows}
            with self._lock:
                self._shards[tar] = found
        return found

    def _load(self, tar: str) -> Shard:
        source = None if is_url(tar) else _LocalTar(tar)
        folder, name = os.path.split(tar)
        index = self.index(folder)
        listed = next((s for s in index.shards if s.name == name), None) if index else None
        if listed is None:
            return _walk(source or _WebTar(tar), name)
        if source and source.total_bytes != listed.bytes:
            raise _changed(tar, source.total_bytes, listed.bytes)
        return listed


_KNOWN = _Known()


def _changed(tar: str, came: int, needed: int) -> InputError:
    return InputError(
        f"{show_path(tar)}: has {came} bytes, its {INDEX} says {needed}: it is cut off or of "
        "another time. Copy both again."
    )


def _state_of(place: str) -> object:
    if is_url(place):
        return None
    try:
        state = os.stat(place)  # noqa: PTH116
    except (OSError, ValueError):
        return ()
    return state.st_size, state.st_mtime_ns


def _read_index(place: str) -> bytes | None:
    if is_url(place):
        return fetch_whole(place, MOST_INDEX_BYTES)
    path = Path(place)
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > MOST_INDEX_BYTES:
            raise InputError(f"{show_path(path)}: has over {MOST_INDEX_BYTES} bytes; it is none.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{show_path(path)}: cannot be read ({error.strerror}).") from None


def _read_local(path: Path, offset: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except OSError as error:
        raise InputError(f"{show_path(path)}: cannot be read ({error.strerror}).") from None


class _LocalTar:
    """A tar on this machine."""

    ahead_bytes = _LOCAL_AHEAD_BYTES

    def __init__(self, place: str) -> None:
        self.place = place
        self._path = check_file(place)
        state = self._path.stat()
        self.total_bytes, self.version = state.st_size, str(state.st_mtime_ns)

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes, fewer only at the end."""
        return _read_local(self._path, offset, size)


class _WebTar:
    """A tar on a server."""

    ahead_bytes = _WEB_AHEAD_BYTES

    def __init__(self, place: str) -> None:
        self.place = place
        first = read_range(place, 0, self.ahead_bytes)
        self.total_bytes, self.version = first.total_bytes, first.version

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes, fewer only at the end."""
        piece = read_range(self.place, offset, size)
        if (piece.total_bytes, piece.version) != (self.total_bytes, self.version):
            raise refusal(self.place, "the file changed while it was read. Run again.")
        return piece.content


def _walk(source: _LocalTar | _WebTar, name: str) -> Shard:
    """Describe a tar without an index, or take up what an earlier walk wrote down."""
    if not source.version:
        return index_tar(source, name, "")  # Nothing would tell that it has changed.
    key = json.dumps([absolute_name(source.place), source.total_bytes, source.version])
    file = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    with contextlib.suppress(OSError, InputError):
        kept = cache_folder() / "shards" / file
        shard = parse_shard(kept.read_bytes(), str(kept))
        if shard.bytes == source.total_bytes:
            return replace(shard, name=name)
    shard = index_tar(source, name, source.version)
    # Without a place to keep it the walk is merely made again.
    with contextlib.suppress(InputError):
        make_folder(cache_folder() / "shards")
        write_json(cache_folder() / "shards" / file, replace(shard, name="walked.tar").to_json())
    return shard
