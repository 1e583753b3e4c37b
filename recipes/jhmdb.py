"""JHMDB detection, RGB and flow, from Kinetics: the mean over the three splits.

for split in 1 2 3; do
    python recipes/jhmdb.py "DIR?split=$split" --init rgb/model.safetensors \\
        --flow-init flow/model.safetensors --out run_$split
done
"""

from __future__ import annotations

import sys

from s3d.cli.detector_recipe import run_detector_recipe
from s3d.detect.train.recipe import PAPER, DetectorRecipe
from s3d.train.recipe import Figure

RECIPE = DetectorRecipe(
    title="JHMDB detection, RGB and flow, from Kinetics",
    dataset="jhmdb",
    data="JHMDB: 928 clips of 21 classes, three splits, with puppet masks or a file of boxes",
    config=PAPER,
    figures=(
        Figure("Faster R-CNN, I3D", "frame-mAP at IoU 0.5", 73.2),
        Figure("Faster R-CNN, S3D-G", "frame-mAP at IoU 0.5", 75.2),
    ),
)

if __name__ == "__main__":
    sys.exit(run_detector_recipe(RECIPE))
