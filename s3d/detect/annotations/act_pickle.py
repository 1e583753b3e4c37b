"""The pickles of the ACT detector, in which JHMDB and UCF101-24 are widely shared.

    labels        [name, ...]
    gttubes       {video: {place in labels: [array (n, 5): frame from 1, x1, y1, x2, y2, ...]}}
    train_videos, test_videos    [[video, ...] of each split]
    resolution    {video: (height, width)}

Places are taken as they stand, though their authors count the last pixel as inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from s3d.data.datasets.address import Address
from s3d.data.names import on_one_line
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems
from s3d.detect.annotations.marks import Mark, VideoMarks, probe
from s3d.detect.annotations.parts import Parts
from s3d.errors import InputError
from s3d.files import show_path

NO_CLASS = "tubes of a class that is not in the list left out"
NO_BOXES = "tubes that are not rows of frame and box left out"
NO_PART = "videos in neither list of the split left out"

Find = Callable[[str], str | None]
"""Gives the path of a video by its name."""


@dataclass(frozen=True)
class ActSource:
    """Say what such a pickle does not.

    Attributes:
        find: Finds the videos.
        size_px: (height, width) of the pictures, where it does not say.
        whole: Whether everything is marked in frames without a box.
    """

    find: Find
    size_px: tuple[int, int]
    whole: bool


def is_act(content: Any) -> bool:
    """Say whether a pickle is of this kind."""
    return isinstance(content, dict) and {"labels", "gttubes"} <= content.keys()


def read_act(
    address: Address, content: dict[str, Any], parts: Parts, source: ActSource
) -> Annotated:
    """Read such a pickle.

    Args:
        address: The data set; its key `split` says which split is meant, from 1.
        content: Of the pickle.
        parts: Which videos are wanted.
        source: The videos.

    Raises:
        InputError: It is not as described above.
    """
    problems = Problems()
    labels, tubes = _labels(address, content), content["gttubes"]
    if not isinstance(tubes, dict) or not all(isinstance(name, str) for name in tubes):
        raise broken(address, "gttubes are not tubes by video")
    part_of, videos = _part_of(address, content), list[AnnotatedVideo]()
    sizes = content.get("resolution")
    for name, marked in tubes.items():
        if name not in part_of:
            problems.add(NO_PART, name)
        elif parts.takes(part_of[name]) and (info := probe(source.find(name), name, problems)):
            size = _size(sizes, name) or source.size_px
            marks = VideoMarks(info, name, problems, size, part_of[name])
            for mark in _marks_of(name, marked, len(labels), problems):
                marks.add(mark)
            videos.append(marks.build(whole=source.whole))
    parts.check()
    return Annotated(address.text, tuple(videos), labels, has_tracks=True, problems=problems)


def broken(address: Address, what: str) -> InputError:
    """Return the error of a pickle that is not as its data set has it."""
    return InputError(
        f"{show_path(address.text)}: its annotations are not as published ({what}). "
        "Copy or download them again."
    )


def _labels(address: Address, content: dict[str, Any]) -> tuple[str, ...]:
    labels = content["labels"]
    if not isinstance(labels, list | tuple) or not labels:
        raise broken(address, "labels are no list")
    if not all(isinstance(label, str) for label in labels) or len(set(labels)) < len(labels):
        raise broken(address, "labels are not names, each once")
    return tuple(on_one_line(label) for label in labels)


def _part_of(address: Address, content: dict[str, Any]) -> dict[str, str]:
    split, found = int(address.options.get("split", "1")), dict[str, str]()
    for part in ("train", "test"):
        lists = content.get(f"{part}_videos")
        if not isinstance(lists, list | tuple) or not all(isinstance(x, list) for x in lists):
            raise broken(address, f"{part}_videos are no lists")
        if split > len(lists):
            raise InputError(
                f"{show_path(address.text)}: split {split} is not there; its pickle has "
                f"{len(lists)}. Choose one of them."
            )
        found.update((name, part) for name in lists[split - 1] if isinstance(name, str))
    return found


def _size(sizes: Any, name: str) -> tuple[int, int] | None:
    match sizes.get(name) if isinstance(sizes, dict) else None:
        case (int(height), int(width)) if 0 < height < 1 << 15 and 0 < width < 1 << 15:
            return height, width
    return None


def _marks_of(name: str, marked: Any, classes: int, problems: Problems) -> Iterator[Mark]:
    if not isinstance(marked, dict):
        problems.add(NO_BOXES, name)
        return
    tubes = [
        (label, tube)
        for label, found in marked.items()
        for tube in (found if isinstance(found, list | tuple) else [None])
    ]
    for track, (label, tube) in enumerate(tubes):
        where = f"{name}, tube {track}"
        if not isinstance(label, int) or not 0 <= label < classes:
            problems.add(NO_CLASS, f"{where}: class {str(label)[:20]}")
            continue
        if not _is_table(tube):
            problems.add(NO_BOXES, where)
            continue
        for row in np.asarray(tube, np.float64)[:, :5].tolist():
            # A frame that is no number is none that the video has.
            frame = int(row[0]) - 1 if np.isfinite(row[0]) else -1
            yield Mark(frame, row[1:], label, str(track), where)


def _is_table(tube: Any) -> bool:
    return (
        isinstance(tube, np.ndarray)
        and tube.ndim == 2
        and tube.shape[1] >= 5
        and tube.dtype.kind in "iuf"
    )
