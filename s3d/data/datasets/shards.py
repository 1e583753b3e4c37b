"""Videos packed into tar shards: `shards:DIR`, `shards:DIR/{000000..000012}.tar`, or on the web."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from s3d.data.datasets.address import Address
from s3d.data.datasets.lists import Found
from s3d.data.names import is_hidden, natural_order
from s3d.data.paths import is_url, show_path
from s3d.data.shards.index import INDEX, Index, Row, Shard
from s3d.data.shards.members import join_place, load_index, load_shard
from s3d.data.video_list import Skipped, Video
from s3d.errors import InputError

MOST_SHARDS = 100_000
THREADS = 8
"""Tars without an index that are walked at a time."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"([0-9]{1,12})\.\.([0-9]{1,12})")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def list_shards(address: Address) -> Found:
    """List the videos of shards from their index, or from the tars themselves.

    Args:
        address: Its place is a folder of shards or its address on the web; or a tar, where
            {000000..000012} and {a,b} stand for several.

    Raises:
        InputError: There are no such shards, or they cannot be read.
    """
    place = address.place
    if place.endswith((".tar", *_COMPRESSED)) and not Path(place).is_dir():
        return _list_tars(_expand(place), address)
    if not is_url(place) and not Path(place).is_dir():
        raise InputError(
            f"{show_path(address.text)}: no such folder {show_path(place)!r}. Name a folder of "
            "shards, its http(s) address, or tars, as in shards:DIR/{000000..000012}.tar."
        )
    index = load_index(place)
    if index:
        return _list_index(index, place)
    if is_url(place):
        raise InputError(
            f"{show_path(address.text)}: has no {INDEX} of s3d shard. Name the tars, as in "
            "shards:https://HOST/DIR/{000000..000012}.tar."
        )
    names = sorted(_tars_in(place), key=natural_order)
    if not names:
        _check_compressed(path.name for path in Path(place).iterdir())
        raise InputError(f"{show_path(address.text)}: holds no .tar files. Check the folder.")
    return _list_tars([join_place(place, name) for name in names], address)


def _tars_in(folder: str) -> Iterator[str]:
    found = (path.name for path in Path(folder).glob("*.tar"))
    return (name for name in found if not is_hidden(name))


def _list_index(index: Index, folder: str) -> Found:
    gone = {s.name for s in index.shards if not _may_be_there(join_place(folder, s.name))}
    rows = _rows((join_place(folder, s.name), s) for s in index.shards if s.name not in gone)
    lost = _rows((join_place(folder, s.name), s) for s in index.shards if s.name in gone)
    videos, missing = map(_to_videos, (rows, lost))
    missing = (*missing, *index.missing)
    return Found(videos, missing, index.labels, index.left_out, index.scored)


def _list_tars(tars: Sequence[str], address: Address) -> Found:
    """List the videos of tars one by one; a broken one is named beside the others."""
    _check_compressed(tars)
    gone = [tar for tar in tars if not _may_be_there(tar)]
    if gone:
        raise InputError(
            f"{show_path(gone[0])}: no such file ({len(gone)} of {len(tars)} shards are not "
            "there). Check the pattern."
        )
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(_try_load, tars))
    loaded = [(tar, s) for tar, s in zip(tars, results, strict=True) if isinstance(s, Shard)]
    broken = [(t, str(e)) for t, e in zip(tars, results, strict=True) if isinstance(e, InputError)]
    if broken and (not loaded or is_url(broken[0][0])):
        raise InputError(broken[0][1])
    rows = _rows(loaded)
    skipped: list[Skipped] = [
        (path, "has no label: neither KEY.json nor KEY.cls beside it, nor a folder in its name")
        for path, row in rows
        if not row.label
    ]
    videos = _to_videos([(path, row) for path, row in rows if row.label])
    if not videos:
        why = f"; {skipped[0][0]} {skipped[0][1]}" if skipped else ""
        raise InputError(f"{show_path(address.text)}: holds no labelled videos{show_path(why)}.")
    return Found(videos, (), _labels_of(tars, videos), (*broken, *skipped))


def _labels_of(tars: Sequence[str], videos: Sequence[Video]) -> tuple[str, ...]:
    """Return the classes: as the index numbers them where all of the tars are in one."""
    folders = {os.path.split(tar)[0] for tar in tars}
    index = load_index(folders.pop()) if len(folders) == 1 else None
    found = {video.label for video in videos}
    if index and found <= set(index.labels):
        return index.labels
    return tuple(sorted(found, key=natural_order))


def _rows(shards: Iterable[tuple[str, Shard]]) -> list[tuple[str, Row]]:
    """Return every video with its path, in the order of the data set where that is known."""
    rows = [(f"{tar}#{row.name}", row) for tar, shard in shards for row in shard.rows]
    if all(row.order is not None for _, row in rows):
        rows.sort(key=lambda pair: pair[1].order or 0)
    return rows


def _to_videos(rows: Iterable[tuple[str, Row]]) -> tuple[Video, ...]:
    return tuple(Video(path, row.label, row.group, row.split) for path, row in rows)


def _try_load(tar: str) -> Shard | InputError:
    try:
        return load_shard(tar)
    except InputError as error:
        return error


def _may_be_there(tar: str) -> bool:
    return is_url(tar) or Path(tar).is_file()


def _check_compressed(names: Iterable[str]) -> None:
    name = next((name for name in names if name.endswith(_COMPRESSED)), None)
    if name:
        raise InputError(
            f"{show_path(name)}: is compressed, so that no video in it can be found by its place. "
            "Unpack it to a plain .tar; videos are compressed already."
        )


def _expand(pattern: str) -> list[str]:
    """Return the paths that a pattern with {000000..000012} or {a,b} stands for."""
    if os.path.exists(pattern):  # noqa: PTH110
        return [pattern]
    pieces = _BRACES.split(pattern)
    choices = [_choices(piece, pattern) if i % 2 else [piece] for i, piece in enumerate(pieces)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MOST_SHARDS:
        raise InputError(f"{show_path(pattern)}: names {count:,} tars; at most {MOST_SHARDS:,}.")
    return ["".join(parts) for parts in itertools.product(*choices)]


def _choices(text: str, pattern: str) -> Sequence[str]:
    match = _RANGE.fullmatch(text)
    if not match:
        return text.split(",")
    first, last = int(match[1]), int(match[2])
    if last < first or last - first >= MOST_SHARDS:
        raise InputError(
            f"{show_path(pattern)}: {{{text}}} is no range of up to {MOST_SHARDS:,} tars, such as "
            "{000000..000012}."
        )
    wide = len(match[1]) if match[1].startswith("0") else 0
    return [f"{number:0{wide}d}" for number in range(first, last + 1)]
