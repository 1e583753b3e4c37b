"""s3d list: the networks of the family, layer by layer, and weights by name."""

from __future__ import annotations

import argparse

from s3d.cli.parser import Verbs, add_verb
from s3d.models.family import LAYERS, LETTERS, NETWORKS
from s3d.models.published.weights import WEIGHTS
from s3d.models.shipped.table import SHIPPED


def add(verbs: Verbs) -> None:
    """Add the verb."""
    add_verb(verbs, "list", "show the networks of the family and the weights there are", run)


def run(options: argparse.Namespace) -> int:
    """Print the networks and the weights, and return the exit code."""
    print("\n".join(f"{letter}: {text}" for letter, text in LETTERS.items()))
    short = [layer.removeprefix("conv").removeprefix("mixed") for layer in LAYERS]
    print(f"\n{'network':<14}{' '.join(short)}")
    for name, word in NETWORKS.items():
        print(f"{name:<14}{' '.join(f' {letter}' for letter in word)}")
    print(f"\nAny word of {len(LAYERS)} such letters is a network too.")
    print("\nweights that come with s3d, for --init (where `s3d train` starts), --model, s3d.load:")
    for name, shipped in SHIPPED.items():
        size = f"{shipped.path.stat().st_size / 1e6:.1f} MB" if shipped.path.exists() else "missing"
        network = f"{shipped.network} x {shipped.width:g}"
        print(f"  {name:<29}{size:<7}{network}: {shipped.title}, no classes")
    print("\nweights for --model, s3d.load and --init, downloaded once:")
    for name, weights in WEIGHTS.items():
        top1 = [f"{m['value']:.1%}" for m in weights.metrics if m["metric"] == "top1"]
        by_hand = "" if weights.files[0].url else ", by hand"
        print(f"  {name:<29}{' '.join(top1):<7}{weights.title}{by_hand}")
    print("Accuracies are top-1 as published, each by its own protocol.")
    return 0
