"""Something-Something: v1 in folders of pictures with csv lists, v2 in webm files with json."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s3d.data.datasets.address import Address
from s3d.data.datasets.lists import (
    FileIndex,
    Found,
    bad_line,
    find_lists,
    need_list,
    part_found,
    read_json,
    read_lines,
)
from s3d.data.paths import show_path
from s3d.data.video_list import Video
from s3d.errors import InputError

V1_RATE_FPS = 12
V1_FOLDER = "20bn-something-something-v1"
PARTS = {"train": "train", "val": "validation"}
"""The parts that have labels, by the word of their lists."""


def list_something_v1(address: Address) -> Found:
    """List version 1: a folder of pictures a video, 12 a second, and "id;label" lists.

    Raises:
        InputError: A list is missing or malformed.
    """
    root = address.folder / V1_FOLDER
    root = root if root.is_dir() else address.folder
    with os.scandir(root) as entries:  # The pictures themselves, millions, are not looked at.
        there = {entry.name for entry in entries}
    rows: list[tuple[Video, str | None]] = []
    for part, word in PARTS.items():
        name = f"something-something-v1-{word}.csv"
        for key, label in _read_v1(need_list(address, re.escape(name), name)):
            path = f"{root}{os.sep}{key}?rate={V1_RATE_FPS}"
            rows.append((Video(path, label, None, part), path if key in there else None))
    return part_found(rows, _labels_v1(address, {video.label for video, _ in rows}))


def list_something_v2(address: Address) -> Found:
    """List version 2: webm files by number, and json lists whose templates are the classes.

    Raises:
        InputError: A list is missing or malformed.
    """
    folder = address.folder
    index = FileIndex(folder)
    labels = _labels_v2(address)
    known = set(labels)
    rows: list[tuple[Video, str | None]] = []
    for part, word in PARTS.items():
        path = _need_v2(address, word)
        for number, (key, label) in enumerate(_read_v2(path), start=1):
            if label not in known:
                raise bad_entry(path, number, f"its template {label!r} is no class of the labels")
            place = f"{folder}{os.sep}{key}.webm"
            rows.append((Video(place, label, None, part), index.find((key,))))
    return part_found(rows, labels)


def bad_entry(path: Path, number: int, what: str) -> InputError:
    """Return the error of an entry of a json list."""
    return InputError(
        f"{show_path(path)}, entry {number}: {what}. Copy or download the list again."
    )


def _read_v1(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in read_lines(path):
        key, mark, label = line.partition(";")
        if not (key.isdigit() and mark and label.strip()):
            raise bad_line(path, number, line, "'<number>;<label>'")
        yield key, label.strip()


def _labels_v1(address: Address, used: set[str]) -> list[str]:
    """Return the classes in the order of the labels file, where there is one."""
    found = find_lists(address, r"something-something-v1-labels\.csv")
    if not found:
        return sorted(used, key=str.casefold)
    labels = [line for _, line in read_lines(found[0])]
    unknown = sorted(used - set(labels))
    if unknown:
        raise InputError(
            f"{show_path(found[0])}: lacks the class {unknown[0]!r} of the lists "
            f"({len(unknown)} such). Copy or download it again."
        )
    return labels


def _need_v2(address: Address, word: str) -> Path:
    name = f"something-something-v2-{word}.json"
    return need_list(address, rf"(?:something-something-v2-)?{word}\.json", name)


def _labels_v2(address: Address) -> list[str]:
    """Return the classes of the labels file, which gives each its number as a string."""
    path = _need_v2(address, "labels")
    values = read_json(path)
    try:
        numbers = {_plain(label): int(number) for label, number in values.items()}
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            f"{show_path(path)}: is not a table of classes and numbers. Copy or download it again."
        ) from None
    if not numbers:
        raise InputError(f"{show_path(path)}: holds no classes. Copy or download it again.")
    return sorted(numbers, key=lambda label: numbers[label])


def _read_v2(path: Path) -> Iterator[tuple[str, str]]:
    entries: Any = read_json(path)
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{show_path(path)}: is not a list of videos. Copy or download it again.")
    for number, entry in enumerate(entries, start=1):
        key = entry.get("id") if isinstance(entry, dict) else None
        template = entry.get("template") if isinstance(entry, dict) else None
        if not (isinstance(key, str | int) and isinstance(template, str) and template):
            raise bad_entry(path, number, "id or template is missing")
        yield str(key), _plain(template)


def _plain(template: str) -> str:
    """Return a template as the labels have it: "Holding [something]" without its brackets."""
    return template.replace("[", "").replace("]", "")
