"""s3d list: the networks of the family, layer by layer."""

from __future__ import annotations

import argparse

from s3d.cli.parser import Verbs, add_verb
from s3d.models.family import LAYERS, LETTERS, NETWORKS


def add(verbs: Verbs) -> None:
    """Add the verb."""
    add_verb(verbs, "list", "show the networks of the family", run)


def run(options: argparse.Namespace) -> int:
    """Print the networks, and return the exit code."""
    print("\n".join(f"{letter}: {text}" for letter, text in LETTERS.items()))
    short = [layer.removeprefix("conv").removeprefix("mixed") for layer in LAYERS]
    print(f"\n{'network':<14}{' '.join(short)}")
    for name, word in NETWORKS.items():
        print(f"{name:<14}{' '.join(f' {letter}' for letter in word)}")
    print(f"\nAny word of {len(LAYERS)} such letters is a network too.")
    return 0
