"""Video-mAP by hand: perfect, shifted, split, swapped, late, close together."""

import math
from dataclasses import replace

import pytest

from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.score.match import ACT, VOC
from s3d.detect.score.video_map import has_tracks, video_map
from s3d.detect.tube import FoundTube
from s3d.errors import InputError
from tests.detect.marked import found_tube, marked, square, true_tube

LABELS = ("run", "jump")


def one_actor(frames: range = range(10)) -> AnnotatedVideo:
    return marked([true_tube(frames, [square(0)])], range(20))


def score(video: AnnotatedVideo, *tubes: FoundTube, iou: float = 0.5) -> float:
    return video_map([video], [tubes], LABELS).mean_at(iou)


def test_a_perfect_tube_is_1_at_all_thresholds() -> None:
    values = video_map([one_actor()], [[found_tube(range(10), [square(0)])]], LABELS)
    assert values.values[0].tolist() == [1] * 11
    assert values.ious[0] == 0.2
    assert math.isnan(values.at(0.5)[1])
    assert values.mean() == 1


def test_a_shifted_tube_is_right_up_to_its_overlap() -> None:
    """Squares shifted by 2 of 10: 2/3."""
    tube = found_tube(range(10), [square(2)])
    assert [score(one_actor(), tube, iou=iou) for iou in (0.2, 0.5, 0.65, 0.7)] == [1, 1, 1, 0]


def test_a_late_tube_loses_its_overlap_in_time() -> None:
    """Frames 5..14 of 0..9: 5 / 15 = 1/3."""
    late = found_tube(range(5, 15), [square(0)])
    assert score(one_actor(), late, iou=0.2) == 1
    assert score(one_actor(), late, iou=0.5) == 0


def test_of_a_split_tube_one_half_is_right_at_low_thresholds_and_the_other_wrong() -> None:
    """Halves overlap by 1/2 each: the better one is right at 0.5, then the other is a duplicate.

    One truth: precision 1 at recall 1, whatever follows; the wrong one first makes it 1/2.
    """
    halves = found_tube(range(5), [square(0)], 0.9), found_tube(range(5, 10), [square(0)], 0.8)
    assert score(one_actor(), *halves) == 1
    assert score(one_actor(), *halves, iou=0.55) == 0
    other = true_tube(range(10), [square(50)], track="b")
    two = marked([*one_actor().tubes, other], range(20))
    # right, duplicate, right of two truths: 1/2 + 1/2 * 2/3
    last = found_tube(range(10), [square(50)], 0.5)
    assert score(two, *halves, last) == pytest.approx(5 / 6)


def test_swapped_identities_halve_the_overlap_of_both() -> None:
    """Each found tube is on one person for 5 frames and on the other for 5: 1/2 of the boxes lie.

    Overlap in time 1, in space 1/2: right at 0.5, wrong at 0.55. Each truth is found by one.
    """
    people = [true_tube(range(10), [square(0)]), true_tube(range(10), [square(50)], track="b")]
    there, back = [square(0)] * 5 + [square(50)] * 5, [square(50)] * 5 + [square(0)] * 5
    tubes = found_tube(range(10), there, 0.9), found_tube(range(10), back, 0.8)
    video = marked(people, range(10))
    # both overlap both truths by 0.5, and a tie goes to the first: by "voc" the second is wrong
    assert video_map([video], [tubes], LABELS, ACT).mean_at(0.5) == 1
    assert video_map([video], [tubes], LABELS, VOC).mean_at(0.5) == 0.5
    assert video_map([video], [tubes], LABELS, ACT).mean_at(0.55) == 0


def test_two_actors_of_whom_one_is_missed() -> None:
    people = [true_tube(range(10), [square(0)]), true_tube(range(10), [square(50)], track="b")]
    assert score(marked(people, range(10)), found_tube(range(10), [square(50)])) == 0.5


def test_missed_frames_cost_their_share() -> None:
    """6 of 10 frames: right at 0.6, wrong at 0.65."""
    tube = found_tube([0, 1, 2, 5, 8, 9], [square(0)])
    assert score(one_actor(), tube, iou=0.6) == 1
    assert score(one_actor(), tube, iou=0.65) == 0


def test_only_marked_frames_count() -> None:
    """Every 5th frame is marked: the frames between and behind make a tube neither better nor
    worse, and a tube that has none of the marked ones is not there."""
    video = marked([true_tube([0, 5, 10], [square(0)])], [0, 5, 10])
    other = found_tube([1, 2, 3], [square(40)], 0.99)
    values = video_map([video], [[found_tube(range(14), [square(0)], 0.5), other]], LABELS)
    assert values.mean() == 1
    assert values.found.tolist() == [1, 0]


def test_a_false_tube_with_a_higher_score_halves_precision() -> None:
    wrong = found_tube(range(10), [square(50)], 0.95)
    assert score(one_actor(), found_tube(range(10), [square(0)]), wrong) == 0.5


def test_a_tube_of_another_class_or_video_finds_nothing() -> None:
    assert score(one_actor(), found_tube(range(10), [square(0)], label=1)) == 0
    tube = found_tube(range(10), [square(0)])
    assert video_map([one_actor(), marked([], range(9))], [[], [tube]], LABELS).mean_at(0.5) == 0


def test_boxes_of_single_frames_have_no_video_map() -> None:
    video = marked([true_tube([3], [square(0)], track="")], [3])
    assert not has_tracks([one_actor(), video])
    assert has_tracks([one_actor()])
    with pytest.raises(InputError, match="video-mAP needs annotations that say which boxes"):
        video_map([video], [[]], LABELS)


def test_what_cannot_be_scored_is_refused() -> None:
    tube, video = found_tube(range(10), [square(0)]), one_actor()
    with pytest.raises(ValueError, match="detections of 0 videos for 1"):
        video_map([video], [], LABELS)
    with pytest.raises(ValueError, match="v: the label of a tube is 2; with 2 classes"):
        video_map([video], [[replace(tube, label=2)]], LABELS)
    with pytest.raises(ValueError, match="v: the score of a tube is no finite number"):
        video_map([video], [[replace(tube, score=math.nan)]], LABELS)
    with pytest.raises(ValueError, match="frames of a tube do not rise"):
        video_map([video], [[replace(tube, frames=tube.frames[::-1])]], LABELS)
