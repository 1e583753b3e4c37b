"""COCO's JSON with videos: images that are frames, and boxes x, y, width, height in them.

An image is a picture of a folder (`videoname/000001.jpg`), whose place among the pictures is its
frame; or a frame of a video file, whose `frame_id` or `frame_index` counts from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from s3d.data.datasets.address import Address
from s3d.data.names import on_one_line
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems
from s3d.detect.annotations.beside import Pictures, find_video
from s3d.detect.annotations.marks import Mark, VideoMarks, probe
from s3d.detect.annotations.parts import Parts
from s3d.errors import InputError
from s3d.files import show_path

Entry = dict[str, Any]

NO_IMAGE = "boxes of an image that is not listed left out"
NO_CLASS = "boxes of a class that is not listed left out"
NO_FRAME = "images that are no frame of their video left out"
MOST = 1 << 31


@dataclass(frozen=True)
class _Video:
    """Hold a video, its images, and the boxes of each by the image's id."""

    told: Entry
    name: str
    images: list[Entry]
    boxes: dict[Any, list[Entry]]


def is_coco(content: Any) -> bool:
    """Say whether a JSON file is of this kind."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read_coco(address: Address, content: Entry, parts: Parts) -> Annotated:
    """Read a COCO file, with its videos or folders of pictures beside it.

    Args:
        address: The JSON file.
        content: Of the file.
        parts: Which part is wanted; all of the file is of none, so to train on.

    Raises:
        InputError: Its lists are not lists of entries with ids.
    """
    path, problems = Path(address.place), Problems()
    parts.takes("")
    parts.check()
    categories = _entries(path, content, "categories", ("id", "name"))
    labels = tuple(dict.fromkeys(on_one_line(str(entry["name"])) for entry in categories))
    places = {e["id"]: labels.index(on_one_line(str(e["name"]))) for e in categories}
    videos = list(_gather(path, content, problems))
    read = [_read_video(path, video, places, problems) for video in videos]
    boxes = [box for video in videos for found in video.boxes.values() for box in found]
    has_tracks = bool(boxes) and all(_track(box) for box in boxes)
    there = tuple(video for video in read if video)
    return Annotated(address.text, there, labels, has_tracks, problems=problems)


def _entries(path: Path, content: Entry, name: str, needed: tuple[str, ...]) -> list[Entry]:
    entries = content.get(name, [])
    shown = show_path(path)
    if not isinstance(entries, list):
        raise InputError(f"{shown}: its {name!r} is no list. Export it again.")
    for number, entry in enumerate(entries):
        lacks = [k for k in needed if not isinstance(entry, dict) or not _is_plain(entry.get(k))]
        if lacks:
            raise InputError(
                f"{shown}: {name}[{number}] has no {lacks[0]!r} that is a number or a text. "
                "Export it again."
            )
    return entries


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _gather(path: Path, content: Entry, problems: Problems) -> Iterator[_Video]:
    told = {entry["id"]: entry for entry in _entries(path, content, "videos", ("id",))}
    videos: dict[Any, _Video] = {}
    owner: dict[Any, _Video] = {}
    for image in _entries(path, content, "images", ("id",)):
        key, name = _video_of(image, told)
        video = videos.setdefault(key, _Video(told.get(key, {}), name, [], {}))
        video.images.append(image)
        owner[image["id"]] = video
    for number, box in enumerate(_entries(path, content, "annotations", ("image_id",))):
        if box["image_id"] in owner:
            owner[box["image_id"]].boxes.setdefault(box["image_id"], []).append(box)
        else:
            problems.add(NO_IMAGE, f"{show_path(path)}, annotations[{number}]")
    yield from videos.values()


def _video_of(image: Entry, told: dict[Any, Entry]) -> tuple[Any, str]:
    key = image.get("video_id")
    folder = str(PurePosixPath(_text(image, "file_name")).parent)
    if not _is_plain(key) or key not in told:
        return f"folder {folder}", folder
    return key, _text(told[key], "name") or _text(told[key], "file_name") or folder


def _text(entry: Entry, key: str) -> str:
    value = entry.get(key)
    return value.replace("\\", "/") if isinstance(value, str) else ""


def _read_video(
    path: Path, video: _Video, places: dict[Any, int], problems: Problems
) -> AnnotatedVideo | None:
    pictures = _find_pictures(path, video)
    rate = video.told.get("fps", video.told.get("frame_rate"))
    place = pictures.path(rate, problems) if pictures else None
    names = [n for n in (_text(video.told, "file_name"), _text(video.told, "name")) if n]
    info = probe(place or find_video(path.parent, names), video.name, problems)
    if info is None:
        return None
    marks = VideoMarks(info, video.name, problems, _size(video))
    for image in video.images:
        frame = _frame(image, pictures)
        where = f"{show_path(path)}, image {image['id']}"
        if frame is None or not 0 <= frame < info.frames:
            problems.add(NO_FRAME, where)
            continue
        marks.see(frame)
        for box in video.boxes.get(image["id"], []):
            _mark(marks, box, frame, places, where)
    return marks.build(whole=False)


def _find_pictures(path: Path, video: _Video) -> Pictures | None:
    """Return the folder in which the images are; None where they are frames of a file."""
    names = [_text(image, "file_name") for image in video.images if image.get("file_name")]
    first = PurePosixPath(names[0]) if names else PurePosixPath()
    for folder in dict.fromkeys((str(first.parent), video.name)):
        found = Pictures(path.parent, folder)
        if first.name in found.frames:
            return found
    return None


def _frame(image: Entry, pictures: Pictures | None) -> int | None:
    if pictures is not None:
        return pictures.frames.get(PurePosixPath(_text(image, "file_name")).name)
    told = (image.get(key) for key in ("frame_id", "frame_index"))
    return next((frame for frame in told if type(frame) is int), None)


def _size(video: _Video) -> tuple[int, int] | None:
    for entry in (*video.images[:1], video.told):
        height, width = entry.get("height"), entry.get("width")
        if type(height) is int and type(width) is int and 0 < min(height, width) < MOST:
            return height, width
    return None


def _mark(marks: VideoMarks, box: Entry, frame: int, places: dict[Any, int], where: str) -> None:
    label = box.get("category_id")
    if not _is_plain(label) or label not in places:
        marks.problems.add(NO_CLASS, f"{where}: {str(label)[:20]}")
        return
    given = box.get("bbox")
    xywh = given if isinstance(given, list) and len(given) == 4 else [None] * 4
    numbers = [float(v) if _is_number(v) else float("nan") for v in xywh]
    x, y, width, height = numbers
    marks.add(Mark(frame, [x, y, x + width, y + height], places[label], _track(box), where))


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _track(box: Entry) -> str:
    told = (box.get(key) for key in ("track_id", "instance_id"))
    return next((str(track) for track in told if _is_plain(track)), "")
