"""Read TensorFlow's V2 checkpoints (tensor bundles) without TensorFlow.

Of a checkpoint NAME the table NAME.index says each variable's type, shape and place, and the files
NAME.data-00000-of-00001 and so on hold the values. The table's values are protobuf messages.

The files are not trusted: each number in them is held against the files' true sizes before anything
is allocated.

Source: tensorflow/core/protobuf/tensor_bundle.proto; checksums masked as in LevelDB.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.errors import InputError
from s3d.files import show_path
from s3d.models.published.tf_table import (
    MAGIC,
    Table,
    damaged,
    masked_crc32c,
    parse_varint,
    quote,
)

Array = npt.NDArray[Any]
Fields = dict[int, list[int | bytes]]
"""A protobuf message: each field's number to its values, in order."""

_DTYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    8: "<c8",
    9: "<i8",
    10: "|u1",
    14: "<u2",
    17: "<u2",
    18: "<c16",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
"""TensorFlow's number of a type to how its values lie in the file."""
_BOOL, _BFLOAT16 = 10, 14
_NOT_NUMBERS = (7, 20, 21)
"""Strings, resources, variants: such as the graph of objects that `tf.train.Checkpoint` adds."""


@dataclass(frozen=True)
class _Entry:
    """Say where a variable lies."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset_bytes: int
    size_bytes: int
    masked_crc: int


def checkpoint_prefix(path: str | Path) -> Path | None:
    """Return the prefix (.../model.ckpt) of the checkpoint that a path means, or None.

    Only names, and of a file without an index its last bytes, are looked at.

    Args:
        path: A prefix, an index, a data file, or a folder with one index or with a file
            `checkpoint` that names one. A V1 checkpoint is its own prefix; reading refuses it.
    """
    path = Path(path)
    with contextlib.suppress(OSError, ValueError):
        if _is_file(_index_path(path)):
            return path
        parts = re.fullmatch(r"(.+)\.(index|data-\d{5}-of-\d{5})", path.name, re.DOTALL)
        if parts and _is_file(path):
            return path.with_name(parts[1])
        if path.is_dir():
            return _prefix_in(path)
        if _is_file(path) and _ends_as_table(path):
            return path
    return None


def list_variables(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Return the numeric variables' shapes by name, sorted; reads only the index.

    Raises:
        InputError: There is no checkpoint, or its index is damaged or of another kind.
    """
    prefix = _find(path)
    with _one_line(prefix):
        return {entry.name: entry.shape for entry in _read_index(prefix)[1]}


def read_checkpoint(path: str | Path) -> dict[str, Array]:
    """Return the numeric variables by name, sorted; bfloat16 becomes float32.

    All checksums are verified. What holds no numbers, such as strings, is left out.

    Args:
        path: As `checkpoint_prefix` takes it.

    Raises:
        InputError: There is no checkpoint, it is damaged, incomplete or of another kind.
    """
    prefix = _find(path)
    with _one_line(prefix):
        shards, entries = _read_index(prefix)
        places = sorted(entries, key=lambda e: (e.shard, e.offset_bytes, e.size_bytes))
        files = [
            (_shard_path(prefix, shard, shards), list(group))
            for shard, group in itertools.groupby(places, key=lambda e: e.shard)
        ]
        for file, group in files:
            _check_places(file, group)
        arrays: dict[str, Array] = {}
        for file, group in files:
            with file.open("rb") as opened:
                arrays |= {entry.name: _read_array(opened, entry) for entry in group}
        return {entry.name: arrays[entry.name] for entry in entries}


def _is_file(path: Path) -> bool:
    # os.path, unlike Path, answers for a name that no file can have.
    return os.path.isfile(path)  # noqa: PTH113


def _index_path(prefix: Path) -> Path:
    return prefix.parent / f"{prefix.name}.index"


def _shard_path(prefix: Path, shard: int, shards: int) -> Path:
    return prefix.parent / f"{prefix.name}.data-{shard:05}-of-{shards:05}"


def _prefix_in(folder: Path) -> Path | None:
    note = folder / "checkpoint"
    if _is_file(note):
        with note.open("rb") as file:
            text = file.read(1 << 16).decode(errors="replace")
        named = re.search(r'\bmodel_checkpoint_path:\s*"([^"\n]*)"', text)
        # Where it lay when it was written, perhaps on another system, does not matter here.
        name = re.split(r"[/\\]", named[1])[-1] if named else ""
        if name and _is_file(_index_path(folder / name)):
            return folder / name
    found = [path for path in folder.glob("?*.index") if _is_file(path)]
    return found[0].with_suffix("") if len(found) == 1 else None


def _ends_as_table(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - len(MAGIC), 0))
        return file.read() == MAGIC


def _find(path: str | Path) -> Path:
    prefix = checkpoint_prefix(path)
    if prefix is None:
        raise InputError(
            f"{show_path(path)}: no TensorFlow checkpoint there (NAME.index and NAME.data-*). "
            "Give its prefix, one of its files, or a folder that holds only one."
        )
    return prefix


@contextlib.contextmanager
def _one_line(prefix: Path) -> Iterator[None]:
    """Let the errors of what is read say in which checkpoint."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{show_path(prefix)}: {error}") from None
    except (OSError, MemoryError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise InputError(
            f"{show_path(prefix)}: the checkpoint cannot be read ({reason}). "
            "Its index and data files must be there, readable, and fit into memory."
        ) from None


def _check_places(path: Path, entries: list[_Entry]) -> None:
    """Refuse entries, in the order of their places, that lie outside a file or over each other.

    Without the second a small file could name the same bytes a million times.
    """
    if not _is_file(path):
        raise InputError(f"{show_path(path.name)} is missing. Put it beside the index.")
    size_bytes, done = path.stat().st_size, 0
    for entry in entries:
        if entry.offset_bytes < done:
            raise damaged(f"variable {quote(entry.name)} lies over another")
        done = entry.offset_bytes + entry.size_bytes
        if done > size_bytes:
            ends = f"{show_path(path.name)} at {size_bytes}"
            raise damaged(f"variable {quote(entry.name)} ends at byte {done}, {ends}")


def _read_array(file: BufferedReader, entry: _Entry) -> Array:
    raw = np.empty(entry.size_bytes, np.uint8)
    file.seek(entry.offset_bytes)
    if file.readinto(raw.data) != raw.size or masked_crc32c(raw) != entry.masked_crc:
        raise damaged(f"variable {quote(entry.name)} has a wrong checksum")
    values: Array = raw.view(_DTYPES[entry.dtype]).reshape(entry.shape)
    if entry.dtype == _BOOL:
        return np.asarray(values != 0)
    if entry.dtype == _BFLOAT16:
        return np.asarray(values.astype("<u4") << 16).view("<f4")
    return values


def _read_index(prefix: Path) -> tuple[int, list[_Entry]]:
    """Return the number of data files and the numeric variables, sorted by name."""
    index = _index_path(prefix)
    # Of V1 the prefix is all there is; its header says so, and is refused.
    source = index if _is_file(index) else prefix
    if not _is_file(source):
        raise InputError(f"{show_path(index.name)} is missing. Put it beside the data files.")
    with source.open("rb") as file:
        rows = Table(file).rows()
        key, value = next(rows, (None, b""))
        if key != b"":
            raise damaged("its index has no header")
        shards = _parse_header(value)
        # A key that begins with a zero is of a piece of a variable, which is refused itself.
        parsed = [_parse_entry(*row, shards) for row in rows if not row[0].startswith(b"\0")]
    return shards, [entry for entry in parsed if entry is not None]


def _parse_header(value: bytes) -> int:
    """Return the number of data files."""
    header = _parse_fields(value)
    if isinstance(header.get(1, [0])[-1], bytes):
        raise InputError(
            "a TensorFlow checkpoint of format V1 (one file); V2 is needed. Restore it in "
            "TensorFlow and save it with tf.compat.v1.train.Saver(write_version=V2)."
        )
    shards, big_endian = _number(header, 1), _number(header, 2)
    if big_endian or _number(_message(header, 3), 2) > 1:
        kind = "is big-endian" if big_endian else "needs a newer reader"
        raise InputError(f"the checkpoint {kind}. Save it with a common TensorFlow again.")
    if not 1 <= shards <= 99999:
        raise damaged(f"it claims {shards} data files")
    return shards


def _parse_entry(key: bytes, value: bytes, shards: int) -> _Entry | None:
    """Return an entry that is sound in itself, or None for one without numbers."""
    name, fields = _parse_name(key), _parse_fields(value)
    if (dtype := _number(fields, 1)) in _NOT_NUMBERS:
        return None
    if dtype not in _DTYPES or 7 in fields:
        kind = "is stored in pieces" if 7 in fields else f"has TensorFlow's data type {dtype}"
        raise InputError(
            f"variable {quote(name)} {kind}, which is not read here. "
            "Save the checkpoint without it, or with it as one float32 tensor."
        )
    sides = _message(fields, 2).get(2, [])
    shape = tuple(_number(_parse_fields(side), 1) for side in sides[:33])
    shard, offset, size, crc = (_number(fields, number) for number in (3, 4, 5, 6))
    item_bytes = np.dtype(_DTYPES[dtype]).itemsize
    # Beside a side of 0 the others may be anything, but numpy wants a product it can hold.
    if len(shape) > 32 or math.prod(max(side, 1) for side in shape) * item_bytes >= 1 << 62:
        raise damaged(f"variable {quote(name)} has an impossible shape")
    if size != math.prod(shape) * item_bytes:
        raise damaged(f"variable {quote(name)} has {size} bytes for shape {shape}")
    if shard >= shards:
        raise damaged(f"variable {quote(name)} is in data file {shard} of {shards}")
    return _Entry(name, dtype, shape, shard, offset, size, crc)


def _parse_name(key: bytes) -> str:
    name = key.decode(errors="replace")
    if "\ufffd" in name or not name.isprintable():
        raise damaged(f"the name {quote(key)} is not printable text")
    return name


def _parse_fields(data: int | bytes) -> Fields:
    """Return a protobuf message's fields."""
    if isinstance(data, int):
        raise damaged("a number where its index needs a message")
    fields: Fields = {}
    at = 0
    while at < len(data):
        tag, at = parse_varint(data, at)
        kind, size = tag & 7, {1: 8, 5: 4}.get(tag & 7, 0)
        if kind not in (0, 1, 2, 5):
            raise damaged("its index holds an unknown kind of field")
        if kind in (0, 2):
            size, at = parse_varint(data, at)
        value: int | bytes = size
        if kind:
            value, at = data[at : at + size], at + size
            value = value if kind == 2 else int.from_bytes(value, "little")
        fields.setdefault(tag >> 3, []).append(value)
    if at != len(data):
        raise damaged("a field of its index is cut short")
    return fields


def _number(fields: Fields, number: int) -> int:
    value = fields.get(number, [0])[-1]
    if isinstance(value, bytes):
        raise damaged("a message where its index needs a number")
    return value


def _message(fields: Fields, number: int) -> Fields:
    return _parse_fields(fields.get(number, [b""])[-1])
