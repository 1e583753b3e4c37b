"""What shards hold, as data: the index that lies beside ours, and one made of somebody else's.

index.json   {"format": "s3d-shards", "version": 1, "labels": [...], "shards": [{"name", "bytes",
             "sha256", "members": [{"name", "offset", "size", "label", "group", "split",
             "order"}]}], "missing": [...], "left_out": [...], "scored": null}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from s3d.data.names import reason_to_skip
from s3d.data.shards.tar import (
    BLOCK_BYTES,
    MOST_EXTRA_BYTES,
    Entry,
    Source,
    TarReader,
    is_safe_name,
)
from s3d.data.video_list import SPLITS, Skipped, Video
from s3d.errors import InputError
from s3d.files import show_path

INDEX = "index.json"
FORMAT, VERSION = "s3d-shards", 1
MOST_INDEX_BYTES = 1 << 30
SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\.tar")
LABEL_LENGTH = 300
_LABEL_FILES = ("json", "cls")


@dataclass(frozen=True)
class Row:
    """Describe a video in a shard.

    Attributes:
        name: Of the file in the tar.
        offset: Of its first byte.
        size: In bytes.
        label: Its class; "" where nothing tells it.
        group: What it was cut from, if known.
        split: "train", "val" or "test", if given.
        order: Its place among the videos of the data set, if known.
    """

    name: str
    offset: int
    size: int
    label: str
    group: str | None = None
    split: str | None = None
    order: int | None = None


@dataclass(frozen=True)
class Shard:
    """Describe a tar.

    Attributes:
        name: Of the file, without a folder.
        bytes: Its size.
        version: What tells it from a later one of the same name and size, or "".
        rows: Its videos.
    """

    name: str
    bytes: int
    version: str
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        members = [
            {key: value for key, value in asdict(row).items() if value is not None}
            for row in self.rows
        ]
        return {"name": self.name, "bytes": self.bytes, "sha256": self.version, "members": members}


@dataclass(frozen=True)
class Index:
    """Describe a folder of shards.

    Attributes:
        shards: In order.
        labels: The classes as the data set numbers them.
        missing: Videos that the data set lists and the shards lack.
        failed: (path, reason) of those of them that could not be packed.
        left_out: (path, reason) of what else was left out.
        scored: The part that evaluations score, where the data set says so.
    """

    shards: tuple[Shard, ...]
    labels: tuple[str, ...]
    missing: tuple[Video, ...] = ()
    failed: tuple[Skipped, ...] = ()
    left_out: tuple[Skipped, ...] = ()
    scored: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "labels": list(self.labels),
            "scored": self.scored,
            "shards": [shard.to_json() for shard in self.shards],
            "missing": [asdict(video) for video in self.missing],
            "failed": [list(pair) for pair in self.failed],
            "left_out": [list(pair) for pair in self.left_out],
        }


class _Malformed(Exception):  # noqa: N818
    """Say what of an index is not as it must be."""


def parse_index(content: bytes, place: str) -> Index | None:
    """Read an index that comes from outside; everything in it is checked.

    Args:
        content: The JSON.
        place: Where it was, for errors.

    Returns:
        What it tells; None where it is another program's index.

    Raises:
        InputError: It is no JSON, of another version, or contradicts itself.
    """
    index: Index | None = _checked(content, place, _to_index)
    return index


def parse_shard(content: bytes, place: str) -> Shard:
    """Read the description of one shard; raises as `parse_index`."""
    shard: Shard = _checked(content, place, lambda values: _to_shard(values, None))
    return shard


def _checked(content: bytes, place: str, read: Callable[[Any], Any]) -> Any:
    try:
        return read(json.loads(content))
    except _Malformed as error:
        reason = str(error)
    except (ValueError, RecursionError):
        reason = "it is no JSON"
    raise InputError(
        f"{show_path(place)}: is no index of shards: {show_path(reason)}. "
        "Copy it again from where the shards come from, or write them anew with s3d shard."
    )


def _to_index(values: Any) -> Index | None:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        return None
    if values.get("version") != VERSION:
        raise _Malformed(f"its version is {values.get('version')!r}, not {VERSION}")
    labels = tuple(_text(label, "a label", LABEL_LENGTH) for label in _list(values, "labels"))
    if len(set(labels)) != len(labels):
        raise _Malformed("a label is there twice")
    known = frozenset(labels)
    shards = tuple(_to_shard(shard, known) for shard in _list(values, "shards"))
    if len({shard.name for shard in shards}) != len(shards):
        raise _Malformed("a shard is there twice")
    missing = tuple(_to_video(video, known) for video in _list(values, "missing"))
    failed, left_out = _to_pairs(values, "failed"), _to_pairs(values, "left_out")
    scored = _choice(values, "scored", SPLITS)
    return Index(shards, labels, missing, failed, left_out, scored)


def _to_shard(values: Any, labels: frozenset[str] | None) -> Shard:
    """Return a shard; labels are those that its videos may have, None any."""
    name, total = _field(values, "name"), _number(values, "bytes")
    if not SHARD_NAME.fullmatch(name):
        raise _Malformed(f"{name[:80]!r} is not the name of a .tar file")
    rows = tuple(_to_row(row, labels, total) for row in _list(values, "members"))
    if len({row.name for row in rows}) != len(rows):
        raise _Malformed(f"a file is in {name} twice")
    return Shard(name, total, str(values.get("sha256", ""))[:200], rows)


def _to_row(values: Any, labels: frozenset[str] | None, total: int) -> Row:
    name = _field(values, "name")
    if not is_safe_name(name):
        raise _Malformed(f"{name[:80]!r} is no name of a file in a shard")
    offset, size = _number(values, "offset"), _number(values, "size")
    if offset < BLOCK_BYTES or offset % BLOCK_BYTES or offset + size > total:
        raise _Malformed(f"{name[:80]} is not within its shard (byte {offset}, {size} bytes)")
    order = _number(values, "order") if values.get("order") is not None else None
    label = values.get("label", "")
    if labels is not None or label:
        label = _label(values, labels)
    return Row(name, offset, size, label, _group(values), _choice(values, "split", SPLITS), order)


def _to_video(values: Any, labels: frozenset[str]) -> Video:
    path = _field(values, "path")
    return Video(path, _label(values, labels), _group(values), _choice(values, "split", SPLITS))


def _to_pairs(values: dict[str, Any], key: str) -> tuple[Skipped, ...]:
    pairs = []
    for pair in _list(values, key):
        if not isinstance(pair, list) or len(pair) != 2:
            raise _Malformed(f"{key!r} holds no pairs of a path and a reason")
        pairs.append((_text(pair[0], "a path", 4096), _text(pair[1], "a reason", 4096)))
    return tuple(pairs)


def _label(values: dict[str, Any], labels: frozenset[str] | None) -> str:
    label = _text(values.get("label"), "a label", LABEL_LENGTH)
    if labels is not None and label not in labels:
        raise _Malformed(f"the label {label[:80]!r} is not among its labels")
    return label


def _group(values: dict[str, Any]) -> str | None:
    group = values.get("group")
    return None if group is None else _text(group, "a group", 4096)


def _choice(values: dict[str, Any], key: str, known: tuple[str, ...]) -> str | None:
    value = values.get(key)
    if value is not None and value not in known:
        raise _Malformed(f"{key} is {str(value)[:80]!r}; it is one of {', '.join(known)}")
    return value


def _field(values: Any, key: str) -> str:
    if not isinstance(values, dict):
        raise _Malformed(f"something that should have {key!r} has no fields")
    return _text(values.get(key), repr(key), 4096)


def _text(value: Any, what: str, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise _Malformed(f"{what} is {str(value)[:80]!r}, not a text of 1 to {longest} letters")
    return value


def _number(values: dict[str, Any], key: str) -> int:
    value = values.get(key)
    if type(value) is not int or not 0 <= value < 1 << 60:
        raise _Malformed(f"{key!r} is {str(value)[:80]!r}, not a number of bytes or a place")
    return value


def _list(values: Any, key: str) -> list[Any]:
    value = values.get(key, []) if isinstance(values, dict) else None
    if not isinstance(value, list):
        raise _Malformed(f"{key!r} is no list")
    return value


def index_tar(source: Source, name: str, version: str) -> Shard:
    """Describe a tar that has no index, from its headers and the labels in it.

    A sample is a run of files that share a name up to its first dot. Its label is "label" or
    "class" of KEY.json, otherwise what KEY.cls holds, otherwise the folder in its name.

    Args:
        source: The tar.
        name: Of its file.
        version: What tells it from a later one.

    Raises:
        InputError: It is no plain tar, or holds what no shard should.
    """
    reader = TarReader(source)
    videos: list[Entry] = []
    told: dict[str, dict[str, str]] = {}
    for entry in reader.entries():
        key, ending = split_key(entry.name)
        if ending in _LABEL_FILES and entry.size <= MOST_EXTRA_BYTES:
            content = reader.read(entry.offset, entry.size)
            found = _read_label_json(content) if ending == "json" else _read_cls(content)
            told.setdefault(key, {}).update(found)
        elif reason_to_skip(entry.name.rsplit("/", 1)[-1]) is None:
            videos.append(entry)
    rows = tuple(_to_labelled(entry, told) for entry in videos)
    return Shard(name, source.total_bytes, version, rows)


def _to_labelled(entry: Entry, told: dict[str, dict[str, str]]) -> Row:
    key, _ = split_key(entry.name)
    found = told.get(key, {})
    label = found.get("label") or found.get("cls") or key.rpartition("/")[0].rpartition("/")[2]
    split = found.get("split")
    return Row(
        entry.name, entry.offset, entry.size, label[:LABEL_LENGTH], found.get("group") or None,
        split if split in SPLITS else None,
    )  # fmt: skip


def split_key(name: str) -> tuple[str, str]:
    """Part the name of a file in a shard into the key of its sample and its ending.

    As WebDataset does: "a/b.rgb.mp4" is "rgb.mp4" of the sample "a/b".
    """
    folder, slash, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    return folder + slash + stem, ending.lower()


def _read_label_json(content: bytes) -> dict[str, str]:
    """Return the texts among label, group and split; "class" is another word for label."""
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    label = values.get("class") if values.get("label") is None else values["label"]
    found = {"label": label, "group": values.get("group"), "split": values.get("split")}
    return {
        key: str(value).strip()[:LABEL_LENGTH]
        for key, value in found.items()
        if isinstance(value, str | int) and not isinstance(value, bool)
    }


def _read_cls(content: bytes) -> dict[str, str]:
    return {"cls": content.decode("utf-8", "replace").strip()[:LABEL_LENGTH]}
