"""UCF-101-24 detection, RGB and flow, from Kinetics: split 1, corrected annotations.

python recipes/ucf101_24.py DIR --init rgb/model.safetensors --flow-init flow/model.safetensors \\
    --out run
"""

from __future__ import annotations

import sys

from s3d.cli.detector_recipe import run_detector_recipe
from s3d.detect.train.recipe import PAPER, DetectorRecipe
from s3d.train.recipe import Figure

RECIPE = DetectorRecipe(
    title="UCF-101-24 detection, RGB and flow, from Kinetics",
    dataset="ucf101_24",
    data="UCF-101-24: 3,207 videos of 24 classes, split 1, the corrected pyannot.pkl",
    config=PAPER,
    figures=(
        Figure("Faster R-CNN, I3D", "frame-mAP at IoU 0.5", 76.3),
        Figure("Faster R-CNN, S3D-G", "frame-mAP at IoU 0.5", 78.8),
    ),
)

if __name__ == "__main__":
    sys.exit(run_detector_recipe(RECIPE))
