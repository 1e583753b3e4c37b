import numpy as np
import pytest

from s3d.detect.score.overlap import box_iou, paired_iou, tube_iou
from tests.detect.marked import found_tube, square, true_tube


def iou_by_pixels(a: np.ndarray, b: np.ndarray) -> float:
    """Count the unit squares that lie in both, and in either; corners are whole numbers."""
    inside = [
        {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])} for box in (a, b)
    ]
    either = inside[0] | inside[1]
    return len(inside[0] & inside[1]) / len(either) if either else 0.0


@pytest.mark.parametrize("plus_one", [False, True])
def test_iou_agrees_with_counting_pixels(plus_one: bool) -> None:
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 8, (2, 20, 2))
    a = np.concatenate([corners.min(0), corners.max(0)], 1)
    b = a[::-1] + np.array([1, 0, 1, 0])
    # with the rule of one more pixel, x2 and y2 are inside
    more = np.array([0, 0, 1, 1]) * plus_one
    expected = [[iou_by_pixels(one + more, other + more) for other in b] for one in a]
    np.testing.assert_allclose(box_iou(a, b, plus_one), expected, atol=1e-12)
    np.testing.assert_allclose(paired_iou(a, b, plus_one), np.diagonal(expected), atol=1e-12)


def test_one_more_pixel_makes_boxes_wider() -> None:
    """Squares of 10, shifted by 5: 50 / 150 = 1/3. With +1 they are 11 wide: 66 / 176 = 0.375."""
    a, b = np.array([square(0)]), np.array([square(5)])
    assert box_iou(a, b)[0, 0] == pytest.approx(1 / 3)
    assert box_iou(a, b, plus_one=True)[0, 0] == pytest.approx(0.375)


def test_boxes_that_touch_or_have_no_area_do_not_overlap() -> None:
    a = np.array([square(0), (5, 5, 5, 9), (9, 9, 2, 2)], np.float32)
    assert box_iou(a, np.array([square(10), (5, 5, 5, 9)]))[:, 0].tolist() == [0, 0, 0]
    assert box_iou(a, a)[1:].max() == 0
    assert box_iou(a, a[:0]).shape == (3, 0)


def test_an_iou_on_the_threshold_is_not_below_it() -> None:
    """10 x 10 in 10 x 20 is 0.5, wherever they lie."""
    for x in (0.1, 0.3, 123.7):
        pair = np.array([(x, 0, x + 10, 10), (x, 0, x + 10, 20)])
        assert box_iou(pair[:1], pair[1:])[0, 0] >= 0.5


def test_tube_iou_is_that_in_time_times_that_in_space() -> None:
    """Frames 0..9 and 5..14: 5 / 15. Boxes 1/3 of each other: 1/9 in all."""
    a, b = true_tube(range(10), [square(0)]), found_tube(range(5, 15), [square(5)])
    assert tube_iou(a, b) == pytest.approx(1 / 9)
    assert tube_iou(b, a) == pytest.approx(1 / 9)
    assert tube_iou(a, b, plus_one=True) == pytest.approx(0.375 / 3)


def test_tubes_without_a_common_frame_do_not_overlap() -> None:
    assert tube_iou(true_tube([0, 2, 4], [square(0)]), found_tube([1, 3], [square(0)])) == 0


def test_the_overlap_in_time_is_of_sets_of_frames() -> None:
    """Every 2nd of 10 frames against all: 5 / 10, boxes equal in the common ones alone."""
    boxes = [square(0 if frame % 2 == 0 else 90) for frame in range(10)]
    a, b = true_tube(range(0, 10, 2), [square(0)]), found_tube(range(10), boxes)
    assert tube_iou(a, b) == 0.5
