"""Which confusions order explains, on scores whose answer is known."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s3d.clip import ClipSpec
from s3d.data.synthetic import SampleConfig, render_video
from s3d.data.video_list import Video, VideoList
from s3d.explore.analyse.both_ways import BothWays
from s3d.explore.analyse.confusions import (
    LOOKS,
    ORDER_TELLS,
    ORDER_WOULD,
    UNSURE,
    Confusion,
    ConfusionAnalysis,
    analyse_confusions,
    can_be_seen,
    compare_ranks,
    confusions_of,
)
from s3d.explore.analyse.confusions_plot import MOST_ROWS, draw_confusions, pick_rows
from s3d.infer.recognizer import Recognizer
from s3d.models.model_file import ModelFile
from s3d.models.network import build
from tests.conftest import WriteVideo
from tests.explore.both_told import make_both, two_classes

COUNT = 20
LABELS = ("a", "b")


def of_two(forward: Sequence[float], backward: Sequence[float]) -> BothWays:
    """Return scores of as many videos of "a" as of "b", by their log-odds of "a"."""
    truth = [0] * (len(forward) // 2) + [1] * (len(forward) // 2)
    return make_both(LABELS, truth, two_classes(forward), two_classes(backward))


def noise(seed: int, count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count)


def look(*halves: np.ndarray) -> BothWays:
    """Return scores by the looks and the order of "a", then of "b"."""
    looks_a, order_a, looks_b, order_b = halves
    looks, order = np.concatenate([looks_a, looks_b]), np.concatenate([order_a, order_b])
    return of_two(list(looks + order), list(looks - order))


NOTHING = np.zeros(COUNT)
# Looks that tell nothing: those of the two classes are the same numbers, in another order.
ALIKE, ALIKE_TOO = noise(1), noise(1)[::-1].copy()


def test_order_tells_mirror_images_apart_for_who_sees_it() -> None:
    found = confusions_of(look(ALIKE, NOTHING + 2, ALIKE_TOO, NOTHING - 2))
    (one,) = found.confusions
    assert (one.verdict, one.is_settled) == (ORDER_TELLS, True)
    assert (one.looks.share, one.order.share) == (0.5, 1.0)
    assert one.reversed_share > 0.9
    assert found.pairs == (("a", "b"),)
    assert found.pairs_are_found


def test_who_is_blind_to_order_confuses_mirror_images() -> None:
    (one,) = confusions_of(look(ALIKE, NOTHING, ALIKE_TOO, NOTHING)).confusions
    assert (one.verdict, one.is_settled) == (ORDER_WOULD, False)
    assert (one.looks.share, one.order.share, one.order.chance) == (0.5, 0.5, 1.0)
    assert one.mistaken == one.mistaken_reversed
    assert one.share == pytest.approx(0.5, abs=0.1)


def test_named_pairs_settle_it() -> None:
    blind = look(ALIKE, NOTHING, ALIKE_TOO, NOTHING)
    (one,) = confusions_of(blind, [("b", "a")]).confusions
    assert (one.verdict, one.is_settled) == (ORDER_WOULD, True)
    (one,) = confusions_of(blind, []).confusions
    assert (one.verdict, one.is_settled) == (LOOKS, True)


def test_who_half_sees_order_is_confused_where_order_would_explain_it() -> None:
    half = noise(3) * 0.5 + 0.5
    (one,) = confusions_of(look(ALIKE * 3, half, ALIKE_TOO * 3, -half)).confusions
    assert 0.5 < one.within < 0.75
    assert one.order.is_seen
    assert (one.verdict, one.is_settled) == (ORDER_WOULD, True)


def test_what_looks_part_badly_is_confused_by_looks() -> None:
    (one,) = confusions_of(look(noise(4) + 0.9, NOTHING, noise(5) - 0.9, NOTHING)).confusions
    assert sum(one.mistaken) > 0
    assert one.looks.is_seen
    assert (one.verdict, one.is_settled) == (LOOKS, True)


def test_few_videos_say_nothing() -> None:
    few = noise(6, 4)
    none = np.zeros(4)
    (one,) = confusions_of(look(few, none, few[::-1], none)).confusions
    assert (one.verdict, one.is_settled) == (UNSURE, False)
    assert [can_be_seen(n, n) for n in (5, 7, 8, 20)] == [False, False, True, True]


def test_rounding_is_no_order() -> None:
    tiny = np.abs(noise(7)) * 1e-5
    (one,) = confusions_of(look(ALIKE, tiny, ALIKE_TOO, -tiny)).confusions
    assert one.order.share == 0.5


def test_ranks_are_compared_as_every_pair_would_be() -> None:
    half = compare_ranks(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    assert half.share == 3.5 / 4
    # U = 3.5, its variance under chance 4 / 12 (5 - 6 / 12) = 1.5: z = 1.5 / sqrt(1.5) = 1.2247.
    assert half.chance == pytest.approx(0.11034, abs=1e-5)
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 17).astype(float), rng.integers(1, 7, 23).astype(float)
    each = [(x > y) + 0.5 * (x == y) for x in a for y in b]
    assert compare_ranks(a, b).share == pytest.approx(np.mean(each))
    assert compare_ranks(a, b).chance > 0.5
    assert compare_ranks(np.ones(3), np.ones(4)) == compare_ranks(np.ones(4), np.ones(3))
    assert compare_ranks(np.ones(3), np.ones(4)).chance == 1


def test_who_errs_nowhere_has_no_confusions() -> None:
    found = confusions_of(look(NOTHING + 3, NOTHING, NOTHING - 3, NOTHING))
    assert found.confusions == ()
    assert draw_confusions(found, "x")


def test_counts_are_rows_and_json() -> None:
    forward = [1.0] * 9 + [-1.0] + [-1.0] * 8 + [1.0] * 2
    found = confusions_of(of_two(forward, forward))
    row = json.loads(json.dumps(found.to_json(), allow_nan=False))["confusions"][0]
    assert (row["a_named_b"], row["b_named_a"], row["share"]) == (1, 2, 0.15)
    assert (row["reversed_a_named_b"], row["within_pair"], row["verdict"]) == (1, 0.85, LOOKS)
    assert found.to_json()["mistaken"][LOOKS] == 3


SPEC = ClipSpec(13, 8.0, (32, 32), (32, 32))


def test_a_network_that_is_blind_by_build_comes_out_blind(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    """With 13 frames an I2D gives a clip and its reverse equal logits; an S3D does not."""
    config = SampleConfig(1, 1, difficulty=0.1, size_px=32, seconds=1.7)
    videos = []
    for number in range(6):
        label = ("grow", "shrink")[number % 2]
        frames, rate = render_video(label, number, config)
        videos.append(Video(str(write_video(tmp_path / f"{number}.mp4", frames, rate)), label))
    data = VideoList(tuple(videos), ("grow", "shrink"), "drawn", ())
    shares = {}
    for word in ("i2d", "s3d"):
        network = build(word, num_classes=2, width=0.1)
        recognizer = Recognizer(ModelFile(network, ("grow", "shrink"), SPEC)).use("torch")
        found = analyse_confusions(recognizer, data, [("grow", "shrink")])
        forward, backward = found.both.forward.scores, found.both.backward.scores
        shares[word] = float(np.abs(forward - backward).max())
        if word == "i2d":
            assert [(one.verdict, one.order.share) for one in found.confusions] == [
                (ORDER_WOULD, 0.5)
            ]
    assert shares["i2d"] < 1e-6 < 1e-4 < shares["s3d"]


def make_many() -> ConfusionAnalysis:
    both = look(ALIKE, NOTHING, ALIKE_TOO, NOTHING)
    (one,) = confusions_of(both).confusions
    values = {name: getattr(one, name) for name in one.__dataclass_fields__}
    confused = [Confusion(**{**values, "a": f"class {n}"}) for n in range(40)]
    told = [Confusion(**{**values, "b": f"other {n}", "verdict": ORDER_TELLS}) for n in range(40)]
    return ConfusionAnalysis(both, (*confused, *told), (), True)


def test_of_many_a_third_at_most_is_what_order_tells_apart() -> None:
    rows = pick_rows(make_many().confusions)
    assert len(rows) == MOST_ROWS
    assert [one.verdict for one in rows].count(ORDER_TELLS) == MOST_ROWS // 3
    few = pick_rows(make_many().confusions[38:])
    assert [one.verdict for one in few] == [ORDER_WOULD] * 2 + [ORDER_TELLS] * 22


def test_bars_have_the_colour_of_their_verdict() -> None:
    png = draw_confusions(make_many(), "a run")
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    for color in ((217, 95, 14), (37, 99, 235)):
        assert (picture == color).all(2).sum() > 1000
