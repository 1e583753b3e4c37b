"""Label Studio's JSON export of rectangles in videos.

A rectangle is a sequence of keyframes in percent of the picture; frames count from 1. While it is
enabled it moves straight to the next; the keyframe that disables it is its last. Label Studio
counts frames at a rate of its own, so where its count is not the file's, frames are brought to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard
from urllib.parse import unquote

from s3d.data.datasets.address import Address
from s3d.data.names import natural_order, on_one_line
from s3d.data.video_info import VideoInfo
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems
from s3d.detect.annotations.beside import find_video
from s3d.detect.annotations.keyframes import Keyframe, Places, fill_between
from s3d.detect.annotations.marks import Mark, VideoMarks, probe
from s3d.detect.annotations.parts import Parts
from s3d.files import show_path

TURNED = "turned boxes taken as the upright boxes around them"
RECOUNTED = "videos whose frames were counted at another rate brought to the file's count"
SEVERAL = "further annotations of an annotated video left out"
NOT_DONE = "tasks without an annotation left out"
NO_KEYFRAME = "keyframes without a frame and a box left out"
NO_LABEL = "rectangles without a label left out"
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")


def is_label_studio(content: Any) -> bool:
    """Say whether a JSON file is such an export."""
    return isinstance(content, list) and any(
        isinstance(task, dict) and "annotations" in task and "data" in task for task in content
    )


def read_label_studio(address: Address, content: list[Any], parts: Parts) -> Annotated:
    """Read an export of Label Studio, with its videos beside it.

    Args:
        address: The JSON file.
        content: Of the file.
        parts: Which part is wanted; all of the file is of none, so to train on.

    Raises:
        InputError: There is nothing of the part.
    """
    path, problems = Path(address.place), Problems()
    parts.takes("")
    parts.check()
    tasks = [(task, _results(task, number, problems)) for number, task in enumerate(content)]
    done = [(task, results) for task, results in tasks if results is not None]
    regions = [label for _, results in done for r in results for label in _labels(r, results)]
    labels = tuple(sorted(set(regions), key=natural_order))
    videos = (_read_task(path, task, results, labels, problems) for task, results in done)
    there = tuple(video for video in videos if video)
    return Annotated(address.text, there, labels, has_tracks=True, problems=problems)


def _results(task: Any, number: int, problems: Problems) -> list[dict[str, Any]] | None:
    """Return the results of the first annotation that was not cancelled."""
    name = f"task {number + 1}"
    given = task.get("annotations") if isinstance(task, dict) else None
    found = [
        annotation["result"]
        for annotation in (given if isinstance(given, list) else [])
        if isinstance(annotation, dict)
        and not annotation.get("was_cancelled")
        and isinstance(annotation.get("result"), list)
    ]
    if not found:
        problems.add(NOT_DONE, name)
        return None
    for _ in found[1:]:
        problems.add(SEVERAL, name)
    return [result for result in found[0] if isinstance(result, dict)]


def _labels(region: dict[str, Any], results: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return what a rectangle shows, which may stand in a result of its own with the same id."""
    if not _is_rectangle(region):
        return ()
    same = [r for r in results if region.get("id") is not None and r.get("id") == region["id"]]
    for result in [region, *same]:
        value = result.get("value")
        for key in ("labels", "videorectangle", "choices"):
            given = value.get(key) if isinstance(value, dict) else None
            if isinstance(given, list) and given:
                return tuple(on_one_line(label) for label in given if isinstance(label, str))
    return ()


def _is_rectangle(result: dict[str, Any]) -> bool:
    value = result.get("value")
    return isinstance(value, dict) and isinstance(value.get("sequence"), list)


def _names(task: dict[str, Any]) -> list[str]:
    """Return what the task's video may be called here, the likeliest first."""
    data = task.get("data")
    texts = [v for v in data.values() if isinstance(v, str)] if isinstance(data, dict) else []
    given = data.get("video") if isinstance(data, dict) else None
    names = []
    for text in ([given] if isinstance(given, str) else []) + texts:
        name = PurePosixPath(unquote(text).rpartition("?d=")[2].replace("\\", "/")).name
        upload = _UPLOAD.fullmatch(name)
        names += [name] + ([upload[1]] if upload else [])
    return [name for name in dict.fromkeys(names) if name]


def _read_task(
    path: Path,
    task: dict[str, Any],
    results: list[dict[str, Any]],
    labels: tuple[str, ...],
    problems: Problems,
) -> AnnotatedVideo | None:
    names = _names(task)
    name = names[-1] if names else f"task {task.get('id', '')!s:.20}"
    info = probe(find_video(path.parent, names), name, problems)
    if info is None:
        return None
    marks = VideoMarks(info, name, problems)
    regions = [result for result in results if _is_rectangle(result)]
    scale = _scale(regions, info)
    if scale != 1:
        problems.add(RECOUNTED, f"{name}: {info.frames} frames")
    for number, region in enumerate(regions):
        where = f"{show_path(path)}, {name}, region {number + 1}"
        shown = _labels(region, results)
        if not shown:
            problems.add(NO_LABEL, where)
        keys = list(_keyframes(region, marks, scale, where))
        for frame, box, _ in fill_between(keys, info.frames):
            for label in shown:
                marks.add(Mark(frame, box, labels.index(label), str(number), where))
    return marks.build(whole=True)


def _scale(regions: list[dict[str, Any]], info: VideoInfo) -> float:
    counts = [region["value"].get("framesCount") for region in regions]
    count = next((c for c in counts if _is_finite(c) and c > 0), info.frames)
    return 1.0 if abs(count - info.frames) <= 1 else info.frames / float(count)


def _keyframes(
    region: dict[str, Any], marks: VideoMarks, scale: float, where: str
) -> Iterator[Keyframe]:
    for item in region["value"]["sequence"]:
        given = item if isinstance(item, dict) else {}
        frame, places = given.get("frame"), _percent(given)
        if not _is_finite(frame) or frame < 1 or places is None:
            marks.problems.add(NO_KEYFRAME, f"{where}: frame {str(frame)[:20]}")
            continue
        turn = given.get("rotation", 0)
        degrees = float(turn) if _is_finite(turn) else 0.0
        if degrees % 360:
            marks.problems.add(TURNED, where)
        box = _upright(places, degrees, marks.size_px)
        place = round((frame - 1) * scale)
        yield Keyframe(place, box, True, bool(given.get("enabled", True)), ())


def _percent(item: dict[str, Any]) -> Places | None:
    values = [item.get(key) for key in ("x", "y", "width", "height")]
    if not all(map(_is_finite, values)):
        return None
    x, y, width, height = (float(str(value)) for value in values)
    return x, y, width, height


def _is_finite(value: Any) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e9  # False for NaN too.


def _upright(places: Places, degrees: float, size_px: tuple[int, int]) -> Places:
    """Return the box around a rectangle that is turned clockwise about its upper left corner."""
    height_px, width_px = size_px
    x, y, width, height = (
        share / 100 * side for share, side in zip(places, (width_px, height_px) * 2, strict=True)
    )
    turn = math.radians(degrees)
    across = [a * math.cos(turn) - b * math.sin(turn) for a in (0, width) for b in (0, height)]
    down = [a * math.sin(turn) + b * math.cos(turn) for a in (0, width) for b in (0, height)]
    return x + min(across), y + min(down), x + max(across), y + max(down)
