"""Train on a folder of videos: prepare, train, report; interrupted, the same call goes on."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from s3d.data.clips import read_centre
from s3d.data.decode import Frames
from s3d.data.flow_levels import paint_flow
from s3d.data.store import FrameStore, open_videos
from s3d.data.video_info import FLOW_CHANNELS
from s3d.data.videos import Video
from s3d.errors import InputError
from s3d.evaluate.metrics import confusion_matrix
from s3d.models.cost import count_cost
from s3d.models.device import choose_device
from s3d.models.family import network_name
from s3d.train.begin import style_name
from s3d.train.config import TrainConfig
from s3d.train.display import Display
from s3d.train.features import can_keep_features, keep_features
from s3d.train.loop import Trainer
from s3d.train.plan import Machine, count_cores
from s3d.train.prepare import prepare_run
from s3d.train.report import Example, RunReport, write_report
from s3d.train.run import Run, find_run, remove_parts, start_run
from s3d.train.validate import Validation

WORST_CLIPS = 12
THUMBNAILS = 6
MOST_FAILURES = 10


def train(config: TrainConfig, quiet: bool = False) -> Path:
    """Train a recogniser on a folder or list of videos.

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
    run = find_run(config)
    if run is not None and run.is_finished:
        Display(quiet).say(f"{run.folder}: this run is finished; its model is {run.model_path}")
        shutil.rmtree(run.cache_path, ignore_errors=True)
        return run.model_path
    machine = Machine(choose_device(config.device), count_cores())
    display = Display(quiet)
    if run is None:
        run = prepare_run(config, machine, display.stage)
        start_run(run)
    remove_parts(run.folder)
    _say_plan(run, machine, display)
    trainer = open_trainer(run, machine, display)
    if trainer.step:
        display.say(f"goes on at step {trainer.step} of {trainer.steps}")
    display.log_to(run.folder / "tensorboard", trainer.step)
    trainer.train()
    _report(run, trainer, machine)
    shutil.rmtree(run.cache_path, ignore_errors=True)
    display.say(f"model   {run.model_path}\nreport  {run.folder / 'report.html'}")
    return run.model_path


def open_trainer(run: Run, machine: Machine, display: Display) -> Trainer:
    """Open a run's videos, keep their frames or features at hand, and build what trains.

    Args:
        run: What to do.
        machine: What computes.
        display: Told of the progress.

    Raises:
        InputError: Videos have gone or fail, or what was begun does not fit the run.
    """
    keeps_features, reason = can_keep_features(run)
    if reason:
        display.say(f"  {reason}")
    store, numbers = open_store(run, machine, display, keeps_frames=not keeps_features)
    trainer = Trainer(run, store, numbers, display)
    if keeps_features and trainer.trunk:
        threads = run.config.threads or machine.cores
        progress = display.stage("computing features")
        features = keep_features(run, trainer.trunk, store, threads, progress)
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
    run: Run, machine: Machine, display: Display, keeps_frames: bool
) -> tuple[FrameStore, list[int]]:
    """Return the frames of the training, then the validation videos, and their class numbers."""
    videos = (*run.train, *run.val)
    threads = run.config.threads or machine.cores
    opened = open_videos(videos, threads, display.stage("opening videos"))
    if opened.failures:
        raise InputError(
            f"{len(opened.failures)} videos of the run are gone or have changed; first: "
            f"{opened.failures[0][1]} Put them back, or train anew in another --out."
        )
    store = FrameStore(opened.infos, run.plan.spec)
    numbers = [run.labels.index(video.label) for video in videos]
    if keeps_frames and store.total_bytes <= run.config.cache_gb * 1e9:
        for video in store.keep(run.cache_path, threads, display.stage("decoding videos")):
            numbers[video] = -1
    _check_usable(run, numbers)
    return store, numbers


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
    classes = len(run.labels)
    confusion = np.zeros((classes, classes), np.int64)
    examples: tuple[Example, ...] = ()
    if outcome is not None:
        confusion = confusion_matrix(outcome.scores.argmax(1), outcome.truth, classes)
        examples = _find_worst(run, trainer, outcome)
    report = RunReport(
        title=run.folder.name,
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
        ("batch", f"{run.config.batch} clips, {trainer.steps} steps, {plan.epochs} epochs"),
        ("time", f"{seconds / 60:.1f} min of training steps"),
        ("hardware", f"{machine.device}, {machine.cores} cores, {platform.machine()}"),
        ("software", f"PyTorch {torch.__version__}, seed {run.config.seed}"),
    )


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
