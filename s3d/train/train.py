"""Train on a folder of videos: prepare, train, report; interrupted, the same call goes on."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from s3d.data.clips import read_centre
from s3d.data.decode import Frames, VideoInfo
from s3d.data.flow.levels import paint_flow
from s3d.data.store import FrameStore, Progress, open_videos
from s3d.data.video_info import FLOW_CHANNELS
from s3d.data.videos import Video
from s3d.errors import InputError
from s3d.evaluate.metrics import confusion_matrix
from s3d.models.cost import count_cost
from s3d.models.device import choose_device
from s3d.models.family import network_name
from s3d.models.processes import ALONE, Processes, join_processes
from s3d.train.config import TrainConfig
from s3d.train.describe import style_name
from s3d.train.display import Display
from s3d.train.distributed import check_norms, check_shares, describe_processes
from s3d.train.features import can_keep_features, keep_features
from s3d.train.loop import Trainer
from s3d.train.plan import Machine, count_cores
from s3d.train.prepare import prepare_run
from s3d.train.report import Example, RunReport, write_report
from s3d.train.run import Run, find_run, remove_parts, start_run
from s3d.train.two_ways import FOLDER, find_frozen_run, keep_better
from s3d.train.validate import Validation

WORST_CLIPS = 12
THUMBNAILS = 6
MOST_FAILURES = 10


def train(config: TrainConfig, quiet: bool = False) -> Path:
    """Train a recogniser on a folder or list of videos, on all processes that torchrun started.

    Args:
        config: What to do; `config.data` and `config.out` are needed.
        quiet: Show nothing.

    Returns:
        The path of the best model.

    Raises:
        InputError: The data, an option or the folder cannot be used.
    """
    if not config.data:
        raise InputError("name a folder of videos or a CSV to train on.")
    with join_processes(config.device) as processes:
        check_shares(config, processes)
        machine = Machine(choose_device(config.device), count_cores())
        display = Display(quiet or not processes.is_first)
        run, is_finished = processes.first(lambda: _find_or_prepare(config, machine, display))
        if is_finished:
            display.say(f"{run.folder}: this run is finished; its model is {run.model_path}")
        else:
            _say_plan(run, machine, display)
            _train_frozen(run, machine, display, processes)
            _train(run, machine, display, processes)
        _clear(run, processes)
        if run.plan.also_until is not None:
            display.say(processes.first(lambda: keep_better(run)))
        if not is_finished:
            display.say(f"model   {run.model_path}\nreport  {run.folder / 'report.html'}")
    return run.model_path


def _train_frozen(run: Run, machine: Machine, display: Display, processes: Processes) -> None:
    """Train with low blocks as they are, where that is due and not done."""
    frozen = processes.first(lambda: find_frozen_run(run))
    if frozen is None or frozen.is_finished:
        return
    for line in frozen.plan.reasons:
        display.say(f"first: {line}")
    _train(frozen, machine, display, processes)
    _clear(frozen, processes)
    display.say("then: all blocks are trained")


def _clear(run: Run, processes: Processes) -> None:
    """Delete what a finished run kept at hand."""
    processes.wait()
    if processes.local_rank == 0:
        shutil.rmtree(run.cache_path, ignore_errors=True)


def _find_or_prepare(config: TrainConfig, machine: Machine, display: Display) -> tuple[Run, bool]:
    """Return the run of the folder, begun if there is none, and whether it is finished."""
    run = find_run(config)
    if run is not None and run.is_finished:
        return run, True
    if run is None:
        run = prepare_run(config, machine, display.stage)
        start_run(run)
    remove_parts(run.folder)
    return run, False


def _train(run: Run, machine: Machine, display: Display, processes: Processes) -> None:
    check_norms(run.config, run.plan, processes)
    for line in describe_processes(run.config, processes, machine.device):
        display.say(f"  {line}")
    trainer = open_trainer(run, machine, display, processes)
    if trainer.step:
        display.say(f"goes on at step {trainer.step} of {trainer.steps}")
    if processes.is_first:
        display.log_to(run.folder / "tensorboard", trainer.step)
    trainer.train()
    _report(run, trainer, machine)


def open_trainer(
    run: Run, machine: Machine, display: Display, processes: Processes = ALONE
) -> Trainer:
    """Open a run's videos, keep their frames or features at hand, and build what trains.

    Args:
        run: What to do.
        machine: What computes.
        display: Told of the progress.
        processes: That train it together.

    Raises:
        InputError: Videos have gone or fail, or what was begun does not fit the run.
    """
    keeps_features, reason = processes.first(lambda: can_keep_features(run))
    if reason:
        display.say(f"  {reason}")
    store, numbers = open_store(run, machine, display, not keeps_features, processes)
    trainer = Trainer(run, store, numbers, display, processes)
    if keeps_features and trainer.trunk:
        trunk, threads = trainer.trunk, run.config.threads or machine.cores
        progress = display.stage("computing features")
        features = processes.in_turn(lambda: keep_features(run, trunk, store, threads, progress))
        failed = [-1 if video in features.failures else n for video, n in enumerate(numbers)]
        _check_usable(run, failed)
        trainer.use(features)
    return trainer


def _say_plan(run: Run, machine: Machine, display: Display) -> None:
    for line in (*run.notes, *run.plan.reasons):
        display.say(f"  {line}")
    for path, reason in run.failures[:MOST_FAILURES]:
        display.say(f"  left out: {reason if path in reason else f'{path}: {reason}'}")
    if len(run.failures) > MOST_FAILURES:
        others = len(run.failures) - MOST_FAILURES
        display.say(f"  left out: and {others:,} more; {run.folder / 'run.json'} names all")
    cost = count_cost(
        run.plan.word, run.plan.spec.frames, run.plan.spec.size_px,
        num_classes=len(run.labels), style=run.plan.style, width=run.plan.width,
        channels=run.plan.spec.channels,
    )  # fmt: skip
    display.say(
        f"  {network_name(run.plan.word)} x {run.plan.width:g}: {cost.parameters / 1e6:.2f} M "
        f"parameters, {cost.macs / 1e9:.2f} G multiply-adds a clip; on {machine.device}"
    )


def open_store(
    run: Run,
    machine: Machine,
    display: Display,
    keeps_frames: bool,
    processes: Processes = ALONE,
) -> tuple[FrameStore, list[int]]:
    """Return the frames of the training, then the validation videos, and their class numbers."""
    threads = run.config.threads or machine.cores
    infos = _open_together(run, threads, display.stage("opening videos"), processes)
    store = FrameStore(infos, run.plan.spec)
    numbers = [run.labels.index(video.label) for video in (*run.train, *run.val)]
    if keeps_frames and store.total_bytes <= run.config.cache_gb * 1e9:
        progress = display.stage("decoding videos")
        failed = processes.in_turn(lambda: store.keep(run.cache_path, threads, progress))
        # Each machine may have decoded for itself; what failed on one is left out on all.
        for video in {video for found in processes.gather(failed) for video in found}:
            numbers[video] = -1
    _check_usable(run, numbers)
    return store, numbers


def _open_together(
    run: Run, threads: int, progress: Progress, processes: Processes
) -> list[VideoInfo]:
    """Return the descriptions of a run's videos, of which each process opens its share."""
    videos = (*run.train, *run.val)
    own = open_videos(processes.share(videos), threads, progress)
    failures = [failure for part in processes.gather(own.failures) for failure in part]
    if failures:
        raise InputError(
            f"{len(failures)} videos of the run are gone or have changed; first: "
            f"{failures[0][1]} Put them back, or train anew in another --out."
        )
    return processes.collect(own.infos)


def _check_usable(run: Run, numbers: Sequence[int]) -> None:
    failed = [n for n in numbers if n < 0]
    if len(failed) > run.config.max_failed * len(numbers):
        raise InputError(
            f"{len(failed)} of {len(numbers)} videos do not decode, more than --max-failed "
            f"{run.config.max_failed:g} allows."
        )
    missing = set(range(len(run.labels))) - set(numbers[: len(run.train)])
    if missing:
        raise InputError(f"class {run.labels[min(missing)]!r} has no video that decodes.")


def _report(run: Run, trainer: Trainer, machine: Machine) -> None:
    outcome = trainer.best_scores()
    if not trainer.processes.is_first:
        return
    classes = len(run.labels)
    confusion = np.zeros((classes, classes), np.int64)
    examples: tuple[Example, ...] = ()
    if outcome is not None:
        confusion = confusion_matrix(outcome.scores.argmax(1), outcome.truth, classes)
        examples = _find_worst(run, trainer, outcome)
    report = RunReport(
        title=_title(run),
        facts=_facts(run, trainer, machine),
        notes=(*run.notes, *run.plan.reasons),
        epochs=tuple(trainer.history),
        best_epoch=int(trainer.best.get("epoch", 0)),
        labels=run.labels,
        confusion=confusion,
        examples=examples,
        failures=(*run.failures, *trainer.failures.items()),
    )
    write_report(report, run.folder)


def _title(run: Run) -> str:
    if run.folder.name != FOLDER or run.plan.freeze_until is None:
        return run.folder.name
    return f"{run.folder.absolute().parent.name}, trained above {run.plan.freeze_until}"


def _facts(run: Run, trainer: Trainer, machine: Machine) -> tuple[tuple[str, str], ...]:
    plan = run.plan
    seconds = sum(epoch.seconds for epoch in trainer.history)
    cost = count_cost(trainer.network, plan.spec.frames, plan.spec.size_px)
    return (
        ("data", f"{run.config.data}: {len(run.train)} to train, {len(run.val)} to validate"),
        ("coverage", run.coverage),
        ("network", f"{network_name(plan.word)} x {plan.width:g}, style {style_name(plan.style)}"),
        ("parameters", f"{cost.parameters / 1e6:.2f} M"),
        ("cost", f"{cost.macs / 1e9:.2f} G multiply-adds a clip"),
        ("clip", f"{plan.spec.describe()}, resized by '{plan.spec.resize}'"),
        ("protocol", "one clip from the middle, centre crop"),
        ("optimizer", f"{run.config.optimizer}, peak rate {plan.lr:g}, {run.config.schedule}"),
        ("batch", f"{run.config.batch} clips, {trainer.steps} steps, {trainer.epochs} epochs"),
        ("time", f"{seconds / 60:.1f} min of training steps"),
        ("hardware", _describe_hardware(machine, trainer.processes)),
        ("software", f"PyTorch {torch.__version__}, seed {run.config.seed}"),
    )


def _describe_hardware(machine: Machine, processes: Processes) -> str:
    hardware = f"{machine.device}, {machine.cores} cores, {platform.machine()}"
    return hardware if processes.is_alone else f"{processes.world} processes: {hardware} each"


def _find_worst(run: Run, trainer: Trainer, outcome: Validation) -> tuple[Example, ...]:
    """Return the clips whose true class got the lowest score, worst first."""
    given = outcome.scores[np.arange(len(outcome.truth)), outcome.truth]
    videos: tuple[Video, ...] = (*run.train, *run.val)
    examples = []
    for place in np.argsort(given, kind="stable")[:WORST_CLIPS]:
        number = outcome.videos[place]
        video, predicted = videos[number], run.labels[int(outcome.scores[place].argmax())]
        pictures = _thumbnails(trainer.store, number)
        examples.append(Example(video.path, video.label, predicted, float(given[place]), pictures))
    return tuple(examples)


def _thumbnails(store: FrameStore, video: int) -> Frames:
    try:
        frames = read_centre(store, video)
    except InputError:  # It could be read a moment ago; the report is worth more than its picture.
        return np.zeros((0, 1, 1, 3), np.uint8)
    shown = frames[np.linspace(0, len(frames) - 1, THUMBNAILS).round().astype(int)]
    is_flow = frames.shape[-1] == FLOW_CHANNELS
    return paint_flow(shown) if is_flow else np.ascontiguousarray(shown)
