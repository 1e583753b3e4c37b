"""Boxes of one's own in a CSV: video,frame,x1,y1,x2,y2,label[,track][,split].

Frames count from 0; boxes are px of the displayed picture; a path is relative to the CSV. A row
whose four places are empty says that a frame was looked at and holds nothing. Only frames that
have a row are learnt from and scored.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from s3d.data.datasets.address import Address
from s3d.data.datasets.lists import read_table
from s3d.data.frame_folder import split_rate
from s3d.data.names import natural_order, on_one_line
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems
from s3d.detect.annotations.marks import Mark, VideoMarks, probe
from s3d.detect.annotations.parts import PARTS, Parts
from s3d.detect.annotations.text_file import number_or_nan
from s3d.errors import InputError
from s3d.files import show_path, write_bytes

COLUMNS = ("video", "frame", "x1", "y1", "x2", "y2", "label")
PLACES = COLUMNS[2:6]
NO_LABEL = "boxes without a label left out"


@dataclass(frozen=True)
class _Row:
    line: int
    video: str
    frame: int
    places: tuple[str, ...]
    label: str
    track: str
    part: str


def read_boxes_csv(address: Address, parts: Parts) -> Annotated:
    """Read a CSV of boxes.

    Args:
        address: The file.
        parts: Which of its rows are wanted, by the column `split`.

    Raises:
        InputError: It is no such CSV, or has no rows of the part.
    """
    path, problems = Path(address.place), Problems()
    videos: dict[tuple[str, str], list[_Row]] = {}
    for row in _read_rows(path):
        videos.setdefault((row.video, row.part), []).append(row)
    everything = [row for rows in videos.values() for row in rows]
    labels = tuple(sorted({row.label for row in everything if row.label}, key=natural_order))
    taken = [rows for (_, part), rows in videos.items() if parts.takes(part)]
    parts.check()
    read = (_read_video(path, rows, labels, problems) for rows in taken)
    boxed = [row for rows in taken for row in rows if any(row.places)]
    return Annotated(
        address.text,
        tuple(video for video in read if video),
        labels,
        has_tracks=bool(boxed) and all(row.track for row in boxed),
        problems=problems,
    )


def write_boxes_csv(annotated: Annotated, path: str | Path) -> int:
    """Write annotations as a CSV that `read_boxes_csv` reads.

    Args:
        annotated: Boxes measured in another size than their file's are brought to it.
        path: The file; videos below its folder are named relative to it.

    Returns:
        How many rows were written.

    Raises:
        InputError: It cannot be written.
    """
    rows = [row for video in annotated.videos for row in _rows_of(video, annotated, Path(path))]
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *(("track",) if annotated.has_tracks else ()), "split"])
    writer.writerows(rows)
    # Names that are not Unicode are kept escaped, as in all that is written here.
    write_bytes(Path(path), out.getvalue().encode("utf-8", "backslashreplace"))
    return len(rows)


def find_beside(folder: Path, name: str) -> str | None:
    """Return the path of a video or folder of pictures that is named relative to a folder."""
    full = os.path.join(folder, os.path.expanduser(name))  # noqa: PTH111, PTH118
    return full if os.path.exists(split_rate(full)[0]) else None  # noqa: PTH110


def _read_rows(path: Path) -> Iterator[_Row]:
    for line, cells in read_table(path, COLUMNS):
        row = {name: cell.strip() for name, cell in cells.items()}
        if not row["video"] or not re.fullmatch(r"-?\d{1,12}", row["frame"], re.ASCII):
            came = f"{row['video']},{row['frame']}"
            raise _bad_row(path, line, came, "a video and a frame, counted from 0")
        part = row.get("split", "")
        if part not in ("", *PARTS):
            raise _bad_row(path, line, part, f"a split: {', '.join(PARTS)} or nothing")
        places = tuple(row[name] for name in PLACES)
        label = on_one_line(row["label"])
        frame = int(row["frame"])
        yield _Row(line, row["video"], frame, places, label, row.get("track", ""), part)


def _bad_row(path: Path, line: int, came: str, needed: str) -> InputError:
    return InputError(
        f"{show_path(path)}, row {line}: {show_path(came[:80])!r} is not {needed}. Write it again."
    )


def _read_video(
    path: Path, rows: list[_Row], labels: tuple[str, ...], problems: Problems
) -> AnnotatedVideo | None:
    name, part = rows[0].video, rows[0].part
    info = probe(find_beside(path.parent, name), name, problems)
    if info is None:
        return None
    marks = VideoMarks(info, name, problems, part=part)
    for row in rows:
        where = f"{show_path(path)}, row {row.line}"
        if not any(row.places):
            marks.see(row.frame)
        elif not row.label:
            problems.add(NO_LABEL, where)
        else:
            box = [number_or_nan(place) for place in row.places]
            marks.add(Mark(row.frame, box, labels.index(row.label), row.track, where))
    return marks.build(whole=False)


def _rows_of(video: AnnotatedVideo, annotated: Annotated, path: Path) -> Iterator[list[object]]:
    name = _relative(video.path, path)
    scale = _scale_to_file(video)
    tail = [""] if annotated.has_tracks else []
    boxed = np.zeros(0, np.int64)
    for tube in video.tubes:
        boxed = np.union1d(boxed, tube.frames)
        track = [tube.track] if annotated.has_tracks else []
        for frame, box in zip(tube.frames.tolist(), tube.boxes * scale, strict=True):
            places = [np.format_float_positional(p, trim="-") for p in box.astype(np.float32)]
            yield [name, frame, *places, annotated.labels[tube.label], *track, video.part]
    for frame in np.setdiff1d(video.frames, boxed).tolist():
        yield [name, frame, "", "", "", "", "", *tail, video.part]


def _scale_to_file(video: AnnotatedVideo) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    info = probe(video.path, video.name, Problems())
    height, width = (info.height_px, info.width_px) if info else video.size_px
    across, down = width / video.size_px[1], height / video.size_px[0]
    return np.array([across, down, across, down])


def _relative(video: str, path: Path) -> str:
    folder = os.path.abspath(path.parent)  # noqa: PTH100
    full = os.path.abspath(video)  # noqa: PTH100
    inside = full.startswith(folder + os.sep)
    return os.path.relpath(full, folder) if inside else full
