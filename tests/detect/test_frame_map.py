"""Frame-mAP: matching and averaging, by hand and against a slow reference."""

import math

import numpy as np
import pytest

from s3d.detect.score.average_precision import average_precision
from s3d.detect.score.frame_map import frame_map
from s3d.detect.score.match import ACT, VOC, Pairs, Protocol, match, pair_keys
from s3d.detect.score.overlap import box_iou
from s3d.detect.tube import Detections
from tests.detect.marked import marked, rows, square, true_tube

LABELS = ("run", "jump", "fall")
PLUS = Protocol("plus", "voc", "area", plus_one=True)


def test_all_found_is_1_and_classes_without_truth_are_not_in_the_mean() -> None:
    video = marked([true_tube([0, 1], [square(0)]), true_tube([1], [square(50)], 1)], [0, 1])
    found = rows((0, square(0), 0, 0.9), (1, square(0), 0, 0.2), (1, square(50), 1, 0.4))
    score = frame_map([video], [found], LABELS)
    assert score.at(0.5)[:2].tolist() == [1, 1]
    assert math.isnan(score.at(0.5)[2])
    assert score.mean_at(0.5) == score.mean() == 1
    assert score.truths.tolist() == [2, 1, 0]
    assert score.found.tolist() == [2, 1, 0]


def test_a_shifted_box_is_right_up_to_its_overlap() -> None:
    """Squares of 10 shifted by 2: 80 / 120 = 2/3: right at 0.5 .. 0.65, 4 thresholds of 10."""
    video = marked([true_tube([0], [square(0)])], [0])
    score = frame_map([video], [rows((0, square(2), 0, 0.9))], LABELS[:1])
    assert score.mean_at(0.5) == score.mean_at(0.65) == 1
    assert score.mean_at(0.7) == 0
    assert score.mean() == pytest.approx(0.4)


def test_an_overlap_that_is_the_threshold_is_right() -> None:
    video = marked([true_tube([0], [(0, 0, 10, 20)])], [0])
    assert frame_map([video], [rows((0, square(0), 0, 0.9))], LABELS[:1]).mean_at(0.5) == 1


def test_one_more_pixel_is_counted_where_asked() -> None:
    """Squares of 2 side by side by 1: 2 / 6 = 1/3; of 3 with +1: 6 / 12 = 1/2."""
    video = marked([true_tube([0], [square(0, side=2)])], [0])
    found = [rows((0, square(1, side=2), 0, 0.9))]
    assert frame_map([video], found, LABELS[:1]).mean_at(0.5) == 0
    assert frame_map([video], found, LABELS[:1], PLUS).mean_at(0.5) == 1


def test_frames_that_nobody_marked_do_not_count() -> None:
    """Frame 5 is not marked: neither its truth is missed nor what is found there wrong."""
    video = marked([true_tube([0, 5], [square(0)])], [0, 1, 2])
    found = rows((5, square(40), 0, 0.99), (9, square(0), 0, 0.98), (0, square(0), 0, 0.3))
    score = frame_map([video], [found], LABELS[:1])
    assert score.truths.tolist() == [1]
    assert score.found.tolist() == [1]
    assert score.mean_at(0.5) == 1


def test_missed_frames_and_frames_with_nobody() -> None:
    """4 truths, 3 found at 0.9, and one false at 0.95 in an empty frame.

    Precision 0, 3/4 at recall 0, 3/4: 3/4 * 3/4 = 9/16.
    """
    video = marked([true_tube([0, 1, 2, 3], [square(0)])], range(6))
    hits = [(frame, square(0), 0, 0.9) for frame in range(3)]
    found = rows(*hits, (5, square(0), 0, 0.95))
    assert frame_map([video], [found], LABELS[:1]).mean_at(0.5) == pytest.approx(9 / 16)


def test_frames_of_two_videos_are_not_the_same() -> None:
    """The truth of each lies where the other's detection is."""
    videos = [marked([true_tube([3], [square(0)])], [3]), marked([], [3])]
    assert frame_map(videos, [rows(), rows((3, square(0), 0, 0.9))], LABELS[:1]).mean_at(0.5) == 0
    assert frame_map(videos, [rows((3, square(0), 0, 0.9)), rows()], LABELS[:1]).mean_at(0.5) == 1


def test_two_actors_that_stand_close_tell_the_rules_apart() -> None:
    """Truths at 0 and 2, detections at 0 (0.9) and at 0.5 (0.8), which overlaps 0 more than 2.

    voc: the second is wrong: 1/2. free: it finds the other (8.5 / 11.5 = 0.74): all right.
    """
    video = marked([true_tube([0], [square(0)]), true_tube([0], [square(2)], track="b")], [0])
    found = [rows((0, square(0), 0, 0.9), (0, square(0.5), 0, 0.8))]
    assert frame_map([video], found, LABELS[:1], VOC).mean_at(0.5) == pytest.approx(0.5)
    assert frame_map([video], found, LABELS[:1], ACT).mean_at(0.5) == pytest.approx(1)


def test_a_second_box_on_one_actor_is_wrong() -> None:
    """2 truths: right, wrong (a duplicate), right: 5/6."""
    video = marked([true_tube([0], [square(0)]), true_tube([0], [square(50)], track="b")], [0])
    found = rows((0, square(0), 0, 0.9), (0, square(1), 0, 0.8), (0, square(50), 0, 0.7))
    assert frame_map([video], [found], LABELS[:1]).mean_at(0.5) == pytest.approx(5 / 6)


def test_swapped_classes_find_nothing() -> None:
    video = marked([true_tube([0], [square(0)], 0), true_tube([0], [square(50)], 1)], [0])
    found = rows((0, square(0), 1, 0.9), (0, square(50), 0, 0.8))
    assert frame_map([video], [found], LABELS[:2]).mean_at(0.5) == 0


def test_nothing_found_is_0_and_nothing_true_is_unknown() -> None:
    video = marked([true_tube([0], [square(0)])], [0])
    assert frame_map([video], [Detections.none()], LABELS[:1]).mean_at(0.5) == 0
    assert math.isnan(frame_map([marked([], [0])], [Detections.none()], LABELS).mean())
    assert math.isnan(frame_map([], [], LABELS).mean_at(0.5))


def test_what_cannot_be_scored_is_refused() -> None:
    video = marked([true_tube([0], [square(0)])], [0])
    with pytest.raises(ValueError, match="detections of 2 videos for 1 that are annotated"):
        frame_map([video], [rows(), rows()], LABELS)
    with pytest.raises(ValueError, match=r"v: labels are 3\.\.3; with 3 classes .* 0\.\.2"):
        frame_map([video], [rows((0, square(0), 3, 0.9))], LABELS)
    with pytest.raises(ValueError, match="v: a score or a place of a box is no finite number"):
        frame_map([video], [rows((0, square(0), 0, math.nan))], LABELS)


def slow_map(videos, found, label: int, iou: float, protocol: Protocol) -> float:
    """Walk over detections in falling score, and compare each as the rule says."""
    truths = {
        (place, int(frame)): [] for place, video in enumerate(videos) for frame in video.frames
    }
    for place, video in enumerate(videos):
        for tube in video.tubes:
            for frame, box in zip(tube.frames, tube.boxes, strict=True):
                if tube.label == label and (place, int(frame)) in truths:
                    truths[place, int(frame)].append(box)
    given = [
        (float(part.scores[row]), place, int(part.frames[row]), part.boxes[row])
        for place, part in enumerate(found)
        for row in range(len(part))
        if part.labels[row] == label and (place, int(part.frames[row])) in truths
    ]
    given.sort(key=lambda one: -one[0])
    taken, hits = set(), []
    for _, place, frame, box in given:
        best, which = -1.0, None
        for index, true in enumerate(truths[place, frame]):
            if protocol.match == "free" and (place, frame, index) in taken:
                continue
            overlap = box_iou(box[None], true[None])[0, 0]
            if overlap > best:
                best, which = overlap, (place, frame, index)
        hits.append(best >= iou and which not in taken)
        if hits[-1]:
            taken.add(which)
    count = sum(len(boxes) for boxes in truths.values())
    scores = np.array([one[0] for one in given])
    return average_precision(scores, np.array(hits, bool), count, protocol.average)


@pytest.mark.parametrize("protocol", [VOC, ACT], ids=lambda one: one.name)
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_a_slow_reference(protocol: Protocol, seed: int) -> None:
    rng = np.random.default_rng(seed)
    videos, found = [], []
    for name in "abc":
        tubes = [
            true_tube(
                sorted(rng.choice(8, 5, replace=False)),
                [square(x) for x in rng.uniform(0, 30, 5)],
                int(rng.integers(3)),
                f"{number}",
            )
            for number in range(6)
        ]
        videos.append(marked(tubes, sorted(rng.choice(9, 7, replace=False)), name))
        drawn = [
            (int(rng.integers(9)), square(rng.uniform(0, 30)), int(rng.integers(3)))
            for _ in range(80)
        ]
        # few levels of scores, so that many are equal
        found.append(rows(*[(*one, int(rng.integers(1, 9)) / 8) for one in drawn]))
    score = frame_map(videos, found, LABELS, protocol)
    for label in range(3):
        for iou in (0.5, 0.75):
            expected = slow_map(videos, found, label, iou, protocol)
            assert score.at(iou)[label] == pytest.approx(expected)
            assert 0 < expected < 1


def test_of_truths_that_overlap_equally_the_first_is_taken() -> None:
    pairs = Pairs(np.array([0, 0, 1, 1]), np.array([1, 0, 0, 1]), np.full(4, 0.8))
    assert match(pairs, np.array([0.5, 0.5]), 0.5, "voc").tolist() == [0, -1]
    assert match(pairs, np.array([0.5, 0.5]), 0.5, "free").tolist() == [0, 1]
    assert match(pairs, np.array([0.5, 0.6]), 0.5, "free").tolist() == [1, 0]


def test_pairs_of_keys_are_all_that_are_equal() -> None:
    left, right = pair_keys(np.array([7, 3, 9, 3]), np.array([3, 7, 3, 4]))
    pairs = sorted(zip(left.tolist(), right.tolist(), strict=True))
    assert pairs == [(0, 1), (1, 0), (1, 2), (3, 0), (3, 2)]
    assert left.tolist() == sorted(left.tolist())
