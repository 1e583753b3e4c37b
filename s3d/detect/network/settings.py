"""How a detector of a shape proposes boxes."""

from __future__ import annotations

from s3d.detect.network.proposals import ProposalSettings
from s3d.detect.network.shape import DetectorShape

LEARNT_ANCHORS = 128
"""Anchors of a picture that are learnt from."""

BEFORE_SUPPRESSION = 10
"""So many times as many boxes go into suppression as come out."""


def proposal_settings(shape: DetectorShape, most: int | None = None) -> ProposalSettings:
    """Return how a detector proposes boxes.

    Args:
        shape: Of the detector.
        most: Boxes of a frame, in the place of the shape's number.
    """
    most = most or shape.proposals
    return ProposalSettings(
        sizes_px=shape.anchor_px,
        ratios=shape.anchor_ratios,
        pre_nms=BEFORE_SUPPRESSION * most,
        post_nms=most,
        batch=LEARNT_ANCHORS,
    )
