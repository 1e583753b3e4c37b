"""AVA's own files: boxes as CSV without a header, and the list of actions.

A row is video, second, x1, y1, x2, y2, action[, person or score]. Places are shares of the picture,
from 0 to 1; actions are ids of the list, from 1. A row may have no action (somebody whom nobody
labelled) or no box either (a second that was looked at, with nobody in it).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s3d.detect.annotations.text_file import number_or_nan, read_bounded
from s3d.errors import InputError
from s3d.files import show_path

NO_ACTION = -1
"""The id in rows that name none."""

MOST_BYTES = 1 << 30
COLUMNS = (6, 7, 8)
"""How many a row may have; a row of two is a second with nobody in it."""

Key = tuple[str, float]
"""Video and second."""

_BLOCK = re.compile(r"(?:#[^\n]*|\s)*(?:item|label)\s*\{([^{}]*)\}")
_NAME = re.compile(r"""(?<!\w)name\s*:\s*(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)')""")
_ID = re.compile(r"(?<!\w)(?:label_)?id\s*:\s*(\d{1,9})\b")


@dataclass(frozen=True, slots=True)
class AvaRow:
    """Hold a row.

    Attributes:
        line: Its number in the file, from 1.
        key: Video and second.
        box: x1, y1, x2, y2 as shares of the picture, NaN where no number stands; None where
            nothing does.
        action: Id, or NO_ACTION.
        last: Of the eighth column: a person or a score; "" where there is none.
    """

    line: int
    key: Key
    box: tuple[float, float, float, float] | None
    action: int
    last: str


@dataclass(frozen=True, eq=False)
class AvaBoxes:
    """Hold the boxes of a file.

    Attributes:
        keys: (n) video and second of each box.
        boxes: (n, 4) float64: x1, y1, x2, y2 as shares of the picture.
        labels: (n,) ids of actions, NO_ACTION where none is named.
        scores: (n,) 1 in ground truth.
        persons: (n) who it is; "" where the file does not say.
        seen: Seconds that have a row, with a box or without, in their order.
    """

    keys: tuple[Key, ...]
    boxes: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    persons: tuple[str, ...]
    seen: tuple[Key, ...]


def read_ava_boxes(path: str | Path, *, scored: bool = False) -> AvaBoxes:
    """Read ground truth, or what a detector found.

    Args:
        path: The CSV.
        scored: Whether the last column is a score, as in detections; in ground truth it is a
            person.

    Raises:
        InputError: It is no such file, or a place or a score is no number.
    """
    rows = [_checked(row, Path(path), scored) for row in read_ava_rows(path)]
    marked = [(row, row.box) for row in rows if row.box is not None]
    return AvaBoxes(
        tuple(row.key for row, _ in marked),
        np.array([box for _, box in marked], np.float64).reshape(-1, 4),
        np.array([row.action for row, _ in marked], np.int64),
        np.array([float(row.last) if scored else 1.0 for row, _ in marked], np.float64),
        tuple("" if scored else row.last for row, _ in marked),
        tuple(dict.fromkeys(row.key for row in rows)),
    )


def read_ava_rows(path: str | Path) -> Iterator[AvaRow]:
    """Yield the rows of a file, one at a time.

    Raises:
        InputError: It is no such file.
    """
    path = Path(path)
    reader = csv.reader(read_bounded(path, MOST_BYTES).splitlines(), strict=True)
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield _parse([field.strip() for field in fields], path, reader.line_num)
    except csv.Error as error:
        raise InputError(
            f"{show_path(path)}, line {reader.line_num}: is no readable CSV ({error}). "
            "Check its quotes."
        ) from None


def read_ava_seconds(path: str | Path) -> set[Key]:
    """Read seconds that are left out: rows of video, second.

    Raises:
        InputError: It is no such file.
    """
    return {row.key for row in read_ava_rows(path)}


def read_action_list(path: str | Path) -> dict[int, str]:
    """Read names by id from a list in protocol buffers' text form: item { name: "bend" id: 1 }.

    Raises:
        InputError: It is no such list, is empty, or gives an id twice.
    """
    path = Path(path)
    text, start, names = read_bounded(path, 10_000_000), 0, dict[int, str]()
    while match := _BLOCK.match(text, start):
        name, number = _NAME.search(match[1]), _ID.search(match[1])
        if not name or not number or int(number[1]) in names:
            raise _bad_item(path, text, match.start(1))
        names[int(number[1])] = (name[1] if name[1] is not None else name[2]).replace("\\", "")
        start = match.end()
    rest = re.sub(r"#[^\n]*", "", text[start:])
    if rest.strip() or not names:
        raise _bad_item(path, text, start + len(rest) - len(rest.lstrip()))
    return names


def _parse(fields: list[str], path: Path, line: int) -> AvaRow:
    video, second = fields[0], number_or_nan(fields[1]) if len(fields) > 1 else math.nan
    if not video or not math.isfinite(second) or len(fields) not in (2, *COLUMNS):
        raise _bad_row(path, line, fields)
    key = video, second
    places = fields[2:6]
    if not any(places):
        return AvaRow(line, key, None, NO_ACTION, "")
    x1, y1, x2, y2 = (number_or_nan(place) for place in places)
    action = fields[6] if len(fields) > 6 else ""
    if action and not re.fullmatch(r"-1|\d{1,9}", action, re.ASCII):
        raise _bad_row(path, line, fields)
    number = int(action) if action else NO_ACTION
    return AvaRow(line, key, (x1, y1, x2, y2), number, fields[7] if len(fields) > 7 else "")


def _checked(row: AvaRow, path: Path, scored: bool) -> AvaRow:
    where = f"{show_path(path)}, line {row.line}"
    if row.box is None:
        return row
    if not all(map(math.isfinite, row.box)):
        raise InputError(f"{where}: a place of its box is no number. Write the row again.")
    if scored and not math.isfinite(number_or_nan(row.last)):
        raise InputError(
            f"{where}: its score is {row.last[:40]!r}; a number is needed in the eighth column."
        )
    return row


def _bad_row(path: Path, line: int, fields: list[str]) -> InputError:
    shown = show_path(",".join(fields)[:80])
    return InputError(
        f"{show_path(path)}, line {line}: {shown!r} is not "
        "'video,second,x1,y1,x2,y2,action[,person or score]'. Check the file."
    )


def _bad_item(path: Path, text: str, place: int) -> InputError:
    line = text.count("\n", 0, place) + 1
    return InputError(
        f'{show_path(path)}, line {line}: is not a list of item {{ name: "..." id: 1 }}, '
        "each id once. Copy or download it again."
    )
