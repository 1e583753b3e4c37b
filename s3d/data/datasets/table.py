"""The data sets by name: what lists each, which keys it takes, which part is scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from s3d.data.datasets.address import Address
from s3d.data.datasets.frames import list_frames
from s3d.data.datasets.kinetics import list_kinetics, list_mini_kinetics
from s3d.data.datasets.lists import Found
from s3d.data.datasets.shards import list_shards
from s3d.data.datasets.something import list_something_v1, list_something_v2
from s3d.data.datasets.ucf_hmdb import list_hmdb, list_ucf
from s3d.data.names import on_one_line
from s3d.data.paths import show_path
from s3d.data.video_list import VideoList
from s3d.errors import InputError

CLASSES = ("all", "present")


@dataclass(frozen=True)
class DataSet:
    """Describe a data set.

    Attributes:
        read: Lists it.
        keys: What may stand behind the question mark, `part` aside.
        scored: The part whose figures are published; None for test, otherwise val.
    """

    read: Callable[[Address], Found]
    keys: tuple[str, ...] = ("lists", "classes")
    scored: str | None = None


_TABLE: dict[str, DataSet] = {
    "kinetics400": DataSet(list_kinetics, scored="val"),
    "kinetics600": DataSet(list_kinetics, scored="val"),
    "kinetics700": DataSet(list_kinetics, scored="val"),
    "mini_kinetics200": DataSet(list_mini_kinetics, scored="val"),
    "sthv1": DataSet(list_something_v1, scored="val"),
    "sthv2": DataSet(list_something_v2, scored="val"),
    "ucf101": DataSet(list_ucf, ("split", "lists", "classes"), scored="test"),
    "hmdb51": DataSet(list_hmdb, ("split", "lists", "classes"), scored="test"),
    "frames": DataSet(list_frames, ("rate",)),
    "shards": DataSet(list_shards, ("classes",)),
}
DATASETS = {name: dataset.keys for name, dataset in _TABLE.items()}
"""The keys that each data set takes."""


def list_dataset(address: Address) -> VideoList:
    """List the videos of a named data set.

    Args:
        address: Of `s3d.data.datasets.address.parse_address`.

    Raises:
        InputError: A list is missing or malformed, a value is none of its key's, or not one video
            of the lists is there.
    """
    dataset = _TABLE[address.name]
    found = dataset.read(address)
    if not found.videos:
        first = f"; first: {show_path(found.missing[0].path)}" if found.missing else ""
        raise InputError(
            f"{show_path(address.text)}: not one of the {len(found.missing):,} videos of its lists "
            f"is there{first}. Check the folder."
        )
    listed = VideoList(
        found.videos, found.labels, address.text, found.skipped, found.missing,
        scored=found.scored or dataset.scored,
    )  # fmt: skip
    return _choose_classes(_on_one_line(listed), address)


def _choose_classes(listed: VideoList, address: Address) -> VideoList:
    """Keep, where it is asked for, only the classes of which there is a video."""
    wanted = address.options.get("classes", "all")
    if wanted not in CLASSES:
        raise InputError(
            f"{show_path(address.text)}: classes is {wanted!r}; it is one of {', '.join(CLASSES)}."
        )
    if wanted == "all":
        return listed
    present = {video.label for video in listed.videos}
    return replace(
        listed,
        labels=tuple(label for label in listed.labels if label in present),
        missing=tuple(video for video in listed.missing if video.label in present),
    )


def _on_one_line(listed: VideoList) -> VideoList:
    odd = any(on_one_line(label) != label for label in listed.labels)
    if not odd:
        return listed
    return replace(
        listed,
        videos=tuple(replace(v, label=on_one_line(v.label)) for v in listed.videos),
        missing=tuple(replace(v, label=on_one_line(v.label)) for v in listed.missing),
        labels=tuple(on_one_line(label) for label in listed.labels),
    )
