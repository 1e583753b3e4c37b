"""Something-Something v1: actions that only the order of frames tells apart.

torchrun --nproc-per-node 8 recipes/something_v1.py DIR --out run
s3d evaluate sthv1:DIR --model run/model.safetensors --protocol all-frames --reversed
"""

from __future__ import annotations

import sys

from s3d.cli.recipe import run_recipe
from s3d.train.recipe import SOMETHING, SOMETHING_NOTES, Figure, Recipe

RECIPE = Recipe(
    title="Something-Something v1, RGB, from ImageNet",
    dataset="sthv1",
    data="folders of frames and official lists: 86,017 videos to train, 11,522 to validate",
    hardware="16 GPUs, 6 clips each",
    config=SOMETHING,
    figures=(
        Figure("I2D", "top-1", 34.4),
        Figure("I3D", "top-1", 45.8),
        Figure("S3D", "top-1", 47.3),
        Figure("S3D-G", "top-1", 48.2),
        Figure("S3D-G", "top-5", 78.7),
    ),
    notes=SOMETHING_NOTES,
    clips=86_017,
)

if __name__ == "__main__":
    sys.exit(run_recipe(RECIPE))
