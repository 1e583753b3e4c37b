"""A threshold travels among the metrics of a model, and nothing else passes for one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3d.infer.threshold import METRIC, Threshold, find_threshold

FOUND = Threshold(0.4, "windows of 4 frames at 8 fps", "clips", 9, 90, 0.8, 0.95)


def test_what_is_written_is_found_the_last_first() -> None:
    quiet = replace(FOUND, nothing="street", nothing_windows=12, false_share=0.25)
    other = {"metric": "top1", "value": 0.9, "protocol": "clip"}
    assert find_threshold([other, FOUND.to_metric(), other]) == FOUND
    assert find_threshold([FOUND.to_metric(), quiet.to_metric()]) == quiet
    assert find_threshold([other]) is None
    assert find_threshold([]) is None


def test_it_says_where_it_comes_from() -> None:
    assert FOUND.describe() == "calibrated on 90 windows of 9 videos"
    quiet = replace(FOUND, nothing_windows=1200)
    assert quiet.describe() == "calibrated on 90 windows of 9 videos and 1,200 of nothing"


@pytest.mark.parametrize(
    "damage",
    [
        {"value": 0},
        {"value": 1.1},
        {"value": float("nan")},
        {"value": "0.5"},
        {"value": None},
        {"value": True},
        {"protocol": 3},
        {"videos": "9"},
        {"windows": True},
        {"kept_share": None},
        {"false_share": "x"},
    ],
)
def test_what_cannot_be_one_is_none(damage: dict[str, Any]) -> None:
    assert find_threshold([{**FOUND.to_metric(), **damage}]) is None
    assert find_threshold([{"metric": METRIC}]) is None
