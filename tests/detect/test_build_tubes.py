"""Detections to tubes: filling, suppressing, trimming, scores, settings."""

import math

import numpy as np
import pytest

from s3d.detect.score.overlap import box_iou
from s3d.detect.tubes.build import build_tubes, tube_score
from s3d.detect.tubes.interpolate import fill_frames
from s3d.detect.tubes.settings import LinkSettings
from s3d.detect.tubes.suppress import suppress_boxes, suppress_detections, suppress_tubes
from s3d.detect.tubes.track import Track
from s3d.errors import InputError
from tests.detect.marked import found_tube, rows, square

METHODS = pytest.mark.parametrize("method", ["online", "viterbi"])


def test_frames_between_boxes_are_filled_linearly() -> None:
    boxes = np.array([square(0), square(4), square(5)], np.float32)
    track = Track(3, np.array([2, 6, 7]), boxes, np.array([0.8, 0.4, 0.1], np.float32))
    filled = fill_frames(track)
    assert filled.number == 3
    assert filled.frames.tolist() == [2, 3, 4, 5, 6, 7]
    assert filled.boxes[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert filled.scores.tolist() == pytest.approx([0.8, 0.6, 0.6, 0.6, 0.4, 0.1])
    assert filled.boxes.dtype == filled.scores.dtype == np.float32


def test_scores_of_each_class_are_filled_too() -> None:
    scores = np.array([[0.2, 0.8], [0.4, 0.6]])
    track = Track(1, np.array([0, 2]), np.array([square(0), square(0)]), scores)
    assert fill_frames(track).scores[1].tolist() == pytest.approx([0.3, 0.7])


def test_a_track_of_one_box_or_none_stays() -> None:
    one = Track(1, np.array([4]), np.array([square(0)]), np.array([0.5]))
    assert fill_frames(one).frames.tolist() == [4]
    assert len(fill_frames(one.of(slice(0, 0)))) == 0


def slow_suppression(boxes: np.ndarray, scores: np.ndarray, iou: float) -> list[int]:
    kept: list[int] = []
    for place in sorted(range(len(boxes)), key=lambda one: -scores[one]):
        if all(box_iou(boxes[[place]], boxes[[other]])[0, 0] <= iou for other in kept):
            kept.append(place)
    return kept


def test_suppression_agrees_with_a_slow_reference() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        boxes = np.array([square(*rng.uniform(0, 20, 2)) for _ in range(25)])
        scores = rng.integers(0, 10, 25) / 10
        expected = slow_suppression(boxes, scores, 0.3)
        assert suppress_boxes(boxes, scores, 0.3).tolist() == expected


def test_only_boxes_of_one_class_and_frame_are_suppressed() -> None:
    found = rows(
        (0, square(1), 0, 0.5),
        (0, square(0), 0, 0.9),
        (0, square(0), 1, 0.4),
        (1, square(0), 0, 0.3),
    )
    assert suppress_detections(found, 0.5).scores.tolist() == pytest.approx([0.9, 0.4, 0.3])
    assert len(suppress_detections(found, 1)) == 4
    assert len(suppress_detections(rows(), 0.5)) == 0


def test_tubes_are_suppressed_in_space_and_time() -> None:
    """Frames 0..9 and 2..11 overlap by 8 / 12 = 2/3."""
    best, late = found_tube(range(10), [square(0)], 0.9), found_tube(range(2, 12), [square(0)], 0.8)
    other = found_tube(range(10), [square(0)], 0.5, label=1)
    assert suppress_tubes([late, other, best], 0.6) == [best, other]
    assert suppress_tubes([late, other, best], 0.7) == [best, late, other]
    assert suppress_tubes([], 0.5) == []


def test_the_score_of_a_tube_is_the_mean_of_its_best_boxes() -> None:
    scores = np.array([0.1, 0.9, 0.5, 0.7])
    assert tube_score(scores, 2) == pytest.approx(0.8)
    assert tube_score(scores, 20) == pytest.approx(0.55)


@METHODS
def test_key_frames_become_whole_tubes_whose_boxes_keep_their_scores(method: str) -> None:
    """Boxes in every 4th frame; the one at 8 is missed. Filled boxes do not count for the score."""
    given = {0: 0.9, 4: 0.3, 12: 0.6}
    found = rows(*[(frame, square(frame / 4), 0, score) for frame, score in given.items()])
    (tube,) = build_tubes(found, 1, LinkSettings(method=method, patience_frames=8))
    assert tube.frames.tolist() == list(range(13))
    np.testing.assert_allclose(tube.boxes[:, 0], np.arange(13) / 4, atol=1e-6)
    assert tube.scores[[0, 4, 12]].tolist() == pytest.approx(list(given.values()))
    assert tube.scores[8] == pytest.approx(0.45)
    assert tube.score == pytest.approx(0.6)


@METHODS
def test_classes_are_linked_by_themselves_and_numbers_differ(method: str) -> None:
    found = rows(*[(frame, square(0), frame % 2, 0.5 + frame % 2 / 10) for frame in range(6)])
    tubes = build_tubes(found, 3, LinkSettings(method=method))
    assert [tube.label for tube in tubes] == [1, 0]
    assert [tube.frames.tolist() for tube in tubes] == [[1, 2, 3, 4, 5], [0, 1, 2, 3, 4]]
    assert len({tube.number for tube in tubes}) == 2


def test_detections_may_come_in_any_order() -> None:
    found = rows(*[(frame, square(frame), 0, 0.5) for frame in (3, 0, 2, 1)])
    (tube,) = build_tubes(found, 1)
    assert tube.boxes[:, 0].tolist() == [0, 1, 2, 3]


@METHODS
def test_trimming_leaves_the_stretches_in_which_it_goes_on(method: str) -> None:
    """Inside from 20 to 40 and from 60 to 80: two tubes of one person."""
    scores = [0.9 if 20 <= frame < 40 or 60 <= frame < 80 else 0.1 for frame in range(100)]
    found = rows(*[(frame, square(0), 0, score) for frame, score in enumerate(scores)])
    whole = build_tubes(found, 1, LinkSettings(method=method))
    assert [len(tube.frames) for tube in whole] == [100]
    trimmed = build_tubes(found, 1, LinkSettings(method=method, trims=True, top_boxes=50))
    assert [(tube.frames[0], tube.frames[-1]) for tube in trimmed] == [(20, 39), (60, 79)]
    assert {tube.number for tube in trimmed} == {1}
    assert trimmed[0].score == pytest.approx(0.9)


def test_scores_that_never_say_yes_trim_nothing() -> None:
    found = rows(*[(frame, square(0), 0, 0.2) for frame in range(9)])
    (tube,) = build_tubes(found, 1, LinkSettings(trims=True))
    assert len(tube.frames) == 9


def test_low_scores_short_tubes_and_doubles_are_left_out() -> None:
    found = rows(
        *[(frame, square(0), 0, 0.9) for frame in range(5)],
        *[(frame, square(1), 0, 0.8) for frame in range(5)],
        *[(frame, square(50), 0, 0.1) for frame in range(5)],
        *[(frame, square(90), 0, 0.9) for frame in range(2)],
    )
    settings = LinkSettings(least_score=0.2, least_frames=3)
    (tube,) = build_tubes(found, 1, settings)
    assert tube.boxes[0, 0] == 0
    loose = LinkSettings(least_score=0, least_frames=1, box_iou=1, tube_iou=1)
    assert len(build_tubes(found, 1, loose)) == 4


def test_nothing_found_is_no_tube() -> None:
    assert build_tubes(rows(), 2) == []
    assert build_tubes(rows((0, square(0), 0, 0.1)), 1, LinkSettings(least_score=0.5)) == []


def test_a_label_that_is_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match="detections: labels are 2"):
        build_tubes(rows((0, square(0), 2, 0.5)), 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "greedy"}, "method of linking is 'greedy'. Known: online, viterbi."),
        ({"iou": 1.5}, "iou is 1.5; it needs to be 0 to 1."),
        ({"least_score": math.nan}, "least_score is nan; it needs to be 0 to 1."),
        ({"patience_frames": 0}, "patience_frames is 0; it needs to be 1 or more."),
        ({"alpha": -1}, "alpha is -1; it needs to be 0 or more."),
        ({"overlap_weight": math.inf}, "overlap_weight is inf; it needs to be 0 or more."),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        LinkSettings(**wrong)
    assert str(caught.value) == message
