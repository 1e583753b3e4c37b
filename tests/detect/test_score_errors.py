"""Each cause by hand, and what mending it gains."""

import math

import numpy as np
import pytest

from s3d.detect.score.causes import CAUSES, held_boxes
from s3d.detect.score.errors import ErrorAnalysis, analyse_errors
from s3d.detect.score.frame_map import frame_map
from s3d.detect.score.match import ACT, VOC, Protocol
from tests.detect.marked import marked, rows, square, true_tube

LABELS = ("run", "jump")
TWO = [true_tube([0], [square(0)]), true_tube([0], [square(50)], track="b")]
"""Two who run, in frame 0."""


def analyse(*found: tuple, tubes: list = TWO, frames: range = range(1)) -> ErrorAnalysis:
    return analyse_errors([marked(tubes, frames)], [rows(*found)], LABELS)


def causes_of(errors: ErrorAnalysis) -> list[str]:
    return [CAUSES[cause] for cause in errors.causes]


def test_all_found_has_no_errors() -> None:
    errors = analyse((0, square(0), 0, 0.9), (0, square(50), 0, 0.8))
    assert causes_of(errors) == ["correct", "correct"]
    assert errors.missed == 0
    assert set(errors.gains.values()) == {0.0}
    assert errors.map == 1


def test_a_duplicate() -> None:
    """Right, duplicate, right: 5/6; without the duplicate 1."""
    errors = analyse((0, square(0), 0, 0.9), (0, square(1), 0, 0.8), (0, square(50), 0, 0.7))
    assert causes_of(errors) == ["correct", "duplicate", "correct"]
    assert errors.gains["duplicate"] == pytest.approx(1 / 6)
    assert sum(errors.gains.values()) == pytest.approx(1 / 6)


def test_a_box_that_is_off() -> None:
    """Shifted by 5: 1/3. Mended it is right, and its truth is not missed: 0.5 to 1."""
    errors = analyse((0, square(0), 0, 0.9), (0, square(55), 0, 0.8))
    assert causes_of(errors) == ["correct", "localisation"]
    assert errors.missed == 0
    assert errors.gains["localisation"] == pytest.approx(0.5)


def test_a_box_that_is_off_on_a_truth_that_is_found_only_goes() -> None:
    """Off (0.9), then right (0.8), of one truth: 1/2. Mended, the first finds it, and is alone."""
    tubes = [true_tube([0], [square(0)])]
    errors = analyse((0, square(5), 0, 0.9), (0, square(0), 0, 0.8), tubes=tubes)
    assert causes_of(errors) == ["localisation", "correct"]
    assert errors.map == 0.5
    assert errors.gains["localisation"] == 0.5


def test_a_wrong_class() -> None:
    """The box of the second is right: mended 1. Only "run" has truth."""
    errors = analyse((0, square(0), 0, 0.9), (0, square(50), 1, 0.8))
    assert causes_of(errors) == ["correct", "classification"]
    assert errors.gains["classification"] == pytest.approx(0.5)
    assert errors.missed == 0


def test_a_wrong_class_and_a_box_that_is_off() -> None:
    errors = analyse((0, square(0), 0, 0.9), (0, square(55), 1, 0.8))
    assert causes_of(errors) == ["correct", "both"]
    assert errors.missed == 1
    assert errors.gains["both"] == 0


def test_a_truth_of_the_right_class_goes_before_one_of_a_wrong_class() -> None:
    tubes = [true_tube([0], [square(0)]), true_tube([0], [square(6)], 1, "b")]
    errors = analyse((0, square(6), 0, 0.9), tubes=tubes)
    assert causes_of(errors) == ["localisation"]


def test_background_and_what_is_missed() -> None:
    """Wrong (0.9), then right, of two: 1/4; without the wrong 1/2; without the missed 1/2."""
    errors = analyse((0, square(80), 0, 0.9), (0, square(0), 0, 0.8))
    assert causes_of(errors) == ["background", "correct"]
    assert errors.missed == 1
    assert errors.map == pytest.approx(0.25)
    assert errors.gains["background"] == pytest.approx(0.25)
    assert errors.gains["missed"] == pytest.approx(0.25)


def test_a_class_that_is_missed_whole_counts_as_found_when_mended() -> None:
    tubes = [true_tube([0], [square(0)]), true_tube([0], [square(50)], 1, "b")]
    errors = analyse((0, square(0), 0, 0.9), tubes=tubes)
    assert errors.map == 0.5
    assert errors.gains["missed"] == 0.5


def test_a_class_of_which_nothing_is_left_to_miss_stays_in_the_mean() -> None:
    """Of "run" a wrong one comes before the right: 1/2; "jump" 0, mended 1: from 1/4 to 3/4."""
    tubes = [true_tube([0], [square(0)]), true_tube([0], [square(50)], 1, "b")]
    errors = analyse((0, square(90), 0, 0.95), (0, square(0), 0, 0.9), tubes=tubes)
    assert errors.map == 0.25
    assert errors.gains["missed"] == 0.5


def test_a_tube_that_has_not_begun_or_is_over() -> None:
    """Frames 2 and 3 of 6; it moves by 2. Frame 1 is on its first box, 5 on its last.

    In the same place, another class is background, and so is a box elsewhere.
    """
    tubes = [true_tube([2, 3], [square(0), square(2)])]
    found = [
        (1, square(0), 0, 0.9),
        (5, square(3), 0, 0.8),
        (5, square(0), 1, 0.8),
        (0, square(40), 0, 0.8),
        (3, square(40), 0, 0.8),
    ]
    errors = analyse(*found, tubes=tubes, frames=range(6))
    assert causes_of(errors) == ["timing", "timing", "background", "background", "background"]


def test_timing_is_of_the_same_video() -> None:
    videos = [marked([true_tube([0], [square(0)])], range(3)), marked([], range(3), "w")]
    late = rows((2, square(0), 0, 0.5))
    assert causes_of(analyse_errors(videos, [late, late], LABELS)) == ["timing", "background"]


def test_a_tube_without_a_track_has_no_other_time() -> None:
    tubes = [true_tube([0], [square(0)], track="")]
    errors = analyse((1, square(0), 0, 0.9), tubes=tubes, frames=range(2))
    assert causes_of(errors) == ["background"]


def test_mending_timing_takes_it_away() -> None:
    """Late (0.9), then right (0.8): 1/2; without 1."""
    tubes = [true_tube([0], [square(0)])]
    found = (1, square(0), 0, 0.9), (0, square(0), 0, 0.8)
    errors = analyse(*found, tubes=tubes, frames=range(2))
    assert errors.gains["timing"] == 0.5


def test_between_its_frames_a_tube_moves_linearly() -> None:
    tube = true_tube([2, 6], [square(0), square(8)])
    assert held_boxes(tube, np.array([0, 3, 9])).tolist() == [
        list(square(0)),
        list(square(2)),
        list(square(8)),
    ]


def test_nothing_true_is_unknown() -> None:
    errors = analyse((0, square(0), 0, 0.9), tubes=[])
    assert math.isnan(errors.map)
    assert causes_of(errors) == ["background"]
    assert analyse().missed == 2


@pytest.mark.parametrize("protocol", [VOC, ACT], ids=lambda one: one.name)
@pytest.mark.parametrize("seed", range(5))
def test_gains_are_not_negative_and_the_map_is_that_of_frames(
    seed: int, protocol: Protocol
) -> None:
    rng = np.random.default_rng(seed)
    tubes = [
        true_tube(range(3 * n % 7, 7), [square(rng.uniform(0, 30))], n % 2, str(n))
        for n in range(5)
    ]
    video = marked(tubes, range(8))
    found = rows(
        *[
            (int(rng.integers(8)), square(rng.uniform(0, 40)), int(rng.integers(2)), rng.random())
            for _ in range(120)
        ]
    )
    errors = analyse_errors([video], [found], LABELS, protocol)
    assert errors.map == pytest.approx(frame_map([video], [found], LABELS, protocol).mean_at(0.5))
    assert min(errors.gains.values()) >= 0
    assert sum(errors.counts.values()) == 120
    assert min(errors.counts.values()) > 0, "the scene has every cause"
