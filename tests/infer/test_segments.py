"""Segments from windows: every value here is worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from s3d.errors import InputError
from s3d.infer.segments import Segment, Segmenter, SegmentRule, merge_windows

LABELS = ("jump", "run", "still")
# Windows of 4 s, one a second: window i is centred at i + 2, votes for i + 1.5 to i + 2.5, the
# first from 0 on.
Row = tuple[float, float, float]


def windows(*rows: Row) -> list[tuple[float, float, npt.NDArray[np.float32]]]:
    return [(float(i), i + 4.0, np.array(row, np.float32)) for i, row in enumerate(rows)]


def spans(rule: SegmentRule, *rows: Row) -> list[tuple[float, float, str]]:
    found = merge_windows(windows(*rows), LABELS, rule)
    return [(segment.start_seconds, segment.end_seconds, segment.label) for segment in found]


QUIET: Row = (0.3, 0.3, 0.3)
JUMP: Row = (0.8, 0.1, 0.1)
RUN: Row = (0.1, 0.8, 0.1)
STILL: Row = (0.1, 0.1, 0.8)


def test_a_segment_spans_the_votes_of_its_windows() -> None:
    found = merge_windows(windows(QUIET, QUIET, JUMP, (0.6, 0.2, 0.2), QUIET), LABELS)
    assert [replace(segment, score=0) for segment in found] == [Segment(3.5, 5.5, "jump", 0)]
    assert found[0].score == pytest.approx(0.7)


def test_the_first_window_votes_for_the_beginning_and_the_last_for_the_end() -> None:
    assert spans(SegmentRule(), JUMP, JUMP) == [(0.0, 5.0, "jump")]
    assert spans(SegmentRule(), JUMP, QUIET, RUN) == [(0.0, 2.5, "jump"), (3.5, 6.0, "run")]


def test_an_action_is_found_where_it_is_to_half_a_stride() -> None:
    # jump from 10 to 20 s; a window's score is the share of it that shows the action
    for begin in np.arange(10, 11, 0.1):
        starts = np.arange(0, 30)
        overlap = np.clip(np.minimum(starts + 4, begin + 10) - np.maximum(starts, begin), 0, 4) / 4
        rows = [(share, 0.4 * (1 - share), 0.4 * (1 - share)) for share in overlap]
        found = spans(SegmentRule(0.5, leave=0.5), *rows)
        assert len(found) == 1
        assert abs(found[0][0] - begin) <= 0.5 + 1e-6
        assert abs(found[0][1] - (begin + 10)) <= 0.5 + 1e-6


def test_a_score_between_the_thresholds_keeps_a_segment_and_begins_none() -> None:
    rule = SegmentRule(enter=0.6, leave=0.4)
    weak = (0.5, 0.3, 0.2)
    assert spans(rule, QUIET, weak, weak, QUIET) == []
    # The weak window before the strong one belongs to the segment: there the label took the lead.
    assert spans(rule, QUIET, weak, JUMP, weak, JUMP, QUIET) == [(2.5, 6.5, "jump")]


def test_a_threshold_is_reached_by_its_own_value() -> None:
    rule = SegmentRule(0.75, leave=0.25)
    assert spans(rule, (0.75, 0.25, 0), (0.25, 0, 0), (0.24, 0, 0)) == [(0.0, 3.5, "jump")]


def test_another_label_ends_a_segment_where_it_took_the_lead() -> None:
    rule = SegmentRule(enter=0.6, leave=0.3)
    # run leads from the third window on, and is believed from the fourth
    rows = (JUMP, JUMP, (0.4, 0.5, 0.1), (0.3, 0.7, 0.0), RUN)
    assert spans(rule, *rows) == [(0.0, 3.5, "jump"), (3.5, 8.0, "run")]
    jump, run = merge_windows(windows(*rows), LABELS, rule)
    assert jump.score == pytest.approx(0.8)  # without the windows in which run led
    assert run.score == pytest.approx((0.5 + 0.7 + 0.8) / 3)


def test_another_label_that_leads_but_is_not_believed_ends_nothing() -> None:
    rule = SegmentRule(enter=0.6, leave=0.3)
    rows = (JUMP, (0.4, 0.5, 0.1), JUMP, JUMP)
    assert spans(rule, *rows) == [(0.0, 7.0, "jump")]
    assert merge_windows(windows(*rows), LABELS, rule)[0].score == pytest.approx(0.7)


def test_a_label_begins_where_it_took_the_lead_and_not_where_another_had_it() -> None:
    rule = SegmentRule(enter=0.6, leave=0.3)
    assert spans(rule, (0.2, 0.2, 0.1), (0.5, 0.4, 0.1), RUN, (0.2, 0.2, 0.1)) == [
        (3.5, 4.5, "run")
    ]


def test_a_label_that_is_not_believed_by_the_end_takes_no_time() -> None:
    rule = SegmentRule(enter=0.6, leave=0.3)
    assert spans(rule, JUMP, JUMP, (0.4, 0.5, 0.1)) == [(0.0, 6.0, "jump")]


def test_a_label_that_fell_while_another_led_ends_where_that_began() -> None:
    rule = SegmentRule(enter=0.6, leave=0.3)
    rows = (JUMP, (0.4, 0.5, 0.1), (0.2, 0.5, 0.3), QUIET)
    assert spans(rule, *rows) == [(0.0, 2.5, "jump")]


def test_what_is_shorter_than_the_least_is_dropped() -> None:
    rule = SegmentRule(least_seconds=2.0)
    assert spans(rule, QUIET, JUMP, QUIET, RUN, RUN, QUIET) == [(4.5, 6.5, "run")]
    # Too short to end what goes on, while that still has enough:
    held = SegmentRule(enter=0.5, leave=0.3, least_seconds=2.0)
    assert spans(held, JUMP, JUMP, (0.4, 0.6, 0.0), JUMP) == [(0.0, 7.0, "jump")]


def test_the_last_segment_may_reach_its_least_by_the_end() -> None:
    rule = SegmentRule(least_seconds=2.5)
    # The last window votes from 2.5 to 5: only the end of the video tells that it is long enough.
    assert spans(rule, QUIET, JUMP) == [(2.5, 5.0, "jump")]
    assert spans(SegmentRule(least_seconds=2.6), QUIET, JUMP) == []


def test_labels_that_mean_nothing_make_no_segments_and_end_others() -> None:
    rule = SegmentRule(enter=0.5, leave=0.3, nothing=("still",))
    assert spans(rule, STILL, JUMP, (0.35, 0.0, 0.65), RUN) == [
        (2.5, 3.5, "jump"),
        (4.5, 7.0, "run"),
    ]


def test_smoothing_takes_the_mean_over_the_windows_around() -> None:
    rule = SegmentRule(smooth_windows=3)
    # jump: 0.8 0.8 0.1 0.8 0.8, its means 0.8 0.567 0.567 0.567 0.8: one gap is closed
    assert spans(rule, JUMP, JUMP, RUN, JUMP, JUMP) == [(0.0, 8.0, "jump")]
    # A single window is 0.8 / 3 and a half of 0.9 at the edge.
    assert spans(rule, QUIET, QUIET, JUMP, QUIET, QUIET) == []
    found = merge_windows(windows(JUMP, (0.4, 0.3, 0.3)), LABELS, rule)
    assert found[0].score == pytest.approx(0.6)
    assert spans(SegmentRule(smooth_windows=5), JUMP, JUMP, JUMP) == [(0.0, 6.0, "jump")]


def test_changes_come_as_soon_as_they_are_known() -> None:
    segmenter = Segmenter(LABELS, SegmentRule(least_seconds=2.0))
    told = [
        [(change.kind, change.segment) for change in segmenter.push(*window)]
        for window in windows(QUIET, RUN, RUN, QUIET)
    ]
    first, second = Segment(2.5, 4.5, "run", 0), Segment(2.5, 4.5, "run", 0)
    kinds = [[kind for kind, _ in changes] for changes in told]
    assert kinds == [[], [], ["began"], ["ended"]]
    assert replace(told[2][0][1], score=0) == first
    assert replace(told[3][0][1], score=0) == second
    assert segmenter.finish() == []


def test_a_change_of_label_tells_the_end_before_the_beginning() -> None:
    segmenter = Segmenter(LABELS)
    changes = [c for window in windows(JUMP, RUN) for c in segmenter.push(*window)]
    assert [(c.kind, c.segment.label) for c in changes] == [
        ("began", "jump"),
        ("ended", "jump"),
        ("began", "run"),
    ]
    assert [(c.kind, c.segment.end_seconds) for c in segmenter.finish()] == [("ended", 5.0)]


def test_after_the_end_another_stream_may_begin() -> None:
    segmenter = Segmenter(LABELS)
    for _ in range(2):
        changes = [c for window in windows(JUMP, RUN) for c in segmenter.push(*window)]
        changes += segmenter.finish()
        assert [c.segment.start_seconds for c in changes if c.kind == "ended"] == [0.0, 2.5]


def test_segments_never_overlap_and_pass_the_thresholds() -> None:
    rng = np.random.default_rng(0)
    for trial in range(200):
        powers = np.exp(rng.normal(0, 2, (60, 3)) + np.repeat(rng.normal(0, 2, (12, 3)), 5, 0))
        rows = (powers / powers.sum(1, keepdims=True)).astype(np.float32)
        rule = SegmentRule(0.6, (0.2, 0.4, 0.6)[trial % 3], (1, 3)[trial % 2], float(trial % 4))
        found = merge_windows([(float(i), i + 4.0, r) for i, r in enumerate(rows)], LABELS, rule)
        edges = [edge for s in found for edge in (s.start_seconds, s.end_seconds)]
        assert edges == sorted(edges)
        assert all(s.end_seconds - s.start_seconds >= max(1e-6, rule.least_seconds) for s in found)
        assert all(s.score >= rule.leave_score for s in found)


def test_what_is_kept_does_not_grow() -> None:
    segmenter = Segmenter(LABELS, SegmentRule(smooth_windows=5))
    for i in range(500):
        segmenter.push(i, i + 4, np.array(JUMP if i % 3 else RUN, np.float32))
        assert len(segmenter._held) <= 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"enter": 0.0}, "threshold is 0; it needs a score above 0, up to 1."),
        ({"enter": float("nan")}, "threshold is nan"),
        ({"enter": 0.5, "leave": 0.6}, "leaving threshold is 0.6; .* up to the threshold, 0.5"),
        ({"smooth_windows": 2}, "smoothed over 2 windows; it needs an odd number"),
        ({"smooth_windows": 0}, "smoothed over 0 windows"),
        ({"least_seconds": -1.0}, "least length of a segment is -1 s; it needs 0 or more"),
        ({"least_seconds": float("nan")}, "least length of a segment is nan s"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SegmentRule(**values)  # type: ignore[arg-type]


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="label 'sit' is to mean nothing"):
        Segmenter(LABELS, SegmentRule(nothing=("sit",)))
    segmenter = Segmenter(LABELS)
    with pytest.raises(InputError, match=r"\(2,\) scores came for 3 labels"):
        segmenter.push(0, 4, np.zeros(2, np.float32))
    segmenter.push(1, 5, np.array(JUMP, np.float32))
    with pytest.raises(InputError, match="a window from 1 to 5 s came after one around 3 s"):
        segmenter.push(1, 5, np.array(JUMP, np.float32))
