"""Which videos a call names: files, folders, lists and data sets, each video once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from s3d.batch.job import Item
from s3d.data.datasets.address import parse_address
from s3d.data.datasets.table import DATASETS
from s3d.data.flow_folder import videos_below
from s3d.data.frame_folder import find_frame_folder
from s3d.data.video_list import VideoList
from s3d.data.videos import list_videos
from s3d.errors import InputError
from s3d.files import show_path


def list_items(sources: Sequence[str], out: str, keeps_tree: bool) -> list[Item]:
    """List videos.

    Args:
        sources: Files; folders, whose whole tree is taken; CSV lists; and data sets by address. A
            path that is none of these is taken for a video, and fails when its turn comes.
        out: Where results go: it is not looked into.
        keeps_tree: There is to be a file a video in the same tree, so places must differ.

    Raises:
        InputError: A list or data set cannot be read, there is no video, or two would have one
            place in the tree of results.
    """
    items: dict[str, Item] = {}
    places: dict[str, str] = {}
    for source in sources:
        for item in _items_of(source, Path(out)):
            items.setdefault(item.path, item)
            other = places.setdefault(item.place, item.path)
            if keeps_tree and other != item.path:
                raise InputError(
                    f"{show_path(item.path)} and {show_path(other)} would both become "
                    f"{show_path(item.place)} in {show_path(out)}. Give each its own --out."
                )
    if not items:
        raise InputError(f"{', '.join(map(show_path, sources))}: holds no videos. Check the path.")
    return list(items.values())


def _items_of(source: str, out: Path) -> Iterator[Item]:
    address = parse_address(source, DATASETS)
    if address.name or address.options or source.lower().endswith(".csv"):
        place = Path(address.place)
        folder = place if place.is_dir() else place.parent
        yield from items_of_list(list_videos(source, least_classes=1), str(folder))
    elif find_frame_folder(source):
        yield Item(_absolute(source), Path(source).name)
    else:
        folder = Path(source) if Path(source).is_dir() else Path(source).parent
        for path in videos_below(Path(source), out):
            yield Item(_absolute(str(path)), path.relative_to(folder).as_posix())


def items_of_list(listed: VideoList, folder: str) -> list[Item]:
    """Return the videos of a list, in its order.

    Args:
        listed: Its videos.
        folder: Their places are below it; those of videos elsewhere are their names.
    """
    top = _absolute(folder) + os.sep
    items = []
    for video in listed.videos:
        path = _absolute(video.path)
        place = path[len(top) :] if path.startswith(top) else Path(path).name
        items.append(Item(path, place.replace(os.sep, "/")))
    return items


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - of a frame folder with its rate, too
