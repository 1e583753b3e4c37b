"""What annotations of any kind become: videos with true tubes, and what was wrong, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from s3d.detect.tube import Frames, TrueTube
from s3d.files import show_path


@dataclass
class Problems:
    """Count what was left out or mended, by kind, with the first of each.

    Attributes:
        counts: How many of each kind.
        first: What the first of each kind was, in a line.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, what: str) -> None:
        """Count one.

        Args:
            kind: In a few words that go on from a number, as in "boxes outside the frame left out".
            what: Which one: file, line, video, frame, values.
        """
        self.counts[kind] += 1
        self.first.setdefault(kind, what)

    def lines(self) -> list[str]:
        """Return a line for each kind: how many, what, and the first."""
        return [
            show_path(f"{count:,} {kind}; first: {self.first[kind]}")
            for kind, count in self.counts.items()
        ]


@dataclass(frozen=True, eq=False)
class AnnotatedVideo:
    """Hold a video and what was marked in it.

    Attributes:
        path: The file; it is there.
        name: What the annotations call it.
        size_px: (height, width) of the picture in which its boxes are measured, which may be other
            than the file's.
        tubes: What was marked.
        frames: (n,) rising: the frames of which everything is marked, with a box or without. Only
            they can be learnt from and scored.
        part: "train", "val" or "test"; "" where nobody says.
    """

    path: str
    name: str
    size_px: tuple[int, int]
    tubes: tuple[TrueTube, ...]
    frames: Frames
    part: str = ""


@dataclass(frozen=True, eq=False)
class Annotated:
    """Hold annotated videos.

    Attributes:
        text: As a person named them.
        videos: Those that are there.
        labels: The classes.
        has_tracks: Whether tubes are known, not only boxes of single frames: video-mAP needs them.
        multi_label: Whether a person may do several things at once, as in AVA.
        problems: What was left out or mended.
    """

    text: str
    videos: tuple[AnnotatedVideo, ...]
    labels: tuple[str, ...]
    has_tracks: bool
    multi_label: bool = False
    problems: Problems = field(default_factory=Problems)
