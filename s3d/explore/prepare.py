"""What all trials of an exploration share: videos parted once, one recipe, one length."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from s3d.clip import ClipSpec
from s3d.data.store import Progress
from s3d.data.videos import Video, list_videos
from s3d.errors import InputError
from s3d.explore.candidate import Grid, find_networks
from s3d.explore.price import Contract
from s3d.explore.settings import ExploreConfig
from s3d.files import make_folder, show_path, write_json, write_text
from s3d.models.style import Style
from s3d.train.config import NONE, TrainConfig
from s3d.train.plan import Machine
from s3d.train.prepare import prepare_run
from s3d.train.run import Run

FORMAT = "s3d-explore-1"
SETTINGS = "explore.json"
SPLIT_SEED = 0
"""The videos are parted alike for every seed, so that trials can be compared video by video."""


@dataclass(frozen=True)
class Part:
    """Name one way the videos are parted.

    Attributes:
        data: To train on.
        scored: To score.
    """

    data: str
    scored: str


@dataclass(frozen=True)
class Shared:
    """Hold what the trials of an exploration have in common, and what must not change in it.

    Attributes:
        asked: What decides it: the data, how it is scored, and the recipe's options.
        parts: The ways the videos are parted.
        labels: The classes.
        width: Chosen for the machine.
        spec: The clip chosen for the data.
        style: The convention of the layers.
        epochs: Of a whole training, if nothing else is asked for.
        videos: Videos to train on, in each part.
        batch: Clips in a step.
        notes: What was decided about the data, and why.
        failures: (path, reason) of files that could not be used.
    """

    asked: Mapping[str, Any]
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    width: float
    spec: ClipSpec
    style: Style
    epochs: int
    videos: tuple[int, ...]
    batch: int
    notes: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]

    @property
    def options(self) -> dict[str, Any]:
        """Return the recipe: fields of `TrainConfig` that all trials share."""
        return dict(self.asked["options"])

    def contract(self, device: str) -> Contract:
        """Return what the networks share."""
        return Contract(self.spec, self.style, len(self.labels), device)

    def grid(self, config: ExploreConfig) -> Grid:
        """Return the candidates' values: those asked for, or those that suit the data."""
        spec = self.spec
        return Grid(
            find_networks(config.network_patterns),
            config.widths_asked or (self.width,),
            config.frames_asked or (spec.frames,),
            config.sizes_asked or (spec.size_px[0],),
            config.rates_asked or (spec.rate_fps,),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"format": FORMAT, **asdict(self), "spec": self.spec.to_json()}


def find_shared(
    config: ExploreConfig,
    recipe: TrainConfig,
    machine: Machine,
    stage: Callable[[str], Progress],
) -> Shared:
    """Return what an exploration's folder says its trials share, or settle it.

    Args:
        config: What was asked for.
        recipe: The options of every training; from random weights where it names none.
        machine: What computes.
        stage: Called with what is being done, gives what is told of its progress.

    Raises:
        InputError: The data cannot be used, or the folder holds another exploration.
    """
    folder = Path(config.out).absolute()
    # Networks are compared on equal terms: a trunk that comes with s3d would help some alone.
    recipe = replace(recipe, init=recipe.init or NONE)
    asked = {
        "data": config.data,
        "scored": config.scored,
        "folds": config.folds,
        "quarantine": config.quarantine,
        "protocol": config.protocol,
        "reversed": config.reversed,
        "options": _changed(recipe),
    }
    path = folder / SETTINGS
    if path.exists():
        shared = _read(path)
        _check_same(asked, shared.asked, folder)
        return shared
    _check_empty(folder)
    run = _prepare(config, recipe, machine, stage)
    make_folder(folder)
    parts, notes = _part(config, run, folder)
    videos = tuple(len(list_videos(part.data).videos) for part in parts)
    notes = [note for note in run.notes if "validat" not in note] + notes
    plan = run.plan
    shared = Shared(
        asked, parts, run.labels, plan.width, plan.spec, plan.style, plan.epochs, videos,
        recipe.batch, tuple(notes), run.failures,
    )  # fmt: skip
    write_json(path, shared.to_json())
    return shared


def read_groups(scored: str) -> dict[str, str]:
    """Return the source of each scored video by its path; a video without one is its own."""
    return {v.path: v.group or v.path for v in list_videos(scored, least_classes=1).videos}


def _prepare(
    config: ExploreConfig,
    recipe: TrainConfig,
    machine: Machine,
    stage: Callable[[str], Progress],
) -> Run:
    share = 0.0 if config.scored else recipe.val_share
    first = Grid(
        find_networks(config.network_patterns), config.widths_asked, config.frames_asked,
        config.sizes_asked, config.rates_asked,
    )  # fmt: skip
    wanted = replace(
        recipe,
        data=config.data,
        out=config.out,
        network="s3d" if recipe.init == NONE else None,
        width=next(iter(first.widths), None),
        frames=next(iter(first.frames), None),
        size=next(iter(first.sizes_px), None),
        rate_fps=next(iter(first.rates_fps), None),
        epochs=config.epochs,
        val_share=share,
        seed=SPLIT_SEED,
        quarantine=config.quarantine,
    )
    return prepare_run(wanted, machine, stage)


def _part(config: ExploreConfig, run: Run, folder: Path) -> tuple[tuple[Part, ...], list[str]]:
    """Write the lists, and return the ways the videos are parted and what is to be said of them."""
    lists = folder / "lists"
    make_folder(lists)
    if config.scored:
        labels = list_videos(config.scored, least_classes=1).labels
        unknown = [label for label in labels if label not in run.labels]
        if unknown:
            raise InputError(
                f"--scored {config.scored}: class {unknown[0]!r} is not among those trained on: "
                f"{', '.join(run.labels[:10])}."
            )
        write_list(lists / "train.csv", run.train, "train")
        train = f"{lists / 'train.csv'}?part=train"
        return (Part(train, config.scored),), [f"scored: {config.scored}"]
    if config.folds:
        return _part_in_folds(config.folds, run, lists)
    if not run.val:
        raise InputError(
            f"{config.data}: no honest part can be held out (too few sources). Use --folds N, or "
            "name other videos with --scored."
        )
    path = lists / "split.csv"
    write_list(path, [*run.train, *run.val], ["train"] * len(run.train) + ["val"] * len(run.val))
    note = f"{len(run.train)} videos to train, {len(run.val)} to score, no source in both"
    return (Part(f"{path}?part=train", f"{path}?part=val"),), [note]


def _part_in_folds(folds: int, run: Run, lists: Path) -> tuple[tuple[Part, ...], list[str]]:
    videos = [*run.train, *run.val]
    numbers = deal_in_folds(videos, folds)
    parts = []
    for fold in range(folds):
        path = lists / f"fold{fold}.csv"
        split = ["val" if number == fold else "train" for number in numbers]
        write_list(path, videos, split)
        parts.append(Part(f"{path}?part=train", f"{path}?part=val"))
    sources = len({video.group for video in videos})
    note = f"{folds} folds of {len(videos)} videos from {sources} sources, no source in two"
    return tuple(parts), [note]


def deal_in_folds(videos: Sequence[Video], folds: int) -> list[int]:
    """Return the fold of each video: whole sources, large ones first, each where it evens most.

    Raises:
        InputError: A class has fewer sources than there are folds.
    """
    labels = sorted({video.label for video in videos})
    groups: dict[str, np.ndarray[Any, np.dtype[np.int64]]] = {}
    for place, video in enumerate(videos):
        key = video.group if video.group is not None else f"\0{place}"
        counts = groups.setdefault(key, np.zeros(len(labels), np.int64))
        counts[labels.index(video.label)] += 1
    for number, label in enumerate(labels):
        sources = sum(counts[number] > 0 for counts in groups.values())
        if sources < folds:
            raise InputError(
                f"class {label!r} comes from {sources} sources; {folds} folds need as many. Use "
                "fewer --folds, or name other videos with --scored."
            )
    total = np.sum(list(groups.values()), 0)
    filled = np.zeros((folds, len(labels)))
    chosen: dict[str, int] = {}
    for key in sorted(groups, key=lambda k: (-int(groups[k].sum()), k)):
        after = (filled + groups[key]) / total
        before = filled / total
        gain = (after**2 - before**2).sum(1)
        chosen[key] = int(gain.argmin())
        filled[chosen[key]] += groups[key]
    return [chosen[v.group if v.group is not None else f"\0{i}"] for i, v in enumerate(videos)]


def write_list(path: Path, videos: Sequence[Video], split: str | Sequence[str]) -> None:
    """Write videos as a CSV list, with whole paths.

    Args:
        path: The list.
        videos: What it lists.
        split: Of all of them, or of each: train or val.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label", "group", "split"))
    splits = [split] * len(videos) if isinstance(split, str) else split
    for video, part in zip(videos, splits, strict=True):
        # Whoever reads the list may stand elsewhere.
        full = os.path.abspath(video.path)  # noqa: PTH100 - of a frame folder with its rate, too
        writer.writerow((full, video.label, video.group or "", part))
    write_text(path, text.getvalue())


def _changed(recipe: TrainConfig) -> dict[str, Any]:
    """Return the recipe's options that are not the default."""
    default = TrainConfig(init=NONE).to_json()
    return {name: value for name, value in recipe.to_json().items() if value != default[name]}


def _read(path: Path) -> Shared:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError("another version")
        rebuilt = {
            "parts": tuple(Part(**part) for part in values["parts"]),
            "labels": tuple(values["labels"]),
            "spec": ClipSpec.from_json(values["spec"]),
            "style": Style.from_json(values["style"]),
            "videos": tuple(values["videos"]),
            "notes": tuple(values["notes"]),
            "failures": tuple((path, reason) for path, reason in values["failures"]),
        }
        return Shared(**{**values, **rebuilt})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{show_path(path)}: is damaged or of another version of s3d. Choose another --out."
        ) from None


def _check_same(asked: Mapping[str, Any], found: Mapping[str, Any], folder: Path) -> None:
    wanted, had = (dict(values) for values in (asked, found))
    wanted.update(wanted.pop("options"))
    had.update(had.pop("options"))
    for name in sorted({*wanted, *had}):
        if wanted.get(name) != had.get(name):
            raise InputError(
                f"{show_path(folder)}: holds an exploration with {name} {had.get(name)!r}, not "
                f"{wanted.get(name)!r}. Give the same options to go on with it, or choose another "
                "--out."
            )


def _check_empty(folder: Path) -> None:
    if folder.is_file():
        raise InputError(f"{show_path(folder)}: is a file; --out needs a folder.")
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    strangers = [name for name in found if name not in ("lists", ".lock", "prices.json")]
    if strangers:
        raise InputError(
            f"{show_path(folder)}: holds other things ({show_path(strangers[0])}); --out needs a "
            "new or empty folder, or that of an exploration."
        )
