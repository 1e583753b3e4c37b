"""The whole score of one scene: as text, as JSON, through the one door."""

import json
from dataclasses import replace

import pytest

from s3d.detect.score.match import ACT, VOC
from s3d.detect.score.score import DetectionScore, score_detections
from s3d.detect.score.table import detection_summary, format_detection_score
from tests.detect.marked import found_tube, marked, rows, square, true_tube

LABELS = ("run", "jump", "fall", "sit")


def scene(has_tubes: bool = True, track: str = "a") -> DetectionScore:
    """Return a score: "run" found in 2 of 4 frames and a false one before them; "jump" missed."""
    frames = [[frame] for frame in range(4)] if not track else [list(range(4))]
    tubes = [true_tube(one, [square(0)], track=track) for one in frames]
    tubes += [true_tube([0], [square(60)], 1, track)]
    found = rows(
        (0, square(0), 0, 0.8),
        (1, square(0), 0, 0.8),
        (2, square(40), 0, 0.9),
        (3, square(0), 2, 0.1),
    )
    given = [[found_tube([0, 1], [square(0)], 0.8)]] if has_tubes else None
    return score_detections([marked(tubes, range(5))], [found], given, LABELS)


def test_figures_are_those_of_each_part() -> None:
    """Frames: precision 0, 2/3 at recall 1/2: 1/3; with "jump" 1/6. Tubes: 2 of 4 frames: 0.5."""
    score = scene()
    assert score.frame.mean_at(0.5) == pytest.approx(1 / 6)
    assert score.video is not None
    assert score.video.mean_at(0.5) == pytest.approx(0.5)
    assert score.video.mean_at(0.75) == 0
    assert score.errors.map == pytest.approx(1 / 6)
    assert (score.videos, score.frames, score.lacks) == (1, 5, "")


def test_the_table_says_how_and_what() -> None:
    """What mending gains over 1/6, the mean of 1/3 and 0:

    classification: the "fall" becomes the third that runs: 3/4 * 3/4, so 9/32, or 11.5 more.
    background: without the false one 1/2 of "run" is found at precision 1: 1/4, or 8.3 more.
    missed: one of "run" and "jump": 2/3 * 2/3 and 1, so 13/18, or 55.6 more.
    """
    text = format_detection_score(scene())
    expected = """\
protocol   voc: IoU of boxes whose width is x2 - x1, no +1; right from the threshold on
           a detection is compared with the truth it overlaps most, wrong if that is taken; \
highest score first
           average precision: area under the highest precision at that recall or more \
(PASCAL VOC 2010, AVA)
           the mean is over classes that have truth
frames     5 of 1 videos: those of which everything is marked, and no others
classes    2 of 4 have truth; the means are over them
frame-mAP  16.7% at 0.5   16.7% at 0.75   16.7% at 0.5:0.95
video-mAP  50.0% at 0.2   50.0% at 0.5   0.0% at 0.75   5.0% at 0.5:0.95

  class   boxes   found   AP 0.5   tubes   found   AP 0.2   AP 0.5
  run         4       3    33.3%       1       1   100.0%   100.0%
  jump        1       0     0.0%       1       0     0.0%     0.0%
  fall        0       1        -       0       0        -        -

errors at IoU 0.5, and what frame-mAP were without: 2 of 4 detections are correct
  duplicate            0    +0.0  a second one on the same truth
  localisation         0    +0.0  right class, box off
  classification       1   +11.5  box right, class wrong
  both                 0    +0.0  box off and class wrong
  timing               0    +0.0  right box and class, before or after it is done
  background           1    +8.3  nothing of the kind there
  missed               2   +55.6  true, and not found"""
    assert text == expected


def test_without_tubes_or_tracks_it_says_why_there_is_no_video_map() -> None:
    text = format_detection_score(scene(has_tubes=False))
    assert "video-mAP  none: not every frame was looked at" in text
    score = scene(track="")
    assert score.video is None
    text = format_detection_score(score)
    assert "video-mAP  none: the annotations do not say which boxes are of one person" in text
    assert "tubes" not in text.splitlines()[8]


def test_other_rules_are_named() -> None:
    plus = replace(ACT, plus_one=True)
    assert plus.lines()[0].startswith("IoU of boxes whose width is x2 - x1 + 1: the last pixel")
    assert "best truth that is still free" in plus.lines()[1]
    assert "ACT-detector" in plus.lines()[2]
    assert (
        VOC.lines()[0] == "IoU of boxes whose width is x2 - x1, no +1; right from the threshold on"
    )


def test_the_summary_is_json_with_null_for_what_is_not_known() -> None:
    summary = json.loads(json.dumps(detection_summary(scene()), allow_nan=False))
    assert summary["frame_map"]["0.5"] == pytest.approx(1 / 6)
    assert set(summary["frame_map"]) == {"0.5", "0.75", "0.5:0.95"}
    assert summary["video_map"]["0.2"] == pytest.approx(0.5)
    run, _, fall, _ = summary["classes"]
    assert run["label"] == "run"
    assert run["frame"]["truths"] == 4
    assert run["frame"]["ap"]["0.5"] == pytest.approx(1 / 3)
    assert run["video"]["ap"]["0.75"] == 0
    assert fall["frame"]["ap"]["0.5"] is None
    assert summary["errors"]["causes"]["background"]["count"] == 1
    assert summary["errors"]["causes"]["missed"]["gain"] == pytest.approx(5 / 9)
    assert detection_summary(scene(has_tubes=False))["video_map"] is None


def test_nothing_true_is_a_line_and_no_nan() -> None:
    score = score_detections([marked([], [0])], [rows((0, square(0), 0, 0.5))], [[]], LABELS)
    assert "frame-mAP  - at 0.5" in format_detection_score(score)
    assert json.loads(json.dumps(detection_summary(score), allow_nan=False))
