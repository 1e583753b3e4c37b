"""A made-up data set for detection: figures that do different things in one video, with boxes."""

from s3d.detect.figures.config import FIGURE_ACTIONS, BoxSampleConfig
from s3d.detect.figures.video import render_box_video
from s3d.detect.figures.write import BoxSampleSummary, write_box_sample

__all__ = [
    "FIGURE_ACTIONS",
    "BoxSampleConfig",
    "BoxSampleSummary",
    "render_box_video",
    "write_box_sample",
]
