"""AVA's mAP against the figure of the published evaluator, and what is left out."""

from pathlib import Path

import numpy as np
import pytest

from s3d.detect.annotations.ava_csv import AvaBoxes, read_action_list, read_ava_boxes
from s3d.detect.score.ava import ava_map

ACTIONS = {7: "walk", 3: "sit"}
BOX = (0.1, 0.1, 0.5, 0.5)


def boxes(*given: tuple, seen: tuple = ()) -> AvaBoxes:
    """Return boxes of (video, second, box, action, score)."""
    keys = tuple((row[0], float(row[1])) for row in given)
    return AvaBoxes(
        keys,
        np.array([row[2] for row in given], np.float64).reshape(-1, 4),
        np.array([row[3] for row in given], np.int64),
        np.array([row[4] for row in given], np.float64),
        ("",) * len(given),
        (*dict.fromkeys(keys), *seen),
    )


def test_the_toy_example_has_the_published_figure(shared_dir: Path) -> None:
    toy = shared_dir / "annotations" / "ava_toy"
    score = ava_map(
        read_ava_boxes(toy / "gt.csv"),
        read_ava_boxes(toy / "pred.csv", scored=True),
        read_action_list(toy / "action_list.txt"),
    )
    assert score.mean_at(0.5) == pytest.approx(0.09385522, abs=5e-9)
    assert score.truths.tolist() == [4, 3, 5]


def test_rows_are_in_the_order_of_the_list() -> None:
    truth = boxes(("a", 900, BOX, 7, 1), ("a", 900, BOX, 3, 1))
    score = ava_map(truth, boxes(("a", 900, BOX, 3, 0.5)), ACTIONS)
    assert score.at(0.5).tolist() == [0, 1]
    assert score.mean_at(0.5) == 0.5


def test_actions_that_are_not_in_the_list_do_not_count() -> None:
    truth = boxes(("a", 900, BOX, 7, 1), ("a", 900, BOX, 5, 1), ("a", 900, BOX, -1, 1))
    found = boxes(("a", 900, BOX, 5, 0.9), ("a", 900, BOX, 7, 0.5))
    score = ava_map(truth, found, ACTIONS)
    assert score.mean_at(0.5) == 1
    assert score.truths.tolist() == [1, 0]
    assert score.found.tolist() == [1, 0]


def test_excluded_seconds_do_not_count() -> None:
    truth = boxes(("a", 900, BOX, 7, 1), ("a", 901, BOX, 7, 1))
    found = boxes(("a", 900, BOX, 7, 0.5), ("a", 901, (0, 0, 0.1, 0.1), 7, 0.9))
    assert ava_map(truth, found, ACTIONS).mean_at(0.5) == 0.25
    assert ava_map(truth, found, ACTIONS, excluded={("a", 901.0)}).mean_at(0.5) == 1


def test_seconds_that_the_truth_does_not_list_are_left_out_unless_asked() -> None:
    """Before the right one comes one in such a second: precision 1/2 where it counts."""
    truth = boxes(("a", 900, BOX, 7, 1), seen=(("a", 950.0),))
    found = boxes(("a", 999, BOX, 7, 0.9), ("a", 900, BOX, 7, 0.5))
    assert ava_map(truth, found, ACTIONS).mean_at(0.5) == 1
    assert ava_map(truth, found, ACTIONS, ignores_unlisted=False).mean_at(0.5) == 0.5
    # a second with nobody in it is listed
    empty = boxes(("a", 950, BOX, 7, 0.9), ("a", 900, BOX, 7, 0.5))
    assert ava_map(truth, empty, ACTIONS).mean_at(0.5) == 0.5


def test_boxes_without_an_area_are_left_out() -> None:
    truth = boxes(("a", 900, BOX, 7, 1), ("a", 900, (0.5, 0.5, 0.5, 0.9), 7, 1))
    found = boxes(("a", 900, (0.9, 0, 0.1, 1), 7, 0.9), ("a", 900, BOX, 7, 0.5))
    assert ava_map(truth, found, ACTIONS).mean_at(0.5) == 1


def test_nothing_found_is_0() -> None:
    assert ava_map(boxes(("a", 900, BOX, 7, 1)), boxes(), ACTIONS).mean_at(0.5) == 0
