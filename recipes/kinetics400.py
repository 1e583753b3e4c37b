"""Kinetics-400 from ImageNet, RGB: the paper's main table.

python recipes/kinetics400.py DIR --out run
torchrun --nproc-per-node 8 recipes/kinetics400.py DIR --out run --network i3d
"""

from __future__ import annotations

import sys
from dataclasses import replace

from s3d.cli.recipe import run_recipe
from s3d.train.recipe import PAPER, Figure, Recipe

RECIPE = Recipe(
    title="Kinetics-400, RGB, from ImageNet",
    dataset="kinetics400",
    data="Kinetics-400: 240,000 clips of 10 s to train, 20,000 to validate, less those gone",
    hardware="56 GPUs, 6 clips each",
    config=replace(
        PAPER,
        network="s3d_g",
        init="googlenet-imagenet",
    ),
    figures=(
        Figure("I3D", "top-1", 71.1),
        Figure("I3D", "top-5", 89.3),
        Figure("S3D", "top-1", 72.2),
        Figure("S3D", "top-5", 90.6),
        Figure("S3D-G", "top-1", 74.7),
        Figure("S3D-G", "top-5", 93.4),
    ),
    notes=(
        "as printed: 80,000 steps of 56 x 6 clips at 0.1, a tenth after 60,000 and 70,000",
        "as printed: 64 frames squashed to 256 x 256 px, a random crop of 224; SGD of momentum 0.9",
        "of published code: 25 frames a second, weight decay 1e-7, norm decay 0.999, dropout 0.2",
        "not printed: mirroring (--flip); it is off",
    ),
    clips=240_000,
)

if __name__ == "__main__":
    sys.exit(run_recipe(RECIPE))
