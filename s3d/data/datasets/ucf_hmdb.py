"""UCF-101 and HMDB-51: three official splits of one set of videos."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
)
from s3d.data.paths import show_path
from s3d.data.video_list import Video
from s3d.errors import InputError

SPLITS = ("1", "2", "3")
PARTS = {"1": "train", "2": "test"}
"""What the numbers of HMDB's lists mean; 0 is used by neither."""

_UCF_LINE = re.compile(r"([^/\\]+)[/\\]((v_.+_g[0-9]+)_c[0-9]+)\.\w+(?:\s+([0-9]+))?")
_HMDB_FILE = re.compile(r"(.+)_test_split([123])\.txt")
_HMDB_LINE = re.compile(r"(.+)\.\w+\s+([012])")
_HMDB_SOURCE = re.compile(r"(.+)_[a-z]_(?:cm|nm)_np\d+_(?:fr|ba|le|ri)_(?:bad|med|goo)_\d+")


def list_ucf(address: Address) -> Found:
    """List UCF-101 under a split: videos in class folders, or flat.

    A group (g01 to g25) is what a video was cut from.

    Raises:
        InputError: A list is missing or malformed.
    """
    split = _split(address)
    labels = _read_classes(need_list(address, r"classInd\.txt", "classInd.txt"))
    folder = address.folder
    index = FileIndex(folder)
    rows: dict[str, tuple[Video, str | None]] = {}
    for part in ("train", "test"):
        name = f"{part}list0{split}.txt"
        for video, stem in _read_ucf(need_list(address, re.escape(name), name), part, labels):
            if stem in rows:
                raise InputError(
                    f"{show_path(address.text)}: {stem} is listed twice under split {split}. "
                    "Copy or download the lists again."
                )
            full = Video(str(folder / video.path), video.label, video.group, part)
            rows[stem] = full, index.find((stem,), video.label)
    return part_found(rows.values(), labels)


def list_hmdb(address: Address) -> Found:
    """List HMDB-51 under a split, whose lists mark videos 1 (train), 2 (test) and 0 (unused).

    Raises:
        InputError: The lists are missing or malformed.
    """
    split = _split(address)
    paths = find_lists(address, rf".+_test_split{split}\.txt")
    if not paths:
        raise lacks_list(address, f"<class>_test_split{split}.txt")
    folder = address.folder
    index = FileIndex(folder)
    rows = [
        (video, index.find((Path(video.path).stem,), video.label))
        for path in paths
        for video in _read_hmdb(path, folder)
    ]
    labels = sorted((_hmdb_label(path) for path in paths), key=str.casefold)
    return part_found(rows, labels)


def _split(address: Address) -> str:
    split = address.options.get("split", "1")
    if split not in SPLITS:
        raise InputError(
            f"{show_path(address.text)}: split is {split!r}; it is one of {', '.join(SPLITS)}."
        )
    return split


def _read_classes(path: Path) -> list[str]:
    """Return the classes of classInd.txt, whose lines are "1 ApplyEyeMakeup"."""
    labels: list[str] = []
    for number, line in read_lines(path):
        index, _, label = line.partition(" ")
        if index != str(len(labels) + 1) or not label.strip():
            raise bad_line(path, number, line, f"'{len(labels) + 1} <class>'")
        labels.append(label.strip())
    return labels


def _read_ucf(path: Path, part: str, labels: list[str]) -> Iterator[tuple[Video, str]]:
    """Yield the videos of a list, their path relative, with the name of each."""
    for number, line in read_lines(path):
        match = _UCF_LINE.fullmatch(line)
        if not match:
            raise bad_line(path, number, line, "'<class>/v_<class>_g01_c01.avi'")
        label, stem, group, index = match.groups()
        if label not in labels:
            raise bad_line(path, number, label, "a class of classInd.txt")
        if index and labels[int(index) - 1 : int(index)] != [label]:
            raise bad_line(path, number, line, f"'... {labels.index(label) + 1}', as classInd says")
        yield Video(f"{label}/{stem}.avi", label, group, part), stem


def _read_hmdb(path: Path, folder: Path) -> Iterator[Video]:
    label = _hmdb_label(path)
    for number, line in read_lines(path):
        match = _HMDB_LINE.fullmatch(line)
        if not match:
            raise bad_line(path, number, line, "'<video>.avi 0, 1 or 2'")
        stem, mark = match.groups()
        if mark in PARTS:
            source = _HMDB_SOURCE.fullmatch(stem)
            group = source[1] if source else stem
            yield Video(str(folder / label / f"{stem}.avi"), label, group, PARTS[mark])


def _hmdb_label(path: Path) -> str:
    match = _HMDB_FILE.fullmatch(path.name)
    assert match is not None
    return match[1]
