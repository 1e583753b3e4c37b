"""What a detector learns from: the videos that can be read, their boxes, frames and flow."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from s3d.clip import ClipSpec
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.place import FlowPlace
from s3d.data.flow.videos import take_flow
from s3d.data.frame_folder import split_rate
from s3d.data.store import FrameStore, open_videos
from s3d.data.video_info import VideoInfo
from s3d.data.video_list import Video
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo
from s3d.detect.network.detector import FLOW, Detector
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.display import DetectorDisplay
from s3d.detect.train.run import DetectorRun
from s3d.detect.train.windows import WindowLoader
from s3d.errors import InputError
from s3d.models.processes import Processes
from s3d.train.plan import Machine


@dataclass(frozen=True, eq=False)
class Material:
    """Hold what is learnt from, and with what.

    Attributes:
        config: What was asked for.
        data: The videos that can be read, and their boxes.
        infos: Their descriptions, in the same order.
        machine: What computes.
        display: What a person sees.
        processes: What computes together.
    """

    config: DetectorConfig
    data: Annotated
    infos: tuple[VideoInfo, ...]
    machine: Machine
    display: DetectorDisplay
    processes: Processes

    @property
    def threads(self) -> int:
        """Return how many threads decode."""
        return self.config.threads or self.machine.cores

    @property
    def paths(self) -> list[str]:
        """Return the paths of the videos."""
        return [video.path for video in self.data.videos]


def open_material(
    config: DetectorConfig,
    data: Annotated,
    machine: Machine,
    display: DetectorDisplay,
    processes: Processes,
) -> Material:
    """Open every video; what cannot be read is left out and told.

    Raises:
        InputError: Too many cannot be read.
    """
    threads = config.threads or machine.cores
    plain = [Video(video.path, "", None) for video in data.videos]
    opened = open_videos(plain, threads, display.stage("opening videos"))
    for path, reason in opened.failures:
        data.problems.add("videos that cannot be read left out", f"{path}: {reason}")
    first = next((reason for _, reason in opened.failures), "")
    _check_failures(config, len(opened.failures), len(plain), first)
    failed = {path for path, _ in opened.failures}
    kept = tuple(video for video in data.videos if video.path not in failed)
    data = replace(data, videos=kept)
    return Material(config, data, opened.infos, machine, display, processes)


def make_loader(material: Material, run: DetectorRun, detector: Detector) -> WindowLoader:
    """Return what draws batches, the frames at hand where they fit.

    Raises:
        InputError: There is no flow of a video, too many do not decode, or no box is left.
    """
    stores = {
        name: FrameStore(_infos_of(name, spec, material, run), spec)
        for name, spec in detector.specs.items()
    }
    videos = material.data.videos
    if sum(store.total_bytes for store in stores.values()) <= material.config.cache_gb * 1e9:
        videos = _without(videos, _keep_frames(stores, run.cache_path, material))
    loader = WindowLoader(stores, videos, len(run.labels), run.config, detector.key_place)
    loader.threads = material.threads
    return loader


def find_flow(material: Material, spec: ClipSpec, folder: Path) -> list[str]:
    """Return the flow of each video, computed where it is missing.

    Args:
        material: The videos.
        spec: What a stream of flow takes: how it is computed.
        folder: Where it is kept.

    Raises:
        InputError: A video gives none.
    """
    place = FlowPlace(_common_folder(material.paths), folder)
    recipe = FlowRecipe(spec.flow_method, spec.flow_side_px)
    told = material.display.stage("computing flow")
    device = material.machine.device
    taken = material.processes.in_turn(
        lambda: take_flow(material.paths, place, recipe, material.threads, device, told)
    )
    if taken.reasons:
        raise InputError(
            f"{len(taken.reasons)} of {len(material.paths)} videos give no flow; first: "
            f"{next(iter(taken.reasons.values()))}"
        )
    return [taken.paths[path] for path in material.paths]


def _infos_of(
    name: str, spec: ClipSpec, material: Material, run: DetectorRun
) -> tuple[VideoInfo, ...]:
    """Return the descriptions of the videos, or of their flow."""
    if name != FLOW:
        return material.infos
    paths = find_flow(material, spec, run.flow_path)
    opened = open_videos([Video(path, "", None) for path in paths], material.threads)
    if opened.failures:  # To leave one out would give each that follows the flow of another.
        raise InputError(f"flow cannot be read: {opened.failures[0][1]}. Delete it.")
    return opened.infos


def _common_folder(paths: list[str]) -> Path:
    """Return the lowest folder that holds all videos."""
    # abspath, unlike Path.absolute, takes ".." away.
    whole = (os.path.abspath(split_rate(path)[0]) for path in paths)  # noqa: PTH100
    return Path(os.path.commonpath([Path(path).parent for path in whole]))


def _keep_frames(
    stores: dict[str, FrameStore], folder: Path, material: Material
) -> Collection[int]:
    """Keep decoded frames at hand; return the videos of which nothing decodes."""
    lost = set[int]()
    for name, store in stores.items():
        told = material.display.stage("decoding videos")
        failed = material.processes.in_turn(
            lambda store=store, name=name, told=told: store.keep(  # type: ignore[misc]
                folder / name, material.threads, told
            )
        )
        # Each machine may have decoded for itself; what failed on one is left out on all.
        lost |= {video for found in material.processes.gather(failed) for video in found}
    if lost:
        first = material.paths[min(lost)]
        material.display.say(f"  {len(lost)} videos do not decode, left out; first: {first}")
        reason = f"{first}: not one frame decodes"
        _check_failures(material.config, len(lost), len(material.paths), reason)
    return lost


def _without(
    videos: tuple[AnnotatedVideo, ...], lost: Collection[int]
) -> tuple[AnnotatedVideo, ...]:
    """Return the videos, some of them without a frame that could be drawn."""
    nothing = np.zeros(0, np.int64)
    return tuple(
        replace(video, tubes=(), frames=nothing) if number in lost else video
        for number, video in enumerate(videos)
    )


def _check_failures(config: DetectorConfig, failed: int, videos: int, first: str) -> None:
    if failed > config.max_failed * videos or failed == videos:
        raise InputError(
            f"{failed} of {videos} videos cannot be read, more than --max-failed "
            f"{config.max_failed:g} allows; first: {first}"
        )
