"""HMDB-51, fine-tuned from Kinetics: the mean over the three splits.

for split in 1 2 3; do
    python recipes/hmdb51.py "DIR?split=$split" --init kinetics/model.safetensors --out run_$split
done
s3d evaluate hmdb51:DIR --splits 1,2,3 --models run_{}/model.safetensors --protocol all-frames
"""

from __future__ import annotations

import sys
from dataclasses import replace

from s3d.cli.recipe import run_recipe
from s3d.train.recipe import PAPER, Figure, Recipe

RECIPE = Recipe(
    title="HMDB-51, RGB, from Kinetics",
    dataset="hmdb51",
    data="HMDB-51 and its official lists, three splits of 70 videos a class to train",
    hardware="8 GPUs, 6 clips each",
    config=replace(
        PAPER,
        frames=None,
        rate_fps=None,
        size=None,
        resize=None,
        steps=8_000,
        batch=48,
        lr=0.01,
        decay_at="0.75",
        val_share=0.0,
    ),
    figures=(
        Figure("I3D", "top-1, mean of three splits", 74.8),
        Figure("S3D-G", "top-1, mean of three splits", 75.9),
    ),
    notes=(
        "once: 8 GPUs, 6,000 steps at 0.01, then 2,000 at 0.001; clips a GPU are those of Kinetics",
        "network, clip and frame rate are those of the model that it starts from",
        "all of the training list is trained on, and the last weights are kept",
        "of published code: 25 frames a second, weight decay 1e-7, norm decay 0.999, dropout 0.2",
    ),
    clips=3_570,
    needs_init=True,
)

if __name__ == "__main__":
    sys.exit(run_recipe(RECIPE))
