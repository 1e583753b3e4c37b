"""Files to leave out, and why: `s3d check` writes the list, training and evaluation honour it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

from s3d.data.datasets.lists import read_table
from s3d.data.paths import AnyPath, absolute_name, is_url, show_path
from s3d.data.video_list import VideoList
from s3d.errors import InputError
from s3d.files import write_bytes

COLUMNS = ("path", "reason")


def write_quarantine(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write (path, reason) of each file to leave out; paths become absolute.

    Raises:
        InputError: The disk will not take it.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows((absolute_name(name), reason) for name, reason in rows)
    write_bytes(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read_quarantine(path: AnyPath) -> dict[str, str]:
    """Return the reasons by absolute path; a relative one is relative to the list's folder.

    Raises:
        InputError: The list is missing or is none.
    """
    place = Path(path)
    if not place.is_file():
        raise InputError(
            f"{show_path(path)}: no such list. `s3d check DATA --quarantine FILE` writes one."
        )
    folder = place.absolute().parent
    reasons = {}
    for number, row in read_table(place, COLUMNS):
        if not row["path"]:
            raise InputError(f"{show_path(path)}, row {number}: the path is empty. Fill it in.")
        name = row["path"]
        reasons[name if is_url(name) else os.path.normpath(folder / name)] = row["reason"]
    return reasons


def leave_out(listed: VideoList, path: AnyPath | None) -> VideoList:
    """Return a list without the videos that a quarantine list names.

    They stay counted, with the reason "quarantined: ...".

    Args:
        listed: What there is.
        path: The quarantine list; None leaves out nothing.

    Raises:
        InputError: The list is missing or is none, or it leaves no video.
    """
    if path is None:
        return listed
    reasons = read_quarantine(path)
    found = {video.path: absolute_name(video.path) for video in listed.videos}
    kept = listed.without(
        {name: f"quarantined: {reasons[full]}" for name, full in found.items() if full in reasons}
    )
    if not kept.videos:
        raise InputError(
            f"{show_path(path)}: leaves no video of {show_path(listed.source)}. Check the list."
        )
    return kept
