"""What the frozen features of a model are worth: a linear probe of each block, in a line of JSON.

    python -m benchmarks.probe MODEL [--clips CSV --fold-column fold] [--cache DIR]
    python -m benchmarks.probe MODEL --sample

MODEL is a model file or a name; `none` is the s3d of width 0.25 with random weights. The first form
leaves out each fold of a CSV in turn. The second learns from 5, 10 and 20 clips a class of the
sample data (`benchmarks/few_clips.py`) and is scored on scenes that these do not show; they are
other videos than those of benchmarks/transfer.py. The clips are decoded once into the cache, so
that the next model takes seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.few_clips import CHOOSING, SEEDS, SIZES, draw_sample
from benchmarks.fights import find_clips
from s3d.data.videos import list_videos
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from s3d.models.open import open_model
from s3d.pretrain.frozen import (
    PROBE_BLOCKS,
    PROBE_SPEC,
    ProbeRecipe,
    pool_features,
    read_clips,
)
from s3d.pretrain.probe import FoldScore, fit_probe, make_examples, score_folds
from s3d.train.logistic import Examples

CACHE = Path("runs/probe")


def open_probed(name: str, seed: int = 0) -> ModelFile:
    """Return a model; "none" is a narrow network with random weights."""
    if name != "none":
        return open_model(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ModelFile(build("s3d", num_classes=1, width=0.25).eval(), (), PROBE_SPEC)


def probe_csv(
    model: ModelFile, clips: Path, column: str, recipe: ProbeRecipe, cache: Path
) -> dict[str, Any]:
    """Return the mean accuracy over folds, and that of each, by block.

    "chosen" takes for each fold the block that the other folds choose.
    """
    scores = score_csv(model, clips, column, recipe, cache)
    folds = list(next(iter(scores.values())))
    blocks = {
        block: _summarise([own[fold].accuracy for fold in folds]) for block, own in scores.items()
    }
    chosen = {fold: choose_block({b: scores[b][fold].loss for b in scores}) for fold in folds}
    blocks["chosen"] = {
        **_summarise([scores[block][fold].accuracy for fold, block in chosen.items()]),
        "blocks": list(chosen.values()),
    }
    return {"folds": folds, "blocks": blocks}


def score_csv(
    model: ModelFile, clips: Path, column: str, recipe: ProbeRecipe, cache: Path
) -> dict[str, dict[str, FoldScore]]:
    """Return the scores by block and fold."""
    videos = list_videos(clips).videos
    folds = read_column(clips, column)
    fold_of = [folds[video.path] for video in videos]
    labels = [video.label for video in videos]
    groups = [video.group or video.path for video in videos]
    features = pool_features(model.network, read_clips(videos, recipe, cache), recipe)
    return {b: dict(score_folds(f, labels, groups, fold_of)) for b, f in features.items()}


def probe_sample(
    model: ModelFile, folder: Path, recipe: ProbeRecipe, cache: Path, seeds: Sequence[int] = SEEDS
) -> dict[str, Any]:
    """Return the mean accuracy over seeds, and that of each, by clips a class and by block."""
    rows: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    unseen = _read_examples(
        model, draw_sample(folder, SIZES[0], seeds[0], CHOOSING)[1], recipe, cache
    )
    for seed in seeds:
        # The fewer clips are among the more, so these pass the network once.
        most = _read_examples(
            model, draw_sample(folder, max(SIZES), seed, CHOOSING)[0], recipe, cache
        )
        for size in SIZES:
            wanted = draw_sample(folder, size, seed, CHOOSING)[0]
            rows[size].append(score_few(most.among(wanted), unseen.examples))
    found = {
        str(size): {block: _summarise([row[block] for row in own]) for block in own[0]}
        for size, own in rows.items()
    }
    return {"clips_per_class": found}


def probe_few(
    model: ModelFile, lists: tuple[Path, Path], recipe: ProbeRecipe, cache: Path
) -> dict[str, float]:
    """Return the accuracy on the test videos by block, and by the one that training chose.

    Args:
        model: Of which the features are.
        lists: Of the videos to learn from, and to test.
        recipe: Which features.
        cache: For the clips.
    """
    seen, unseen = (_read_examples(model, path, recipe, cache).examples for path in lists)
    return score_few(seen, unseen)


def score_few(seen: Mapping[str, Examples], unseen: Mapping[str, Examples]) -> dict[str, float]:
    """Return the accuracy on examples that are not learnt from, by block, and of the one chosen."""
    probes = {block: fit_probe(own, len(set(own.labels.tolist()))) for block, own in seen.items()}
    found = {b: probe.classifier.accuracy(unseen[b]) for b, probe in probes.items()}
    return {**found, "chosen": found[choose_block({b: p.loss for b, p in probes.items()})]}


def choose_block(losses: Mapping[str, float]) -> str:
    """Return the block of the least loss; the first where none could be told."""
    return min(losses, key=lambda block: losses[block])


@dataclass(frozen=True, eq=False)
class _Read:
    """Hold the examples of videos by block.

    Attributes:
        paths: Of the videos.
        examples: By block.
    """

    paths: tuple[str, ...]
    examples: Mapping[str, Examples]

    def among(self, wanted: Path) -> dict[str, Examples]:
        """Return those of the videos that a list names."""
        names = {video.path for video in list_videos(wanted).videos}
        rows = np.array([path in names for path in self.paths])
        return {block: own.take(rows) for block, own in self.examples.items()}


def _read_examples(model: ModelFile, path: Path, recipe: ProbeRecipe, cache: Path) -> _Read:
    videos = list_videos(path).videos
    features = pool_features(model.network, read_clips(videos, recipe, cache), recipe)
    examples = {block: make_examples(values, videos) for block, values in features.items()}
    return _Read(tuple(video.path for video in videos), examples)


def read_column(clips: Path, column: str) -> dict[str, str]:
    """Return what a column of a CSV says of each video, by its path as `list_videos` has it."""
    with clips.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or column not in rows[0]:
        raise SystemExit(f"{clips}: has no column {column!r}; name one with --fold-column.")
    return {os.path.normpath(clips.parent / row["path"]): row[column] for row in rows}


def _summarise(accuracies: Sequence[float]) -> dict[str, Any]:
    shown = [round(accuracy, 4) for accuracy in accuracies]
    return {"mean": round(statistics.mean(accuracies), 4), "each": shown}


def main() -> None:
    """Probe one model and print what came of it in one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--fold-column", default="fold")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--sample-folder", type=Path, default=CACHE / "sample")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--blocks", default=",".join(PROBE_BLOCKS))
    parser.add_argument("--pools", default="average")
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--frames", type=int, default=PROBE_SPEC.frames)
    parser.add_argument("--rate-fps", type=float, default=PROBE_SPEC.rate_fps)
    parser.add_argument("--size", type=int, default=PROBE_SPEC.size_px[0])
    parser.add_argument("--seed", type=int, default=0, help="of the random weights of none")
    args = parser.parse_args()
    begin, model = time.perf_counter(), open_probed(args.model, args.seed)
    size = (args.size, args.size)
    spec = replace(
        PROBE_SPEC, frames=args.frames, rate_fps=args.rate_fps, resize_px=size, size_px=size,
        mean=model.spec.mean, std=model.spec.std,
    )  # fmt: skip
    recipe = ProbeRecipe(
        spec, args.windows, tuple(args.blocks.split(",")), tuple(args.pools.split(","))
    )
    if args.sample:
        found = probe_sample(model, args.sample_folder, recipe, args.cache)
    else:
        clips = args.clips or find_clips() / "clips.csv"
        found = probe_csv(model, clips, args.fold_column, recipe, args.cache)
    seconds = round(time.perf_counter() - begin, 1)
    print(json.dumps({"model": args.model, **found, "seconds": seconds}))


if __name__ == "__main__":
    main()
