"""The flow of listed videos: where it is kept, and computed where it is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from s3d.data.decode import probe_video, read_frames
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.folder import FlowJob, FlowWorkers, compute_all
from s3d.data.flow.levels import dequantise_flow
from s3d.data.flow.place import FlowPlace
from s3d.data.store import Progress
from s3d.data.video_list import Video, VideoList
from s3d.errors import InputError
from s3d.files import make_folder

MEASURED_FILES = 48
MEASURED_FRAMES = 8
LEAST_SPREAD_PX = 0.1
"""About what a level and its coding are off by."""


@dataclass(frozen=True)
class FlowTaken:
    """Hold the flow of some videos.

    Attributes:
        paths: Of the flow, by the path of its video.
        reasons: Why a video has none, by its path.
        pairs: Pairs of frames that were computed for it.
    """

    paths: dict[str, str]
    reasons: dict[str, str]
    pairs: int

    def swap(self, videos: Sequence[Video]) -> tuple[Video, ...]:
        """Return the flow of the videos in their place; those without are left out."""
        return tuple(
            replace(video, path=self.paths[video.path])
            for video in videos
            if video.path in self.paths
        )

    def swap_listed(self, listed: VideoList) -> VideoList:
        """Return a list of the flow of its videos; those without still count as listed."""
        kept = listed.without(self.reasons)
        return replace(kept, videos=self.swap(kept.videos))


def take_flow(
    videos: Sequence[str],
    where: FlowPlace,
    recipe: FlowRecipe,
    threads: int = 1,
    device: str = "cpu",
    progress: Progress | None = None,
) -> FlowTaken:
    """Return the flow of videos, computed where it is missing; what is there is kept.

    Args:
        videos: Their paths.
        where: Where it is kept.
        recipe: How it is computed.
        threads: Cores to use.
        device: Where TV-L1 is computed.
        progress: Told after each video.

    Raises:
        InputError: A computing process was killed, or the folder cannot be made.
    """
    make_folder(where.folder)
    jobs = [FlowJob(video, where.find(video)) for video in videos]
    paths, reasons, pairs = dict[str, str](), dict[str, str](), 0
    with FlowWorkers(recipe, threads, device) as workers:
        for done, result in enumerate(compute_all(jobs, workers), start=1):
            source = result.job.source
            pairs += result.pairs
            if result.error is None:
                paths[source] = str(result.job.target)
            else:
                reasons[source] = result.error
            if progress:
                progress(done, len(jobs))
    return FlowTaken(paths, reasons, pairs)


def measure_flow(paths: Sequence[str]) -> float:
    """Return the root mean square of some of the flow of files, in px of a direction.

    Args:
        paths: Of the files; a few dozen, spread over all, are read.
    """
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), MEASURED_FILES)).round().astype(int)
    squares = []
    for path in (paths[number] for number in chosen):
        try:
            info = probe_video(path)
            wanted = np.linspace(0, info.frames - 1, MEASURED_FRAMES).round().astype(np.int64)
            squares.append(float(np.square(dequantise_flow(read_frames(info, wanted))).mean()))
        except InputError:
            continue  # Whoever trains on it will name it.
    spread = math.sqrt(sum(squares) / len(squares)) if squares else 0.0
    return max(LEAST_SPREAD_PX, float(f"{spread:.2g}"))
