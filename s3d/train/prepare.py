"""From a folder or list of videos to a run: open, group, split, plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from s3d.clip import FLOW_BOUND_PX
from s3d.data.decode import VideoInfo, read_frames
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.place import FlowPlace
from s3d.data.flow.videos import measure_flow, take_flow
from s3d.data.quarantine import leave_out
from s3d.data.sources import SIGNATURE_FRAMES, Signature, group_by_source, signature
from s3d.data.store import Opened, Progress, open_videos
from s3d.data.video_info import FLOW_CHANNELS
from s3d.data.videos import Video, VideoList, list_videos, split_videos
from s3d.errors import InputError
from s3d.models.family import network_word
from s3d.models.open import InitModel
from s3d.models.style import find_style
from s3d.train.begin import make_start
from s3d.train.config import TrainConfig
from s3d.train.features import choose_views
from s3d.train.origin import Origin, find_origin, fit_videos
from s3d.train.plan import Machine, Plan, make_plan
from s3d.train.run import Run, check_writable
from s3d.train.scarcity import plan_freezing

SIGNATURE_PX = (32, 32)
FEWEST_VALIDATED = 2
FEWEST_A_CLASS = 2


def prepare_run(config: TrainConfig, machine: Machine, stage: Callable[[str], Progress]) -> Run:
    """Look at the data and settle everything about a run.

    Args:
        config: What was asked for.
        machine: What computes.
        stage: Called with what is being done, gives what is told of its progress.

    Raises:
        InputError: The data cannot be trained on.
    """
    _check_options(config)
    origin = find_origin(config)
    threads = config.threads or machine.cores
    listed = list_videos(config.data)
    notes = [f"{listed.source}: {listed.count_parts()} videos are there"] if listed.missing else []
    tests = sum(video.split == "test" for video in listed.videos)
    asked = _without_tests(listed)
    listed = leave_out(asked, config.quarantine)
    opened = open_videos(listed.videos, threads, stage("opening videos"))
    failures = (*listed.left_out, *opened.failures)
    _check_failures(config, opened, len(listed.videos))
    notes += _describe(listed, opened, tests)
    labels = _check_classes(opened.videos, listed)
    _check_counts(opened.videos, listed)
    videos = opened.videos
    if any(v.group is None for v in videos) and not any(v.split == "val" for v in videos):
        videos = _group(opened, threads, stage("looking for clips of one source"), notes)
    train, val = _split(videos, config, notes)
    _check_classes(train, listed)
    chosen = {video.path for video in train}
    infos = [i for v, i in zip(videos, opened.infos, strict=True) if v.path in chosen]
    origin = fit_videos(origin, config, infos)
    plan = make_plan(config, infos, machine, origin.model)
    if config.flow:
        train, val, reasons = _take_flow(config, plan, (train, val), machine, stage)
        failures = (*failures, *reasons.items())
        _check_classes(train, listed)
    plan = _scale_flow(config, plan, origin.model, train)
    plan = _plan_start(config, plan, origin, labels, (len(train), len(val)))
    coverage = _describe_coverage(asked, train, val)
    return Run(Path(config.out), config, plan, labels, train, val, failures, tuple(notes), coverage)


def _take_flow(
    config: TrainConfig,
    plan: Plan,
    videos: tuple[tuple[Video, ...], tuple[Video, ...]],
    machine: Machine,
    stage: Callable[[str], Progress],
) -> tuple[tuple[Video, ...], tuple[Video, ...], dict[str, str]]:
    """Return the flow of the videos to train and to validate, and why some have none."""
    train, val = videos
    recipe = FlowRecipe(plan.spec.flow_method, plan.spec.flow_side_px)
    where = FlowPlace.of(config.data, config.flow or "")
    paths = [video.path for video in (*train, *val)]
    threads = config.threads or machine.cores
    taken = take_flow(paths, where, recipe, threads, machine.device, stage("computing flow"))
    if len(taken.reasons) > config.max_failed * len(paths):
        raise InputError(
            f"{len(taken.reasons)} of {len(paths)} videos give no flow, more than --max-failed "
            f"{config.max_failed:g} allows; first: {next(iter(taken.reasons.values()))}"
        )
    return taken.swap(train), taken.swap(val), taken.reasons


def _scale_flow(
    config: TrainConfig, plan: Plan, init: InitModel | None, train: Sequence[Video]
) -> Plan:
    """Return a plan by which the network sees flow in a unit that fits it.

    Small pictures move by fractions of a px; as shares of 20 px these would vanish beside the
    epsilon of the first norm.
    """
    keeps = init is not None and init.model.spec.modality == "flow"
    if plan.spec.modality != "flow" or (keeps and config.flow_px is None):
        return plan
    unit_px = config.flow_px or measure_flow([video.path for video in train])
    std = (unit_px / (2 * FLOW_BOUND_PX),) * FLOW_CHANNELS
    reason = f"{unit_px:g} px of flow seen as 1"
    reason += " (--flow-px)" if config.flow_px else ": its spread in the data (--flow-px)"
    spec = replace(plan.spec, std=std)
    return replace(plan, spec=spec, reasons=(*plan.reasons, reason))


def _plan_start(
    config: TrainConfig,
    plan: Plan,
    origin: Origin,
    labels: tuple[str, ...],
    counts: tuple[int, int],
) -> Plan:
    """Add to a plan what is taken of a model, what stays so, and how often that is computed."""
    start, lines = make_start(origin, labels, counts[0])
    freezing = plan_freezing(config, origin.is_shipped, counts, len(labels))
    plan = replace(plan, start=start, freeze_until=freezing.until, also_until=freezing.also_until)
    views, told = choose_views(config, plan, *counts)
    reasons = (
        *lines,
        *([freezing.reason] if freezing.reason else []),
        *plan.reasons,
        *([told] if told else []),
    )
    return replace(plan, views=views, reasons=reasons)


def _check_options(config: TrainConfig) -> None:
    """Refuse at once what would be refused after all videos were opened."""
    if config.style is not None:
        find_style(config.style)
    if config.network is not None:
        network_word(config.network)
    check_writable(Path(config.out))


def _without_tests(listed: VideoList) -> VideoList:
    """Return the list without what is marked test, which training neither opens nor counts."""
    videos = tuple(video for video in listed.videos if video.split != "test")
    if not videos:
        raise InputError(
            f"{listed.source}: every video is marked test or is missing; mark some train."
        )
    missing = tuple(video for video in listed.missing if video.split != "test")
    return replace(listed, videos=videos, missing=missing)


def _describe_coverage(asked: VideoList, train: Sequence[Video], val: Sequence[Video]) -> str:
    """Return how many of the listed videos a run uses: every figure of it carries that."""
    parts = [video.part for video in (*asked.videos, *asked.missing)]
    if not any(video.split == "val" for video in val):
        return f"{len(train) + len(val):,} of {len(parts):,} listed videos used"
    return (
        f"{len(val):,} of {parts.count('val'):,} listed videos to validate, "
        f"{len(train):,} of {parts.count('train'):,} to train"
    )


def _check_failures(config: TrainConfig, opened: Opened, listed: int) -> None:
    failed = len(opened.failures)
    if not opened.videos:
        raise InputError(f"not one of {listed} videos can be read; first: {opened.failures[0][1]}")
    if failed > config.max_failed * listed:
        raise InputError(
            f"{failed} of {listed} videos cannot be read, more than --max-failed "
            f"{config.max_failed:g} allows; first: {opened.failures[0][1]}"
        )


def _check_classes(videos: Sequence[Video], listed: VideoList) -> tuple[str, ...]:
    present = {video.label for video in videos}
    missing = [label for label in listed.labels if label not in present]
    if missing:
        raise InputError(
            f"{listed.source}: class {missing[0]!r} has no video to train on "
            f"({len(missing)} such). Add readable videos to it or remove it."
        )
    if len(listed.labels) < 2:
        raise InputError(f"{listed.source}: one class only; at least 2 are needed.")
    return listed.labels


def _check_counts(videos: Sequence[Video], listed: VideoList) -> None:
    label, count = Counter(video.label for video in videos).most_common()[-1]
    if count < FEWEST_A_CLASS:
        raise InputError(
            f"{listed.source}: class {label!r} has {count} readable video; at least "
            f"{FEWEST_A_CLASS} are needed. Add videos to it or remove it."
        )


def _describe(listed: VideoList, opened: Opened, tests: int) -> list[str]:
    counts = Counter(video.label for video in opened.videos)
    few, many = min(counts.values()), max(counts.values())
    notes = [
        f"{len(opened.videos)} videos of {len(listed.labels)} classes, {few} to {many} a class"
    ]
    if tests:
        notes.append(f"{tests} videos marked test were not opened")
    if few < 10:
        short = ", ".join(repr(label) for label, count in counts.items() if count < 10)
        notes.append(f"warning: fewer than 10 videos of {short}; expect little of them")
    return notes


def _group(opened: Opened, threads: int, progress: Progress, notes: list[str]) -> tuple[Video, ...]:
    """Give videos without a group that of the source they seem cut from."""
    signatures: list[Signature | None] = []
    with ThreadPoolExecutor(threads) as pool:
        for done, found in enumerate(pool.map(_sign, opened.infos), start=1):
            signatures.append(found)
            progress(done, len(opened.infos))
    groups = group_by_source(opened.videos, signatures)
    notes.append(f"{len(set(groups))} sources found by names and still parts of the pictures")
    return tuple(replace(v, group=g) for v, g in zip(opened.videos, groups, strict=True))


def _sign(info: VideoInfo) -> Signature | None:
    if info.channels == FLOW_CHANNELS:
        return None  # Its still part is empty, whatever was filmed.
    wanted = np.linspace(0, info.frames - 1, SIGNATURE_FRAMES).round().astype(np.int64)
    try:
        return signature(read_frames(info, wanted, SIGNATURE_PX))
    except InputError:
        return None


def _split(
    videos: tuple[Video, ...], config: TrainConfig, notes: list[str]
) -> tuple[tuple[Video, ...], tuple[Video, ...]]:
    if not config.val_share:
        notes.append("no validation was asked for; the last weights are kept")
        return videos, ()
    train, val = split_videos(videos, config.val_share, config.seed)
    if len(val) < FEWEST_VALIDATED:
        notes.append(
            "warning: no honest validation split was possible (too few sources); all videos are "
            "trained on and the last weights are kept"
        )
        return videos, ()
    seen = {video.label for video in val}
    absent = sorted({video.label for video in train} - seen)
    notes.append(f"{len(train)} videos to train, {len(val)} to validate, no source in both")
    if absent:
        names = ", ".join(repr(label) for label in absent[:5])
        notes.append(f"warning: {len(absent)} classes are not validated (one source only): {names}")
    return train, val
