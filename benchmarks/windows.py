"""Overlapping windows: what they share computed once, against each window by itself.

    scripts/benchmark windows [--windows 9] [--networks s3d_fast i3d_top_4 s3d] [--engine auto]

Windows of 64 x 224 x 224, one every 8, 16 and 32 frames, of noise, with random weights and norms.
Both ways run on one engine, by default the fastest here, and take turns window by window. Ours is
`s3d.infer.scorer.WindowScorer`; the peer is the same with `reuse=False`, which is what everybody
else does. The record is benchmarks/results/windows.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import s3d
from benchmarks.peers import give_random_statistics
from benchmarks.speed_page import PAGE, format_windows, write_part
from s3d.clip import ClipSpec
from s3d.explore.machine import describe_machine
from s3d.infer.recognizer import Recognizer
from s3d.infer.scorer import TRIALS, WindowScorer
from s3d.models.model_file import ModelFile

CLASSES = 400
WARM_WINDOWS = 2 + TRIALS
"""The first ones prepare, or are computed both ways to see that sharing is right and pays."""


def make_recognizer(network: str, engine: str) -> Recognizer:
    """Return a network with random weights and norms, of torchvision's style."""
    torch.manual_seed(0)
    net = s3d.build(network, style="torchvision", num_classes=CLASSES).eval()
    give_random_statistics(net)
    labels = tuple(str(number) for number in range(CLASSES))
    return Recognizer(ModelFile(net, labels, ClipSpec())).use(engine)


def measure(recognizer: Recognizer, stride: int, windows: int) -> dict[str, Any]:
    """Return what windows cost both ways, and how far their logits differ."""
    scorers = [WindowScorer(recognizer, stride, reuse=reuse) for reuse in (True, False)]
    rng = np.random.default_rng(0)
    seconds: list[list[float]] = [[], []]
    difference = 0.0
    for number in range(windows + WARM_WINDOWS):
        count = stride if number else recognizer.spec.frames
        frames = rng.integers(0, 256, (count, *recognizer.spec.size_px, 3), np.uint8)
        logits: list[npt.NDArray[np.float32]] = []
        for scorer, times in zip(scorers, seconds, strict=True):
            begin = time.perf_counter()
            (window,) = scorer.push(frames)
            if number >= WARM_WINDOWS:
                times.append(time.perf_counter() - begin)
            logits.append(window.logits)
        apart = float(np.linalg.norm(logits[0] - logits[1]) / np.linalg.norm(logits[1]))
        difference = max(difference, apart)
    ratios = [plain / shared for shared, plain in zip(*seconds, strict=True)]
    sharing = scorers[0].sharing
    return {
        "stride_frames": stride,
        "shared_until": scorers[0].shares_until,
        "multiply_adds_ratio": round(sharing.macs_plain / sharing.macs_shared, 2),
        "shared_ms": round(1e3 * statistics.median(seconds[0]), 1),
        "plain_ms": round(1e3 * statistics.median(seconds[1]), 1),
        "ratio_median": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "logits_differ_by": difference,
    }


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=9)
    parser.add_argument("--networks", nargs="+", default=["s3d_fast", "i3d_top_4", "s3d"])
    parser.add_argument("--strides", nargs="+", type=int, default=[8, 16, 32])
    parser.add_argument("--engine", default="auto")
    args = parser.parse_args(words)
    rows = []
    for network in args.networks:
        recognizer = make_recognizer(network, args.engine)
        for stride in args.strides:
            row = {"network": network, "engine": recognizer.engine.name}
            rows.append({**row, **measure(recognizer, stride, args.windows)})
            print(json.dumps(rows[-1]), flush=True)
    record = {
        "date": date.today().isoformat(),
        "what": "a window of 64 x 224 x 224, what windows share computed once against each by "
        "itself, same engine",
        "command": "scripts/benchmark windows",
        "windows": args.windows,
        "rows": rows,
        **describe_machine(),
    }
    path = Path(__file__).parent / "results" / "windows.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    write_part(PAGE, "windows", format_windows(record))


if __name__ == "__main__":
    main()
