"""Few clips leave the lower blocks of a shipped trunk as they are."""

from __future__ import annotations

import pytest

from s3d.errors import InputError
from s3d.models.network import BLOCKS
from s3d.train.config import TrainConfig
from s3d.train.scarcity import FROZEN, choose_frozen, plan_frozen


@pytest.mark.parametrize(
    ("clips", "classes", "block"),
    [
        (144, 2, "mixed4f"),
        (199, 2, "mixed4f"),
        (200, 2, None),
        (60, 8, "mixed4f"),
        (80, 16, None),
        (100_000, 400, None),
        (500, 1, "mixed4f"),  # one class says nothing
    ],
)
def test_blocks_stay_where_labels_say_little(clips: int, classes: int, block: str | None) -> None:
    assert choose_frozen(clips, classes) == block
    assert FROZEN in BLOCKS


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
    asked: str | None, is_shipped: bool, block: str | None
) -> None:
    config = TrainConfig(init="x", freeze_until=asked)
    found, reason = plan_frozen(config, is_shipped, clips=15, classes=2)
    assert found == block
    if block is None:
        assert reason is None
    else:
        assert reason is not None
        assert reason.startswith(f"blocks up to and with {block} stay as they are")
        few = ": 15 clips of 2 classes say little (--freeze-until)"
        assert reason.endswith(few) == (asked != "mixed5b")


def test_random_weights_cannot_be_kept() -> None:
    assert TrainConfig(init="none", freeze_until="none").frozen_block is None
    with pytest.raises(InputError, match="--freeze-until mixed3c keeps weights that nothing has"):
        TrainConfig(init="none", freeze_until="mixed3c")
