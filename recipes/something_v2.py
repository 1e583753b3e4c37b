"""Something-Something v2: actions that only the order of frames tells apart.

torchrun --nproc-per-node 8 recipes/something_v2.py DIR --out run
s3d evaluate sthv2:DIR --model run/model.safetensors --protocol all-frames --reversed
"""

from __future__ import annotations

import sys

from s3d.cli.recipe import run_recipe
from s3d.train.recipe import SOMETHING, SOMETHING_NOTES, Recipe

RECIPE = Recipe(
    title="Something-Something v2, RGB, from ImageNet",
    dataset="sthv2",
    data="webm files and official lists: 168,913 videos to train, 24,777 to validate",
    hardware="16 GPUs, 6 clips each",
    config=SOMETHING,
    figures=(),
    notes=(
        "the paper has version 1 only; this is its recipe on version 2, sampled as that is",
        *SOMETHING_NOTES,
    ),
    clips=168_913,
)

if __name__ == "__main__":
    sys.exit(run_recipe(RECIPE))
