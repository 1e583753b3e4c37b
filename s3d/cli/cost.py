"""s3d cost: what a network weighs and computes, block by block."""

from __future__ import annotations

import argparse
import json

from s3d.cli.parser import Verbs, add_verb
from s3d.errors import InputError
from s3d.models.family import network_word
from s3d.models.style import STYLES


def add(verbs: Verbs) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "cost", "print a network's parameters and multiply-adds", run)
    parser.add_argument("network", help="a name or 11-letter word (`s3d list`)")
    parser.add_argument("--frames", type=int, default=64, metavar="N", help="of a clip [64]")
    parser.add_argument("--size", type=int, default=224, metavar="PX", help="of a clip [224]")
    parser.add_argument("--style", default="paper", help=f"{', '.join(STYLES)} [paper]")
    parser.add_argument("--width", type=float, default=1.0, help="multiplier of the channels [1]")
    parser.add_argument("--classes", type=int, default=400, metavar="N", help="classes [400]")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the costs of the blocks and their total, and return the exit code."""
    network_word(options.network)
    if options.frames < 1 or options.size < 1:
        raise InputError("--frames and --size are whole numbers from 1 (size from 32).")
    from s3d.models.cost import count_cost

    cost = count_cost(
        options.network,
        options.frames,
        (options.size, options.size),
        num_classes=options.classes,
        style=options.style,
        width=options.width,
    )
    rows = [(b.name, " x ".join(map(str, b.shape)), b.parameters, b.macs) for b in cost.blocks]
    if options.json:
        keys = ("block", "shape", "parameters", "macs")
        blocks = [dict(zip(keys, row, strict=True)) for row in rows]
        total = {"parameters": cost.parameters, "macs": cost.macs}
        print(json.dumps({"network": options.network, **total, "blocks": blocks}, indent=1))
        return 0
    print(f"{'block':<9}{'output C x T x H x W':<24}{'parameters':>12}{'multiply-adds':>16}")
    for name, shape, parameters, macs in rows:
        print(f"{name:<9}{shape:<24}{parameters:>12,}{macs / 1e9:>14.3f} G")
    print(f"{'total':<33}{cost.parameters:>12,}{cost.macs / 1e9:>14.3f} G")
    return 0
