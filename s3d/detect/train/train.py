"""Train a detector: read the boxes, plan, train; interrupted, the same call goes on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from s3d.clip import ClipSpec
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.place import FlowPlace
from s3d.data.flow.videos import take_flow
from s3d.data.store import FrameStore, open_videos
from s3d.data.video_info import VideoInfo
from s3d.data.video_list import Video
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo
from s3d.detect.network.detector import FLOW, RGB, Detector
from s3d.detect.network.detector_file import build_detector
from s3d.detect.network.image_weights import fill_backbone, read_backbone
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.data import read_part
from s3d.detect.train.display import DetectorDisplay
from s3d.detect.train.loop import DetectorTrainer
from s3d.detect.train.plan import make_plan
from s3d.detect.train.run import DetectorRun, digest_data, find_run
from s3d.detect.train.windows import WindowLoader
from s3d.errors import InputError
from s3d.models.device import choose_device
from s3d.models.model_file import ModelFile
from s3d.models.network import Network
from s3d.models.open import open_start
from s3d.models.processes import Processes, join_processes
from s3d.train.begin import fingerprint
from s3d.train.plan import Machine, count_cores
from s3d.train.run import check_writable, remove_parts

FLOW_FOLDER = "flow"


def train_detector(config: DetectorConfig, quiet: bool = False) -> Path:
    """Train a detector, on all processes that torchrun started.

    Args:
        config: What to do; `config.data` and `config.out` are needed.
        quiet: Show nothing.

    Returns:
        The path of the detector.

    Raises:
        InputError: The data, an option or the folder cannot be used.
    """
    if not config.data or not config.out:
        raise InputError("name boxes to learn from, and a folder for the run with --out.")
    with join_processes(config.device) as processes:
        if config.batch < processes.world:
            raise InputError(
                f"--batch {config.batch} on {processes.world} processes leaves one without a key "
                "frame; --batch counts those of all together."
            )
        machine = Machine(choose_device(config.device), count_cores())
        display = DetectorDisplay(quiet or not processes.is_first)
        path = _train(config, machine, display, processes)
        processes.wait()
        return path


def _train(
    config: DetectorConfig, machine: Machine, display: DetectorDisplay, processes: Processes
) -> Path:
    check_writable(Path(config.out))
    run = processes.first(lambda: find_run(config))
    if run is not None and run.model_path.exists():
        display.say(f"{run.folder}: this run is finished; its detector is {run.model_path}")
        return run.model_path
    data = processes.first(lambda: read_part(config.data, config.part))
    starts = _read_starts(config)
    videos, infos = _open(config, data, machine, display)
    data = replace(data, videos=videos)
    digest = digest_data(videos, data.labels, [fingerprint(s) for s in starts.values()])
    if run is None:
        plan = make_plan(config, videos, infos, machine, starts, data.multi_label)
        notes = tuple(data.problems.lines())
        run = DetectorRun(Path(config.out), config, plan, data.labels, digest, notes)
        if processes.is_first:
            run.begin()
    elif run.digest != digest:
        raise InputError(
            f"{run.folder}: its run began with other boxes, videos or models. Put them back, or "
            "choose another --out."
        )
    remove_parts(run.folder)
    _say_plan(run, data, machine, display)
    detector = _build(run, starts)
    loader = _make_loader(run, data, infos, machine, display, processes, detector)
    trainer = DetectorTrainer(run, detector, loader, machine.device, processes, display)
    if trainer.step:
        display.say(f"goes on at step {trainer.step:,} of {run.plan.steps:,}")
    trainer.train()
    display.stop()
    if processes.local_rank == 0:
        shutil.rmtree(run.cache_path, ignore_errors=True)
    display.say(f"detector  {run.model_path}")
    return run.model_path


def _read_starts(config: DetectorConfig) -> dict[str, ModelFile]:
    """Return the models that streams start from."""
    inits = {RGB: config.init, FLOW: config.flow_init}
    if config.modality == "flow":
        inits = {FLOW: config.flow_init or config.init}
    starts = {}
    for name, init in inits.items():
        if init is not None:
            starts[name] = open_start(init, config.network, config.width).model
    return starts


def _open(
    config: DetectorConfig, data: Annotated, machine: Machine, display: DetectorDisplay
) -> tuple[tuple[AnnotatedVideo, ...], list[VideoInfo]]:
    """Return the videos that can be read, and their descriptions."""
    threads = config.threads or machine.cores
    plain = [Video(video.path, "", None) for video in data.videos]
    opened = open_videos(plain, threads, display.stage("opening videos"))
    for path, reason in opened.failures:
        data.problems.add("videos that cannot be read left out", f"{path}: {reason}")
    if len(opened.failures) > config.max_failed * len(plain) or not opened.infos:
        raise InputError(
            f"{len(opened.failures)} of {len(plain)} videos cannot be read, more than --max-failed "
            f"{config.max_failed:g} allows; first: {next(iter(opened.failures), ('', ''))[1]}"
        )
    failed = {path for path, _ in opened.failures}
    return tuple(v for v in data.videos if v.path not in failed), list(opened.infos)


def _build(run: DetectorRun, starts: Mapping[str, ModelFile]) -> Detector:
    """Return the detector, its streams and image net as they start."""
    import torch

    torch.manual_seed(run.config.seed)
    plan = run.plan
    detector = build_detector(plan.streams, plan.shape, len(run.labels))
    for name, start in starts.items():
        network = start.network
        network.replace_head(1)
        own = detector.streams[name]
        assert isinstance(own, Network)
        if network.channels != own.channels:
            network.replace_input(own.channels)
        own.load_state_dict(network.state_dict())
    if run.config.image_init:
        assert detector.image is not None
        fill_backbone(detector.image, read_backbone(run.config.image_init))
    return detector


def _make_loader(
    run: DetectorRun,
    data: Annotated,
    infos: Sequence[VideoInfo],
    machine: Machine,
    display: DetectorDisplay,
    processes: Processes,
    detector: Detector,
) -> WindowLoader:
    """Return what draws batches, the frames at hand where they fit."""
    threads = run.config.threads or machine.cores
    stores = {
        name: FrameStore(_infos_of(name, spec, run, data, infos, machine, display), spec)
        for name, spec in detector.specs.items()
    }
    if sum(store.total_bytes for store in stores.values()) <= run.config.cache_gb * 1e9:
        for name, store in stores.items():
            folder = run.cache_path / name
            told = display.stage("decoding videos")
            _keep(store, folder, threads, told, processes)
    loader = WindowLoader(stores, data.videos, len(run.labels), run.config, detector.key_place)
    loader.threads = threads
    return loader


def _keep(
    store: FrameStore, folder: Path, threads: int, told: object, processes: Processes
) -> None:
    processes.in_turn(lambda: store.keep(folder, threads, told))  # type: ignore[arg-type]


def _infos_of(
    name: str,
    spec: ClipSpec,
    run: DetectorRun,
    data: Annotated,
    infos: Sequence[VideoInfo],
    machine: Machine,
    display: DetectorDisplay,
) -> list[VideoInfo]:
    """Return the descriptions of the videos, or of their flow, which is computed where missing."""
    if name != FLOW:
        return list(infos)
    folder = run.config.flow or str(run.folder / FLOW_FOLDER)
    paths = [video.path for video in data.videos]
    recipe = FlowRecipe(spec.flow_method, spec.flow_side_px)
    threads = run.config.threads or machine.cores
    common = Path(np.array(paths)[0]).parent
    place = FlowPlace(common, Path(folder))
    told = display.stage("computing flow")
    taken = take_flow(paths, place, recipe, threads, machine.device, told)
    if taken.reasons:
        reason = next(iter(taken.reasons.values()))
        raise InputError(f"{len(taken.reasons)} videos give no flow; first: {reason}")
    flows = [Video(str(place.find(path)), "", None) for path in paths]
    return list(open_videos(flows, threads).infos)


def _say_plan(
    run: DetectorRun, data: Annotated, machine: Machine, display: DetectorDisplay
) -> None:
    boxes = sum(len(tube.frames) for video in data.videos for tube in video.tubes)
    display.say(
        f"{data.text}: {len(data.videos):,} videos, {boxes:,} boxes of {len(run.labels)} classes, "
        f"on {machine.device} ({machine.cores} cores)"
    )
    for line in (*run.notes, *run.plan.reasons):
        display.say(f"  {line}")
