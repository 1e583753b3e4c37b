"""Detections in a CSV, whoever made them: video,frame,x1,y1,x2,y2,label,score.

Videos are called as their annotations call them, frames count from 0, boxes are px of the picture
in which the annotations' boxes are measured, scores are from 0 to 1.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import numpy as np

from s3d.data.datasets.lists import read_table
from s3d.detect.annotations.annotated import Annotated, Problems
from s3d.detect.annotations.checks import check_box
from s3d.detect.annotations.text_file import number_or_nan
from s3d.detect.tube import Detections
from s3d.errors import InputError
from s3d.files import show_path, write_bytes

COLUMNS = ("video", "frame", "x1", "y1", "x2", "y2", "label", "score")
UNKNOWN_VIDEO = "detections in videos that are not annotated left out"
UNKNOWN_LABEL = "detections of classes that are not annotated left out"
NO_SCORE = "detections without a score from 0 to 1 left out"

_Row = tuple[int, tuple[float, ...], int, float]


def read_found(path: str | Path, annotated: Annotated) -> list[Detections]:
    """Read what somebody's detector found in annotated videos.

    Args:
        path: The CSV.
        annotated: Gives the videos, their sizes and the classes; what cannot be used is counted in
            its `problems`.

    Returns:
        What was found in each of the videos, in their order.

    Raises:
        InputError: It is no such CSV, or not one of its rows is of these videos.
    """
    path, problems = Path(path), annotated.problems
    places = {video.name: place for place, video in enumerate(annotated.videos)}
    labels = {label: number for number, label in enumerate(annotated.labels)}
    rows: list[list[_Row]] = [[] for _ in annotated.videos]
    count = 0
    for line, cells in read_table(path, COLUMNS):
        count += 1
        where = f"{show_path(path)}, row {line}"
        row = {name: cells[name].strip() for name in COLUMNS}
        if not re.fullmatch(r"\d{1,12}", row["frame"], re.ASCII):
            raise InputError(
                f"{where}: {row['frame'][:40]!r} is no frame, counted from 0. Write it again."
            )
        if row["video"] not in places:
            problems.add(UNKNOWN_VIDEO, f"{where}: {row['video']}")
            continue
        place = places[row["video"]]
        found = _read_row(row, labels, annotated.videos[place].size_px, problems, where)
        if found is not None:
            rows[place].append(found)
    if count and not any(rows):
        raise InputError(
            f"{show_path(path)}: not one of its {count:,} detections can be used: "
            f"{'; '.join(problems.lines())}."
        )
    return [_join(some) for some in rows]


def write_found(path: str | Path, annotated: Annotated, found: Sequence[Detections]) -> None:
    """Write detections as a CSV that `read_found` reads.

    Args:
        path: The file.
        annotated: The videos.
        found: What was found in each.

    Raises:
        InputError: It cannot be written.
    """
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for video, rows in zip(annotated.videos, found, strict=True):
        for frame, box, label, score in zip(
            rows.frames.tolist(),
            rows.boxes.tolist(),
            rows.labels.tolist(),
            rows.scores.tolist(),
            strict=True,
        ):
            places = [f"{place:.2f}" for place in box]
            writer.writerow([video.name, frame, *places, annotated.labels[label], f"{score:.6f}"])
    # Names that are not Unicode are kept escaped, as in all that is written here.
    write_bytes(Path(path), out.getvalue().encode("utf-8", "backslashreplace"))


def _read_row(
    row: Mapping[str, str],
    labels: Mapping[str, int],
    size_px: tuple[int, int],
    problems: Problems,
    where: str,
) -> _Row | None:
    """Return frame, box, class and score of a row; None where it cannot be used."""
    if row["label"] not in labels:
        problems.add(UNKNOWN_LABEL, f"{where}: {row['label']}")
        return None
    score = number_or_nan(row["score"])
    if not (math.isfinite(score) and 0 <= score <= 1):
        problems.add(NO_SCORE, f"{where}: {row['score'][:40]}")
        return None
    box = check_box([number_or_nan(row[name]) for name in COLUMNS[2:6]], size_px)
    if isinstance(box, str):
        problems.add(box.replace("boxes", "found boxes", 1), where)
        return None
    return int(row["frame"]), box.xyxy(), labels[row["label"]], score


def _join(rows: list[_Row]) -> Detections:
    if not rows:
        return Detections.none()
    frames, boxes, labels, scores = zip(*rows, strict=True)
    return Detections(
        np.array(frames, np.int64),
        np.array(boxes, np.float32),
        np.array(labels, np.int64),
        np.array(scores, np.float32),
    )
