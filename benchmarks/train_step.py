"""One training step: ours against torchvision's `s3d`, same weights, same clips, same run.

    scripts/benchmark train_step [--batch 4 --frames 16 --size 112]

Both networks take the same step (forward, cross-entropy, backward, SGD), in turn, so that a
change in the machine's speed falls on both; the ratio is taken pair by pair and its median said.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import s3d
from benchmarks.machine import describe_machine
from benchmarks.peers import copy_torchvision_s3d, load_torchvision_s3d

CLASSES = 400


def take_step(network: nn.Module, clips: Tensor, labels: Tensor, lr: float = 1e-3) -> float:
    """Take one step of plain SGD and return the loss."""
    network.zero_grad(set_to_none=True)
    loss = F.cross_entropy(network(clips), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=-lr)
    return loss.item()


def measure_step(network: nn.Module, clips: Tensor, labels: Tensor) -> float:
    """Return the seconds one step takes."""
    start = time.perf_counter()
    take_step(network, clips, labels)
    return time.perf_counter() - start


def check_equal(ours: nn.Module, theirs: nn.Module, clips: Tensor) -> float:
    """Return how far the logits in eval mode differ, as a share of their norm."""
    with torch.no_grad():
        a, b = ours.eval()(clips), theirs.eval()(clips)
    ours.train()
    theirs.train()
    difference = float((a - b).norm() / b.norm())
    if difference > 1e-4:
        raise SystemExit(f"the networks differ by {difference:.1e} of their norm: not comparable")
    return difference


def main() -> None:
    """Measure, print and keep a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--pairs", type=int, default=15)
    args = parser.parse_args()

    torch.manual_seed(0)
    clips = torch.rand(args.batch, 3, args.frames, args.size, args.size) * 2 - 1
    labels = torch.arange(args.batch)
    theirs = load_torchvision_s3d(CLASSES).train()
    network = s3d.build("s3d", style="torchvision", num_classes=CLASSES).train()
    copy_torchvision_s3d(theirs, network)
    difference = check_equal(network, theirs, clips)

    pairs = []
    for turn in range(args.pairs + 2):
        pair = measure_step(network, clips, labels), measure_step(theirs, clips, labels)
        if turn >= 2:  # the first steps allocate
            pairs.append(pair)
    ratios = [b / a for a, b in pairs]
    record = {
        "date": date.today().isoformat(),
        "what": f"training step, S3D, {args.batch} x {args.frames} x {args.size} x {args.size}",
        "ours_ms": round(1e3 * statistics.median(a for a, _ in pairs), 1),
        "torchvision_ms": round(1e3 * statistics.median(b for _, b in pairs), 1),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "pairs": len(pairs),
        "logits_differ_by": difference,
        **describe_machine(),
    }
    print(json.dumps(record, indent=1))
    path = Path(__file__).parent / "results" / "train_step.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
