"""Kinetics-400, -600, -700 and Mini-Kinetics-200: YouTube clips by id, start and end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s3d.data.datasets.address import Address
from s3d.data.datasets.lists import (
    FileIndex,
    Found,
    bad_line,
    find_lists,
    lacks_list,
    need_list,
    part_found,
    read_lines,
    read_table,
)
from s3d.data.paths import show_path
from s3d.data.video_list import Skipped, Video
from s3d.errors import InputError

PARTS = {"train": r"train", "val": r"val|validate|validation", "test": r"test"}
COLUMNS = ("youtube_id", "time_start", "time_end")
_ID = re.compile(r"[\w-]{11}")


@dataclass(frozen=True)
class Clip:
    """Name a clip of YouTube.

    Attributes:
        label: Its class; empty where the list has none.
        key: The video's id.
        start_seconds: Where it begins in that video.
        end_seconds: Where it ends.
        part: "train", "val" or "test".
    """

    label: str
    key: str
    start_seconds: int
    end_seconds: int
    part: str

    @property
    def stems(self) -> tuple[str, str]:
        """Return the names its file may have."""
        return f"{self.key}_{self.start_seconds:06d}_{self.end_seconds:06d}", self.key

    def to_video(self, folder: Path, part: str) -> Video:
        """Return the video that it would be in a folder; all clips of an id are one group."""
        return Video(f"{folder}{os.sep}{self.stems[0]}.mp4", self.label, self.key, part)


def list_kinetics(address: Address) -> Found:
    """List Kinetics by its train, val and test csv, as many of them as there are.

    Clips may lie flat, in class folders, or in train, val and test folders of either. Those of a
    test csv without labels are not listed.

    Raises:
        InputError: There is no csv, or one is malformed.
    """
    clips = [clip for clip in _read_clips(address) if clip.label]
    if not clips:
        raise InputError(f"{show_path(address.text)}: its lists give no labels. Add the train csv.")
    folder = address.folder
    index = FileIndex(folder)
    rows = ((clip.to_video(folder, clip.part), index.find(clip.stems)) for clip in clips)
    return part_found(rows, _labels(clips))


def list_mini_kinetics(address: Address) -> Found:
    """List the 200 classes of the paper: ids from its lists, labels from Kinetics-400's csv.

    Raises:
        InputError: A list is missing or malformed, or no id is one of Kinetics-400.
    """
    parts = {
        part: _read_ids(need_list(address, rf"{part}_ytid_list\.txt", f"{part}_ytid_list.txt"))
        for part in ("train", "val")
    }
    known = {clip.key: clip for clip in _read_clips(address) if clip.label}
    folder = address.folder
    index = FileIndex(folder)
    rows: list[tuple[Video, str | None]] = []
    skipped: list[Skipped] = []
    used = []
    for part, ids in parts.items():
        for key in ids:
            clip = known.get(key)
            if clip is None:
                skipped.append((key, "is in no csv of Kinetics-400, which gives the labels"))
                continue
            used.append(clip)
            rows.append((clip.to_video(folder, part), index.find(clip.stems)))
    if not rows:
        raise InputError(
            f"{show_path(address.text)}: no id of its lists is in the csv of Kinetics-400. "
            "Give the csv of the data set that the lists were drawn from."
        )
    return part_found(rows, _labels(used), skipped)


def _labels(clips: list[Clip]) -> list[str]:
    """Return the classes as Kinetics numbers them."""
    return sorted({clip.label for clip in clips}, key=str.casefold)


def _read_clips(address: Address) -> list[Clip]:
    clips: list[Clip] = []
    for part, words in PARTS.items():
        pattern = rf"(?:kinetics[-_]?(?:[467]00)?(?:_2020)?[-_])?(?:{words})\.csv"
        for path in find_lists(address, pattern)[:1]:
            clips += _read_csv(path, part)
    if not clips:
        raise lacks_list(address, "train.csv, val.csv or test.csv of Kinetics")
    return clips


def _read_csv(path: Path, part: str) -> Iterator[Clip]:
    seen: set[tuple[str, str]] = set()
    for number, row in read_table(path, COLUMNS):
        key, start, end = row["youtube_id"].strip(), row["time_start"], row["time_end"]
        if not _ID.fullmatch(key):
            raise bad_line(path, number, key, "a YouTube id of 11 characters")
        if (key, start) not in seen:
            seen.add((key, start))
            yield Clip(_label(row), key, *_times(path, number, start, end), part)


def _label(row: dict[str, str]) -> str:
    return row.get("label", "").strip().strip('"')


def _times(path: Path, number: int, start: str, end: str) -> tuple[int, int]:
    try:
        first, last = int(float(start)), int(float(end))
    except (ValueError, OverflowError):
        raise bad_line(path, number, f"{start},{end}", "two times in seconds") from None
    return first, last


def _read_ids(path: Path) -> list[str]:
    ids: dict[str, None] = {}
    for number, line in read_lines(path):
        if not _ID.fullmatch(line):
            raise bad_line(path, number, line, "a YouTube id of 11 characters")
        ids[line] = None
    return list(ids)
