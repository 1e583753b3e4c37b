"""Finding the video that an export speaks of: beside the export, by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from s3d.data.frame_folder import list_pictures
from s3d.data.names import reason_to_skip
from s3d.detect.annotations.annotated import Problems

NO_RATE = "folders of pictures of which nobody says how many a second taken at 25"
RATE_FPS = 25.0


def find_video(folder: Path, names: Sequence[str]) -> str | None:
    """Return the first video file that is there.

    Args:
        folder: Of the export.
        names: Paths as the export gives them, the likeliest first; a path is tried below the
            folder, then its last name alone, then that with any ending.
    """
    for name in names:
        inside = PurePosixPath(name.replace("\\", "/"))
        tries = [Path(inside.name)] if ".." in inside.parts else [Path(inside), Path(inside.name)]
        for place in tries:
            # Not Path.is_file, which raises for a name too long to be one.
            is_below = not place.is_absolute() and os.path.isfile(folder / place)  # noqa: PTH113
            if is_below and reason_to_skip(place.name) is None:
                return str(folder / place)
    return next((path for name in names if (path := _with_any_ending(folder, name))), None)


def _with_any_ending(folder: Path, name: str) -> str | None:
    stem = PurePosixPath(name.replace("\\", "/")).stem
    if not stem or not folder.is_dir():
        return None
    with os.scandir(folder) as entries:
        there = sorted(entry.name for entry in entries if Path(entry.name).stem == stem)
    return next((str(folder / file) for file in there if reason_to_skip(file) is None), None)


class Pictures:
    """Know the folder of pictures that is a video, and which frame each picture is.

    Args:
        folder: Of the export.
        name: Of the folder of pictures, below it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        parts = PurePosixPath(name.replace("\\", "/"))
        self.folder = folder / parts
        self.frames: dict[str, int] = {}
        is_below = bool(name) and not parts.is_absolute() and ".." not in parts.parts
        if is_below and os.path.isdir(self.folder):  # noqa: PTH112
            pictures = list_pictures(str(self.folder))
            self.frames = {picture.name: frame for frame, picture in enumerate(pictures)}

    def path(self, rate_fps: object, problems: Problems) -> str | None:
        """Return the folder with its rate, as videos are named; None where there are no pictures.

        Args:
            rate_fps: As the export says; anything else than a number is none.
            problems: Where to count a rate that nobody says.
        """
        if not self.frames:
            return None
        if isinstance(rate_fps, int | float) and 0.01 <= rate_fps <= 1000:
            return f"{self.folder}?rate={rate_fps:g}"
        problems.add(NO_RATE, str(self.folder))
        return f"{self.folder}?rate={RATE_FPS:g}"


def number_in(name: str) -> int | None:
    """Return the last number in a name, as 12 of frame_000012.png; None where there is none."""
    found = re.findall(r"\d{1,12}", PurePosixPath(name).stem, re.ASCII)
    return int(found[-1]) if found else None
