"""AVA: people in one frame a second of films, each doing several things.

    DIR/ava_val_v2.2.csv                        see `s3d.detect.annotations.ava_csv`
    DIR/ava_val_excluded_timestamps_v2.2.csv    seconds that are not looked at
    DIR/ava_action_list_v2.2_for_activitynet_2019.pbtxt    or label_map.pbtxt, action_list.txt
    DIR/**/<video>.*                            whole films, or cut ones: starts=900

A second's frame is the nearest one. Person ids link boxes of successive seconds into tubes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s3d.data.datasets.address import Address
from s3d.data.datasets.lists import FileIndex
from s3d.data.names import on_one_line
from s3d.data.video_info import VideoInfo
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems
from s3d.detect.annotations.ava_csv import (
    NO_ACTION,
    AvaRow,
    Key,
    read_action_list,
    read_ava_rows,
    read_ava_seconds,
)
from s3d.detect.annotations.marks import Mark, VideoMarks, probe
from s3d.detect.annotations.parts import PARTS, Parts
from s3d.detect.annotations.text_file import number_or_nan
from s3d.errors import InputError
from s3d.files import show_path

UNLABELLED = "boxes that nobody gave an action left out"
NOT_LISTED = "boxes of an action that is not in the list left out"
ACTIONS = (
    r"ava_action_list.*for_activitynet.*\.pbtxt",
    r"ava_action_list.*\.pbtxt",
    r"label_map\.pbtxt",
    r"action_list\.(txt|pbtxt)",
)
STEP_SECONDS = 1.0


@dataclass(frozen=True)
class _Film:
    """Hold what is told of one film."""

    name: str
    part: str
    rows: Sequence[AvaRow]
    csv: Path


def read_ava(address: Address, parts: Parts) -> Annotated:
    """Read AVA.

    Args:
        address: Its folder. Keys: boxes, the CSV; actions, the list of actions; starts, the second
            of the film at which the files begin (0).
        parts: Which videos are wanted.

    Raises:
        InputError: A file is missing or not as published, or a value is none of its key's.
    """
    problems, starts = Problems(), _starts(address)
    names = read_action_list(_find_actions(address))
    places = {number: place for place, number in enumerate(sorted(names))}
    films = [film for film in _read_films(address, parts) if parts.takes(film.part)]
    parts.check()
    boxed = [row for film in films for row in film.rows if row.box]
    has_tracks = bool(boxed) and all(row.last for row in boxed)
    index, videos = FileIndex(address.folder), list[AnnotatedVideo]()
    for film in films:
        if info := probe(index.find((film.name,)), film.name, problems):
            marks = VideoMarks(info, film.name, problems, part=film.part)
            tracks = _runs(film.rows) if has_tracks else {}
            for row in film.rows:
                _mark(marks, row, _frame_at(info, row.key[1] - starts), places, tracks, film.csv)
            videos.append(marks.build(whole=False))
    labels = tuple(on_one_line(names[number]) for number in sorted(names))
    return Annotated(address.text, tuple(videos), labels, has_tracks, True, problems)


def _mark(
    marks: VideoMarks,
    row: AvaRow,
    frame: int,
    places: dict[int, int],
    tracks: dict[tuple[str, float], str],
    csv: Path,
) -> None:
    where = f"{show_path(csv)}, line {row.line}"
    marks.see(frame)
    if row.box is None:
        return
    if row.action == NO_ACTION:
        marks.problems.add(UNLABELLED, where)
    elif row.action not in places:
        marks.problems.add(NOT_LISTED, f"{where}: {row.action}")
    else:
        height, width = marks.size_px
        box = [share * side for share, side in zip(row.box, (width, height) * 2, strict=True)]
        track = tracks.get((row.last, row.key[1]), "")
        marks.add(Mark(frame, box, places[row.action], track, where))


def _runs(rows: Sequence[AvaRow]) -> dict[tuple[str, float], str]:
    """Name a person's seconds without a gap: who was away is another track."""
    seconds: dict[str, set[float]] = {}
    for row in rows:
        if row.box is not None:
            seconds.setdefault(row.last, set()).add(row.key[1])
    names: dict[tuple[str, float], str] = {}
    for person, there in seconds.items():
        run, before = 0, min(there)
        for second in sorted(there):
            run += second - before > 1.01 * STEP_SECONDS
            names[person, second] = f"{person}.{run}" if run else person
            before = second
    return names


def _frame_at(info: VideoInfo, second: float) -> int:
    """Return the nearest frame; one that is not there if the file does not last so long."""
    if not 0 <= second < info.duration_seconds:
        return -1
    return int(np.abs(info.times_seconds - second).argmin())


def _read_films(address: Address, parts: Parts) -> list[_Film]:
    films = []
    for part, path, excluded in _find_boxes(address, parts.wanted):
        out: set[Key] = read_ava_seconds(excluded) if excluded else set()
        by_name: dict[str, list[AvaRow]] = {}
        for row in read_ava_rows(path):
            if row.key not in out:
                by_name.setdefault(row.key[0], []).append(row)
        films += [_Film(name, part, rows, path) for name, rows in by_name.items()]
    return films


def _find_boxes(address: Address, wanted: str) -> list[tuple[str, Path, Path | None]]:
    """Return part, boxes and seconds left out, of each part."""
    if given := address.options.get("boxes"):
        told = re.match(r"ava_(train|val|test)", Path(given).name)
        return [(told[1] if told else "", Path(given).expanduser(), None)]
    found = []
    for part in PARTS:
        boxes = _find(address, rf"(ava_)?{part}(_v\d[\d.]*)?\.csv")
        if boxes and wanted in ("all", part):
            out = rf"ava_{part}_excluded_timestamps.*\.csv"
            found.append((part, boxes, _find(address, out)))
    if not found:
        part = "val" if wanted == "all" else wanted
        raise InputError(
            f"{show_path(address.text)}: ava_{part}_v2.2.csv is neither in its folder nor in its "
            "annotations. Put it there, or name it with ?boxes=FILE."
        )
    return found


def _find_actions(address: Address) -> Path:
    if given := address.options.get("actions"):
        return Path(given).expanduser()
    found = next((path for name in ACTIONS if (path := _find(address, name))), None)
    if found is None:
        raise InputError(
            f"{show_path(address.text)}: no list of actions (label_map.pbtxt, action_list.txt) is "
            "in its folder or its annotations. Put it there, or name it with ?actions=FILE."
        )
    return found


def _find(address: Address, pattern: str) -> Path | None:
    """Return the file of a name, of several versions the last."""
    for folder in (address.folder, address.folder / "annotations"):
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        if found := [name for name in names if re.fullmatch(pattern, name)]:
            return folder / found[-1]
    return None


def _starts(address: Address) -> float:
    text = address.options.get("starts", "0")
    starts = number_or_nan(text)
    if not 0 <= starts < 1e6:
        raise InputError(
            f"{show_path(address.text)}: starts is {text!r}; it needs a number of seconds, as 900."
        )
    return starts
