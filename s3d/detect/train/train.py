"""Train a detector: read the boxes, plan, train; interrupted, the same call goes on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from s3d.clip import FLOW_BOUND_PX, ClipSpec
from s3d.data.flow.videos import measure_flow
from s3d.detect.network.detector import FLOW
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.data import read_part
from s3d.detect.train.display import DetectorDisplay
from s3d.detect.train.loop import DetectorTrainer
from s3d.detect.train.material import Material, find_flow, make_loader, open_material
from s3d.detect.train.plan import DetectorPlan, make_plan
from s3d.detect.train.run import DetectorRun, digest_data, find_run, flow_folder
from s3d.detect.train.start import read_starts, start_detector
from s3d.errors import InputError
from s3d.models.device import choose_device
from s3d.models.model_file import ModelFile
from s3d.models.processes import Processes, join_processes
from s3d.train.begin import fingerprint
from s3d.train.plan import Machine, count_cores
from s3d.train.run import check_writable, remove_parts


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
    starts = read_starts(config)
    material = open_material(config, data, machine, display, processes)
    digest = _digest(material, starts)
    if run is None:
        run = _begin(material, starts, digest)
    elif run.digest != digest:
        raise InputError(
            f"{run.folder}: its run began with other boxes, videos or models. Put them back, or "
            "choose another --out."
        )
    if processes.is_first:
        remove_parts(run.folder)
    _say_plan(run, material)
    _open_trainer(run, material, starts).train()
    display.stop()
    if processes.local_rank == 0:
        shutil.rmtree(run.cache_path, ignore_errors=True)
    display.say(f"detector  {run.model_path}")
    return run.model_path


def _digest(material: Material, starts: Mapping[str, ModelFile]) -> str:
    prints = [fingerprint(start) for start in starts.values()]
    return digest_data(material.data.videos, material.data.labels, prints)


def _begin(material: Material, starts: Mapping[str, ModelFile], digest: str) -> DetectorRun:
    """Settle everything about a run, and write it down."""
    config, data = material.config, material.data
    plan = make_plan(
        config, data.videos, material.infos, material.machine, starts, data.multi_label
    )
    plan = _scale_flow(plan, material, starts)
    notes = tuple(data.problems.lines())
    run = DetectorRun(Path(config.out), config, plan, data.labels, digest, notes)
    if material.processes.is_first:
        run.begin()
    return run


def _scale_flow(
    plan: DetectorPlan, material: Material, starts: Mapping[str, ModelFile]
) -> DetectorPlan:
    """Return a plan by which the network sees flow in a unit that fits it, as `s3d train` does.

    Small pictures move by fractions of a px; as shares of 20 px these would vanish beside the
    epsilon of the first norm. A model that was trained on flow brings its unit.
    """
    keeps = FLOW in starts and starts[FLOW].spec.modality == FLOW
    if FLOW not in plan.streams or keeps:
        return plan
    spec = ClipSpec.from_json(plan.streams[FLOW]["clip"])
    unit_px = measure_flow(find_flow(material, spec, flow_folder(material.config)))
    spec = replace(spec, std=(unit_px / (2 * FLOW_BOUND_PX),) * spec.channels)
    streams = {**plan.streams, FLOW: {**plan.streams[FLOW], "clip": spec.to_json()}}
    reason = f"{unit_px:g} px of flow seen as 1: its spread in the data"
    return replace(plan, streams=streams, reasons=(*plan.reasons, reason))


def _open_trainer(
    run: DetectorRun, material: Material, starts: Mapping[str, ModelFile]
) -> DetectorTrainer:
    started = start_detector(run, starts)
    loader = make_loader(material, run, started.detector)
    device, display, processes = material.machine.device, material.display, material.processes
    trainer = DetectorTrainer(run, started.detector, loader, device, processes, display)
    trainer.licence = started.licence
    if trainer.step:
        display.say(f"goes on at step {trainer.step:,} of {run.plan.steps:,}")
    return trainer


def _say_plan(run: DetectorRun, material: Material) -> None:
    data, machine, say = material.data, material.machine, material.display.say
    boxes = sum(len(tube.frames) for video in data.videos for tube in video.tubes)
    say(
        f"{data.text}: {len(data.videos):,} videos, {boxes:,} boxes of {len(run.labels)} classes, "
        f"on {machine.device} ({machine.cores} cores)"
    )
    for line in (*run.notes, *run.plan.reasons):
        say(f"  {line}")
