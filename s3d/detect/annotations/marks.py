"""Gathering the boxes of a video as a reader meets them, and what to leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from s3d.data.decode import probe_video
from s3d.data.video_info import VideoInfo
from s3d.detect.annotations.annotated import AnnotatedVideo, Problems
from s3d.detect.annotations.checks import CUT, Box, check_box
from s3d.detect.tube import TrueTube
from s3d.errors import InputError

ABSENT = "videos that are not there left out"
UNREADABLE = "videos that cannot be read left out"
NO_FRAME = "boxes in frames that their video does not have left out"
DOUBLED = "boxes that stand twice left out"


_Key = tuple[int, str, tuple[int, tuple[float, ...]] | None]
"""Class, track, and of a box without a track its frame and places."""


@dataclass(frozen=True)
class Mark:
    """Say what was marked in a frame.

    Attributes:
        frame: From 0.
        box: x1, y1, x2, y2 in px, not yet checked.
        label: A place in the list of classes.
        track: Who it is; "" where nobody says.
        where: Of the annotations, for a person to find it: file and line, or video and frame.
    """

    frame: int
    box: Sequence[float]
    label: int
    track: str
    where: str


def probe(path: str | None, name: str, problems: Problems) -> VideoInfo | None:
    """Describe an annotated video; where it cannot be used it is counted.

    Args:
        path: The file; None if there is none.
        name: What the annotations call it.
        problems: Where to count.
    """
    if path is None:
        problems.add(ABSENT, name)
        return None
    try:
        return probe_video(path)
    except InputError as error:
        problems.add(UNREADABLE, str(error))
        return None


class VideoMarks:
    """Gather what was marked in one video.

    Args:
        info: The file.
        name: What the annotations call it.
        problems: Where to count what is wrong.
        size_px: (height, width) in which boxes are measured; None is the file's.
        part: As in `AnnotatedVideo`.
    """

    def __init__(
        self,
        info: VideoInfo,
        name: str,
        problems: Problems,
        size_px: tuple[int, int] | None = None,
        part: str = "",
    ) -> None:
        self.info, self.name, self.problems, self.part = info, name, problems, part
        self.size_px = size_px or (info.height_px, info.width_px)
        self.seen: set[int] = set()
        self._tubes: dict[_Key, dict[int, Box]] = {}

    def see(self, frame: int) -> None:
        """Note that a frame was looked at, with a box or without."""
        if 0 <= frame < self.info.frames:
            self.seen.add(frame)

    def add(self, mark: Mark) -> None:
        """Take a box, or count why not."""
        if not 0 <= mark.frame < self.info.frames:
            what = f"{mark.where}: frame {mark.frame} of {self.info.frames}"
            self.problems.add(NO_FRAME, what)
            return
        self.seen.add(mark.frame)
        box = check_box(mark.box, self.size_px)
        if isinstance(box, str):
            self.problems.add(box, f"{mark.where}: {_show(mark.box)}")
            return
        if box.is_cut:
            self.problems.add(CUT, f"{mark.where}: {_show(mark.box)}")
        self._keep(mark, box)

    def _keep(self, mark: Mark, box: Box) -> None:
        # Without tracks two boxes of a frame are two people, unless they are the same box.
        alone = None if mark.track else (mark.frame, box.xyxy())
        tube = self._tubes.setdefault((int(mark.label), mark.track, alone), {})
        if mark.frame in tube:
            self.problems.add(DOUBLED, f"{mark.where}: {_show(mark.box)}")
        else:
            tube[mark.frame] = box

    def build(self, *, whole: bool) -> AnnotatedVideo:
        """Return the video with its tubes.

        Args:
            whole: Whether everything is marked in all frames, not only in those that were seen.
        """
        tubes = (_build_tube(key, boxes) for key, boxes in self._tubes.items())
        frames = range(self.info.frames) if whole else sorted(self.seen)
        return AnnotatedVideo(
            str(self.info.path),
            self.name,
            self.size_px,
            tuple(tubes),
            np.fromiter(frames, np.int64),
            self.part,
        )


def _build_tube(key: _Key, boxes: dict[int, Box]) -> TrueTube:
    label, track, _ = key
    frames = sorted(boxes)
    return TrueTube(
        label,
        np.array(frames, np.int64),
        np.array([boxes[frame].xyxy() for frame in frames], np.float32),
        track,
    )


def _show(box: Sequence[float]) -> str:
    return "(" + ", ".join(_short(place) for place in box[:5]) + ")"


def _short(place: object) -> str:
    try:
        return f"{place:g}" if isinstance(place, int | float | np.number) else str(place)[:20]
    except OverflowError:
        return "a number without end"
