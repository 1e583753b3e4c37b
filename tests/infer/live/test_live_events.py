"""Windows become events with a time of day."""

from __future__ import annotations

import json

import numpy as np
import pytest

from s3d.errors import InputError
from s3d.infer.live.events import EventKeeper, LiveEvent
from s3d.infer.live.loop import Moment
from s3d.infer.segments import SegmentRule

NOON = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def moment(end: float, wave: float, delay: float = 0.25) -> Moment:
    scores = np.array([1 - wave, wave], np.float32)
    return Moment(end - 1.0, end, scores, delay, end + delay)


def keep(said: list[LiveEvent], now: list[float]) -> EventKeeper:
    rule = SegmentRule(enter=0.6, nothing=("still",))
    return EventKeeper(("still", "wave"), rule, [said.append], wall=lambda: now[0])


def test_an_event_begins_and_ends_at_its_time_of_day() -> None:
    said: list[LiveEvent] = []
    now = [NOON]
    keeper = keep(said, now)
    for number, wave in enumerate([0.0, 0.0, 0.9, 0.8, 0.9, 0.1, 0.0]):
        now[0] = NOON + 1 + number / 2 + 0.25
        keeper.on_window(moment(1 + number / 2, wave))
    begin, end = said
    assert (begin.event, begin.number, begin.label) == ("begin", 1, "wave")
    assert begin.start_seconds == pytest.approx(1.25)
    # The stream began at NOON, since a window that ends at 1 s is told at 1.25 s, 0.25 s late.
    assert begin.time == "2023-11-14T22:13:21.250Z"
    assert begin.delay_seconds == 0.25
    assert (end.event, end.number, keeper.count) == ("end", 1, 1)
    assert end.end_seconds == pytest.approx(2.75)
    assert end.time == "2023-11-14T22:13:22.750Z"
    values = json.loads(json.dumps(end.to_json()))
    assert values["score"] == pytest.approx(0.8667, abs=1e-4)
    assert values["start_seconds"] == 1.25


def test_what_goes_on_over_a_short_hole_is_one_event_and_over_a_long_one_ends() -> None:
    said: list[LiveEvent] = []
    keeper = keep(said, [NOON])
    for end in (1.0, 1.5, 2.0, 4.5, 5.0):
        keeper.on_window(moment(end, 0.9))
    assert [event.event for event in said] == ["begin"]
    keeper.on_away()
    assert [event.event for event in said] == ["begin", "end"]
    assert said[1].end_seconds == pytest.approx(5.0)
    keeper.on_away()
    keeper.on_window(moment(60.0, 0.9))
    keeper.on_away()
    assert [(event.event, event.number) for event in said[2:]] == [("begin", 2), ("end", 2)]


def test_a_label_that_means_nothing_must_be_one() -> None:
    with pytest.raises(InputError, match="label 'rest' is to mean nothing"):
        EventKeeper(("still", "wave"), SegmentRule(nothing=("rest",)))
