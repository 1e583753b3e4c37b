"""A recipe of detection: how the paper's detector is trained for one of its results.

What the paper prints, what it takes from others, and what is our guess is told apart in `notes`.
"""

from __future__ import annotations

from dataclasses import dataclass

from s3d.detect.train.config import DetectorConfig
from s3d.train.recipe import Figure

PAPER = DetectorConfig(
    network="s3d_g",
    width=1.0,
    image_net="resnet50",
    image_init="resnet50-imagenet",
    modality="both",
    frames=20,
    size="320x400",
    roi=14,
    proposals=300,
    steps=40_000,
    batch=8,
    lr=0.01,
    optimizer="sgd",
    schedule="cosine",
    weight_decay=1e-7,
    sampled=64,
    ema=0.0,
    jitter=0.0,
    zoom=0.0,
    flip=True,
    cache_gb=0.0,
)
"""The paper's detector: S3D-G features at mixed4e of 20 frames of RGB and flow, 320 x 400 px, boxes
proposed by a ResNet-50 on the key frame, trained end to end."""

NOTES = (
    "as printed: ResNet-50 on the key frame, S3D-G features at mixed4e, 20 frames, 320 x 400 px, "
    "the same box cut out at every step, later blocks on what is cut, averaged over time, RGB and "
    "flow fused, trained end to end; frame-mAP at IoU 0.5",
    "not known to us: steps, batch, learning rate and decay of the detector; those here are "
    "guesses that nobody has run",
    "guesses, too: 14 x 14 places of a box, 300 proposals, 64 boxes a key frame to learn from, "
    "fused by the mean of both streams' pooled features, half of the clips mirrored",
    "both streams start from models of Kinetics: --init for RGB, --flow-init for flow",
)


@dataclass(frozen=True)
class DetectorRecipe:
    """Hold a recipe.

    Attributes:
        title: The result it is of.
        dataset: The name of its data set, to which a folder is added: "jhmdb:DIR".
        data: What of it is needed, for people.
        config: Every option; data, out and what it starts from are for the person to name.
        figures: The paper's, and ours.
        notes: Whence each choice is.
    """

    title: str
    dataset: str
    data: str
    config: DetectorConfig
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = NOTES

    def lines(self) -> list[str]:
        """Return what it takes and gives, a line each, for people."""
        shown = [
            f"  {figure.network}: {figure.metric}: the paper {figure.paper:g} %, ours {figure.ours}"
            for figure in self.figures
        ]
        return [
            self.title,
            f"data: {self.data}",
            f"{self.config.steps:,} steps of {self.config.batch} key frames; for a GPU",
            "figures:",
            *shown,
            "whence:",
            *(f"  {note}" for note in self.notes),
        ]
