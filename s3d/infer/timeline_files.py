"""A timeline as files that others read: CSV and JSON, SRT for players, one HTML page."""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from s3d.data.container import open_stream
from s3d.data.names import on_one_line
from s3d.data.paths import AnyPath
from s3d.errors import InputError
from s3d.files import write_bytes
from s3d.infer.segments import Segment
from s3d.infer.timeline import Timeline
from s3d.infer.timeline_page import build_page

ENDINGS = (".csv", ".json", ".srt", ".html")
LEAST_SHOWN_MS = 1
PLAYED = {
    ".mp4": {"h264", "vp9", "av1", "libdav1d"},
    ".m4v": {"h264"},
    ".mov": {"h264"},
    ".webm": {"vp8", "vp9", "av1", "libdav1d"},
}
"""What browsers play: by the ending of a name, the decoders of its codecs."""
_MARKS = str.maketrans({"<": "\u2039", ">": "\u203a", "{": "(", "}": ")"})
"""What players would take for markup, and what is shown in its place."""


def write_timeline(timeline: Timeline, place: Path, model: str, url: str | None = None) -> None:
    """Write a timeline as four files, each whole or absent.

    Args:
        timeline: What to write.
        place: Where, without the ending: NAME.csv, NAME.json, NAME.srt and NAME.html are written.
        model: The name or path of the model.
        url: From the page to the video, where a browser plays it.

    Raises:
        InputError: The disk will not take them.
    """
    page = build_page(timeline, model, url)
    contents = {
        ".csv": format_csv(timeline.segments),
        ".json": format_json(timeline, model),
        ".srt": format_srt(timeline.segments),
        ".html": page,
    }
    for ending in ENDINGS:
        # Of names that are not UTF-8 Python keeps bytes as surrogates.
        content = contents[ending].encode("utf-8", "backslashreplace")
        write_bytes(place.with_name(place.name + ending), content)


def format_csv(segments: Sequence[Segment]) -> str:
    """Return segments as CSV with the columns start, end (seconds), label and score."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("start", "end", "label", "score"))
    for segment in segments:
        start, end = f"{segment.start_seconds:.3f}", f"{segment.end_seconds:.3f}"
        writer.writerow((start, end, segment.label, f"{segment.score:.4f}"))
    return text.getvalue()


def format_json(timeline: Timeline, model: str) -> str:
    """Return everything but the scores of windows as JSON."""
    return json.dumps({"model": model, **timeline.to_json()}, indent=1, ensure_ascii=False) + "\n"


def format_srt(segments: Sequence[Segment]) -> str:
    """Return segments as subtitles, which players show over the video."""
    parts = []
    for number, segment in enumerate(segments, 1):
        start = round(1000 * segment.start_seconds)
        end = max(start + LEAST_SHOWN_MS, round(1000 * segment.end_seconds))
        text = _as_subtitle(segment.label)
        shown = f"{_stamp(start)} --> {_stamp(end)}"
        parts.append(f"{number}\n{shown}\n{text} ({segment.score:.0%})\n")
    return "\n".join(parts)


def find_url(video: AnyPath, folder: Path) -> str | None:
    """Return the relative address of a video, where it has one and a browser plays it.

    Args:
        video: As it was named; only a relative path gives an address, so that page and video can be
            moved together.
        folder: Of the page.
    """
    path = os.fspath(video)
    played = PLAYED.get(os.path.splitext(path)[1].lower())  # noqa: PTH122
    if not played or os.path.isabs(path) or not os.path.isfile(path):  # noqa: PTH117, PTH113
        return None
    try:
        with open_stream(path) as (_, stream):
            if stream.codec_context.name not in played:
                return None
    except InputError:
        return None
    try:
        found = os.path.relpath(path, folder)
    except ValueError:  # On another drive.
        return None
    return found.replace(os.sep, "/")


def _as_subtitle(label: str) -> str:
    text = on_one_line(label).translate(_MARKS)
    kept = "".join(" " if unicodedata.category(c) in ("Zl", "Zp") else c for c in text)
    return kept.strip() or "-"


def _stamp(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{rest:03}"
