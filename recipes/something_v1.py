"""Something-Something v1: actions that only the order of frames tells apart.

torchrun --nproc-per-node 8 recipes/something_v1.py DIR --out run
s3d evaluate sthv1:DIR --model run/model.safetensors --protocol all-frames --reversed
"""

from __future__ import annotations

import sys
from dataclasses import replace

from s3d.cli.recipe import run_recipe
from s3d.train.recipe import PAPER, Figure, Recipe

RECIPE = Recipe(
    title="Something-Something v1, RGB, from ImageNet",
    dataset="sthv1",
    data="folders of frames and official lists: 86,017 videos to train, 11,522 to validate",
    hardware="16 GPUs, 6 clips each",
    config=replace(
        PAPER,
        network="s3d_g",
        init="googlenet-imagenet",
        rate_fps=12.0,
        steps=10_000,
        batch=96,
    ),
    figures=(
        Figure("I2D", "top-1", 34.4),
        Figure("I3D", "top-1", 45.8),
        Figure("S3D", "top-1", 47.3),
        Figure("S3D-G", "top-1", 48.2),
        Figure("S3D-G", "top-5", 78.7),
    ),
    notes=(
        "as printed: 10,000 steps on 16 GPUs at 0.1",
        "not printed: clips a GPU (6 are taken, as on Kinetics), the decay (that of Kinetics)",
        "frames come at 12 a second and all are taken; mirroring would change the labels",
        "as printed: 64 frames squashed to 256 x 256 px, a random crop of 224; SGD of momentum 0.9",
        "of published code: weight decay 1e-7, norm decay 0.999, dropout 0.2",
    ),
    clips=86_017,
)

if __name__ == "__main__":
    sys.exit(run_recipe(RECIPE))
