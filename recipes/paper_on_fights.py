"""The family under equal budgets on 241 real surveillance clips, fight or not, by four folds.

python recipes/paper_on_fights.py [--out runs/fights_family]

Needs the clips, in the folder that S3D_SHARED names (default ../shared). About 12 minutes on two
cores. The record is docs/findings_fights.json; docs/findings.md shows it after
`python recipes/paper_in_miniature.py --page-only`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from s3d.cli.miniature import DOCS, run_on_real_clips
from s3d.explore.settings import ExploreConfig
from s3d.train.config import TrainConfig

CLIPS = Path(os.environ.get("S3D_SHARED", "../shared")) / "videos" / "fights" / "clips.csv"
CONFIG = ExploreConfig(
    data=str(CLIPS),
    out="runs/fights_family",
    budget_gmacs=1000.0,
    networks="i2d,i3d,s3d,s3d_g,s3d_fast",
    widths="0.25",
    frames="13",
    sizes="56",
    rates="6.5",
    seeds=1,
    folds=4,
    epochs=30,
    protocol="cover",
)
RECIPE = TrainConfig(init="none", flip=True)

if __name__ == "__main__":
    sys.exit(
        run_on_real_clips(CONFIG, RECIPE, "241 surveillance clips", DOCS / "findings_fights.json")
    )
