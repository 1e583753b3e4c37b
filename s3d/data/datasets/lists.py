"""Finding and reading the list files of a data set, and matching them with what is on the disk.

A folder is walked once, whatever its size: 80,000 names are looked up, not asked of the disk.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3d.data.datasets.address import Address
from s3d.data.names import is_hidden, reason_to_skip
from s3d.data.paths import show_path
from s3d.data.video_list import Skipped, Video
from s3d.errors import InputError

SUBFOLDERS = (
    "annotations",
    "ucfTrainTestlist",
    "testTrainMulti_7030_splits",
    "test_train_splits",
    "labels",
    "lists",
)
BESIDE = ("ucfTrainTestlist", "testTrainMulti_7030_splits", "test_train_splits")
"""Folders that archives unpack beside the videos, not among them."""


@dataclass(frozen=True)
class Found:
    """Hold what a data set's lists and folder gave.

    Attributes:
        videos: Those that are there.
        missing: Those that are not, with the path where they would be.
        labels: In the order in which the data set numbers them.
        skipped: (path, reason) of what is in neither.
        scored: The part that evaluations score, where the list itself says so.
    """

    videos: tuple[Video, ...]
    missing: tuple[Video, ...]
    labels: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    scored: str | None = None


def part_found(
    rows: Iterable[tuple[Video, str | None]],
    labels: Sequence[str],
    skipped: Sequence[Skipped] = (),
) -> Found:
    """Part listed videos into those that are there and those that are not.

    Args:
        rows: Each video with the path where it should be, and the path where it is, if it is.
        labels: All classes.
        skipped: (path, reason) of what is left out besides.
    """
    videos, missing = [], []
    for video, path in rows:
        if path is None:
            missing.append(video)
        else:
            videos.append(Video(path, video.label, video.group, video.split))
    return Found(tuple(videos), tuple(missing), tuple(labels), tuple(skipped))


class FileIndex:
    """Know every file below a folder by its name without ending, from one walk."""

    def __init__(self, folder: Path) -> None:
        self.paths: dict[str, list[str]] = {}
        for root, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if not is_hidden(name))
            for name in sorted(files):
                if reason_to_skip(name) is None:
                    stem = os.path.splitext(name)[0]  # noqa: PTH122 - of 300,000 names
                    self.paths.setdefault(stem, []).append(f"{root}{os.sep}{name}")

    def find(self, stems: Sequence[str], parent: str | None = None) -> str | None:
        """Return the file of the first of these stems; None where there is none.

        Args:
            stems: Names without ending, the best first.
            parent: The folder to prefer, where several have a file of this name.
        """
        for stem in stems:
            paths = self.paths.get(stem)
            if paths and len(paths) == 1:
                return paths[0]
            if paths:
                inside = f"{os.sep}{parent}{os.sep}"
                return next((path for path in paths if inside in path), paths[0])
        return None


def list_folders(address: Address) -> list[Path]:
    """Return where a data set's list files may lie, the likeliest first.

    Raises:
        InputError: `lists` names no folder.
    """
    folders: list[Path] = []
    if given := address.options.get("lists"):
        if not Path(given).is_dir():
            raise InputError(f"lists={show_path(given)}: no such folder. Check the path.")
        folders += [Path(given), *(Path(given) / name for name in SUBFOLDERS)]
    folders += [address.folder, *(address.folder / name for name in SUBFOLDERS)]
    folders += [address.folder.absolute().parent / name for name in BESIDE]
    return [folder for folder in folders if folder.is_dir()]


def find_lists(address: Address, pattern: str) -> list[Path]:
    """Return the files whose whole name a pattern matches, of the first folder that has any."""
    matcher = re.compile(pattern, re.IGNORECASE)
    for folder in list_folders(address):
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if matcher.fullmatch(entry.name))
        if names:
            return [folder / name for name in names]
    return []


def need_list(address: Address, pattern: str, name: str) -> Path:
    """Return the one list file of this kind.

    Args:
        address: The data set.
        pattern: Of its name.
        name: Its usual name, for the error.

    Raises:
        InputError: There is none.
    """
    found = find_lists(address, pattern)
    if not found:
        raise lacks_list(address, name)
    return found[0]


def lacks_list(address: Address, name: str) -> InputError:
    """Return the error of a list file that is nowhere."""
    return InputError(
        f"{show_path(address.text)}: {name} is neither in {show_path(address.place)} nor in its "
        f"{', '.join(SUBFOLDERS[:3])}. Put it there, or name its folder with ?lists=DIR."
    )


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Return (number, text) of the filled lines of a list.

    Raises:
        InputError: It cannot be read, is not UTF-8 or is empty.
    """
    lines = [
        (number, line.strip())
        for number, line in enumerate(_read_text(path).splitlines(), start=1)
        if line.strip()
    ]
    if not lines:
        raise InputError(f"{show_path(path)}: is empty. Copy or download it again.")
    return lines


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (row number, values by column) of a CSV with a header.

    Args:
        path: The CSV.
        columns: Those it must have.

    Raises:
        InputError: It is no such CSV.
    """
    shown = show_path(path)
    reader = csv.reader(_read_text(path).splitlines(), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in columns if name not in header]
        if missing:
            raise InputError(
                f"{shown}: has no column {missing[0]!r}; its first row is {','.join(header)!r}. "
                f"It needs {', '.join(columns)}."
            )
        for row in reader:
            if row and len(row) < len(header):
                raise InputError(
                    f"{shown}, row {reader.line_num}: has {len(row)} values for {len(header)} "
                    "columns. Copy or download the list again."
                )
            if row:
                yield reader.line_num, dict(zip(header, row, strict=False))
    except csv.Error as error:
        raise InputError(f"{shown}: is no readable CSV ({error}). Check its quotes.") from None


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        InputError: It is none.
    """
    try:
        return json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{show_path(path)}: is no JSON (line {error.lineno}: {error.msg}). "
            "Copy or download it again."
        ) from None


def bad_line(path: Path, number: int, came: str, needed: str) -> InputError:
    """Return the error of a line of a list that is not as the data set has it."""
    shown = show_path(came if len(came) <= 80 else came[:77] + "...")
    return InputError(
        f"{show_path(path)}, line {number}: {shown!r} is not {needed}. "
        "Copy or download the list again."
    )


def _read_text(path: Path) -> str:
    shown = show_path(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{shown}: is not UTF-8 text. Copy or download it again.") from None
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}). Check the path.") from None
