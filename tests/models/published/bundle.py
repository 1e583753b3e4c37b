"""Write TensorFlow's V2 checkpoints by the format's description; no code is the reader's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from os.path import commonprefix
from pathlib import Path
from typing import Any

import numpy.typing as npt

Row = tuple[bytes, bytes]
Edit = Callable[[bytes], bytes]

MAGIC = bytes.fromhex("57fb808b247547db")
NUMBERS = {"f4": 1, "f8": 2, "i4": 3, "u1": 4, "i2": 5, "i1": 6, "c8": 8, "i8": 9}
NUMBERS |= {"b1": 10, "u2": 17, "c16": 18, "f2": 19, "u4": 22, "u8": 23}


@functools.cache
def crc_of_byte(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


def slow_crc32c(data: bytes) -> int:
    crc, of_byte = 0xFFFFFFFF, [crc_of_byte(byte) for byte in range(256)]
    for byte in data:
        crc = crc >> 8 ^ of_byte[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def seal(data: bytes) -> int:
    crc = slow_crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def header(shards: int = 1, *, endianness: int = 0, needs: int = 0) -> bytes:
    version = field(1, 1) + field(2, needs)
    return field(1, shards) + field(2, endianness) + field(3, version)


def entry(
    data: bytes = bytes(8),
    dtype: int = 1,
    shape: Sequence[int] = (2,),
    shard: int = 0,
    offset: int = 0,
    size: int | None = None,
) -> bytes:
    sides = b"".join(field(2, field(1, side)) for side in shape)
    place = field(3, shard) + field(4, offset) + field(5, len(data) if size is None else size)
    crc = varint(6 << 3 | 5) + seal(data).to_bytes(4, "little")
    return field(1, dtype) + field(2, sides) + place + crc


def block(rows: Sequence[Row], restart: int = 4) -> bytes:
    """Return a block whose keys lack what they share, but for every fourth one."""
    out, restarts, last = b"", [], b""
    for number, (key, value) in enumerate(rows):
        shared = 0
        if number % restart == 0:
            restarts.append(len(out))
        else:
            shared = len(commonprefix([key, last]))  # noqa: RUF071 (no path)
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out, last = out + key[shared:] + value, key
    return out + b"".join(at.to_bytes(4, "little") for at in [*restarts, len(restarts)])


def sealed(body: bytes, kind: int = 0) -> bytes:
    return body + bytes([kind]) + seal(body + bytes([kind])).to_bytes(4, "little")


def table(blocks: Sequence[bytes | Sequence[Row]], kind: int = 0, spoil: Edit = bytes) -> bytes:
    """Return a table of blocks; `spoil` may change the block that says where they lie."""
    out, places = b"", []
    for number, rows in enumerate(blocks):
        body = rows if isinstance(rows, bytes) else block(rows)
        # TensorFlow finds a name's block by its last key.
        key = b"%d" % number if isinstance(rows, bytes) or not rows else rows[-1][0]
        places.append((key, varint(len(out)) + varint(len(body))))
        out += sealed(body, kind)
    index = spoil(block(places))
    footer = varint(0) + varint(0) + varint(len(out)) + varint(len(index))
    return out + sealed(index) + footer.ljust(40, b"\0") + MAGIC


def write_files(folder: Path, index: bytes, *shards: bytes) -> Path:
    for number, data in enumerate(shards):
        path = folder / f"model.ckpt.data-{number:05}-of-{len(shards):05}"
        path.write_bytes(data)
    (folder / "model.ckpt.index").write_bytes(index)
    return folder / "model.ckpt"


def pack(arrays: dict[str, npt.NDArray[Any]], shards: int) -> tuple[list[Row], list[bytes]]:
    """Return a checkpoint's rows and data files, over which the arrays are dealt like cards."""
    files = [b""] * shards
    rows = [(b"", header(shards))]
    for number, (name, array) in enumerate(sorted(arrays.items())):
        shard, data = number % shards, array.tobytes()
        dtype = NUMBERS[array.dtype.str[1:]]
        row = entry(data, dtype, array.shape, shard, len(files[shard]))
        rows, files[shard] = [*rows, (name.encode(), row)], files[shard] + data
    return rows, files


def write_checkpoint(folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> Path:
    """Write arrays as one checkpoint; return its prefix."""
    rows, files = pack(arrays, 1)
    blocks = [rows[at : at + 40] for at in range(0, len(rows), 40)]
    return write_files(folder, table(blocks), *files)
