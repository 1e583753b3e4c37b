"""Which videos a call names: files, folders, lists and data sets, each video once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from s3d.batch.job import Item
from s3d.data.find_videos import find_root, find_videos
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
        for item in items_below(find_videos(source, Path(out)), str(find_root(source))):
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


def items_below(paths: Iterable[str], folder: str) -> list[Item]:
    """Return videos as items.

    Args:
        paths: Of the videos.
        folder: Their places are below it; those of videos elsewhere are their names.
    """
    top = _absolute(folder) + os.sep
    items = []
    for path in map(_absolute, paths):
        place = path[len(top) :] if path.startswith(top) else Path(path).name
        items.append(Item(path, place.replace(os.sep, "/")))
    return items


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - of a frame folder with its rate, too
