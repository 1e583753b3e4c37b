"""The data doctor: what is wrong with the videos of a source, file by file and as a whole."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3d.data.datasets.address import parse_address
from s3d.data.datasets.table import DATASETS
from s3d.data.examine import Examination, examine
from s3d.data.names import is_hidden, natural_order, reason_to_skip
from s3d.data.paths import AnyPath, show_path
from s3d.data.sources import content_keys, group_by_source, near_pairs, stack_signatures
from s3d.data.video_list import Video, VideoList
from s3d.data.videos import list_videos
from s3d.errors import InputError

Progress = Callable[[int, int], None]

FEW_CLIPS = 10
IMBALANCE = 10
ALIKE = 0.98
"""Similarity of signatures from which two videos show one scene, though groups are given."""

RANK = {"test": 2, "val": 1, "train": 0}
"""Of two copies, that of the higher part stays: figures must not change, training may."""


@dataclass(frozen=True)
class Kind:
    """Describe a kind of finding.

    Attributes:
        text: What it means.
        leaves_out: Whether the file goes on the quarantine list.
    """

    text: str
    leaves_out: bool = False


KINDS: dict[str, Kind] = {
    "missing": Kind("named by the lists, not there"),
    "misplaced": Kind("there, but in no class or listed twice"),
    "empty": Kind("0 bytes", True),
    "unreadable": Kind("cannot be opened, or no frame decodes", True),
    "no_video": Kind("holds sound or something else, but no video", True),
    "truncated": Kind("damaged, or ends before it should", True),
    "one_frame": Kind("a single frame, which shows no action", True),
    "wrong_count": Kind("the file promises another number of frames; what decodes is used"),
    "variable_rate": Kind("frames last differently long; their times are honoured"),
    "rotated": Kind("stored turned; it is read upright"),
    "odd_codec": Kind("a codec or kind of pixels that other programs may refuse"),
    "two_labels": Kind("the same bytes under two labels", True),
    "leak": Kind("the same bytes in two parts; the copy in the lesser part goes", True),
    "copy": Kind("the same bytes twice in one part"),
    "same_source": Kind("seems cut from one source with a video of another part"),
    "few_clips": Kind(f"a class of fewer than {FEW_CLIPS} usable videos to train on"),
    "imbalance": Kind(f"the largest class has {IMBALANCE} times the videos of the smallest"),
}


@dataclass(frozen=True)
class Finding:
    """Name one thing that is wrong.

    Attributes:
        kind: One of `KINDS`.
        path: Of the video; of a class its name.
        detail: What exactly.
    """

    kind: str
    path: str
    detail: str


@dataclass(frozen=True)
class Checkup:
    """Hold what the doctor found.

    Attributes:
        listed: What was looked at.
        classes: Usable videos to train on by class.
        findings: In the order of `KINDS`.
        seconds: What it took.
    """

    listed: VideoList
    classes: dict[str, int]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each kind that occurs."""
        return dict(Counter(finding.kind for finding in self.findings))

    @property
    def quarantine(self) -> list[tuple[str, str]]:
        """Return (path, reason) of the files that should be left out, each once."""
        rows: dict[str, str] = {}
        for finding in self.findings:
            if KINDS[finding.kind].leaves_out:
                rows.setdefault(finding.path, f"{finding.kind}: {finding.detail}")
        return list(rows.items())

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "data": self.listed.source,
            "listed": self.listed.listed,
            "checked": len(self.listed.videos),
            "parts": self.listed.count_parts(),
            "classes": self.classes,
            "counts": self.counts,
            "findings": [
                {
                    "kind": finding.kind,
                    "path": finding.path,
                    "detail": finding.detail,
                    "leaves_out": KINDS[finding.kind].leaves_out,
                }
                for finding in self.findings
            ],
            "seconds": round(self.seconds, 2),
        }


def list_for_check(source: AnyPath) -> VideoList:
    """List what a source holds; of a folder without classes every file below it.

    Raises:
        InputError: There is nothing to look at.
    """
    try:
        return list_videos(source, least_classes=1)
    except InputError:
        place = Path(parse_address(os.fspath(source), DATASETS).text)
        videos = [Video(path, "") for path in _walk(place)] if place.is_dir() else []
        if not videos:
            raise
        return VideoList(tuple(videos), (), os.fspath(source), ())


def check_videos(listed: VideoList, threads: int, progress: Progress | None = None) -> Checkup:
    """Look at every video of a list.

    Args:
        listed: Of `list_for_check`.
        threads: Videos decoded at a time.
        progress: Told after each one.
    """
    begin = time.perf_counter()
    return diagnose(listed, _examine_all(listed.videos, threads, progress), begin)


def diagnose(listed: VideoList, seen: Sequence[Examination], begin: float) -> Checkup:
    """Judge what was seen of every video.

    Args:
        listed: Of `list_for_check`.
        seen: Of each of its videos, in their order.
        begin: When the looking began, of `time.perf_counter`.
    """
    videos = listed.videos
    findings = [*_list_findings(listed), *_file_findings(seen), *_copy_findings(videos, seen)]
    bad = {finding.path for finding in findings if KINDS[finding.kind].leaves_out}
    classes = _count_classes(listed, bad)
    findings += _class_findings(classes)
    order = list(KINDS)
    findings.sort(key=lambda finding: order.index(finding.kind))
    return Checkup(listed, classes, tuple(findings), time.perf_counter() - begin)


def _examine_all(
    videos: Sequence[Video], threads: int, progress: Progress | None
) -> list[Examination]:
    pool = ThreadPoolExecutor(threads)
    seen = []
    try:
        for done, one in enumerate(pool.map(examine, [video.path for video in videos]), start=1):
            seen.append(one)
            if progress:
                progress(done, len(videos))
    finally:
        # Interrupted, it ends after the files in hand, not after all that are left.
        pool.shutdown(cancel_futures=True)
    return seen


def _walk(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted((name for name in folders if not is_hidden(name)), key=natural_order)
        for name in sorted(files, key=natural_order):
            if reason_to_skip(name) is None:
                yield str(Path(root, name))


def _list_findings(listed: VideoList) -> Iterator[Finding]:
    for video in listed.missing:
        yield Finding("missing", video.path, f"part {video.part}, {video.label!r}")
    for path, reason in listed.skipped:
        if reason != "hidden" and not reason.endswith("is no video"):
            yield Finding("misplaced", path, reason)


def _file_findings(seen: Sequence[Examination]) -> Iterator[Finding]:
    for one in seen:
        for kind, detail in one.oddities:
            yield Finding(kind, one.path, detail.removeprefix(f"{show_path(one.path)}: "))


def _copy_findings(videos: Sequence[Video], seen: Sequence[Examination]) -> Iterator[Finding]:
    """Yield what is there twice: by equal bytes, and by the still part of the pictures."""
    told = set()
    pairs = zip(content_keys(videos), seen, strict=True)
    keys = [key if one.frames else None for key, one in pairs]
    for group in _groups(keys):
        for finding in _describe_copies([videos[i] for i in group]):
            told.add(finding.path)
            yield finding
    if len({video.part for video in videos}) < 2:
        return
    for video, other in _shared_sources(videos, seen):
        if video.path not in told:
            told.add(video.path)
            detail = f"part {video.part}; like {show_path(other.path)} of part {other.part}"
            yield Finding("same_source", video.path, detail)


def _describe_copies(copies: list[Video]) -> Iterator[Finding]:
    kept = max(copies, key=lambda video: RANK[video.part])
    for video in copies:
        other = kept if video is not kept else copies[copies[0] is kept]
        shown = show_path(other.path)
        if len({one.label for one in copies}) > 1:
            detail = f"{video.label!r}; the same as {shown}, {other.label!r}"
            yield Finding("two_labels", video.path, detail)
        elif video is not kept and video.part != kept.part:
            yield Finding("leak", video.path, f"part {video.part}; {shown} is of part {kept.part}")
        elif video is not kept:
            yield Finding("copy", video.path, f"the same as {shown}")


def _shared_sources(
    videos: Sequence[Video], seen: Sequence[Examination]
) -> Iterator[tuple[Video, Video]]:
    """Yield videos with one of a higher part that seems cut from the same source."""
    signatures = [one.signature for one in seen]
    for group in _groups(group_by_source(videos, signatures)):
        kept = max((videos[i] for i in group), key=lambda video: RANK[video.part])
        for item in group:
            if RANK[videos[item].part] < RANK[kept.part]:
                yield videos[item], kept
    for left, right in near_pairs(stack_signatures(signatures), ALIKE):
        if RANK[videos[left].part] < RANK[videos[right].part]:
            yield videos[left], videos[right]


def _groups(keys: Sequence[Hashable | None]) -> list[list[int]]:
    """Return the items of each key that occurs more than once."""
    items: dict[Hashable, list[int]] = defaultdict(list)
    for item, key in enumerate(keys):
        if key is not None:
            items[key].append(item)
    return [group for group in items.values() if len(group) > 1]


def _count_classes(listed: VideoList, bad: set[str]) -> dict[str, int]:
    """Return the usable videos by class: those to train on, or of whatever part was chosen."""
    trains = any(video.part == "train" for video in listed.videos)
    counts = Counter(
        video.label
        for video in listed.videos
        if video.path not in bad and (video.part == "train" or not trains)
    )
    return {label: counts[label] for label in listed.labels}


def _class_findings(classes: dict[str, int]) -> Iterator[Finding]:
    for label, count in classes.items():
        if count < FEW_CLIPS:
            yield Finding("few_clips", label, f"{count} usable videos")
    held = {label: count for label, count in classes.items() if count}
    if not held:
        return
    least, most = min(held, key=lambda k: held[k]), max(held, key=lambda k: held[k])
    if held[most] >= IMBALANCE * held[least]:
        detail = f"{held[most]:,} videos, {held[least]:,} of {least!r}"
        yield Finding("imbalance", most, detail)
