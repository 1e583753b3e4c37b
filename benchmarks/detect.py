"""Detection: features that neighbouring key frames share, against each key frame by itself.

    scripts/benchmark detect [--key-frames 40] [--stride 4] [--model MODEL] [--engine auto]

A real clip (UCF-101, 340 x 256, 25 fps) is looked at from file to boxes with scores: decoding,
features, proposals, and the blocks behind them. Both ways run on one engine, by default the fastest
here, and take turns key frame by key frame; weights are random unless a model is named, so that
every key frame has as many proposals as there may be. The peer is the same with `shares=False`: a
window of 20 frames for every key frame, which is what PySlowFast, MMAction2 and the published code
of JHMDB and UCF-101-24 detectors compute. The record is benchmarks/results/detect.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers import give_random_statistics
from s3d.clip import ClipSpec
from s3d.detect.network.detector import Detector
from s3d.detect.network.detector_file import DetectorFile, load_detector
from s3d.detect.network.shape import DetectorShape
from s3d.detect.run.finder import BoxFinder
from s3d.detect.run.look import Seen, VideoLook
from s3d.explore.machine import describe_machine
from s3d.models.network import build

CLIP = "videos/detection/v_IceDancing_g02_c05.mp4"
WARM = 4
"""Key frames that prepare engines and are not timed."""

SETTINGS: tuple[tuple[str, float, tuple[int, int], int, str, int], ...] = (
    # network, width, (height, width), places of a box, image net, proposals
    ("s3d_top_4", 0.25, (160, 208), 7, "none", 16),
    ("s3d_top_4", 0.25, (320, 400), 7, "none", 16),
    ("s3d_fast", 1.0, (320, 400), 7, "none", 16),
    ("s3d_g", 1.0, (320, 400), 14, "resnet50", 16),
)


def make_finder(
    setting: tuple[str, float, tuple[int, int], int, str, int], engine: str
) -> BoxFinder:
    """Return a detector with random weights."""
    network, width, size, roi, image_net, proposals = setting
    torch.manual_seed(0)
    net = build(network, num_classes=1, width=width).eval()
    give_random_statistics(net)
    spec = ClipSpec(20, 25, size, size)
    shape = DetectorShape(roi_px=(roi, roi), image_net=image_net, proposals=proposals)
    detector = Detector({"rgb": net}, {"rgb": spec}, shape, 24).eval()
    return BoxFinder(DetectorFile(detector, tuple(map(str, range(24)))), engine=engine)


def measure(finder: BoxFinder, video: Path, stride: int, count: int) -> dict[str, Any]:
    """Return what a key frame costs both ways, and how far what is found differs."""
    looks = [VideoLook(finder, video) for _ in range(2)]
    ways = [
        look.in_a_row(stride, shares) for look, shares in zip(looks, (True, False), strict=True)
    ]
    seconds: list[list[float]] = [[], []]
    apart, boxes = 0.0, 0
    for number in range(WARM + count):
        seen: list[Seen] = []
        for way, times in zip(ways, seconds, strict=True):
            took, found = _timed(way)
            if found is None:
                break
            seen.append(found)
            if number >= WARM:
                times.append(took)
        if len(seen) < 2:
            break
        apart = max(apart, _difference(seen[0], seen[1]))
        boxes += len(seen[0].found.boxes)
    ratios = [plain / shared for shared, plain in zip(*seconds, strict=True)]
    sharing = looks[0].sharing
    return {
        "engine": next(iter(finder.engines.values())).name,
        "shared_until": sharing.until if sharing else None,
        "key_frames": len(ratios),
        "boxes_a_key_frame": round(boxes / (WARM + len(ratios)), 1),
        "shared_ms": round(1e3 * statistics.median(seconds[0]), 1),
        "recomputed_ms": round(1e3 * statistics.median(seconds[1]), 1),
        "key_frames_per_second": round(1 / statistics.median(seconds[0]), 2),
        "ratio_median": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "boxes_differ_by_px": apart,
    }


def _timed(way: Iterator[Seen]) -> tuple[float, Seen | None]:
    begin = time.perf_counter()
    found = next(way, None)
    return time.perf_counter() - begin, found


def _difference(one: Seen, other: Seen) -> float:
    """Return the largest difference of boxes in px and of scores; inf where others are found."""
    same = one.frame == other.frame and one.found.boxes.shape == other.found.boxes.shape
    if not same:
        return float("inf")
    boxes = np.abs(one.found.boxes - other.found.boxes).max(initial=0.0)
    scores = np.abs(one.found.scores - other.found.scores).max(initial=0.0)
    return float(max(boxes, scores))


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key-frames", type=int, default=40)
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--model", help="a detector of one's own, in the place of random weights")
    parser.add_argument("--engine", default="auto")
    args = parser.parse_args(words)
    shared = Path(os.environ.get("S3D_SHARED", Path(__file__).parents[2] / "shared"))
    rows = []
    for setting in SETTINGS if args.model is None else SETTINGS[:1]:
        if args.model:
            finder = BoxFinder(load_detector(args.model), engine=args.engine)
            named: dict[str, Any] = {"model": args.model}
        else:
            finder = make_finder(setting, args.engine)
            names = ("network", "width", "size_px", "roi_px", "image_net", "proposals")
            named = dict(zip(names, setting, strict=True))
        row = {**named, **measure(finder, shared / CLIP, args.stride, args.key_frames)}
        rows.append(row)
        print(json.dumps(row), flush=True)
    if args.model:
        return
    record = {
        "date": date.today().isoformat(),
        "what": f"key frames every {args.stride} frames of {CLIP}, file to boxes, windows of 20 "
        "frames; features shared by neighbours against recomputed, same engine, in turn",
        "command": "scripts/benchmark detect",
        "rows": rows,
        **describe_machine(),
    }
    path = Path(__file__).parent / "results" / "detect.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
