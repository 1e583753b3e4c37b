"""What 8 bits gain and what they cost: OpenVINO in 8 bits against OpenVINO in 32, in turn.

    scripts/benchmark int8 [--pairs 15] [--epochs 40]

A small network is trained on sample videos, ranges are found on its training videos, and unseen
ones are scored in 32 bits and in 8. Then S3D of full width takes clips of 64 x 224 x 224, with
fresh weights: its speed, and how its logits differ. Each pair of runs is one of 32 bits and one of
8, so that a change in the machine's speed falls on both. The record: benchmarks/results/int8.json;
the work lies in runs/int8, and a killed benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import s3d
from s3d.clip import ClipSpec
from s3d.data.synthetic import SampleConfig, write_sample
from s3d.data.video_list import VideoList
from s3d.data.videos import list_videos
from s3d.evaluate.quantise import quantise
from s3d.explore.machine import describe_machine
from s3d.infer.engines.openvino_runner import OpenVinoRunner
from s3d.infer.find_ranges import find_ranges
from s3d.infer.views import read_views
from s3d.models.family import network_name
from s3d.models.graph import build_graph
from s3d.models.model_file import load_model
from s3d.models.network import Network
from s3d.models.quantise import Ranges
from s3d.train.config import TrainConfig
from s3d.train.train import train

WORK = Path("runs/int8")
RECORD = Path(__file__).parent / "results" / "int8.json"
ACTIONS = ("move_left", "move_right", "grow", "shrink", "rotate_clockwise", "rotate_anticlockwise")
SAMPLE = SampleConfig(
    train_clips_per_class=150, test_clips_per_class=50, difficulty=0.1, actions=ACTIONS
)
CALIBRATED = 4
"""Clips by which the ranges of the large network are found."""

HELD_OUT = 4


def read_clips(videos: VideoList, spec: ClipSpec, count: int) -> list[Tensor]:
    """Return a clip from the middle of each of some videos, spread over all."""
    chosen = videos.videos[:: max(1, len(videos.videos) // count)][:count]
    views = [read_views(video.path, spec, "clip") for video in chosen]
    return [
        torch.from_numpy(clip.copy()) for view in views for piece in view.pieces for clip in piece
    ]


def measure(
    network: Network, spec: ClipSpec, ranges: Ranges, clips: Sequence[Tensor], pairs: int
) -> dict[str, Any]:
    """Return how long one clip takes in 32 bits and in 8, and how the logits differ."""
    shape = (1, spec.channels, spec.frames, *spec.size_px)
    graph = build_graph(network, shape, spec=spec)
    plain, rounded = OpenVinoRunner(graph), OpenVinoRunner(graph, ranges=ranges)
    wanted, found = (torch.cat([run(clip[None]) for clip in clips]) for run in (plain, rounded))
    seconds: list[tuple[float, float]] = []
    for turn in range(pairs):
        clip = clips[turn % len(clips)][None]
        pair = []
        for run in (plain, rounded):
            begin = time.perf_counter()
            run(clip)
            pair.append(time.perf_counter() - begin)
        seconds.append((pair[0], pair[1]))
    ratios = [a / b for a, b in seconds]
    return {
        "clip": spec.describe(),
        "fp32_ms": round(1e3 * statistics.median(a for a, _ in seconds), 2),
        "int8_ms": round(1e3 * statistics.median(b for _, b in seconds), 2),
        "times_as_fast_median": round(statistics.median(ratios), 2),
        "times_as_fast_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "pairs": pairs,
        "logits_differ_by": round(float((found - wanted).norm() / wanted.norm()), 4),
        "clips_compared": len(clips),
    }


def list_both() -> VideoList:
    """Return the sample videos as one list: those to train on, and those of unseen scenes."""
    parts = {part: list_videos(WORK / "clips" / part) for part in ("train", "test")}
    videos = [replace(v, split=part) for part, listed in parts.items() for v in listed.videos]
    return VideoList(tuple(videos), parts["train"].labels, "the sample data", ())


def measure_trained(epochs: int, pairs: int) -> dict[str, Any]:
    """Train a small network where that is not done, and score it in 32 bits and in 8."""
    write_sample(WORK / "clips", SAMPLE)
    data, out = str(WORK / "clips" / "train"), str(WORK / "run")
    path = train(TrainConfig(data=data, out=out, init="none", size=48, epochs=epochs))
    videos = list_both()
    found = quantise(load_model(path), videos)
    model = found.model
    assert model.ranges is not None
    clips = read_clips(videos.take("test"), model.spec, 16)
    return {
        "network": f"{network_name(model.network.word)} x {model.network.width:g}, {epochs} epochs",
        "top1_fp32": round(found.before.top(1), 4),
        "top1_int8": round(found.after.top(1), 4),
        "named_alike": found.alike,
        "test_videos": len(found.after.truth),
        "ranges_from_clips": found.clips,
        **measure(model.network, model.spec, model.ranges, clips, pairs),
    }


def measure_large(word: str, spec: ClipSpec, pairs: int) -> dict[str, Any]:
    """Measure a network of full width with fresh weights."""
    torch.manual_seed(0)
    network = s3d.build(word, num_classes=400).eval()
    clips = read_clips(list_both().take("test"), spec, CALIBRATED + HELD_OUT)
    ranges = find_ranges(network, spec, clips[:CALIBRATED])
    return measure(network, spec, ranges, clips[CALIBRATED:], pairs)


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    args = parser.parse_args()
    side = round(args.size * 256 / 224)
    spec = ClipSpec(frames=args.frames, size_px=(args.size,) * 2, resize_px=(side,) * 2)
    record = {
        "date": date.today().isoformat(),
        "what": "OpenVINO in 8 bits against OpenVINO in 32, one clip at a time",
        "trained": measure_trained(args.epochs, args.pairs),
        "s3d": measure_large("s3d", spec, args.pairs),
        "s3d_g": measure_large("s3d_g", spec, args.pairs),
        "openvino": version("openvino"),
        **describe_machine(),
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
