"""Packing a data set into tar shards, as WebDataset has them, with an index beside them.

A sample is KEY.mp4 (the file as it is), KEY.json (label, group, split, path) and KEY.cls (the
number of the label), where KEY is "000012/name". What a shard holds follows from the list and the
seed alone, so packing can be killed and goes on, and ends with the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from s3d.data.frame_folder import find_frame_folder, split_rate
from s3d.data.shards.index import (
    INDEX,
    MOST_INDEX_BYTES,
    VERSION,
    Index,
    Row,
    Shard,
    parse_index,
    parse_shard,
)
from s3d.data.shards.members import content_size, find_member, read_content
from s3d.data.shards.picture_film import film_pictures
from s3d.data.shards.tar import BLOCK_BYTES, MOST_PLAIN_BYTES, TarWriter
from s3d.data.store import open_videos
from s3d.data.video_list import NO_VIDEO, Video, VideoList
from s3d.errors import InputError
from s3d.files import make_folder, show_path, write_atomically, write_bytes, write_json

PLAN = ".plan.json"
EXTRA_BYTES = 6 * BLOCK_BYTES
"""What a sample takes beside its video: three headers, its label twice, and padding."""

_ODD_LETTERS = re.compile(r"[^A-Za-z0-9_-]")
_ENDING = re.compile(r"\.[a-z0-9]{1,8}")
_LONGEST_STEM = 80
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Packing:
    """Describe what is to be packed.

    Attributes:
        out: The folder of the shards.
        listed: The videos.
        gone: Videos that are listed but left out, such as those of a quarantine list.
        shards: Numbers of videos, shard by shard, in the order of packing.
        key: Names all that the shards follow from.
    """

    out: Path
    listed: VideoList
    gone: tuple[Video, ...]
    shards: tuple[tuple[int, ...], ...]
    key: str


@dataclass(frozen=True)
class Packed:
    """Hold what packing gave.

    Attributes:
        index: What the shards hold.
        written: How many of the shards were written now.
    """

    index: Index
    written: int

    @property
    def videos(self) -> int:
        """Return how many videos there are."""
        return sum(len(shard.rows) for shard in self.index.shards)

    @property
    def bytes(self) -> int:
        """Return how large the shards are."""
        return sum(shard.bytes for shard in self.index.shards)


def plan_packing(
    out: Path, asked: VideoList, kept: VideoList, shard_bytes: int, seed: int
) -> Packing:
    """Choose what each shard holds: videos in random order, so that each holds all kinds.

    Args:
        out: Where the shards are to be.
        asked: What is listed.
        kept: What of it is to be packed.
        shard_bytes: Size from which the next shard begins.
        seed: Of the order.

    Raises:
        InputError: The folder holds shards of something else.
    """
    paths = {video.path for video in kept.videos}
    gone = tuple(video for video in asked.videos if video.path not in paths)
    facts = [_measure(video.path) for video in kept.videos]
    shards = _deal([size for size, _ in facts], shard_bytes, seed)
    rows = [
        (video.path, video.label, video.group, video.split, *fact)
        for video, fact in zip(kept.videos, facts, strict=True)
    ]
    away = [video.path for video in (*gone, *asked.missing)]
    values = [VERSION, shard_bytes, seed, kept.labels, kept.scored, rows, away, asked.skipped]
    key = hashlib.sha256(json.dumps(values).encode()).hexdigest()
    packing = Packing(out, kept, gone, shards, key)
    _check_folder(packing)
    return packing


def pack_shards(packing: Packing, threads: int, progress: Progress | None = None) -> Packed:
    """Write the shards that are not there yet, then the index.

    Args:
        packing: Of `plan_packing`.
        threads: Videos probed at a time.
        progress: Told of how many videos are done, after each shard.

    Raises:
        InputError: The disk will not take them, or not one video can be packed.
    """
    out = packing.out
    make_folder(out)
    before = _read_finished(packing)
    if before is None:
        write_json(out / PLAN, {"plan": packing.key})
    written, done = 0, 0
    shards: list[Shard] = []
    failed: dict[int, str] = {}
    for number, videos in enumerate(packing.shards):
        found = _take_up(out, number) or _take_from(packing, number, before)
        if found is None:
            found = _pack_one(packing, number, threads)
            written += 1
        shard, failures = found
        shards += [shard] if shard.rows else []
        failed |= failures
        done += len(videos)
        if progress:
            progress(done, len(packing.listed.videos))
    index = _make_index(packing, shards, failed)
    values = {**index.to_json(), "plan": packing.key}
    write_bytes(out / INDEX, _to_bytes(values))
    _clean_up(out)
    return Packed(index, written)


def _measure(path: str) -> tuple[int, int]:
    """Return the bytes of a video, and a number that changes with it; 0, 0 where it is broken."""
    try:
        if member := find_member(path):
            return member.row.size, member.stamp()[1]
        if folder := find_frame_folder(path):
            size = sum(os.path.getsize(picture) for picture in folder.pictures)  # noqa: PTH202
            return size, Path(split_rate(path)[0]).stat().st_mtime_ns
        state = Path(path).stat()
    except (InputError, OSError):
        return 0, 0
    return state.st_size, state.st_mtime_ns


def _deal(sizes: Sequence[int], shard_bytes: int, seed: int) -> tuple[tuple[int, ...], ...]:
    order = list(range(len(sizes)))
    random.Random(seed).shuffle(order)
    shards: list[list[int]] = []
    filled = shard_bytes
    for number in order:
        if filled >= shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(number)
        filled += sizes[number] + EXTRA_BYTES
    return tuple(map(tuple, shards))


def _check_folder(packing: Packing) -> None:
    """Refuse a folder in which shards of something else would be overwritten."""
    out = packing.out
    keys = {key for name in (INDEX, PLAN) if (key := _read_key(out / name))}
    if keys:
        if packing.key not in keys:
            raise InputError(
                f"{show_path(out)}: holds shards of other data or other options. "
                "Choose another folder, or delete it first."
            )
        return
    found = [path for path in (out / INDEX, *sorted(out.glob("*.tar"))) if path.exists()]
    if found:
        raise InputError(
            f"{show_path(found[0])}: is there already and is not of s3d shard. "
            "Choose another folder."
        )


def _read_key(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_INDEX_BYTES:
            return ""
        return str(json.loads(path.read_bytes())["plan"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _name(number: int) -> str:
    return f"{number:06d}.tar"


def _note(out: Path, number: int) -> Path:
    return out / f".{number:06d}.json"


def _take_up(out: Path, number: int) -> tuple[Shard, dict[int, str]] | None:
    """Return a shard that is finished already, and why videos of it failed."""
    try:
        content = _note(out, number).read_bytes()
        failed = {int(video): str(why) for video, why in json.loads(content)["failed"].items()}
        shard = parse_shard(content, _name(number))
        is_whole = not shard.rows or (out / _name(number)).stat().st_size == shard.bytes
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return (shard, failed) if is_whole else None


def _read_finished(packing: Packing) -> Index | None:
    """Return the index of an earlier packing of the same that came to its end."""
    place = packing.out / INDEX
    if _read_key(place) != packing.key:
        return None
    return parse_index(place.read_bytes(), str(place))


def _take_from(
    packing: Packing, number: int, before: Index | None
) -> tuple[Shard, dict[int, str]] | None:
    """Return a shard of a finished packing, where it is still there."""
    if before is None:
        return None
    reasons = dict(before.failed)
    failed = {
        video: reasons[path]
        for video in packing.shards[number]
        if (path := packing.listed.videos[video].path) in reasons
    }
    name = _name(number)
    shard = next((shard for shard in before.shards if shard.name == name), None)
    if shard is None:
        is_empty = len(failed) == len(packing.shards[number])
        return (Shard(name, 0, "", ()), failed) if is_empty else None
    file = packing.out / name
    is_whole = file.is_file() and file.stat().st_size == shard.bytes
    return (shard, failed) if is_whole else None


def _pack_one(packing: Packing, number: int, threads: int) -> tuple[Shard, dict[int, str]]:
    """Write a shard and the note that it is finished."""
    numbers = packing.shards[number]
    wide = max(6, len(str(len(packing.listed.videos))))
    first = sum(map(len, packing.shards[:number]))
    reasons = dict(open_videos([packing.listed.videos[n] for n in numbers], threads).failures)
    failed: dict[int, str] = {}
    rows: list[Row] = []
    digest = ""

    def write(beside: Path) -> None:
        nonlocal digest
        with beside.open("wb") as file:
            tar = TarWriter(file)
            for place, video in enumerate(numbers, start=first):
                path = packing.listed.videos[video].path
                try:
                    if path in reasons:
                        raise InputError(reasons[path])
                    rows.append(_pack_video(tar, packing.listed, video, f"{place:0{wide}d}"))
                except InputError as error:
                    failed[video] = str(error)
            digest = tar.close()

    name = _name(number)
    write_atomically(packing.out / name, write)
    shard = Shard(name, (packing.out / name).stat().st_size, digest, tuple(rows))
    if not rows:
        (packing.out / name).unlink()
    failures = {str(video): why for video, why in failed.items()}
    write_json(_note(packing.out, number), {**shard.to_json(), "failed": failures})
    return shard, failed


def _pack_video(tar: TarWriter, listed: VideoList, number: int, place: str) -> Row:
    """Append a video and what is known of it.

    Raises:
        InputError: It cannot be read whole; nothing of it is left in the tar.
    """
    video = listed.videos[number]
    stem, ending, size, content = _open(video.path)
    if size > MOST_PLAIN_BYTES:
        raise InputError(f"{show_path(video.path)}: has {size} bytes, too many for a plain tar.")
    key = f"{place}/{stem}"
    offset = tar.add(f"{key}{ending}", size, content, video.path)
    known = {"label": video.label, "group": video.group, "split": video.split, "path": video.path}
    tar.add_bytes(f"{key}.json", json.dumps(known).encode())
    tar.add_bytes(f"{key}.cls", str(listed.labels.index(video.label)).encode())
    return Row(f"{key}{ending}", offset, size, video.label, video.group, video.split, number)


def _open(path: str) -> tuple[str, str, int, Iterator[bytes]]:
    """Return a video's stem and ending as a shard has them, its size, and its bytes in pieces."""
    if folder := find_frame_folder(path):
        film = film_pictures(folder)
        return _clean(Path(split_rate(path)[0]).name), ".avi", len(film), iter([film])
    stem, ending = os.path.splitext(path.replace("#", "/").rpartition("/")[2])  # noqa: PTH122
    ending = ending.lower()
    # An ending that is another file of the sample would make two of one name.
    if not _ENDING.fullmatch(ending) or ending in (".json", ".cls"):
        ending = ".video"
    return _clean(stem), ending, content_size(path) or 0, read_content(path)


def _clean(stem: str) -> str:
    """Return a name without dots, which would end a key, in letters that any tar takes."""
    return _ODD_LETTERS.sub("_", stem)[-_LONGEST_STEM:] or "video"


def _make_index(packing: Packing, shards: Sequence[Shard], failed: dict[int, str]) -> Index:
    listed = packing.listed
    if not shards:
        reason = next(iter(failed.values()), "none is listed.")
        raise InputError(f"not one of {len(listed.videos)} videos can be packed; first: {reason}")
    lost = [listed.videos[number] for number in sorted(failed)]
    left_out = [pair for pair in listed.skipped if not NO_VIDEO.fullmatch(pair[1])]
    gone = {video.path for video in packing.gone}
    return Index(
        tuple(shards),
        listed.labels,
        (*lost, *packing.gone, *listed.missing),
        tuple((listed.videos[number].path, failed[number]) for number in sorted(failed)),
        tuple(pair for pair in left_out if pair[0] not in gone),
        listed.scored,
    )


def _to_bytes(values: object) -> bytes:
    # Compact, as a million videos have an index too; names that are no UTF-8 stay as escapes.
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _clean_up(out: Path) -> None:
    """Remove the notes, and what killed runs left half-written."""
    halves = (f".{name}.*.part" for name in (INDEX, PLAN, ".[0-9]*.json", "[0-9]*.tar"))
    for pattern in (PLAN, ".[0-9]*.json", *halves):
        for path in out.glob(pattern):
            path.unlink(missing_ok=True)
