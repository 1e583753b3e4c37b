"""UCF-101, fine-tuned from Kinetics: the mean over the three splits.

for split in 1 2 3; do
    python recipes/ucf101.py "DIR?split=$split" --init kinetics/model.safetensors --out run_$split
done
s3d evaluate ucf101:DIR --splits 1,2,3 --models run_{}/model.safetensors --protocol all-frames
"""

from __future__ import annotations

import sys

from s3d.cli.recipe import run_recipe
from s3d.train.recipe import FINE_TUNING, FINE_TUNING_NOTES, Figure, Recipe

RECIPE = Recipe(
    title="UCF-101, RGB, from Kinetics",
    dataset="ucf101",
    data="UCF-101, its official lists: splits of 9,537, 9,586 and 9,624 videos to train",
    hardware="8 GPUs, 6 clips each",
    config=FINE_TUNING,
    figures=(
        Figure("I3D", "top-1, mean of three splits", 95.6),
        Figure("S3D-G", "top-1, mean of three splits", 96.8),
    ),
    notes=FINE_TUNING_NOTES,
    clips=9_537,
    needs_init=True,
)

if __name__ == "__main__":
    sys.exit(run_recipe(RECIPE))
