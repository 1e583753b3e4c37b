"""Kinetics-400, optical flow: the second stream, fused with the first by `s3d evaluate`.

    s3d flow kinetics400:DIR --out FLOW --device cuda
    torchrun --nproc-per-node 8 recipes/kinetics400_flow.py DIR --flow FLOW --out run_flow
    s3d evaluate kinetics400:DIR --protocol all-frames --model run/model.safetensors \\
        --flow-model run_flow/model.safetensors --flow FLOW
"""

from __future__ import annotations

import sys
from dataclasses import replace

from s3d.cli.recipe import run_recipe
from s3d.train.recipe import PAPER, Figure, Recipe

RECIPE = Recipe(
    title="Kinetics-400, TV-L1 flow, from ImageNet",
    dataset="kinetics400",
    data="Kinetics-400 and its flow: some 70 million pairs of frames (--flow DIR keeps it)",
    hardware="56 GPUs, 6 clips each",
    config=replace(
        PAPER,
        network="s3d_g",
        init="googlenet-imagenet",
        flow="flow",
        flow_method="tvl1",
        flow_side=256,
        flow_px=20.0,
    ),
    figures=(
        Figure("S3D-G flow", "top-1", 68.0),
        Figure("S3D-G flow", "top-5", 87.6),
        Figure("S3D-G RGB + flow", "top-1", 77.2),
        Figure("S3D-G RGB + flow", "top-5", 93.0),
    ),
    notes=(
        "as printed: TV-L1 of the resized grey frames, cut off at 20 px, 2 channels",
        "of I3D's code: both streams trained apart, their logits added with equal weight",
        "not printed: how the flow network starts; here each channel gets the colours' mean",
        "as printed: 64 frames squashed to 256 x 256 px, a random crop of 224; SGD of momentum 0.9",
        "of published code: 25 frames a second, weight decay 1e-7, norm decay 0.999, dropout 0.2",
    ),
    clips=240_000,
)

if __name__ == "__main__":
    sys.exit(run_recipe(RECIPE))
