"""What a source of data holds: labelled videos, the parts they belong to, and what is not there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from s3d.errors import InputError
from s3d.files import show_path

SPLITS = ("train", "val", "test")
PARTS = (*SPLITS, "all")

Skipped = tuple[str, str]
NO_VIDEO = re.compile(r"hidden|.*is no video|listed twice .*|class folder without .*", re.DOTALL)
"""Reasons why something was left out that is no video, or none of its own."""


@dataclass(frozen=True)
class Video:
    """Name one labelled video.

    Attributes:
        path: Of the file; or of a folder of pictures with their rate, "frames/7?rate=12".
        label: Its class.
        group: What it was cut from, if known; videos of one group never part in a split.
        split: "train", "val" or "test", if given.
    """

    path: str
    label: str
    group: str | None = None
    split: str | None = None

    @property
    def part(self) -> str:
        """Return the part it belongs to; where none is given it is there to train on."""
        return self.split or "train"


@dataclass(frozen=True)
class VideoList:
    """Hold the videos of a source.

    Attributes:
        videos: In natural order of class and path, or in the order of the lists.
        labels: The classes: as the data set numbers them, otherwise in natural order ("take 2"
            before "take 10").
        source: The folder, CSV or data set, as given.
        skipped: (path, reason) of what was left out.
        missing: What the lists name and the disk has not.
        part: The only part that is held, if one was chosen; "all" if all was asked for.
        scored: The part that evaluations of this data set score, where it says so.
    """

    videos: tuple[Video, ...]
    labels: tuple[str, ...]
    source: str
    skipped: tuple[Skipped, ...]
    missing: tuple[Video, ...] = ()
    part: str | None = None
    scored: str | None = None

    @property
    def left_out(self) -> tuple[Skipped, ...]:
        """Return (path, reason) of everything that is listed or there but not to be had."""
        return (*self.skipped, *((video.path, "no such file") for video in self.missing))

    @property
    def listed(self) -> int:
        """Return how many videos there should be; what is no video does not count."""
        skipped = sum(not NO_VIDEO.fullmatch(reason) for _, reason in self.skipped)
        return len(self.videos) + skipped + len(self.missing)

    @property
    def evaluated_part(self) -> str:
        """Return the part to score where nobody chose: test, otherwise val, otherwise all."""
        if self.part:
            return self.part
        there = {video.split for video in (*self.videos, *self.missing)}
        order = (self.scored, "test", "val")
        return next((part for part in order if part in there and part), "all")

    def take(self, part: str) -> VideoList:
        """Return the list of one part alone.

        Args:
            part: One of `PARTS`.

        Raises:
            InputError: There is no such part, or not one video of it.
        """
        if part not in PARTS:
            raise InputError(f"unknown part {part!r}. Known: {', '.join(PARTS)}.")
        if part == "all":
            return replace(self, part=part)
        videos = tuple(video for video in self.videos if video.part == part)
        missing = tuple(video for video in self.missing if video.part == part)
        if not videos:
            raise self._lacks(part, missing)
        return replace(self, videos=videos, missing=missing, part=part)

    def without(self, reasons: dict[str, str]) -> VideoList:
        """Return the list with some videos left out, still counted as listed.

        Args:
            reasons: Why, by the path of the video.
        """
        kept = tuple(video for video in self.videos if video.path not in reasons)
        gone = [(v.path, reasons[v.path]) for v in self.videos if v.path in reasons]
        return replace(self, videos=kept, skipped=(*self.skipped, *gone))

    def count_parts(self) -> str:
        """Return how much of each part is there, as "train 9,530 of 9,537, test 3,783 of 3,783"."""
        there, gone = _count(self.videos), _count(self.missing)
        return ", ".join(
            f"{part} {there[part]:,} of {there[part] + gone[part]:,}"
            for part in SPLITS
            if there[part] + gone[part]
        )

    def _lacks(self, part: str, missing: Sequence[Video]) -> InputError:
        shown = show_path(self.source)
        if missing:
            return InputError(
                f"{shown}: not one of the {len(missing):,} videos of part {part!r} is there; "
                f"first: {show_path(missing[0].path)}. Check the folder."
            )
        return InputError(
            f"{shown}: has no videos of part {part!r}; it has {self.count_parts()}. "
            "Choose another part, or all."
        )


def _count(videos: Sequence[Video]) -> Counter[str]:
    return Counter(video.part for video in videos)
