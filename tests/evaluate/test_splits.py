"""The mean over splits, and which model is scored on which."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from s3d.errors import InputError
from s3d.evaluate.splits import SplitEvaluation, pair_models
from s3d.evaluate.table import format_splits
from tests.evaluate.test_table import OUTCOME, SPEC

WORSE = replace(OUTCOME, truth=np.array([1, 0, 1, 1]), found=6, part="test", data="x")


def test_the_mean_is_that_of_the_splits_not_of_the_videos() -> None:
    short = replace(OUTCOME, truth=np.array([0]), scores=OUTCOME.scores[:1], found=1)
    outcome = SplitEvaluation({"1": OUTCOME, "2": short})
    assert outcome.means == {
        "top1": pytest.approx((3 / 4 + 1) / 2),
        "top5": 1.0,
        "mean_class_accuracy": pytest.approx((3 / 4 + 1) / 2),
    }
    assert outcome.coverage == "5 of 6 videos"


def test_every_figure_and_its_count() -> None:
    outcome = SplitEvaluation({"1": OUTCOME, "2": WORSE})
    assert format_splits(outcome, SPEC).splitlines() == [
        "protocol   clip: one clip from the middle, centre crop",
        "clip       16 frames at 8 fps (2 s), 56 x 56 px, rgb",
        "",
        "split      top-1    top-5    per class   scored",
        "1          75.0%   100.0%       75.0%   4 of 5 videos, part all",
        "2          50.0%   100.0%       33.3%   4 of 6 videos, part test",
        "mean       62.5%   100.0%       54.2%   8 of 11 videos",
        "",
        "split 1: failed     x.mp4: is empty.",
        "split 2: failed     x.mp4: is empty.",
    ]
    values = outcome.to_json()
    assert values["mean"] == {
        "top1": 0.625, "top5": 1.0, "mean_class_accuracy": 0.5417, "coverage": "8 of 11 videos",
    }  # fmt: skip
    assert values["splits"]["2"]["coverage"] == "4 of 6 videos"


@pytest.mark.parametrize(
    ("models", "paired"),
    [
        ("a,b", {"1": "a", "3": "b"}),
        (" a , b ", {"1": "a", "3": "b"}),
        ("run_{}/m{}", {"1": "run_1/m1", "3": "run_3/m3"}),
    ],
)
def test_models_are_paired(models: str, paired: dict[str, str]) -> None:
    assert pair_models("1, 3", models) == paired


@pytest.mark.parametrize(
    ("splits", "models", "said"),
    [
        ("1,2,3", "a,b", "--models names 2 for 3 splits; each split needs the model that was"),
        ("1,2", "a,", "--models names 2 for 2 splits"),
        ("1,1", "a,b", "--splits is '1,1'; it needs different splits, as in 1,2,3."),
        ("1,,2", "a,b,c", "--splits is '1,,2'"),
    ],
)
def test_what_does_not_pair_is_refused(splits: str, models: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        pair_models(splits, models)
