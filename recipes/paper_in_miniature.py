"""The paper's findings in miniature: its networks on sample data, over seeds, on a laptop.

python recipes/paper_in_miniature.py                          what is not in docs/findings.json yet
python recipes/paper_in_miniature.py --networks i2d --seeds 0 --again    one row anew, compared

A network and seed takes about 10 minutes on one thread; two run side by side on two cores. What was
interrupted goes on. Rows go to docs/findings.json, and docs/findings.md is written from them.
"""

from __future__ import annotations

import sys

from s3d.cli.miniature import run_miniature
from s3d.data.synthetic import ACTIONS, APPEARANCES, SampleConfig
from s3d.explore.findings.miniature import Miniature

MINIATURE = Miniature(
    sample=SampleConfig(
        train_clips_per_class=200,
        test_clips_per_class=60,
        difficulty=0.6,
        actions=(*ACTIONS, *APPEARANCES),
        size_px=48,
    ),
    networks=(
        "i2d", "i3d", "s3d", "s3d_g", "s3d_top_1", "s3d_bottom_0", "i3d_top_1", "i3d_bottom_0",
        "s3d_fast", "i3d_top_4", "i3d_bottom_4", "s3d_top_4", "s3d_bottom_4",
    ),
    seeds=(0, 1, 2),
    width=0.25,
    # With 16m - 3 frames an I2D is blind to their order: see docs/architecture.md.
    frames=13,
    size_px=40,
    rate_fps=7.0,
    epochs=24,
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run_miniature(MINIATURE))
