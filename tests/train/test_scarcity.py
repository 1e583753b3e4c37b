"""Few clips leave the lower blocks of a shipped trunk as they are."""

from __future__ import annotations

import math

import pytest

from s3d.errors import InputError
from s3d.models.network import BLOCKS, block_number
from s3d.train import scarcity
from s3d.train.config import TrainConfig
from s3d.train.scarcity import FROZEN_WHERE, choose_frozen, plan_frozen

ROWS = ((10.0, 50.0, "mixed4f"), (10.0, math.inf, "mixed4c"), (100.0, math.inf, "mixed3b"))


@pytest.mark.parametrize(
    ("per_class", "clips", "block"),
    [
        (9.9, 49, "mixed4f"),
        (9.9, 50, "mixed4c"),  # as few a class, but of many classes
        (10, 20, "mixed3b"),
        (99.9, 10_000, "mixed3b"),
        (100, 10_000, None),
        (100, 200, None),
    ],
)
def test_the_first_row_that_a_run_has_less_than_counts(
    monkeypatch: pytest.MonkeyPatch, per_class: float, clips: int, block: str | None
) -> None:
    monkeypatch.setattr(scarcity, "FROZEN_WHERE", ROWS)
    assert choose_frozen(per_class, clips) == block


def test_the_table_freezes_less_the_more_clips_there_are() -> None:
    numbers = [block_number(block) for _, _, block in FROZEN_WHERE]
    assert numbers == sorted(numbers, reverse=True)
    assert {block for _, _, block in FROZEN_WHERE} <= set(BLOCKS)
    assert choose_frozen(1e9, 10**9) is None


@pytest.mark.parametrize(
    ("asked", "is_shipped", "block"),
    [
        (None, True, "mixed4f"),
        (None, False, None),  # what others trained stays free, as it was
        ("none", True, None),
        ("mixed5b", True, "mixed5b"),
        ("mixed5b", False, "mixed5b"),
        ("auto", True, "mixed4f"),
    ],
)
def test_it_is_chosen_for_a_shipped_trunk_alone_and_can_be_said(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, is_shipped: bool, block: str | None
) -> None:
    monkeypatch.setattr(scarcity, "FROZEN_WHERE", ROWS)
    config = TrainConfig(init="x", freeze_until=asked)
    found, reason = plan_frozen(config, is_shipped, clips=15, classes=2)
    assert found == block
    if block is None:
        assert reason is None
    else:
        assert reason is not None
        assert reason.startswith(f"blocks up to and with {block} stay as they are")
        few = ": 7.5 clips a class are few (--freeze-until)"
        assert reason.endswith(few) == (asked != "mixed5b")


def test_random_weights_cannot_be_kept() -> None:
    assert TrainConfig(init="none", freeze_until="none").frozen_block is None
    with pytest.raises(InputError, match="--freeze-until mixed3c keeps weights that nothing has"):
        TrainConfig(init="none", freeze_until="mixed3c")
