"""How much boxes and tubes lie over each other: intersection over union.

A box ends at x2, so that its width is x2 - x1. Older evaluators count the last pixel as inside, so
that a box is a pixel wider and higher (`plus_one`); on boxes of 20 px that moves an IoU by some
hundredths, and figures of the two rules do not compare.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from s3d.detect.tube import FoundTube, TrueTube

Floats = npt.NDArray[np.float64]
AnyFloats = npt.NDArray[np.floating]
Tube = TrueTube | FoundTube


def box_iou(a: AnyFloats, b: AnyFloats, plus_one: bool = False) -> Floats:
    """Return the IoU of each box with each other one.

    Args:
        a: (N, 4): x1, y1, x2, y2.
        b: (M, 4).
        plus_one: Whether x2 and y2 are the last pixels inside.

    Returns:
        (N, M), 0 to 1; 0 where a box has no area.
    """
    return _iou(a[:, None], b[None], plus_one)


def paired_iou(a: AnyFloats, b: AnyFloats, plus_one: bool = False) -> Floats:
    """Return the IoU of boxes (N, 4) with those of the same rows, (N,)."""
    return _iou(a, b, plus_one)


def tube_iou(a: Tube, b: Tube, plus_one: bool = False) -> float:
    """Return the IoU of tubes: temporal IoU times the mean IoU of boxes over common frames.

    The temporal IoU is of the sets of frames: those of both over those of either. Published code
    takes first and last frames in place of sets, which is the same for tubes without gaps.

    Args:
        a: Frames rising.
        b: Frames rising.
        plus_one: As for `box_iou`.

    Returns:
        0 to 1; 0 where no frame is common.

    Source: Gkioxari & Malik 2015 (arXiv 1411.6031); Kalogeiton et al. 2017 (arXiv 1705.01861).
    """
    common, in_a, in_b = np.intersect1d(a.frames, b.frames, assume_unique=True, return_indices=True)
    if not len(common):
        return 0.0
    in_time = len(common) / (len(a.frames) + len(b.frames) - len(common))
    return in_time * float(paired_iou(a.boxes[in_a], b.boxes[in_b], plus_one).mean())


def _iou(a: AnyFloats, b: AnyFloats, plus_one: bool) -> Floats:
    # in double precision: an IoU that is the threshold on paper must not fall below it
    one: Floats = np.asarray(a, np.float64)
    two: Floats = np.asarray(b, np.float64)
    low, high = np.maximum(one[..., :2], two[..., :2]), np.minimum(one[..., 2:], two[..., 2:])
    shared = _area(low, high, plus_one)
    wholes = [_area(box[..., :2], box[..., 2:], plus_one) for box in (one, two)]
    union = wholes[0] + wholes[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _area(low: Floats, high: Floats, plus_one: bool) -> Floats:
    sides: Floats = np.maximum(high - low + plus_one, 0)
    return np.asarray(sides[..., 0] * sides[..., 1])
