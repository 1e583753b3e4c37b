"""UCF101-24: the corrected boxes of 24 classes of UCF-101, as a pickle.

    {"Basketball/v_Basketball_g01_c01": {"label": 0, "numf": uint8, "annotations": [
        {"label": 0, "sf": first frame, "ef": one past the last, "boxes": (n, 4) x, y, w, h}]}}

Boxes are px of a 320 x 240 picture, whatever the clips' size is. `numf` is a byte that has wrapped
in long clips, so the file says how many frames there are. Where the lists of the splits are not
there, the rule by which they were made is used: of 25 groups of clips, 7 are there to test.

Source: G. Singh, corrected-UCF101-Annots; the other widely shared pickle, of the ACT detector, is
read too (`s3d.detect.annotations.act_pickle`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from s3d.data.datasets.address import Address
from s3d.data.datasets.lists import FileIndex, bad_line, find_lists, read_lines
from s3d.detect.annotations.act_pickle import (
    NO_BOXES,
    NO_CLASS,
    NO_PART,
    ActSource,
    broken,
    is_act,
    read_act,
)
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems
from s3d.detect.annotations.marks import Mark, VideoMarks, probe
from s3d.detect.annotations.parts import Parts
from s3d.detect.annotations.plain_pickle import read_plain_pickle
from s3d.errors import InputError
from s3d.files import show_path

CLASSES = (
    "Basketball", "BasketballDunk", "Biking", "CliffDiving", "CricketBowling", "Diving", "Fencing",
    "FloorGymnastics", "GolfSwing", "HorseRiding", "IceDancing", "LongJump", "PoleVault",
    "RopeClimbing", "SalsaSpin", "SkateBoarding", "Skiing", "Skijet", "SoccerJuggling", "Surfing",
    "TennisSwing", "TrampolineJumping", "VolleyballSpiking", "WalkingWithDog",
)  # fmt: skip
SIZE_PX = 240, 320
SPLITS = ("1", "2", "3")
FRAMES = ("all", "annotated")
TEST_GROUPS = 7
UNEQUAL = "tubes with other than a box for each of their frames cut to the fewer"

_LINE = re.compile(r"(?:.*[/\\])?(v_\w+_g\d+_c\d+)(?:\.\w+)?(?:\s+\d+)?")
_GROUP = re.compile(r".*_g(\d{1,4})_c\d+")


def read_ucf101_24(address: Address, parts: Parts) -> Annotated:
    """Read UCF101-24 under a split.

    Args:
        address: Its folder, with the videos anywhere below. Keys: split (1); annotations, the
            pickle; lists, the folder of the lists; frames, "annotated" to keep only frames with a
            box; otherwise a frame without any is one in which nothing of the 24 is done.
        parts: Which videos are wanted.

    Raises:
        InputError: The pickle is missing or not as published, or a value is none of its key's.
    """
    check_choice(address, "split", SPLITS)
    check_choice(address, "frames", FRAMES)
    content = read_plain_pickle(find_pickle(address, "pyannot.pkl"))
    index = FileIndex(address.folder)

    def find(name: str) -> str | None:
        folder, _, stem = name.rpartition("/")
        return index.find((stem,), folder)

    whole = address.options.get("frames") != "annotated"
    if is_act(content):
        return read_act(address, content, parts, ActSource(find, SIZE_PX, whole))
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise broken(address, "they are not clips by name")
    problems, videos, lists = Problems(), list[AnnotatedVideo](), _read_lists(address)
    for name, clip in content.items():
        part = _part_of(name, lists, address)
        if part is None:
            problems.add(NO_PART, name)
        elif parts.takes(part) and (info := probe(find(name), name, problems)):
            marks = VideoMarks(info, name, problems, SIZE_PX, part)
            for mark in _marks_of(name, clip, problems):
                marks.add(mark)
            videos.append(marks.build(whole=whole))
    parts.check()
    return Annotated(address.text, tuple(videos), CLASSES, has_tracks=True, problems=problems)


def check_choice(address: Address, key: str, known: tuple[str, ...]) -> None:
    """Check the value of a key.

    Raises:
        InputError: It is not known.
    """
    value = address.options.get(key, known[0])
    if value not in known:
        raise InputError(
            f"{show_path(address.text)}: {key} is {value!r}; it is one of {', '.join(known)}."
        )


def find_pickle(address: Address, name: str) -> Path:
    """Return the pickle of a data set: named, or of its usual name, or the only one.

    Raises:
        InputError: There is none, or one cannot choose.
    """
    if given := address.options.get("annotations"):
        return Path(given).expanduser()
    found = _find_pickles(address.folder)
    usual = [path for path in found if path.name == name]
    if usual or len(found) == 1:
        return (usual or found)[0]
    several = f"there are {len(found)} pickles and none is" if found else "there is no"
    raise InputError(
        f"{show_path(address.text)}: {several} {name} in its folder, its annotations or its "
        "splitfiles. Name it with ?annotations=FILE."
    )


def _find_pickles(folder: Path) -> list[Path]:
    places = [folder, folder / "annotations", folder / "splitfiles"]
    return [path for place in places if place.is_dir() for path in sorted(place.glob("*.pkl"))]


def _read_lists(address: Address) -> dict[str, str] | None:
    """Return the part of each video; None where there are no lists."""
    split, found = address.options.get("split", "1"), dict[str, str]()
    for part in ("train", "test"):
        beside = address.folder / "splitfiles" / f"{part}list0{split}.txt"
        paths = find_lists(address, rf"{part}list0?{split}\.txt")
        for path in paths or ([beside] if beside.is_file() else []):
            for number, line in read_lines(path):
                match = _LINE.fullmatch(line)
                if not match:
                    raise bad_line(path, number, line, "'<class>/v_<class>_g01_c01'")
                found[match[1]] = part
    return found or None


def _part_of(name: str, lists: dict[str, str] | None, address: Address) -> str | None:
    if lists is not None:
        return lists.get(name.rpartition("/")[2])
    group = _GROUP.fullmatch(name)
    if not group:
        return None
    first = TEST_GROUPS * (int(address.options.get("split", "1")) - 1)
    return "test" if first < int(group[1]) <= first + TEST_GROUPS else "train"


def _marks_of(name: str, clip: Any, problems: Problems) -> Iterator[Mark]:
    tubes = clip.get("annotations") if isinstance(clip, dict) else None
    if not isinstance(tubes, list | tuple):
        problems.add(NO_BOXES, name)
        return
    for track, tube in enumerate(tubes):
        where = f"{name}, tube {track}"
        match tube:
            case {
                "label": int(label),
                "sf": int(start),
                "ef": int(end),
                "boxes": np.ndarray() as b,
            }:
                if not 0 <= label < len(CLASSES):
                    problems.add(NO_CLASS, where)
                elif b.ndim == 2 and b.shape[1] == 4 and b.dtype.kind in "iuf":
                    if len(b) != end - start:
                        problems.add(UNEQUAL, f"{where}: {len(b)} boxes")
                    yield from _marks_of_tube(start, end, b, label, str(track), where)
                else:
                    problems.add(NO_BOXES, where)
            case _:
                problems.add(NO_BOXES, where)


def _marks_of_tube(
    start: int, end: int, boxes: np.ndarray[Any, Any], label: int, track: str, where: str
) -> Iterator[Mark]:
    # They are bytes, in which the sum of a place and a width wraps.
    xywh = boxes.astype(np.float64)
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    for frame, box in zip(range(start, end), xyxy.tolist(), strict=False):
        yield Mark(frame, box, label, track, where)
