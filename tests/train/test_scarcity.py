"""Few clips make a run from a shipped trunk train in two ways."""

from __future__ import annotations

import pytest

from s3d.errors import InputError
from s3d.models.network import BLOCKS
from s3d.train.config import TrainConfig
from s3d.train.scarcity import FROZEN, Freezing, count_bits, plan_freezing


def test_labels_say_as_much_as_it_takes_to_guess_them() -> None:
    assert count_bits(144, 2) == pytest.approx(144)
    assert count_bits(80, 16) == pytest.approx(320)
    assert count_bits(500, 1) == 0


@pytest.mark.parametrize(
    ("counts", "classes", "tries"),
    [
        ((144, 36), 2, True),
        ((999, 100), 2, True),
        ((1000, 100), 2, False),
        ((80, 16), 16, True),
        ((250, 60), 16, False),
        ((144, 0), 2, False),  # nothing tells which is better
    ],
)
def test_where_labels_say_little_both_ways_are_tried(
    counts: tuple[int, int], classes: int, tries: bool
) -> None:
    found = plan_freezing(TrainConfig(), True, counts, classes)
    assert (found.until, found.also_until) == (None, FROZEN if tries else None)
    said = f"{counts[0]} clips of {classes} classes are few (--freeze-until)"
    assert found.reason.endswith(said) == tries
    assert FROZEN in BLOCKS


@pytest.mark.parametrize(
    ("asked", "is_shipped", "block"),
    [
        (None, False, None),  # what others trained stays free, as it was
        ("none", True, None),
        ("mixed5b", True, "mixed5b"),
        ("mixed5b", False, "mixed5b"),
    ],
)
def test_it_is_chosen_for_a_shipped_trunk_alone_and_can_be_said(
    asked: str | None, is_shipped: bool, block: str | None
) -> None:
    config = TrainConfig(init="x", freeze_until=asked)
    found = plan_freezing(config, is_shipped, (15, 5), classes=2)
    said = f"blocks up to and with {block} stay as they are" if block else ""
    assert found == Freezing(block, None, said)


def test_random_weights_cannot_be_kept() -> None:
    assert TrainConfig(init="none", freeze_until="none").frozen_block is None
    with pytest.raises(InputError, match="--freeze-until mixed3c keeps weights that nothing has"):
        TrainConfig(init="none", freeze_until="mixed3c")
