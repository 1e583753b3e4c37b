"""AVA's frame-mAP at IoU 0.5, from its own files.

It is the mAP of the ActivityNet AVA evaluation: rule "voc", area under the envelope of precision,
the mean over actions that have truth. Actions that the list does not name are left out on both
sides (the challenge's list names 60 of 80), and so are excluded seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from s3d.detect.annotations.ava_csv import AvaBoxes, Key
from s3d.detect.score.match import VOC, Pairs, pair_keys
from s3d.detect.score.overlap import paired_iou
from s3d.detect.score.precisions import Candidates, Precisions, measure_precisions

AVA_IOU = 0.5

Counts = npt.NDArray[np.int64]
Kept = npt.NDArray[np.bool_]


def ava_map(
    truth: AvaBoxes,
    found: AvaBoxes,
    actions: Mapping[int, str],
    excluded: Collection[Key] = (),
    ignores_unlisted: bool = True,
) -> Precisions:
    """Return the average precision of each action at IoU 0.5.

    Boxes without an area are left out, as the published evaluator does.

    Args:
        truth: Ground truth.
        found: Detections.
        actions: Names by id, as `read_action_list` gives them; rows of the result are in its order.
        excluded: Seconds that do not count.
        ignores_unlisted: Whether detections in seconds of which the truth has no row are left out,
            as nobody marked them. The published evaluator counts them as wrong.
    """
    away = set(excluded)
    true_rows = _kept(truth, actions, away)
    rows = _kept(found, actions, away)
    if ignores_unlisted:
        seen = set(truth.seen)
        rows &= np.array([key in seen for key in found.keys], np.bool_)
    pairs = _pairs(found, truth, np.flatnonzero(rows), np.flatnonzero(true_rows))
    given = Candidates(
        _places(found.labels[rows], actions),
        found.scores[rows],
        _places(truth.labels[true_rows], actions),
        pairs,
    )
    return measure_precisions(given, len(actions), (AVA_IOU,), VOC)


def _kept(boxes: AvaBoxes, actions: Mapping[int, str], away: set[Key]) -> Kept:
    counts = np.array([key not in away for key in boxes.keys], np.bool_)
    sides = boxes.boxes[:, 2:] - boxes.boxes[:, :2]
    return np.asarray(counts & np.isin(boxes.labels, list(actions)) & (sides > 0).all(1))


def _pairs(found: AvaBoxes, truth: AvaBoxes, rows: Counts, true_rows: Counts) -> Pairs:
    numbers: dict[Key, int] = {}
    true_keys = [numbers.setdefault(truth.keys[row], len(numbers)) for row in true_rows.tolist()]
    keys = [numbers.get(found.keys[row], -1) for row in rows.tolist()]
    left, right = pair_keys(np.array(keys, np.int64), np.array(true_keys, np.int64))
    overlaps = paired_iou(found.boxes[rows[left]], truth.boxes[true_rows[right]])
    return Pairs(left, right, overlaps)


def _places(ids: Counts, actions: Mapping[int, str]) -> Counts:
    """Return the place of each id in the list of actions."""
    place = {number: index for index, number in enumerate(actions)}
    return np.array([place[number] for number in ids.tolist()], np.int64)
