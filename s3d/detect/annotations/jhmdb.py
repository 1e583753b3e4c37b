"""JHMDB: 21 classes, one actor a clip, marked by puppets that become masks.

    DIR/splits/<class>_test_split1.txt          lines "<video>.avi 1" (train) or 2 (test)
    DIR/ReCompress_Videos/<class>/<video>.avi   or DIR/Rename_Images/<class>/<video>/00001.png
    DIR/puppet_mask/<class>/<video>/puppet_mask.mat    part_mask (H, W, T)

Instead of masks and lists, the pickle of the ACT detector (JHMDB-GT.pkl) is read where it is there.
A frame without a box is one that nobody marked, so it is neither learnt from nor scored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s3d.data.datasets.address import Address
from s3d.data.datasets.lists import bad_line, read_lines
from s3d.detect.annotations.act_pickle import ActSource, broken, is_act, read_act
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems
from s3d.detect.annotations.marks import VideoMarks, probe
from s3d.detect.annotations.masks import add_masks, read_masks
from s3d.detect.annotations.parts import Parts
from s3d.detect.annotations.plain_pickle import read_plain_pickle
from s3d.detect.annotations.ucf101_24 import SPLITS, check_choice, find_pickle
from s3d.errors import InputError
from s3d.files import show_path

CLASSES = (
    "brush_hair", "catch", "clap", "climb_stairs", "golf", "jump", "kick_ball", "pick", "pour",
    "pullup", "push", "run", "shoot_ball", "shoot_bow", "shoot_gun", "sit", "stand",
    "swing_baseball", "throw", "walk", "wave",
)  # fmt: skip
SIZE_PX = 240, 320
BOXES = ("pickle", "masks")
RATE_FPS = "25"
FOLDERS = ("ReCompress_Videos", "Rename_Images", "Frames", "rgb-images", ".")
ENDINGS = (".avi", ".mp4", ".mkv")
NO_MASK = "videos without a mask that can be read left out"
OTHER_CLASS = "lists of a class that JHMDB does not have left out"

_FILE = re.compile(r"(.+)_test_split([123])\.txt")
_LINE = re.compile(r"([^/\\]+)\.\w+\s+([012])")
_NAME = re.compile(r"(?!\.{1,2}$)[^/\\\0]+")
_PARTS = {"1": "train", "2": "test"}


@dataclass(frozen=True)
class _Clip:
    label: str
    stem: str
    part: str


def read_jhmdb(address: Address, parts: Parts) -> Annotated:
    """Read JHMDB under a split.

    Args:
        address: Its folder. Keys: split (1); boxes, "masks" or "pickle" (the pickle where there is
            one); annotations, the pickle; rate, pictures a second of folders of pictures.
        parts: Which videos are wanted.

    Raises:
        InputError: Lists, pickle or masks are missing or not as published, or a value is none of
            its key's.
    """
    check_choice(address, "split", SPLITS)
    usual = "pickle" if _has_pickle(address) else "masks"
    check_choice(address, "boxes", BOXES)
    if address.options.get("boxes", usual) == "masks":
        return _read_masked(address, parts)
    content = read_plain_pickle(find_pickle(address, "JHMDB-GT.pkl"))
    if not is_act(content):
        raise broken(address, "no labels and gttubes")

    def find(name: str) -> str | None:
        label, _, stem = name.partition("/")
        return _find_clip(address, label, stem)

    return read_act(address, content, parts, ActSource(find, SIZE_PX, whole=False))


def _has_pickle(address: Address) -> bool:
    return "annotations" in address.options or any(address.folder.glob("*.pkl"))


def _read_masked(address: Address, parts: Parts) -> Annotated:
    problems = Problems()
    clips = [clip for clip in _read_splits(address, problems) if parts.takes(clip.part)]
    parts.check()
    videos = [_read_clip(address, clip, problems) for clip in clips]
    there = tuple(video for video in videos if video)
    return Annotated(address.text, there, CLASSES, has_tracks=True, problems=problems)


def _read_splits(address: Address, problems: Problems) -> Iterator[_Clip]:
    split = address.options.get("split", "1")
    folders = [address.folder / "splits", address.folder]
    if given := address.options.get("lists"):
        folders = [Path(given).expanduser()]
    lists = next((found for folder in folders if (found := _lists_in(folder, split))), None)
    if not lists:
        raise InputError(
            f"{show_path(address.text)}: <class>_test_split{split}.txt is not in its folder "
            "'splits'. Put the lists there, or name their folder with ?lists=DIR."
        )
    for label, path in lists:
        if label not in CLASSES:
            problems.add(OTHER_CLASS, str(path))
            continue
        for number, line in read_lines(path):
            match = _LINE.fullmatch(line)
            if not match:
                raise bad_line(path, number, line, "'<video>.avi 1 or 2'")
            if match[2] in _PARTS:
                yield _Clip(label, match[1], _PARTS[match[2]])


def _lists_in(folder: Path, split: str) -> list[tuple[str, Path]]:
    paths = sorted(folder.glob(f"*_test_split{split}.txt")) if folder.is_dir() else []
    return [(match[1], path) for path in paths if (match := _FILE.fullmatch(path.name))]


def _read_clip(address: Address, clip: _Clip, problems: Problems) -> AnnotatedVideo | None:
    name = f"{clip.label}/{clip.stem}"
    info = probe(_find_clip(address, clip.label, clip.stem), name, problems)
    if info is None:
        return None
    path = address.folder / "puppet_mask" / clip.label / clip.stem / "puppet_mask.mat"
    masks = read_masks(path)
    if isinstance(masks, str):
        problems.add(NO_MASK, f"{name}: {masks}")
        return None
    size = int(masks.shape[0]), int(masks.shape[1])
    marks = VideoMarks(info, name, problems, size, clip.part)
    add_masks(marks, masks, CLASSES.index(clip.label))
    return marks.build(whole=False)


def _find_clip(address: Address, label: str, stem: str) -> str | None:
    """Return a clip's file, or its folder of pictures with their rate."""
    rate = address.options.get("rate", RATE_FPS)
    if not all(_NAME.fullmatch(name) for name in (label, stem)):
        return None  # A name in a pickle must not lead out of the folder.
    for folder in FOLDERS:
        place = address.folder / folder / label
        if os.path.isdir(place / stem):  # noqa: PTH112
            return f"{place / stem}?rate={rate}"
        for ending in ENDINGS:
            if os.path.isfile(place / (stem + ending)):  # noqa: PTH113
                return str(place / (stem + ending))
    return None
