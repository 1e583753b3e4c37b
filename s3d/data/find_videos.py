"""The videos that a command's words name: files, folders and all below, lists, data sets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from s3d.data.datasets.address import parse_address
from s3d.data.datasets.table import DATASETS
from s3d.data.frame_folder import find_frame_folder
from s3d.data.names import is_hidden, natural_order, reason_to_skip
from s3d.data.paths import AnyPath
from s3d.data.videos import list_videos

FLOW_ENDING = ".flow.mp4"
"""Of a video's flow, which is not one more video of the folder it lies in."""


def find_root(source: AnyPath) -> Path:
    """Return the folder below which the places of a source's videos are told."""
    place = Path(parse_address(os.fspath(source), DATASETS).place)
    return place if place.is_dir() else place.parent


def find_videos(source: str, out: Path) -> Iterator[str]:
    """Yield the path of every video of a source, in natural order or that of its list.

    Args:
        source: A file, which is taken for a video; a folder of pictures with its rate; a folder,
            whose whole tree is taken; a CSV; or a data set by address.
        out: A folder that is not looked into.

    Raises:
        InputError: A list or data set cannot be read.
    """
    address = parse_address(source, DATASETS)
    if address.name or address.options or source.lower().endswith(".csv"):
        yield from (video.path for video in list_videos(source, least_classes=1).videos)
    elif find_frame_folder(source) or not Path(source).is_dir():
        yield source
    else:
        yield from _walk(source, out.absolute())


def _walk(source: str, out: Path) -> Iterator[str]:
    for root, folders, files in os.walk(source):
        seen = [name for name in folders if Path(root, name).absolute() != out]
        folders[:] = sorted((name for name in seen if not is_hidden(name)), key=natural_order)
        for name in sorted(files, key=natural_order):
            if not reason_to_skip(name) and not name.endswith(FLOW_ENDING):
                yield str(Path(root, name))
