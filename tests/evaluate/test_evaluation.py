"""The figures of an evaluation, against scores whose answers are counted by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data.videos import Video, VideoList, list_videos
from s3d.errors import InputError
from s3d.evaluate.evaluation import Evaluation, evaluate
from s3d.infer.recognizer import Prediction, Recognizer, load
from s3d.models.cost import count_cost
from s3d.models.model_file import ModelFile
from s3d.models.network import build

LABELS = ("a", "b", "c")
SPEC = ClipSpec(4, 8.0, (32, 32), (32, 32))

# path: (true class, scores or the reason it fails, frames of each view)
TABLE: dict[str, tuple[str, list[float] | str, tuple[int, ...]]] = {
    "1": ("a", [0.7, 0.2, 0.1], (4,)),
    "2": ("a", [0.4, 0.5, 0.1], (4, 4, 4)),
    "3": ("b", [0.3, 0.6, 0.1], (4,)),
    "4": ("b", "4: is broken.", ()),
    "5": ("b", [0.1, 0.8, 0.1], (4,)),
    "6": ("b", [0.3, 0.1, 0.6], (4, 4)),
}


class ToldRecognizer(Recognizer):
    """Answer what the table says."""

    def __init__(self) -> None:
        network = build("i2d", num_classes=3, width=0.1)
        super().__init__(ModelFile(network, LABELS, SPEC))
        self.asked: list[tuple[str, bool, int]] = []

    def predict_each(
        self,
        videos: Sequence[Any],
        protocol: str = "cover",
        reverse: bool = False,
        threads: int = 1,
    ) -> Iterator[Prediction | InputError]:
        self.asked.append((protocol, reverse, threads))
        for video in videos:
            _, scores, lengths = TABLE[video]
            if isinstance(scores, str):
                yield InputError(scores)
            else:
                yield Prediction(video, LABELS, np.array(scores, np.float32), lengths)


def make_list(skipped: tuple[tuple[str, str], ...] = ()) -> VideoList:
    videos = tuple(Video(path, row[0]) for path, row in TABLE.items())
    return VideoList(videos, ("a", "b"), "list.csv", skipped)


@pytest.fixture(scope="module")
def outcome() -> Evaluation:
    return evaluate(ToldRecognizer(), make_list((("7.txt", "is no video"),)), "cover")


def test_figures_are_those_counted_by_hand(outcome: Evaluation) -> None:
    assert outcome.top(1) == 3 / 5
    assert outcome.top(2) == 4 / 5
    np.testing.assert_array_equal(outcome.confusion, [[1, 1, 0], [0, 2, 1], [0, 0, 0]])
    np.testing.assert_array_equal(outcome.truth, [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(outcome.views, [1, 3, 1, 1, 2])


def test_failures_are_counted_and_named_beside_what_was_skipped(outcome: Evaluation) -> None:
    assert outcome.found == 6  # a text is no video
    assert set(outcome.failures) == {("7.txt", "is no video"), ("4", "4: is broken.")}


def test_json_holds_every_figure(outcome: Evaluation) -> None:
    values = json.loads(json.dumps(outcome.to_json()))
    assert values == {
        "data": "list.csv",
        "part": "all",
        "coverage": "5 of 6 videos",
        "protocol": "cover",
        "reversed": False,
        "top1": 0.6,
        "top5": None,  # of three classes every one is among five
        "mean_class_accuracy": pytest.approx((1 / 2 + 2 / 3) / 2, abs=1e-4),
        "per_class": {"a": 0.5, "b": pytest.approx(2 / 3, abs=1e-4), "c": None},
        "videos_found": 6,
        "videos_scored": 5,
        "failures": [
            {"path": "7.txt", "reason": "is no video"},
            {"path": "4", "reason": "4: is broken."},
        ],
        "views_per_video": 1.6,
        "macs_per_video": values["macs_per_video"],
        "seconds": values["seconds"],
    }


def test_multiply_adds_are_those_of_all_views(outcome: Evaluation) -> None:
    clip = count_cost("i2d", 4, (32, 32), num_classes=3, width=0.1).macs
    assert outcome.macs_per_video == pytest.approx(8 / 5 * clip)


def test_multiply_adds_of_pieces_are_those_of_their_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths = {"1": (40,), "2": (13,), "3": (24, 23), "5": (8,), "6": (4,)}
    for path, value in lengths.items():
        monkeypatch.setitem(TABLE, path, (TABLE[path][0], TABLE[path][1], value))
    macs = [
        count_cost("i2d", frames, (32, 32), num_classes=3, width=0.1).macs
        for video in lengths.values()
        for frames in video
    ]
    outcome = evaluate(ToldRecognizer(), make_list(), "all-frames")
    assert outcome.macs_per_video == pytest.approx(sum(macs) / 5)


def test_multiply_adds_of_many_lengths_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = tuple(range(20, 56, 3))
    monkeypatch.setitem(TABLE, "1", ("a", [1.0, 0.0, 0.0], lengths))
    outcome = evaluate(ToldRecognizer(), make_list(), "all-frames")
    clip = [
        count_cost("i2d", n, (32, 32), num_classes=3, width=0.1).macs for n in (*lengths, *[4] * 7)
    ]
    assert outcome.macs_per_video == pytest.approx(sum(clip) / 5, rel=0.05)


def test_protocol_order_and_threads_reach_the_recognizer() -> None:
    told: list[tuple[int, int]] = []
    recognizer = ToldRecognizer()
    outcome = evaluate(
        recognizer, make_list(), "10x3", reverse=True, threads=3, progress=lambda *n: told.append(n)
    )
    assert recognizer.asked == [("10x3", True, 3)]
    assert (outcome.protocol, outcome.is_reversed) == ("10x3", True)
    assert outcome.to_json()["reversed"] is True
    assert told == [(n, 6) for n in range(1, 7)]


def test_a_class_the_model_does_not_know_is_refused() -> None:
    videos = VideoList((Video("1", "z"), Video("2", "a")), ("a", "z"), "list.csv", ())
    with pytest.raises(
        InputError, match=r"list.csv: class 'z' is unknown to the model \(1 such\)\. .*: a, b, c\."
    ):
        evaluate(ToldRecognizer(), videos)


def test_nothing_readable_is_refused() -> None:
    videos = VideoList((Video("4", "b"),), ("b",), "list.csv", ())
    with pytest.raises(InputError, match=r"not one of 1 videos can be read; first: 4: is broken\."):
        evaluate(ToldRecognizer(), videos)


@pytest.fixture
def recognizer(tiny_model: Path) -> Recognizer:
    return load(tiny_model)


def test_real_videos_are_scored_under_every_protocol(recognizer: Recognizer, colours: Path) -> None:
    videos = list_videos(colours)
    found: dict[str, Callable[..., float] | float] = {}
    for protocol, views in (("clip", 1.0), ("cover", 2.0), ("10x3", 30.0), ("all-frames", 1.0)):
        outcome = evaluate(recognizer, videos, protocol)
        assert outcome.top(1) >= 0.9
        assert outcome.views.mean() == views
        found[protocol] = outcome.macs_per_video
    clip = count_cost(recognizer.network, 4, (32, 32)).macs
    assert found == {
        "clip": clip,
        "cover": 2 * clip,
        "10x3": 30 * clip,
        "all-frames": count_cost(recognizer.network, 8, (32, 32)).macs,
    }
