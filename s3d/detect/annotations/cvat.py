"""CVAT's exports "for video 1.1" and "for images 1.1".

For video, a track is somebody, its boxes are keyframes, and between them the box moves straight;
`outside` ends it until the next. For images, a box stands alone. An attribute named `action` gives
the class; without one it is the label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from s3d.data.datasets.address import Address
from s3d.data.names import on_one_line
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems
from s3d.detect.annotations.beside import Pictures, find_video, number_in
from s3d.detect.annotations.keyframes import Keyframe, fill_between
from s3d.detect.annotations.marks import Mark, VideoMarks, probe
from s3d.detect.annotations.parts import Parts
from s3d.detect.annotations.text_file import number_or_nan
from s3d.detect.annotations.xml_file import read_xml
from s3d.errors import InputError
from s3d.files import show_path

ACTION = "action"
NO_FRAME = "boxes or pictures without a frame left out"
NO_VIDEO = "pictures of a video that is not there left out"
_EDGES = ("xtl", "ytl", "xbr", "ybr")


@dataclass(frozen=True)
class _Job:
    """Hold what an export says of itself.

    Attributes:
        source: Name of the video.
        size_px: (height, width) of its picture, if told.
        frames: Those that were looked at; None is all.
    """

    source: str
    size_px: tuple[int, int] | None
    frames: range | None


def read_cvat(address: Address, parts: Parts) -> Annotated:
    """Read an export of CVAT, with its video or pictures beside it.

    Args:
        address: The XML file.
        parts: Which part is wanted; all of the file is of none, so to train on.

    Raises:
        InputError: It is no such export.
    """
    path, problems = Path(address.place), Problems()
    root = read_xml(path)
    tracks, images = root.findall("track"), root.findall("image")
    if root.tag != "annotations" or not (tracks or images or root.find("meta") is not None):
        raise InputError(
            f"{show_path(path)}: is no export of CVAT. Export as 'CVAT for video 1.1' or "
            "'CVAT for images 1.1'."
        )
    if root.find("meta/project") is not None:
        raise InputError(
            f"{show_path(path)}: is of a whole project of CVAT. Export each of its tasks alone."
        )
    parts.takes("")
    parts.check()
    labels = _labels(root)
    if images:
        videos = list(_read_images(path, root, labels, problems))
    else:
        found = _read_tracks(path, root, labels, problems)
        videos = [found] if found else []
    return Annotated(address.text, tuple(videos), labels, not images, problems=problems)


def _labels(root: Element) -> tuple[str, ...]:
    """Return the classes: actions in order of their names, or labels as the task has them."""
    owned = [(track, box) for track in root.iterfind("track") for box in track.iterfind("box")]
    owned += [(box, box) for box in root.iterfind("image/box")]
    shown = [(owner, box) for owner, box in owned if _is_there(box)]
    used = {_label(owner, box) for owner, box in shown} - {""}
    if actions := {action for _, box in shown if (action := _action(box))}:
        # A label as "person" is then no class, unless a box has nothing else.
        return tuple(sorted(actions) + sorted(used - actions))
    named = [on_one_line(name.text or "") for name in root.iterfind("meta//labels/label/name")]
    return tuple(dict.fromkeys(name for name in [*named, *sorted(used)] if name))


def _is_there(box: Element) -> bool:
    return box.get("outside", "0") != "1"


def _action(box: Element) -> str:
    texts = (a.text for a in box.iterfind("attribute") if a.get("name", "").lower() == ACTION)
    return on_one_line((next(texts, "") or "").strip())


def _label(owner: Element, box: Element) -> str:
    return _action(box) or on_one_line(owner.get("label", ""))


def _job(root: Element) -> _Job:
    def told(name: str) -> str:
        found = next((e for e in root.iterfind(f"meta//{name}") if e.text), None)
        return (found.text or "").strip() if found is not None else ""

    numbers = {name: told(name) for name in ("start_frame", "stop_frame", "width", "height")}
    known = {name: int(text) for name, text in numbers.items() if _is_count(text)}
    step = told("frame_filter").rpartition("step=")[2]
    frames = None
    if "stop_frame" in known:
        stride = int(step) if _is_count(step) and int(step) else 1
        frames = range(known.get("start_frame", 0), known["stop_frame"] + 1, stride)
    height, width = known.get("height", 0), known.get("width", 0)
    return _Job(told("source"), (height, width) if height and width else None, frames)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _read_tracks(
    path: Path, root: Element, labels: tuple[str, ...], problems: Problems
) -> AnnotatedVideo | None:
    job = _job(root)
    name = job.source or path.stem
    info = probe(find_video(path.parent, [name]), name, problems)
    if info is None:
        return None
    marks = VideoMarks(info, name, problems, job.size_px)
    looked = range(info.frames) if job.frames is None else job.frames
    for frame in looked[: info.frames]:
        marks.see(frame)
    for number, track in enumerate(root.iterfind("track")):
        where = f"{show_path(path)}, track {track.get('id', number)}"
        keys = list(_keyframes(track, where, problems))
        # What CVAT drew beyond the end is told; what it would go on to is not.
        end = min(looked.stop, info.frames)
        for frame, box, key in fill_between(keys, end):
            if frame in looked or frame >= info.frames:
                label = labels.index(key.labels[0])
                marks.add(Mark(frame, box, label, track.get("id", "") or str(number), where))
    return marks.build(whole=False)


def _keyframes(track: Element, where: str, problems: Problems) -> Iterator[Keyframe]:
    for box in track.iterfind("box"):
        frame = box.get("frame", "")
        if not _is_count(frame):
            problems.add(NO_FRAME, f"{where}: frame {frame[:20]!r}")
            continue
        is_there, label = _is_there(box), _label(track, box)
        if label:
            yield Keyframe(int(frame), _places(box), is_there, is_there, (label,))


def _places(box: Element) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (number_or_nan(box.get(edge, "")) for edge in _EDGES)
    return x1, y1, x2, y2


def _read_images(
    path: Path, root: Element, labels: tuple[str, ...], problems: Problems
) -> Iterator[AnnotatedVideo]:
    job, videos = _job(root), dict[str, list[Element]]()
    for image in root.iterfind("image"):
        folder = PurePosixPath(image.get("name", "").replace("\\", "/")).parent
        videos.setdefault(str(folder), []).append(image)
    for name, images in videos.items():
        pictures = Pictures(path.parent, name)
        known = any(PurePosixPath(i.get("name", "")).name in pictures.frames for i in images)
        place = pictures.path(None, problems) if known else None
        place = place or find_video(path.parent, [n for n in (job.source, name, path.stem) if n])
        info = probe(place, name if name != "." else job.source or path.stem, problems)
        if info is None:
            continue
        first = images[0]
        size = first.get("height", ""), first.get("width", "")
        told = (int(size[0]), int(size[1])) if all(map(_is_count, size)) else None
        marks = VideoMarks(info, name, problems, told if told and all(told) else None)
        for image in images:
            _mark_image(marks, image, pictures if known else None, labels, path)
        yield marks.build(whole=False)


def _mark_image(
    marks: VideoMarks,
    image: Element,
    pictures: Pictures | None,
    labels: tuple[str, ...],
    path: Path,
) -> None:
    name = image.get("name", "")
    where = f"{show_path(path)}, image {name}"
    frame = _frame_of(image, pictures)
    if frame is None:
        marks.problems.add(NO_FRAME, where)
        return
    marks.see(frame)
    for box in image.iterfind("box"):
        if label := _label(box, box):
            marks.add(Mark(frame, _places(box), labels.index(label), "", where))


def _frame_of(image: Element, pictures: Pictures | None) -> int | None:
    name = image.get("name", "").replace("\\", "/")
    if pictures is not None:
        return pictures.frames.get(PurePosixPath(name).name)
    number = number_in(name)
    if number is None and _is_count(image.get("id", "")):
        return int(image.get("id", ""))
    return number
