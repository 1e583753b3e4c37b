"""The features of frozen blocks, computed once for a run and kept in its folder."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from s3d.data.clips import Augmentation, draw_view, read_centre, read_clips
from s3d.data.decode import Frames
from s3d.data.feature_store import DATA, Features, FeatureStore
from s3d.data.loader import normalise, run_ahead
from s3d.data.store import FrameStore, Progress
from s3d.errors import InputError
from s3d.models.cost import count_cost
from s3d.models.device import choose_device
from s3d.train.config import TrainConfig
from s3d.train.effort import PATIENCE_SECONDS, count_effort, show_seconds
from s3d.train.plan import Plan, count_cores
from s3d.train.run import Run
from s3d.train.trunk import PIECE_PIXELS, Trunk, last_fixed

MOST_VIEWS = 8
"""Chosen where there is room: more clips of a video tell little more of it, and take longer."""
FREE_SHARE = 0.9
SECONDS_TO_LOSE = 2.0
"""Of computing features, between two records of what is done."""
VERSION = 1


def choose_views(config: TrainConfig, plan: Plan, train: int, val: int) -> tuple[int, str | None]:
    """Return how many different clips of a video training sees, and why.

    Args:
        config: What was asked for.
        plan: Gives network, clip and what is frozen.
        train: Videos that train.
        val: Videos that validate.
    """
    if config.views is not None:
        return config.views, None
    if plan.freeze_until is None:
        return 0, None
    room, row = _room(config, Path(config.out)), _row_bytes(plan.freeze_until, plan)
    effort = count_effort(plan.word, plan.width, plan.style, plan.spec, plan.freeze_until)
    is_slow = choose_device(config.device) == "cpu"
    for views in range(MOST_VIEWS, 0, -1):
        clips = train * views + val
        seconds = effort.fill_seconds(clips, count_cores()) if is_slow else 0.0
        if clips * row <= room and (views == 1 or seconds <= PATIENCE_SECONDS):
            duration = f" in about {show_seconds(seconds)}" if is_slow else ""
            return views, (
                f"{views} clips of each video, whose frozen features are computed once{duration} "
                f"and kept: {_show_bytes(clips * row)} (--views, --cache-gb)"
            )
    return 0, f"no features are kept: {_show_bytes(room)} do not hold one a video (--cache-gb)"


def can_keep_features(run: Run) -> tuple[bool, str | None]:
    """Say whether a run computes its features once, and why not where it might have."""
    config, plan = run.config, run.plan
    if plan.freeze_until is None or not plan.views:
        return False, None
    rows = len(run.train) * plan.views + len(run.val)
    size = rows * _row_bytes(plan.freeze_until, plan)
    room = _room(config, run.folder, _size_of(run.cache_path / DATA))
    if size <= room:
        return True, None
    return False, (
        f"the features of {plan.views} clips a video would take {_show_bytes(size)}, more than "
        f"the {_show_bytes(room)} there are: they are computed anew at every step (--cache-gb)"
    )


def keep_features(
    run: Run, trunk: Trunk, store: FrameStore, threads: int, progress: Progress
) -> FeatureStore:
    """Compute the features of all clips of a run, or what is still missing of them.

    Args:
        run: Says which clips.
        trunk: The frozen blocks.
        store: The training videos, then the validation videos.
        threads: How many decode.
        progress: Told after each group of videos.

    Raises:
        InputError: The disk will not take them.
    """
    paths = [info.path for info in store.infos]
    assert run.plan.freeze_until is not None
    features = FeatureStore(
        run.cache_path, _key(run, trunk, store), paths, len(run.train), run.plan.views,
        _shape(run.plan.freeze_until, run.plan),
    )  # fmt: skip
    if features.is_whole:
        return features
    saved = time.monotonic()
    for group in _read_groups(run, store, features, threads):
        features.add(len(group.videos), _compute(group, trunk, store), group.failures)
        if time.monotonic() - saved > SECONDS_TO_LOSE:
            features.save()
            saved = time.monotonic()
        progress(features.done, len(paths))
    features.save()
    return features


@dataclass(frozen=True, eq=False)
class _Group:
    """Hold the clips of a few videos.

    Attributes:
        videos: Their numbers.
        frames: (N, T, H, W, 3) uint8 of all their clips; black where a video failed.
        tones: (N, 2) as in `Batch`; None where nothing is changed.
        failures: Why a video failed, by its number.
    """

    videos: range
    frames: Frames
    tones: torch.Tensor | None
    failures: dict[int, str]


def _read_groups(
    run: Run, store: FrameStore, features: FeatureStore, threads: int
) -> Iterator[_Group]:
    """Yield what is not done yet, in groups that do not depend on what is."""
    train, total = len(run.train), len(store.infos)
    clip_pixels = store.spec.frames * math.prod(store.spec.size_px)
    at_once = max(1, PIECE_PIXELS // clip_pixels)
    step = max(1, at_once // run.plan.views)
    groups = [range(i, min(i + step, train)) for i in range(0, train, step)]
    groups += [range(i, min(i + at_once, total)) for i in range(train, total, at_once)]
    missing = [group for group in groups if group.start >= features.done]
    yield from run_ahead(lambda group: _read_group(run, store, group), missing, threads, threads)


def _read_group(run: Run, store: FrameStore, videos: range) -> _Group:
    config, views = run.config, run.plan.views
    augmentation = Augmentation(config.jitter, config.flip)
    parts, tones, failures = list[Frames](), list[tuple[float, float]](), dict[int, str]()
    trains = videos.start < len(run.train)
    for video in videos:
        numbers = range(views) if trains else ()
        draws = [draw_view(store, video, augmentation, config.seed, view) for view in numbers]
        tones += [draw.tone for draw in draws]
        try:
            parts.append(
                read_clips(store, video, draws) if trains else read_centre(store, video)[None]
            )
        except InputError as error:
            failures[video] = str(error)
            shape = (
                views if trains else 1,
                store.spec.frames,
                *store.spec.size_px,
                store.spec.channels,
            )
            parts.append(np.zeros(shape, np.uint8))
    changes = torch.tensor(tones, dtype=torch.float32) if trains else None
    return _Group(videos, np.concatenate(parts), changes, failures)


def _compute(group: _Group, trunk: Trunk, store: FrameStore) -> Features:
    device = next(trunk.frozen.parameters()).device
    tones = None if group.tones is None else group.tones.to(device)
    clips = normalise(torch.from_numpy(group.frames).to(device), store.spec, tones)
    values: Features = trunk.features(clips).permute(0, 2, 3, 4, 1).cpu().numpy()
    return values


def _key(run: Run, trunk: Trunk, store: FrameStore) -> str:
    """Name everything that the features depend on."""
    config, plan = run.config, run.plan
    facts = [
        VERSION,
        trunk.fingerprint(),
        plan.word,
        plan.style.to_json(),
        plan.spec.to_json(),
        plan.views,
        [config.seed, config.jitter, config.flip],
        len(run.train),
        store.fingerprint(),
        next(trunk.frozen.parameters()).device.type,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _shape(until: str, plan: Plan) -> tuple[int, ...]:
    """Return the shape (T, H, W, C) of one clip's features."""
    spec, name = plan.spec, last_fixed(until)
    cost = count_cost(plan.word, spec.frames, spec.size_px, style=plan.style, width=plan.width)
    channels, *places = next(block.shape for block in cost.blocks if block.name == name)
    return (*places, channels)


def _row_bytes(until: str, plan: Plan) -> int:
    return 4 * math.prod(_shape(until, plan))


def _room(config: TrainConfig, folder: Path, used: int = 0) -> float:
    """Return the bytes that features may take: what was granted, or what the disk still has."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    return min(config.cache_gb * 1e9, FREE_SHARE * shutil.disk_usage(there).free + used)


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _show_bytes(count: float) -> str:
    return f"{count / 1e9:.2g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
