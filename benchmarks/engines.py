"""One clip through S3D: our engines against torchvision's net, eager and exported by hand.

    scripts/benchmark engines [--rounds 9 --frames 64 --size 224]

All have the same weights, the same clip, the same threads, single precision, and logits that are
compared before anything is timed. Ours take uint8 frames and normalise them within the time;
torchvision's net takes floats that were normalised before it, so the comparison leans to its side.
Its exports are what a person makes by hand: `openvino.convert_model` and `compile_model` with the
hint of latency, and `torch.onnx.export` for ONNX Runtime. They run in turn, and ratios are taken
round by round. Then our other networks, each engine against eager.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import s3d
from benchmarks.pairs import Work, medians_ms, time_in_turn, times_as_fast
from benchmarks.peers import (
    compile_with_openvino,
    copy_torchvision_s3d,
    give_random_statistics,
    load_torchvision_s3d,
    open_with_onnxruntime,
)
from benchmarks.speed_page import PAGE, format_engines, write_part
from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.explore.machine import describe_machine
from s3d.infer.engines.choose import choose_engine, package_version
from s3d.infer.engines.engine import Engine, usable_engines
from s3d.infer.engines.measure import TOLERANCE, measure_engines
from s3d.models.network import Network

RECORD = Path(__file__).parent / "results" / "engines.json"
CLASSES = 400
OTHERS = ("s3d_fast", "s3d_g", "i3d_top_4", "i3d", "i2d")
PACKAGES = ("openvino", "onnxruntime", "torchvision")
EAGER_PEER = "torchvision eager"


def make_twins(num_classes: int = CLASSES) -> tuple[Network, nn.Module]:
    """Return our S3D and torchvision's with the same weights, in eval mode."""
    torch.manual_seed(0)
    theirs = load_torchvision_s3d(num_classes).eval()
    give_random_statistics(theirs)
    ours = s3d.build("s3d", style="torchvision", num_classes=num_classes).eval()
    copy_torchvision_s3d(theirs, ours)
    return ours, theirs


def list_contestants(spec: ClipSpec, skipped: Sequence[str]) -> tuple[dict[str, Work], str]:
    """Return what gives logits for one clip, by name, and which of ours is the default."""
    ours, theirs = make_twins()
    frames = draw_frames(spec)
    clips = normalise(frames, spec).contiguous()
    default = choose_engine(ours, spec, tell=print).name
    works: dict[str, Work] = {}
    for name in usable_engines("cpu"):
        works[f"ours {name}"] = _run_engine(Engine(ours, spec, name), frames)
    works[EAGER_PEER] = lambda: _run_eagerly(theirs, clips)
    threads = torch.get_num_threads()
    if "openvino" not in skipped:
        compiled = compile_with_openvino(theirs, clips, threads)
        works["torchvision openvino"] = lambda: compiled([clips.numpy()])[0]
    if "onnxruntime" not in skipped:
        session = open_with_onnxruntime(theirs, clips, threads)
        works["torchvision onnxruntime"] = lambda: session.run(None, {"clips": clips.numpy()})[0]
    return works, f"ours {default}"


def draw_frames(spec: ClipSpec) -> Tensor:
    """Return one clip of noise (1, T, H, W, C) uint8."""
    shape = (1, spec.frames, *spec.size_px, spec.channels)
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def _run_engine(engine: Engine, frames: Tensor) -> Work:
    return lambda: engine.logits(frames).numpy()


def _run_eagerly(network: nn.Module, clips: Tensor) -> Any:
    with torch.inference_mode():
        return network(clips).numpy()


def check_equal(works: dict[str, Work]) -> dict[str, float]:
    """Return how far the logits of each are from torchvision's eager, as a share of their norm."""
    wanted = works[EAGER_PEER]()
    found = {}
    for name, work in works.items():
        difference = float(np.linalg.norm(work() - wanted) / np.linalg.norm(wanted))
        if not difference <= TOLERANCE:
            raise SystemExit(f"{name}: logits differ by {difference:.1e} of their norm")
        found[name] = difference
    return found


def measure_s3d(spec: ClipSpec, rounds: int, skipped: Sequence[str]) -> dict[str, Any]:
    """Measure S3D: every engine of ours and torchvision's net in turn."""
    works, default = list_contestants(spec, skipped)
    differ = check_equal(works)
    seconds = time_in_turn(works, rounds)
    return {
        "default": default,
        "latency_ms": medians_ms(seconds),
        "default_is_times_as_fast_as": times_as_fast(seconds, default),
        "logits_differ_from_torchvision_eager_by": differ,
        "rounds": rounds,
    }


def measure_others(networks: Sequence[str], spec: ClipSpec, runs: int) -> dict[str, Any]:
    """Measure the engines of other networks, each against eager."""
    rows = {}
    for name in networks:
        torch.manual_seed(0)
        network = s3d.build(name, num_classes=CLASSES).eval()
        figures = measure_engines(network, spec, runs=runs, measures_batch=False)
        eager = next(f.latency_ms for f in figures if f.name == "eager")
        rows[name] = {
            f.name: {
                "latency_ms": round(f.latency_ms, 1),
                "times_as_fast_as_eager": round(eager / f.latency_ms, 2) if f.latency_ms else None,
                "difference": f.difference,
                "error": f.error,
            }
            for f in figures
        }
        print(json.dumps({name: rows[name]}, indent=1), flush=True)
    return rows


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--others", default=",".join(OTHERS), help="networks, or nothing")
    parser.add_argument("--skip", default="", help="exports not to measure: openvino,onnxruntime")
    parser.add_argument("--out", type=Path, default=RECORD)
    args = parser.parse_args()

    side = (args.size, args.size)
    spec = replace(ClipSpec(), frames=args.frames, size_px=side, resize_px=side)
    s3d_row = measure_s3d(spec, args.rounds, args.skip.split(","))
    print(json.dumps(s3d_row, indent=1), flush=True)
    others = [name for name in args.others.split(",") if name]
    record = {
        "date": date.today().isoformat(),
        "what": f"one clip of {args.frames} x {args.size} x {args.size}, CPU, single precision",
        "s3d": s3d_row,
        "other_networks": measure_others(others, spec, args.rounds),
        **describe_machine(),
        **{package: package_version(package) for package in PACKAGES},
    }
    args.out.write_text(json.dumps(record, indent=1) + "\n")
    if args.out == RECORD:
        write_part(PAGE, "engines", format_engines(record))


if __name__ == "__main__":
    main()
