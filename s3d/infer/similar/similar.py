"""Rank the videos of a folder by how alike they move to a clip."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3d.data.find_videos import find_videos
from s3d.data.frame_folder import find_frame_folder
from s3d.data.paths import AnyPath, check_file, is_url
from s3d.data.shards.members import find_member
from s3d.errors import InputError
from s3d.files import cache_folder, show_path
from s3d.infer.engines.int8 import INT8
from s3d.infer.features import FeatureRecipe
from s3d.infer.recognizer import Recognizer, load
from s3d.infer.similar.fill import Tell, compute_windows, fill_index
from s3d.infer.similar.index import Index, Name, Windows, name_video
from s3d.infer.similar.query import Query, compute_query
from s3d.infer.similar.rank import Hit, find_span, rank
from s3d.models.model_file import weights_sha256
from s3d.models.shipped.table import FOR_LIKENESS

MOST_TOP = 10_000
WINDOWS_TO_A_SPAN = 2


@dataclass(frozen=True)
class SearchRecipe:
    """Say how is searched.

    Attributes:
        at: The block whose features are compared, one of `s3d.models.blocks.BLOCKS`.
        stride_seconds: From window to window; None is half a window.
        top: Hits at the most.
        each_moment: Whether every moment may be a hit, or of each video its best alone.
        index: The folder that keeps features; None is one in the cache folder.
    """

    at: str = "mixed5c"
    stride_seconds: float | None = None
    top: int = 10
    each_moment: bool = False
    index: AnyPath | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.top <= MOST_TOP:
            raise InputError(f"top is {self.top}; it needs a number from 1 to {MOST_TOP:,}.")

    @property
    def folder(self) -> Path:
        """Return where features are kept."""
        return cache_folder() / "similar" if self.index is None else Path(self.index)


@dataclass(frozen=True)
class Found:
    """Hold what a search gave.

    Attributes:
        query: The moment that was looked for, as a hit of likeness 1.
        hits: Those alike, best first.
        videos: Videos of the folder that were compared.
        computed: Of these, those whose features were not kept from before.
        failures: (path, reason) of those that cannot be read.
        recipe: The windows that were compared.
    """

    query: Hit
    hits: tuple[Hit, ...]
    videos: int
    computed: int
    failures: tuple[tuple[str, str], ...]
    recipe: FeatureRecipe


def similar(
    query: AnyPath,
    folder: AnyPath,
    model: AnyPath = FOR_LIKENESS,
    top: int = 10,
    *,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    at: str = "mixed5c",
    stride_seconds: float | None = None,
    each_moment: bool = False,
    index: AnyPath | None = None,
) -> list[Hit]:
    """Rank the videos of a folder by how alike they move to a clip.

    Args:
        query: The clip: a video.
        folder: Whose whole tree is searched; or a video, a CSV list or a data set by address.
        model: As for `s3d.load`; it needs no classes.
        top: Hits at the most.
        start_seconds: Where in `query` the moment begins; None is its beginning.
        end_seconds: Where it ends; None is its end.
        at: The block whose features are compared.
        stride_seconds: From window to window; None is half a window.
        each_moment: Whether every moment may be a hit, or of each video its best alone.
        index: A folder that keeps features for the next call; None is one in the cache folder.

    Returns:
        Hits, best first. Moments of the query itself are left out, and videos that cannot be read.

    Raises:
        InputError: The query cannot be read, the folder holds nothing else that can, or an option
            cannot be used.
    """
    wanted = Query(os.fspath(query), start_seconds, end_seconds)
    recipe = SearchRecipe(at, stride_seconds, top, each_moment, index)
    return list(find_similar(load(os.fspath(model)), wanted, os.fspath(folder), recipe).hits)


def find_similar(
    recognizer: Recognizer,
    query: Query,
    folder: str,
    recipe: SearchRecipe,
    tell: Tell | None = None,
) -> Found:
    """Search as `similar` does, and tell more of it.

    Args:
        recognizer: The model.
        query: The moment that is looked for.
        folder: As of `similar`.
        recipe: How is searched.
        tell: Told of each video whose features are computed.

    Raises:
        InputError: As `similar`.
    """
    stride = recipe.stride_seconds
    if stride is None:
        stride = recognizer.spec.span_seconds / WINDOWS_TO_A_SPAN
    features = FeatureRecipe(recognizer.spec, recipe.at, stride)
    check_query(query.path)
    videos = list_named(folder, recipe.folder)
    with Index(recipe.folder, _settings(recognizer, features)) as index:
        known = sum(index.find(name) is not None for _, name in videos)
        sought = _look_at(recognizer, query, features, index)
        failures = fill_index(recognizer, features, videos, index, tell)
        kept = {path: found for path, name in videos if (found := index.find(name))}
        _check_any(folder, kept, failures)
        hits = rank(query, sought, kept, recipe.top, recipe.each_moment)
    if not hits:
        raise InputError(f"{show_path(folder)}: holds nothing but the query. Add videos to it.")
    moment = Hit(1.0, query.path, *find_span(query, sought))
    computed = len(kept) - known
    return Found(moment, tuple(hits), len(kept), computed, tuple(failures.items()), features)


def check_query(path: str) -> None:
    """Check that a query is one video that is there, before a model is opened for it.

    Raises:
        InputError: It is a folder of many, or there is no such file.
    """
    if Path(path).is_dir():
        if not find_frame_folder(path):
            raise InputError(
                f"{show_path(path)}: is a folder; the query is one video. Name one in it."
            )
    elif not is_url(path) and find_member(path) is None:
        check_file(path)


def list_named(folder: str, out: Path) -> list[tuple[str, Name]]:
    """List the videos of a folder, or of whatever else names videos, each once.

    Args:
        folder: Its whole tree is taken.
        out: A folder that is not looked into.

    Raises:
        InputError: There are none.
    """
    found = list(dict.fromkeys(find_videos(folder, out)))
    if found == [folder] and not os.path.lexists(folder) and "?" not in folder:
        raise InputError(f"{show_path(folder)}: no such folder. Check the path.")
    if not found:
        raise InputError(f"{show_path(folder)}: holds no videos. Check the path.")
    return [(path, name_video(path)) for path in found]


def _settings(recognizer: Recognizer, recipe: FeatureRecipe) -> dict[str, Any]:
    network = recognizer.network
    return {
        "weights_sha256": weights_sha256(network),
        "word": network.word,
        "style": network.style.to_json(),
        # Of all engines only that of 8 bits gives other features.
        "is_int8": recognizer.ranges is not None and recognizer.engine.name == INT8,
        **recipe.to_json(),
    }


def _look_at(recognizer: Recognizer, query: Query, recipe: FeatureRecipe, index: Index) -> Windows:
    if not query.is_whole:
        return compute_query(recognizer.engine, query, recipe)
    name = name_video(query.path)
    found = index.find(name)
    if found is None:
        found = compute_windows(recognizer, query.path, recipe)
        index.add(name, found)
    return found


def _check_any(folder: str, kept: dict[str, Windows], failures: dict[str, str]) -> None:
    if kept:
        return
    first = next(iter(failures.values()))
    raise InputError(f"{show_path(folder)}: none of its videos can be read. The first: {first}")
