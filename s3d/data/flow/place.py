"""Where the flow of a video is kept: the tree of the videos, with flow in the place of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from s3d.data.find_videos import FLOW_ENDING, find_root
from s3d.data.frame_folder import split_rate
from s3d.data.paths import AnyPath

OUTSIDE = "outside"
"""Below it lies the flow of videos that are not in the folder of their list."""


@dataclass(frozen=True)
class FlowPlace:
    """Say where the flow of a source's videos is kept.

    Attributes:
        root: The folder of the videos, whose tree is kept.
        folder: Where their flow is.
    """

    root: Path
    folder: Path

    @classmethod
    def of(cls, source: AnyPath, folder: AnyPath) -> FlowPlace:
        """Return that of a folder of videos, a list of them or a data set."""
        return cls(find_root(source), Path(folder))

    def find(self, video: AnyPath) -> Path:
        """Return where the flow of a video belongs: that of ROOT/a/b.avi is a/b.avi.flow.mp4."""
        # abspath, unlike Path.absolute, takes ".." away, which must not lead out of the folder.
        path = Path(os.path.abspath(split_rate(os.fspath(video))[0]))  # noqa: PTH100
        below = Path(os.path.relpath(path, self.root))
        if below.parts[:1] == ("..",):
            below = Path(OUTSIDE, *path.parts[1:])
        return self.folder / below.with_name(below.name + FLOW_ENDING)
