"""Normal against reversed, on scores whose answers are counted by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from s3d.clip import ClipSpec
from s3d.data.actions import ORDER_PAIRS
from s3d.data.video_list import Video, VideoList
from s3d.errors import InputError
from s3d.explore.analyse.both_ways import BothWays, play_both_ways
from s3d.explore.analyse.order import OrderAnalysis, analyse_order, order_of
from s3d.explore.analyse.order_plot import MOST_ROWS, draw_order, place_rows
from s3d.explore.analyse.partners import (
    coin_chance,
    find_partners,
    number_class,
    number_pairs,
    read_pairs,
)
from s3d.infer.recognizer import Prediction, Recognizer
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from tests.explore.both_told import make_both, name_all

LABELS = ("left", "right", "still")
TRUTH = [0] * 8 + [1] * 8 + [2] * 4
# One of "left" is wrong either way; all others of a pair swap, and "still" stays.
FORWARD = [0] * 7 + [2] + [1] * 8 + [2] * 4
BACKWARD = [1] * 7 + [2] + [0] * 8 + [2] * 3 + [0]


@pytest.fixture(scope="module")
def both() -> BothWays:
    return make_both(LABELS, TRUTH, name_all(FORWARD, 3), name_all(BACKWARD, 3))


@pytest.fixture(scope="module")
def found(both: BothWays) -> OrderAnalysis:
    return order_of(both)


def test_partners_are_found_where_reversing_swaps_the_names(found: OrderAnalysis) -> None:
    assert found.pairs == (("left", "right"),)
    assert found.pairs_are_found


def test_each_class_is_counted_by_hand(found: OrderAnalysis) -> None:
    left, right, still = found.classes
    assert (left.videos, left.forward, left.backward) == (8, 7 / 8, 0)
    assert (left.named, left.named_share) == ("right", 7 / 8)
    assert (left.partner, left.partner_share) == ("right", 7 / 8)
    # The video named "still" scores both of the pair alike, which counts half.
    assert (left.within_forward, left.within_backward) == (7.5 / 8, 0.5 / 8)
    assert (right.forward, right.within_backward) == (1, 0)
    assert (still.named, still.named_share, still.partner) == ("still", 3 / 4, None)
    assert np.isnan(still.within_forward)
    assert left.drop == 7 / 8


def test_the_whole_is_counted_by_hand(found: OrderAnalysis) -> None:
    assert (found.forward, found.backward) == (19 / 20, 3 / 20)
    assert found.partner_share == 15 / 16
    assert found.within_forward == 15.5 / 16
    assert found.within_backward == 0.5 / 16


def test_pairs_come_first_and_what_reversing_costs_most_leads(found: OrderAnalysis) -> None:
    assert [[one.label for one in group] for group in found.grouped()] == [
        ["right", "left"],
        ["still"],
    ]


def test_json_holds_every_figure_and_the_papers_as_the_papers(found: OrderAnalysis) -> None:
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert values["top1_forward"] == 0.95
    assert values["within_pair_forward"] == 0.9688
    assert values["per_class"][2]["within_forward"] is None
    assert values["pairs"] == [["left", "right"]]
    assert values["the_papers_figures"][0] == {
        "data": "Something-Something", "network": "I3D", "forward": 0.458, "backward": 0.152,
    }  # fmt: skip
    assert [row["label"] for row in found.to_rows()] == ["right", "left", "still"]
    assert found.to_rows()[2]["within_forward"] == ""


def test_without_pairs_there_is_nothing_within_them(both: BothWays) -> None:
    alone = order_of(both, [])
    assert (alone.pairs, alone.pairs_are_found) == ((), False)
    assert np.isnan(alone.within_forward)
    assert alone.to_json()["within_pair_forward"] is None


def test_a_network_blind_to_order_shows_no_pairs() -> None:
    # Half of each class is taken for the other, played either way.
    names = name_all([0] * 4 + [1] * 4 + [0] * 4 + [1] * 4 + [2] * 4, 3)
    blind = make_both(LABELS, TRUTH, names, names)
    assert find_partners(blind) == ()
    given = order_of(blind, [("left", "right")])
    assert (given.within_forward, given.within_backward) == (0.5, 0.5)


def test_too_few_videos_show_no_pair() -> None:
    few = make_both(LABELS[:2], [0, 0, 0, 1, 1, 1], name_all([0] * 3 + [1] * 3, 2),
                    name_all([1] * 3 + [0] * 3, 2))  # fmt: skip
    assert coin_chance(6, 6) == 1 / 64  # above one in a hundred
    assert find_partners(few) == ()


def test_a_partner_must_name_it_back() -> None:
    backward = [1] * 8 + [2] * 8 + [2] * 4
    one_way = make_both(LABELS, TRUTH, name_all(TRUTH, 3), name_all(backward, 3))
    assert find_partners(one_way) == ()


def test_a_partner_is_named_in_a_third_of_the_videos() -> None:
    labels = ("a", "b", "c", "d", "e")
    truth = [0] * 20 + [1] * 20
    seldom = [1] * 6 + [2] * 5 + [3] * 5 + [4] * 4 + [0] * 20
    both = make_both(labels, truth, name_all(truth, 5), name_all(seldom, 5))
    assert find_partners(both) == ()
    often = [1] * 7 + [2] * 5 + [3] * 4 + [4] * 4 + [0] * 20
    both = make_both(labels, truth, name_all(truth, 5), name_all(often, 5))
    assert find_partners(both) == (("a", "b"),)


def test_coins_are_counted_exactly() -> None:
    assert [coin_chance(*throw) for throw in ((0, 0), (3, 3), (2, 3), (0, 3))] == [1, 1 / 8, 0.5, 1]


def test_pairs_are_read_from_words_and_files(tmp_path: Path) -> None:
    assert read_pairs("a:b, c:d") == (("a", "b"), ("c", "d"))
    file = tmp_path / "pairs.csv"
    file.write_text('\ufeffopen,close\n\n"put, then take","take, then put"\nin:out\n', "utf-8")
    assert read_pairs(str(file)) == (
        ("open", "close"), ("put, then take", "take, then put"), ("in", "out"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "pairs 'a' are neither a file nor a:b,c:d. Name classes, each with its partner"),
        ("", "pairs '' are neither"),
        ("a:b:c", "'a:b:c' is no pair. Write a:b"),
        ("a:", "'a:' is no pair"),
    ],
)
def test_what_is_no_pair_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_pairs(text)


def test_a_file_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="x: pairs cannot be read"):
        read_pairs(str(tmp_path / "x"))


def test_pairs_are_classes_of_the_model() -> None:
    assert number_pairs([("right", "left")], LABELS) == [(1, 0)]
    for pairs in ([("left", "right"), ("left", "still")], [("left", "left")]):
        with pytest.raises(InputError, match="class 'left' stands in pairs twice; it has one part"):
            number_pairs(pairs, LABELS)
    with pytest.raises(InputError, match=r"class 'rihgt' is unknown to the model. Did you mean r"):
        number_class("rihgt", LABELS)
    with pytest.raises(InputError, match=r"It knows: left, right, still\."):
        number_class("zzz", LABELS)


def test_an_unknown_pair_is_told_before_anything_is_scored() -> None:
    with pytest.raises(InputError, match="class 'up' is unknown to the model"):
        analyse_order(SilentRecognizer({}), make_list(), [("up", "right")])


class FailingRecognizer(Recognizer):
    """Name every video "left", or "right" where it is reversed; some fail one way."""

    def __init__(self, fails: dict[str, bool]) -> None:
        network = build("i2d", num_classes=3, width=0.1)
        super().__init__(ModelFile(network, LABELS, ClipSpec(4, 8.0, (32, 32), (32, 32))))
        self.fails = fails

    def predict_each(
        self,
        videos: Sequence[Any],
        protocol: str = "cover",
        reverse: bool = False,
        threads: int = 1,
    ) -> Iterator[Prediction | InputError]:
        for place, video in enumerate(videos):
            if self.fails.get(video) == reverse:
                yield InputError(f"{video}: is broken.")
            else:
                scores = name_all([int(reverse)], 3)[0] + np.float32(place)
                yield Prediction(video, self.labels, scores, (4,))


class SilentRecognizer(FailingRecognizer):
    """Be asked for nothing."""

    def predict_each(self, *_: Any, **__: Any) -> Iterator[Prediction | InputError]:
        raise AssertionError("videos were scored")


def make_list() -> VideoList:
    videos = tuple(Video(name, "left") for name in ("1", "2", "3"))
    return VideoList(videos, ("left",), "told", ())


def test_a_video_that_can_be_read_one_way_alone_counts_in_neither() -> None:
    told: list[tuple[int, int]] = []
    both = play_both_ways(
        FailingRecognizer({"1": True, "3": False}), make_list(),
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(done, 6) for done in range(1, 7)]
    assert len(both.truth) == len(both.backward.truth) == 1
    assert both.forward.scores[0].min() >= both.backward.scores[0].min() >= 1  # both of "2"
    assert both.forward.scores[0].max() < 2
    assert {path for path, _ in both.forward.failures} == {"1", "3"}
    assert (both.named_forward.tolist(), both.named_backward.tolist()) == ([0], [1])


def test_videos_that_all_fail_one_way_are_told() -> None:
    with pytest.raises(InputError, match="told: not one video can be read both ways"):
        play_both_ways(FailingRecognizer({"1": True, "2": False, "3": True}), make_list())


def test_both_ways_are_of_the_same_videos(both: BothWays) -> None:
    other = make_both(LABELS, TRUTH[:-1], name_all(FORWARD[:-1], 3), name_all(BACKWARD[:-1], 3))
    with pytest.raises(ValueError, match="both ways need the same videos of the same classes"):
        BothWays(both.forward, other.backward)


def test_the_sample_datas_pairs_are_found_in_the_answers_of_one_who_sees_order() -> None:
    labels = tuple(name for pair in ORDER_PAIRS for name in reversed(pair))
    truth = [number for number in range(12) for _ in range(10)]
    swapped = [number ^ 1 for number in truth]
    both = make_both(labels, truth, name_all(truth, 12), name_all(swapped, 12))
    assert {frozenset(pair) for pair in find_partners(both)} == set(map(frozenset, ORDER_PAIRS))


def test_it_is_drawn(found: OrderAnalysis) -> None:
    png = draw_order(found, "a run")
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    assert picture.shape[1] > 1000
    blue, orange = ((picture == color).all(2).sum() for color in ((37, 99, 235), (217, 95, 14)))
    assert blue > 300
    assert orange > 300
    assert draw_order(found, "a run") == png


def test_of_many_classes_those_that_reversing_costs_most_are_drawn() -> None:
    labels = tuple(f"class {number:02d}" for number in range(60))
    truth = [number for number in range(60) for _ in range(2)]
    backward = [(n + 1) % 60 if n >= 30 else n for n in truth]
    many = order_of(make_both(labels, truth, name_all(truth, 60), name_all(backward, 60)), [])
    rows = place_rows(many.grouped())
    assert len(rows) == MOST_ROWS
    assert {one.label for _, one in rows[:30]} == set(labels[30:])
    assert draw_order(many, "x")
