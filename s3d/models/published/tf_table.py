"""Read a table as LevelDB and TensorFlow write it: sorted keys in blocks, each with a checksum.

A block says of each key what differs from the one before it; an index block says where the blocks
lie, and the footer where that lies. The file is not trusted: `_ROOM_BYTES` bounds what it may
unfold to.

Source: LevelDB's doc/table_format.md; Snappy's format_description.txt; CRC32C as in RFC 3720.
"""

from __future__ import annotations

import functools
import os
import reprlib
from collections.abc import Iterator
from io import BufferedReader

import numpy as np
import numpy.typing as npt

from s3d.errors import InputError

Words = npt.NDArray[np.uint32]
Bytes = bytes | npt.NDArray[np.uint8]

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
"""The last bytes of every table."""

_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
"""What follows a block: how it is compressed, and its checksum."""
_ROOM_BYTES = 1 << 22
"""What a table may unfold to: some 25 000 variables. A network here has 300 to 3000."""
_LANES = 1 << 14


def damaged(what: str) -> InputError:
    """Return the error for files that do not agree with themselves."""
    return InputError(f"the checkpoint is damaged ({what}). Copy or download it again.")


def quote(name: str | bytes) -> str:
    """Return a name for a message: printable, and not long."""
    return reprlib.repr(name)


class Table:
    """Read a table block by block, in order.

    Raises:
        InputError: The file is no table; later, it is damaged or unfolds to too much.
    """

    def __init__(self, file: BufferedReader) -> None:
        self.file, self.room_bytes = file, _ROOM_BYTES
        self.end = file.seek(0, os.SEEK_END) - _FOOTER_BYTES
        file.seek(max(self.end, 0))
        self.footer = file.read(_FOOTER_BYTES)
        if self.end < 0 or not self.footer.endswith(MAGIC):
            raise InputError("not a TensorFlow checkpoint's index, or cut short. Copy it again.")

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values; the keys rise, so that none comes twice."""
        at = parse_varint(self.footer, parse_varint(self.footer, 0)[1])[1]
        done, last = 0, None
        for _, place in self._entries(*self._place(self.footer, at)):
            offset, size = self._place(place, 0)
            if offset < done:
                raise damaged("blocks of its index lie over each other")
            done = offset + size + _TRAILER_BYTES
            for key, value in self._entries(offset, size):
                if last is not None and key <= last:
                    kind = "is there twice" if key == last else "is out of order"
                    raise damaged(f"the name {quote(key)} {kind}")
                last = key
                yield key, value

    def _place(self, data: bytes, at: int) -> tuple[int, int]:
        offset, at = parse_varint(data, at)
        return offset, parse_varint(data, at)[0]

    def _entries(self, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield a block's keys and values. A key is stored as what differs from the one before."""
        block, key, at = self._block(offset, size), b"", 0
        end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
        while at < end:
            shared, at = parse_varint(block, at)
            fresh, at = parse_varint(block, at)
            length, at = parse_varint(block, at)
            if shared > len(key) or at + fresh + length > end:
                raise damaged("an entry of its index is cut short")
            # The price of an object is part of it: keys may be short, and many.
            self._spend(64 + shared + fresh)
            key, at = key[:shared] + block[at : at + fresh], at + fresh + length
            yield key, block[at - length : at]
        if at != end:
            raise damaged("a block of its index is cut short")

    def _block(self, offset: int, size: int) -> bytes:
        if offset + size + _TRAILER_BYTES > self.end:
            raise damaged("a block of its index lies outside the file")
        self._spend(256 + size)
        self.file.seek(offset)
        data = self.file.read(size + _TRAILER_BYTES)
        if int.from_bytes(data[size + 1 :], "little") != masked_crc32c(data[: size + 1]):
            raise damaged("a block of its index has a wrong checksum")
        if data[size] == 0:
            return data[:size]
        if data[size] != 1:
            raise damaged(f"a block of its index is compressed in an unknown way, {data[size]}")
        unfolded, at = parse_varint(data, 0)
        self._spend(unfolded)
        return _unsnap(data[at:size], unfolded)

    def _spend(self, size_bytes: int) -> None:
        self.room_bytes -= size_bytes
        if self.room_bytes < 0:
            raise InputError(
                f"the checkpoint's index is too large: more than {_ROOM_BYTES} bytes of names and "
                "places. Save only the network's variables."
            )


def parse_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number, seven bits to a byte and ten bytes at most, and where it ends."""
    value = 0
    for place, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise damaged("a number of its index has no end")


def _unsnap(data: bytes, size: int) -> bytes:
    """Return what Snappy compressed: literal bytes, and copies of what came before."""
    out, at = bytearray(), 0
    while at < len(data) and len(out) <= size:
        tag, at = data[at], at + 1
        kind, count = tag & 3, (tag >> 2) + 1
        extra = (max(count - 60, 0), 1, 2, 4)[kind]
        number, at = int.from_bytes(data[at : at + extra], "little"), at + extra
        if kind == 0:
            count = number + 1 if extra else count
            out += data[at : at + count]
            at += count
            continue
        if kind == 1:
            number, count = number | tag >> 5 << 8, (tag >> 2 & 7) + 4
        if not 0 < number <= len(out):
            raise damaged("a compressed block of its index copies what is not there")
        start = len(out) - number
        # A copy may reach into itself: then it repeats.
        out += (out[start : start + count] * (count // number + 1))[:count]
    if at != len(data) or len(out) != size:
        raise damaged("a compressed block of its index does not unfold to its size")
    return bytes(out)


def crc32c(data: Bytes) -> int:
    """Return the CRC-32C of bytes: 50 MB in a tenth of a second.

    A step of Python per byte would take seconds. A CRC is a remainder of polynomials, so it may be
    computed in lanes: lane j takes every n-th word from the j-th on, and at each step all lanes
    move on by n words, a linear map that four small tables hold. Then halves are added up.

    Args:
        data: Bytes, or a contiguous array of uint8.
    """
    data = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    words: Words = data[: len(data) // 4 * 4].view("<u4")
    crc = 0xFFFFFFFF
    if len(words):
        power = min(len(words), _LANES).bit_length() - 1
        lanes = 1 << power
        first = (len(words) - 1) % lanes + 1
        state = np.zeros(lanes, np.uint32)
        state[-first:] = words[:first]
        state[-first] ^= 0xFFFFFFFF
        for row in words[first:].reshape(-1, lanes):
            state = _move(state, power + 2) ^ row
        while len(state) > 1:
            power -= 1
            half = len(state) // 2
            state = _move(state[:half], power + 2) ^ state[half:]
        crc = int(_move(state, 2)[0])
    for byte in data[len(words) * 4 :].tolist():
        crc = crc >> 8 ^ int(_zeros_tables(0)[0, crc & 255 ^ byte])
    return crc ^ 0xFFFFFFFF


def masked_crc32c(data: Bytes) -> int:
    """Return the checksum that is stored: one of bytes that hold a CRC would be a poor one."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _move(state: Words, power: int) -> Words:
    """Return each lane's CRC moved on by 2^power zero bytes."""
    tables = _zeros_tables(power)
    moved: Words = tables[0].take(state & 255)
    for index in (1, 2, 3):
        moved ^= tables[index].take(state >> 8 * index & 255)
    return moved


@functools.cache
def _zeros_tables(power: int) -> Words:
    """Return (4, 256): for each byte of a CRC what it becomes after 2^power zero bytes."""
    if power:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        images = _move(_move(bits, power - 1), power - 1)
    else:
        images = np.zeros(32, np.uint32)
        images[8:] = np.uint32(1) << np.arange(24, dtype=np.uint32)
        image = 1
        for bit in range(7, -1, -1):
            image = image >> 1 ^ (0x82F63B78 if image & 1 else 0)
            images[bit] = image
    tables = np.zeros((4, 256), np.uint32)
    for bit in range(8):
        size = 1 << bit
        tables[:, size : 2 * size] = tables[:, :size] ^ images.reshape(4, 8)[:, bit : bit + 1]
    return tables
