"""What a plain tar holds and where: its headers are read one after the other, its content is not.

A tar is not compressed, so a file in it is a range of its bytes. Nothing is unpacked, and no name
from inside ever becomes a path on the disk.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from s3d.data.paths import show_path
from s3d.errors import InputError

BLOCK_BYTES = 512
MOST_PLAIN_BYTES = (8 << 30) - 1
"""The largest size that a plain header holds; a greater one stands in a header of its own."""
MOST_MEMBERS = 1_000_000
MOST_EXTRA_BYTES = 1 << 20
"""Of a header that carries a long name, or of a file that carries a label."""

_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"(\xb5/\xfd", "zstd"),
)
_REFUSED = {
    tarfile.LNKTYPE: "a link",
    tarfile.SYMTYPE: "a link",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class Source(Protocol):
    """The bytes of a tar, wherever it lies."""

    @property
    def place(self) -> str:
        """Return the path or address, for errors."""

    @property
    def total_bytes(self) -> int:
        """Return how many bytes there are."""

    @property
    def ahead_bytes(self) -> int:
        """Return how many bytes to read at a time: what a seek or a request is worth."""

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes, fewer only at the end."""


@dataclass(frozen=True)
class Entry:
    """Name a file in a tar.

    Attributes:
        name: As the tar has it.
        offset: Of its first byte.
        size: In bytes.
    """

    name: str
    offset: int
    size: int


class TarReader:
    """Walk through a tar and read small files on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._start, self._held = 0, b""

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes, fewer only at the end; neighbours come from one reading."""
        begin = offset - self._start
        if begin < 0 or begin + size > len(self._held):
            wanted = min(max(size, self.source.ahead_bytes), self.source.total_bytes - offset)
            self._start, self._held = (
                offset,
                self.source.read(offset, wanted) if wanted > 0 else b"",
            )
            begin = 0
        return self._held[begin : begin + size]

    def entries(self) -> Iterator[Entry]:
        """Yield every regular file.

        Raises:
            InputError: It is no plain tar, is damaged or cut off, or holds what no shard should.
        """
        at, more, seen = 0, dict[str, str](), set[str]()
        total = self.source.total_bytes
        if not total:
            raise self._refuse("is empty (0 bytes). Copy or download it again.")
        while at < total:
            header = self._header(at)
            if header is None:
                return
            body, at = at + BLOCK_BYTES, at + BLOCK_BYTES + _padded(header.size)
            if header.type in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
                more |= self._extra(header, body)
                continue
            size = self._size_of(header, more)
            at = body + _padded(size)
            if body + size > total:
                raise self._refuse(
                    f"is cut off: a file in it ends at byte {body + size}, the tar at {total}. "
                    "Copy or download it again."
                )
            if header.isreg():
                yield self._entry(more.get("path", header.name), body, size, seen)
            more = {}

    def _header(self, at: int) -> tarfile.TarInfo | None:
        """Return a header; None at the mark of the end."""
        block = self.read(at, BLOCK_BYTES)
        if at == 0:
            self._check_is_tar(block)
        if block == bytes(BLOCK_BYTES):
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, UnicodeError):
            if at == 0:
                raise self._refuse("is no tar. Name the .tar files of a data set.") from None
            raise self._refuse(f"is damaged at byte {at}. Copy or download it again.") from None
        if header.size < 0:
            raise self._refuse(f"is damaged at byte {at}. Copy or download it again.")
        if kind := _REFUSED.get(header.type):
            raise self._refuse(
                f"holds {kind} ({show_path(header.name[:80])}), which has no bytes of its own "
                "there. Pack it anew with plain files."
            )
        return header

    def _check_is_tar(self, block: bytes) -> None:
        kind = next((kind for start, kind in _COMPRESSED if block.startswith(start)), None)
        if kind:
            raise self._refuse(
                f"is compressed ({kind}), so that no video in it can be found by its place. "
                "Unpack it to a plain .tar; videos are compressed already."
            )

    def _extra(self, header: tarfile.TarInfo, body: int) -> dict[str, str]:
        """Return what a header tells of the one after it."""
        if header.size > MOST_EXTRA_BYTES:
            raise self._refuse(f"is damaged at byte {body}. Copy or download it again.")
        content = self.read(body, header.size)
        if header.type == tarfile.GNUTYPE_LONGNAME:
            return {"path": content.rstrip(b"\0").decode("utf-8", "surrogateescape")}
        try:
            return _parse_pax(content)
        except ValueError:
            raise self._refuse(f"is damaged at byte {body}. Copy or download it again.") from None

    def _size_of(self, header: tarfile.TarInfo, more: dict[str, str]) -> int:
        if any(key.startswith("GNU.sparse") for key in more):
            raise self._refuse(
                f"holds a sparse file ({show_path(header.name[:80])}). Pack it anew without -S."
            )
        said = more.get("size", "")
        if said and not (said.isascii() and said.isdigit() and len(said) < 20):
            raise self._refuse(f"gives {said[:30]!r} as a size. Copy or download it again.")
        if header.isdir():
            return 0
        return int(said) if said else int(header.size)

    def _entry(self, name: str, body: int, size: int, seen: set[str]) -> Entry:
        name = name.removeprefix("./")
        if not is_safe_name(name):
            raise self._refuse(
                f"holds a file of the name {name[:80]!r}, which no shard should. Pack it anew."
            )
        if name in seen:
            raise self._refuse(f"holds {show_path(name)} twice. Pack it anew, each file once.")
        if len(seen) >= MOST_MEMBERS:
            raise self._refuse(f"holds more than {MOST_MEMBERS} files. Pack it as several shards.")
        seen.add(name)
        return Entry(name, body, size)

    def _refuse(self, text: str) -> InputError:
        return InputError(f"{show_path(self.source.place)}: {text}")


class TarWriter:
    """Write a plain tar whose bytes follow from its files alone, and know where each lies."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.at = file, 0
        self._digest = hashlib.sha256()

    def add(self, name: str, size: int, content: Iterable[bytes], origin: str) -> int:
        """Append a file and return where its bytes begin.

        Args:
            name: In the tar.
            size: In bytes, below 8 GiB.
            content: The bytes in pieces.
            origin: Where they come from, for errors.

        Raises:
            InputError: They cannot be read or are not as many; nothing of them stays in the tar.
            OSError: The disk will not take them.
        """
        begin, digest = self.at, self._digest.copy()
        try:
            self._write(_make_header(name, size))
            for piece in _whole(content, size, origin):
                self._write(piece)
            self._write(bytes(_padded(size) - size))
        except InputError:
            self.at, self._digest = begin, digest
            self.file.seek(begin)
            self.file.truncate()
            raise
        return begin + BLOCK_BYTES

    def add_bytes(self, name: str, content: bytes) -> None:
        """Append a small file."""
        self.add(name, len(content), [content], name)

    def close(self) -> str:
        """Write the mark of the end, and return the sha256 of all."""
        self._write(bytes(2 * BLOCK_BYTES))
        return self._digest.hexdigest()

    def _write(self, piece: bytes) -> None:
        self.file.write(piece)
        self._digest.update(piece)
        self.at += len(piece)


def _make_header(name: str, size: int) -> bytes:
    header = tarfile.TarInfo(name)
    header.size = size
    return header.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


def _whole(content: Iterable[bytes], size: int, origin: str) -> Iterator[bytes]:
    """Yield pieces that are as many bytes as was said."""
    came = 0
    pieces = iter(content)
    while True:
        try:
            piece = next(pieces, b"")
        except OSError as error:
            raise InputError(f"{show_path(origin)}: cannot be read ({error.strerror}).") from None
        came += len(piece)
        if came > size or (not piece and came < size):
            raise InputError(
                f"{show_path(origin)}: does not have the {size} bytes it had. "
                "It changed while it was read; run again."
            )
        if not piece:
            return
        yield piece


def is_safe_name(name: str) -> bool:
    """Return whether a file in a tar has a name that a shard may have: relative, on one line."""
    parts = name.split("/")
    odd = any(ord(letter) < 32 or ord(letter) == 127 for letter in name)
    return 0 < len(name) <= 1000 and not odd and ".." not in parts and "" not in parts


def header_fits(block: bytes, name: str, size: int) -> bool:
    """Return whether the block before a file's bytes says that they are this file's.

    Args:
        block: 512 bytes.
        name: Of the file; one too long or strange for a plain header is not compared.
        size: In bytes.
    """
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, UnicodeError):
        return False
    is_plain = name.isascii() and len(name) <= 100
    same_name = not is_plain or header.name.removeprefix("./") == name
    return header.isreg() and same_name and (header.size == size or size > MOST_PLAIN_BYTES)


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _parse_pax(content: bytes) -> dict[str, str]:
    """Return the records "LENGTH KEY=VALUE\\n" of a pax header; raises ValueError."""
    found = {}
    while content.rstrip(b"\0"):
        length = int(content.split(b" ", 1)[0])
        record = content[:length]
        if len(record) != length or not record.endswith(b"\n"):
            raise ValueError("a record of no such length")
        key, _, value = record.split(b" ", 1)[1][:-1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        content = content[length:]
    return found
