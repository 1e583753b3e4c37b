"""An evaluation as a person reads it: every figure with its protocol."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.evaluate.evaluation import Evaluation
from s3d.evaluate.table import DESCRIPTIONS, format_evaluation
from s3d.infer.views import PROTOCOLS

SPEC = ClipSpec(16, 8.0, (64, 64), (56, 56))
OUTCOME = Evaluation(
    protocol="clip",
    is_reversed=False,
    labels=("jump", "sit down", "never shown"),
    truth=np.array([0, 0, 1, 1]),
    scores=np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]], np.float32),
    views=np.array([1, 1, 1, 1]),
    found=5,
    failures=(("x.mp4", "x.mp4: is empty."),),
    macs_per_video=2.5e9,
    seconds=2.0,
)


def test_every_line() -> None:
    assert format_evaluation(OUTCOME, SPEC).splitlines() == [
        "protocol   clip: one clip from the middle, centre crop",
        "clip       16 frames at 8 fps (2 s), 56 x 56 px, rgb",
        "views      1 a video",
        "videos     4 of 5 scored",
        "top-1      75.0%   (95 % interval 30.1% to 95.4%, if the videos are independent)",
        "per class  75.0% on average",
        "cost       2.5 G multiply-adds a video",
        "time       2.0 s, 500 ms a video, decoding included",
        "",
        "  jump          50.0% of 2     ████████████",
        "  sit down     100.0% of 2     ████████████████████████",
        "failed     x.mp4: is empty.",
    ]


def test_backwards_is_said_and_five_where_there_are_more_classes() -> None:
    labels = tuple("abcdefg")
    scores = np.tile(np.linspace(1, 0, 7, dtype=np.float32), (4, 1))
    outcome = replace(OUTCOME, labels=labels, scores=scores, is_reversed=True)
    text = format_evaluation(replace(outcome, truth=np.array([0, 4, 5, 6])), SPEC)
    assert "centre crop, played backwards\n" in text
    assert "top-1      25.0%" in text
    assert "top-5      50.0%" in text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_is_described(protocol: str) -> None:
    assert DESCRIPTIONS[protocol] in format_evaluation(replace(OUTCOME, protocol=protocol), SPEC)
