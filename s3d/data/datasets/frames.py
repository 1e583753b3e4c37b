"""Frame folders of one's own: `frames:DIR?rate=12` for DIR/<class>/<video>/*.jpg."""

from __future__ import annotations

import os
from pathlib import Path

from s3d.data.datasets.address import Address
from s3d.data.datasets.lists import Found
from s3d.data.names import is_hidden, natural_order, plain_name
from s3d.data.paths import show_path
from s3d.data.video_list import Skipped, Video
from s3d.errors import InputError


def list_frames(address: Address) -> Found:
    """List the videos of class folders that hold a folder of pictures a video.

    Raises:
        InputError: The rate is missing, or there are no such folders.
    """
    shown = show_path(address.text)
    rate = address.options.get("rate")
    if rate is None:
        raise InputError(f"{shown}: how many pictures a second? Write it as ?rate=12.")
    videos: list[Video] = []
    skipped: list[Skipped] = []
    labels = []
    for entry in _folders(address.folder, skipped):
        label = plain_name(entry.name)
        inside = _folders(entry, skipped)
        videos += [Video(f"{folder}?rate={rate}", label) for folder in inside]
        if inside:
            labels.append(label)
        else:
            skipped.append((str(entry), "class folder without folders of pictures"))
    if not videos:
        raise InputError(f"{shown}: holds no DIR/<class>/<video>/*.jpg. Check the folder.")
    return Found(tuple(videos), (), tuple(labels), tuple(skipped))


def _folders(folder: Path, skipped: list[Skipped]) -> list[Path]:
    """Return the folders in a folder in natural order; what lies beside them is left out."""
    with os.scandir(folder) as entries:
        seen = [(entry.name, entry.is_dir()) for entry in entries if not is_hidden(entry.name)]
    skipped += [
        (str(folder / name), "lies beside the folders") for name, is_dir in seen if not is_dir
    ]
    names = sorted((name for name, is_dir in seen if is_dir), key=natural_order)
    return [folder / name for name in names]
