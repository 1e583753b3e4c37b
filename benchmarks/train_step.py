"""One training step: ours against torchvision's `s3d`, same weights, same clips, same run.

    scripts/benchmark train_step [--batch 4 --frames 16 --size 112]
    scripts/benchmark train_step --device cuda --batch 24 --frames 64 --size 224 --network s3d_g

Both networks take the same step (forward, cross-entropy, backward, SGD), in turn, so that a
change in the machine's speed falls on both; the ratio is taken pair by pair and its median said.
On a GPU both compute in bfloat16. With `--network s3d_g`, the network of the Kinetics recipe, ours
does more than theirs: it has gates.
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
from benchmarks.peers import copy_torchvision_s3d, load_torchvision_s3d
from s3d.explore.machine import describe_machine
from s3d.train.optimise import mixed_precision

CLASSES = 400


def take_step(network: nn.Module, clips: Tensor, labels: Tensor, lr: float = 1e-3) -> float:
    """Take one step of plain SGD and return the loss."""
    network.zero_grad(set_to_none=True)
    with mixed_precision(clips.device.type):
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
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--network", default="s3d", choices=("s3d", "s3d_g"))
    args = parser.parse_args()

    torch.manual_seed(0)
    shape = (args.batch, 3, args.frames, args.size, args.size)
    clips = torch.rand(shape, device=args.device) * 2 - 1
    labels = torch.arange(args.batch, device=args.device)
    theirs = load_torchvision_s3d(CLASSES).to(args.device).train()
    style = "torchvision" if args.network == "s3d" else "paper"
    network = s3d.build(args.network, style=style, num_classes=CLASSES).to(args.device).train()
    difference = None
    if args.network == "s3d":
        copy_torchvision_s3d(theirs, network)
        difference = check_equal(network, theirs, clips[:4])

    pairs = []
    for turn in range(args.pairs + 2):
        pair = measure_step(network, clips, labels), measure_step(theirs, clips, labels)
        if turn >= 2:  # the first steps allocate
            pairs.append(pair)
    ratios = [b / a for a, b in pairs]
    record = {
        "date": date.today().isoformat(),
        "what": f"training step, {args.network}, {args.batch} x {args.frames} x {args.size} x "
        f"{args.size} on {args.device}",
        "ours_ms": round(1e3 * statistics.median(a for a, _ in pairs), 1),
        "torchvision_ms": round(1e3 * statistics.median(b for _, b in pairs), 1),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "pairs": len(pairs),
        "logits_differ_by": difference,
        **describe_machine(args.device),
    }
    print(json.dumps(record, indent=1))
    name = "train_step" if (args.device, args.network) == ("cpu", "s3d") else "train_step_gpu"
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
