"""Fine-tuning a frozen trunk on 241 real clips: an epoch with and without its features cached.

    scripts/benchmark frozen [--blocks mixed4f,mixed5c --frames 16 --size 112 --views 4]

Both ways are one run (same model to start from, same clips, same order): without the cache the
frozen blocks compute each batch anew, folded, without gradients, from frames kept decoded; with it
their features come from the file. Epochs are taken in turn, so that a change in the machine's
speed falls on both. An epoch is all of it: steps, validation, the saved state and model. The
weights are random, with norms that have seen clips: time does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import nn

import s3d
from benchmarks.fights import find_clips
from s3d.clip import ClipSpec
from s3d.data.clips import read_centre
from s3d.data.feature_store import DATA
from s3d.data.loader import join_features, normalise
from s3d.explore.machine import describe_machine
from s3d.models.model_file import ModelFile, save_model
from s3d.train.config import TrainConfig
from s3d.train.display import Display
from s3d.train.features import keep_features
from s3d.train.loop import Trainer
from s3d.train.plan import Machine, count_cores
from s3d.train.prepare import prepare_run
from s3d.train.run import start_run
from s3d.train.train import open_store

RECORD = Path(__file__).parent / "results" / "frozen.json"
COMPARED = 16
"""Validation clips whose logits are compared."""


def make_model(path: Path, frames: int, size: int) -> None:
    """Save an S3D of full width with random weights and norms that have seen clips."""
    torch.manual_seed(0)
    network = s3d.build("s3d", num_classes=400).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
    with torch.no_grad():
        for _ in range(4):
            network(torch.rand(4, 3, frames, size, size) * 2 - 1)
    spec = ClipSpec(frames, 8.0, (round(size * 8 / 7),) * 2, (size, size))
    labels = tuple(f"class {number}" for number in range(400))
    save_model(path, ModelFile(network.eval(), labels, spec, source="random"))


def open_pair(config: TrainConfig, display: Display) -> tuple[Trainer, Trainer, float]:
    """Return one run's trainer without and with features, and the seconds these took."""
    machine = Machine("cpu", count_cores())
    run = prepare_run(config, machine, display.stage)
    runs = [replace(run, folder=run.folder / name) for name in ("anew", "cached")]
    trainers = []
    for one, keeps_frames in zip(runs, (True, False), strict=True):
        start_run(one)
        store, numbers = open_store(one, machine, display, keeps_frames=keeps_frames)
        trainers.append(Trainer(one, store, numbers, display))
    anew, cached = trainers
    assert cached.trunk is not None
    begin = time.perf_counter()
    cached.use(
        keep_features(
            cached.run, cached.trunk, cached.store, machine.cores, display.stage("features")
        )
    )
    return anew, cached, time.perf_counter() - begin


def measure_epoch(trainer: Trainer, epoch: int) -> float:
    """Return the seconds that an epoch takes."""
    begin = time.perf_counter()
    trainer._train_epoch(epoch)
    return time.perf_counter() - begin


@torch.no_grad()
def compare_logits(anew: Trainer, cached: Trainer) -> dict[str, float]:
    """Return how far logits in eval mode differ, as shares of their norm."""
    assert cached.kept is not None
    videos = cached.val[:COMPARED]
    frames = torch.stack([torch.from_numpy(read_centre(cached.store, v)) for v in videos])
    clips = normalise(frames, cached.run.plan.spec)
    plain, ours = anew.network.eval()(clips), cached.network.eval()(clips)
    features = join_features([cached.kept.features.read(video) for video in videos])
    from_cache = cached.kept.trunk.classify(features)
    return {
        "one_network_from_the_cache_and_from_clips": float(
            (from_cache - ours).norm() / ours.norm()
        ),
        "trained_with_and_without_the_cache": float((ours - plain).norm() / plain.norm()),
    }


def measure_block(config: TrainConfig, display: Display) -> dict[str, Any]:
    """Measure both ways of training with one last frozen block."""
    anew, cached, fill = open_pair(config, display)
    pairs = []
    for epoch in range(anew.run.plan.epochs):
        pairs.append((measure_epoch(anew, epoch), measure_epoch(cached, epoch)))
        print(f"  epoch {epoch + 1}: {pairs[-1][0]:.2f} s anew, {pairs[-1][1]:.2f} s cached")
    pairs = pairs[1:]  # the first one allocates
    ratios = [a / b for a, b in pairs]
    size = (cached.run.cache_path / DATA).stat().st_size
    return {
        "freeze_until": config.freeze_until,
        "seconds_an_epoch_without": round(statistics.median(a for a, _ in pairs), 3),
        "seconds_an_epoch_with": round(statistics.median(b for _, b in pairs), 3),
        "ratio_median": round(statistics.median(ratios), 1),
        "ratio_range": [round(min(ratios), 1), round(max(ratios), 1)],
        "epochs": len(pairs),
        "videos": [len(cached.run.train), len(cached.run.val)],
        "seconds_to_fill_the_cache": round(fill, 1),
        "cache_mb": round(size / 1e6, 1),
        "logits_differ_by": compare_logits(anew, cached),
    }


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", default="mixed4f,mixed5c")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--work", type=Path, default=Path("runs/frozen"))
    args = parser.parse_args()
    clips, rows = find_clips() / "clips.csv", []
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    model = args.work / "init.safetensors"
    make_model(model, args.frames, args.size)
    for block in args.blocks.split(","):
        config = TrainConfig(
            data=str(clips), out=str(args.work / block), init=str(model), freeze_until=block,
            views=args.views, epochs=args.epochs, device="cpu",
        )  # fmt: skip
        rows.append(measure_block(config, Display(quiet=True)))
        print(json.dumps(rows[-1], indent=1), flush=True)
    record = {
        "date": date.today().isoformat(),
        "what": f"an epoch of fine-tuning S3D x 1, {args.frames} frames, {args.size} px, on the "
        f"fights, {args.views} clips a video, batch 32, frozen blocks' features cached or not",
        "weights": "random, norms with statistics of random clips: time does not depend on them",
        "command": f"scripts/benchmark frozen --blocks {args.blocks} --frames {args.frames} "
        f"--size {args.size} --views {args.views} --epochs {args.epochs}",
        "blocks": rows,
        **describe_machine(),
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    shutil.rmtree(args.work, ignore_errors=True)


if __name__ == "__main__":
    main()
