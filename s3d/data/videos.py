"""Which videos there are and what they show: a folder per class, a CSV, or a data set by name."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s3d.data.datasets.address import Address, parse_address
from s3d.data.datasets.table import DATASETS, list_dataset
from s3d.data.frame_folder import split_rate
from s3d.data.names import is_hidden, natural_order, on_one_line, plain_name, reason_to_skip
from s3d.data.paths import AnyPath, show_path
from s3d.data.shards.members import split_member
from s3d.data.video_list import SPLITS, Skipped, Video, VideoList
from s3d.errors import InputError

__all__ = ("SPLITS", "Skipped", "Video", "VideoList", "list_videos", "name_split", "split_videos")

SPLIT_TRIALS = 10


def list_videos(source: AnyPath, least_classes: int = 2) -> VideoList:
    """List the labelled videos of a folder, a CSV or a data set as it is distributed.

    Args:
        source: A folder `DIR/<class>/**` with one sub-folder a class; or a CSV, UTF-8, with a
            header naming the columns path (relative to the CSV), label, and if wanted group (or
            source) and split (train, val or test), where other columns are ignored; or
            `NAME:DIR?key=value&...` with a name of `s3d.data.datasets.table.DATASETS`, as in
            "ucf101:/data/UCF-101?split=2". `?part=test` behind any of them takes that part alone.
        least_classes: Fewest classes allowed: 2 to train, 1 to evaluate.

    Raises:
        InputError: The source is missing, unreadable, empty or has no such shape; no listed file
            exists; or there are fewer classes than needed.
    """
    address = parse_address(os.fspath(source), DATASETS)
    shown = show_path(address.place)
    try:
        listed = list_dataset(address) if address.name else _list_plain(address)
    except PermissionError:
        raise InputError(f"{shown}: no permission to read it. Change its permissions.") from None
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}). Check the path.") from None
    _check_classes(listed, least_classes)
    part = address.options.get("part")
    return listed.take(part) if part else listed


def name_split(source: AnyPath, split: str) -> str:
    """Return the name of the same data set under another of its splits.

    Raises:
        InputError: It is no data set that has splits.
    """
    address = parse_address(os.fspath(source), DATASETS)
    if "split" not in DATASETS.get(address.name, ()):
        having = ", ".join(name for name, keys in DATASETS.items() if "split" in keys)
        raise InputError(
            f"{show_path(address.text)}: has no numbered splits. Name one that has: {having}."
        )
    return address.with_option("split", split)


def split_videos(
    videos: Sequence[Video], share: float, seed: int
) -> tuple[tuple[Video, ...], tuple[Video, ...]]:
    """Part videos into training and validation, never one group on both sides.

    Where any video has split "val", the given splits are taken. Otherwise whole groups are chosen
    so that each class comes near the share; every class keeps a group for training. A video
    without a group counts as its own: group near-duplicates first (`s3d.data.sources`). Videos of
    split "test" are on neither side.

    Args:
        videos: All of them.
        share: Wanted share of validation, from 0 to below 1.
        seed: The same seed gives the same split.

    Returns:
        (training, validation), each in the order of `videos`; validation is empty where no honest
        split exists.

    Raises:
        InputError: share is out of range.
    """
    if not 0 <= share < 1:
        raise InputError(f"validation share is {share}; it needs a number from 0 to below 1.")
    kept = [video for video in videos if video.split != "test"]
    if any(video.split == "val" for video in kept):
        chosen = [video.split == "val" for video in kept]
    else:
        chosen = _choose_by_group(kept, share, seed)
    train = tuple(video for video, is_val in zip(kept, chosen, strict=True) if not is_val)
    val = tuple(video for video, is_val in zip(kept, chosen, strict=True) if is_val)
    return train, val


def _list_plain(address: Address) -> VideoList:
    """List a folder or a CSV, which have no name."""
    path, shown = Path(address.place), show_path(address.place)
    missing: list[Video] = []
    if path.is_dir():
        videos, skipped = _from_folder(path)
    elif path.is_file():
        videos, skipped, missing = _from_csv(path)
    elif path.exists():
        raise InputError(f"{shown}: is neither a folder nor a file. Give a folder or a CSV.")
    else:
        raise InputError(f"{shown}: no such folder or CSV. Check the path.")
    videos = [replace(video, label=on_one_line(video.label)) for video in videos]
    labels = tuple(sorted({video.label for video in videos}, key=natural_order))
    return VideoList(tuple(videos), labels, address.text, tuple(skipped), tuple(missing))


def _check_classes(listed: VideoList, least: int) -> None:
    labels = listed.labels
    if len(labels) < least:
        only = f"one class only ({labels[0]!r})" if len(labels) == 1 else f"{len(labels)} classes"
        raise InputError(
            f"{show_path(listed.source)}: holds {only}; at least {least} are needed. "
            "Add a sub-folder (or rows) of videos for each action, also for 'none of them'."
        )


def _from_folder(folder: Path) -> tuple[list[Video], list[Skipped]]:
    shown = show_path(folder)
    videos: list[Video] = []
    skipped: list[Skipped] = []
    beside = 0
    entries = sorted(folder.iterdir(), key=lambda entry: natural_order(entry.name))
    if not entries:
        raise InputError(f"{shown}: is empty. Put one sub-folder of videos a class in it.")
    for entry in entries:
        if entry.is_dir() and not is_hidden(entry.name):
            before = len(videos)
            for path in _walk(entry, skipped):
                _sort_out(path, plain_name(entry.name), videos, skipped)
            if len(videos) == before:
                skipped.append((str(entry), "class folder without videos"))
        else:
            reason = reason_to_skip(entry.name) or "lies beside the class folders"
            beside += reason == "lies beside the class folders"
            skipped.append((str(entry), reason))
    if not videos:
        what = f"holds {beside} files but no class sub-folders" if beside else "holds no videos"
        raise InputError(f"{shown}: {what}. Put the videos into one sub-folder a class.")
    return videos, skipped


def _sort_out(path: Path, label: str, videos: list[Video], skipped: list[Skipped]) -> None:
    reason = reason_to_skip(path.name)
    if reason:
        skipped.append((str(path), reason))
    else:
        videos.append(Video(str(path), label))


def _walk(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """Yield files below a folder in natural order; hidden folders are passed over."""

    def note(error: OSError) -> None:
        skipped.append((str(error.filename), f"cannot be read ({error.strerror})"))

    for root, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted((name for name in folders if not is_hidden(name)), key=natural_order)
        for name in sorted(files, key=natural_order):
            yield Path(root, name)


def _from_csv(path: Path) -> tuple[list[Video], list[Skipped], list[Video]]:
    """Return the videos of a CSV, what is listed twice, and what is not there."""
    shown = show_path(path)
    if path.suffix.lower() != ".csv":
        raise InputError(f"{shown}: is a file but no CSV. Give a folder of classes or a .csv.")
    rows = _csv_rows(path)
    listed: dict[str, tuple[int, Video]] = {}
    skipped: list[Skipped] = []
    for number, row in rows:
        video = _row_to_video(row, f"{shown}, row {number}", path.parent)
        first, earlier = listed.setdefault(video.path, (number, video))
        if earlier.label != video.label:
            raise InputError(
                f"{shown}, row {number}: {show_path(video.path)} is labelled {video.label!r}, but "
                f"{earlier.label!r} in row {first}. Give a video one label."
            )
        if first != number:
            skipped.append((video.path, f"listed twice (rows {first} and {number})"))
    missing = [name for name in listed if not _is_there(name)]
    if len(missing) == len(listed):
        names = ", ".join(show_path(name) for name in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(
            f"{shown}: none of its {len(missing)} files exists ({names}{more}). "
            "Paths are relative to the folder of the CSV."
        )
    gone = set(missing)
    videos = [video for name, (_, video) in listed.items() if name not in gone]
    return videos, skipped, [listed[name][1] for name in missing]


def _is_there(path: str) -> bool:
    if parts := split_member(path):
        return Path(parts[0]).is_file()
    return Path(path).is_file() or Path(split_rate(path)[0]).is_dir()


def _csv_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return (row number as an editor shows it, values by lower-case column) of filled rows."""
    shown = show_path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            rows = [
                (reader.line_num, dict(zip(header, (v.strip() for v in row), strict=False)))
                for row in reader
                if any(value.strip() for value in row)
            ]
    except UnicodeDecodeError:
        raise InputError(f"{shown}: is not UTF-8 text. Save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"{shown}: is no readable CSV ({error}). Check its quotes.") from None
    if not header:
        raise InputError(f"{shown}: is empty. It needs a header with the columns path and label.")
    if not {"path", "label"} <= set(header):
        found = ", ".join(repr(name) for name in header)
        raise InputError(
            f"{shown}: its columns are {found}; path and label are needed, separated by commas. "
            "Name them in the first row."
        )
    if not rows:
        raise InputError(f"{shown}: has a header but no rows. Add one row a video.")
    return rows


def _row_to_video(row: dict[str, str], place: str, folder: Path) -> Video:
    for column in ("path", "label"):
        if not row.get(column):
            raise InputError(f"{place}: the {column} is empty. Fill it in or delete the row.")
    split = row.get("split", "").lower() or None
    if split is not None and split not in SPLITS:
        raise InputError(f"{place}: split is {row['split']!r}; it needs train, val or test.")
    label = unicodedata.normalize("NFC", row["label"])
    group = row.get("group") or row.get("source") or None
    return Video(os.path.normpath(folder / row["path"]), label, group, split)


def _choose_by_group(videos: Sequence[Video], share: float, seed: int) -> list[bool]:
    """Say for each video whether it is for validation: the best of a few random greedy choices."""
    keys = [
        ("group", v.group) if v.group is not None else ("own", str(i)) for i, v in enumerate(videos)
    ]
    groups = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    labels = {name: column for column, name in enumerate(sorted({v.label for v in videos}))}
    counts = np.zeros((len(groups), len(labels)), np.int64)
    for key, video in zip(keys, videos, strict=True):
        counts[groups[key], labels[video.label]] += 1
    rng = np.random.default_rng(seed)
    trials = [_choose_groups(counts, share, rng) for _ in range(SPLIT_TRIALS if share else 0)]
    if not trials:
        return [False] * len(videos)
    best, _ = min(trials, key=lambda trial: trial[1])
    return [bool(best[groups[key]]) for key in keys]


def _choose_groups(
    counts: npt.NDArray[np.int64], share: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.bool_], float]:
    """Choose rows of counts (groups, classes) in random order while that nears the share.

    Returns:
        Which groups are chosen, and how far from the wanted share the classes end.
    """
    total = counts.sum(0)
    missing = np.maximum(1.0, share * total)
    remaining_groups = (counts > 0).sum(0)
    chosen = np.zeros(len(counts), np.bool_)
    for row in rng.permutation(len(counts)):
        held = counts[row] > 0
        gain = (np.abs(missing) - np.abs(missing - counts[row])) / total
        if gain.sum() > 0 and (remaining_groups[held] > 1).all():
            chosen[row] = True
            missing = missing - counts[row]
            remaining_groups = remaining_groups - held
    return chosen, float((np.abs(missing) / total).sum())
