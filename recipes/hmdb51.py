"""HMDB-51, fine-tuned from Kinetics: the mean over the three splits.

for split in 1 2 3; do
    python recipes/hmdb51.py "DIR?split=$split" --init kinetics/model.safetensors --out run_$split
done
s3d evaluate hmdb51:DIR --splits 1,2,3 --models run_{}/model.safetensors --protocol all-frames
"""

from __future__ import annotations

import sys

from s3d.cli.recipe import run_recipe
from s3d.train.recipe import FINE_TUNING, FINE_TUNING_NOTES, Figure, Recipe

RECIPE = Recipe(
    title="HMDB-51, RGB, from Kinetics",
    dataset="hmdb51",
    data="HMDB-51 and its official lists, three splits of 70 videos a class to train",
    hardware="8 GPUs, 6 clips each",
    config=FINE_TUNING,
    figures=(
        Figure("I3D", "top-1, mean of three splits", 74.8),
        Figure("S3D-G", "top-1, mean of three splits", 75.9),
    ),
    notes=FINE_TUNING_NOTES,
    clips=3_570,
    needs_init=True,
)

if __name__ == "__main__":
    sys.exit(run_recipe(RECIPE))
