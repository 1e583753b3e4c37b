"""What windows share, worked out by hand."""

from __future__ import annotations

import pytest

from s3d.infer.reuse import stages as stages_module
from s3d.infer.reuse.stages import Part, Sharing, cut_part, plan_sharing
from s3d.models.reach import TimeMap
from tests.infer.reuse.nets import SIZE_PX, make_network


@pytest.fixture(autouse=True)
def calls_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let networks as small as these share as larger ones do."""
    monkeypatch.setattr(stages_module, "CALL_MACS", 0)
    monkeypatch.setattr(stages_module, "BYTE_MACS", 0)


def plan(word: str, window: int = 64, stride: int = 16, style: str = "torchvision") -> Sharing:
    return plan_sharing(TimeMap(make_network(word, style), SIZE_PX), window, stride)


def test_a_2d_bottom_is_shared_whole() -> None:
    first, pool, *_ = plan("s3d_fast").stages
    assert (first.after, first.until) == (None, "mixed3c")
    assert (first.low, first.high, first.frames_a_step) == (0, 32, 2)
    assert first.left is first.right is None
    # pool4a takes steps 2t-1 .. 2t+1: its first step lacks one, in each window anew.
    assert (pool.until, pool.low, pool.high) == ("pool4a", 1, 16)
    assert pool.left == Part(begin=0, end=2, skipped=0, count=1)
    assert pool.right is None


def test_borders_of_a_separable_net_grow() -> None:
    stages = {stage.until: stage for stage in plan("s3d", stride=8).stages}
    # The stem takes frames 2t-3 .. 2t+3 of 64: steps 0 and 1 lack some, and so does step 31.
    assert (stages["conv1a"].low, stages["conv1a"].high) == (2, 31)
    # A temporal kernel of 3 makes a step more on both sides each window's own.
    assert (stages["conv2c"].low, stages["conv2c"].high) == (3, 30)
    assert stages["conv2c"].left == Part(begin=0, end=4, skipped=0, count=3)
    assert stages["conv2c"].right == Part(begin=29, end=32, skipped=1, count=2)


@pytest.mark.parametrize(
    ("word", "window", "stride"),
    [
        ("ggggggggggg", 64, 16),  # a gate behind the very first convolution
        ("s3d_fast", 64, 15),  # windows that begin between two steps of the stem
        ("s3d", 64, 48),  # hardly any overlap
    ],
)
def test_where_nothing_is_gained_nothing_is_shared(word: str, window: int, stride: int) -> None:
    found = plan(word, window, stride)
    assert not found.stages
    assert found.macs_shared == found.macs_plain


def test_what_stands_before_the_first_gate_is_shared() -> None:
    assert plan("s3d_g").until == "conv2b"
    assert plan("222222gssss").until == "mixed4c"


def test_a_stride_between_steps_of_a_later_block_ends_sharing_before_it() -> None:
    assert plan("i2d", stride=8).until == "mixed5c"
    assert plan("i2d", stride=4).until == "mixed4f"  # pool5a takes a step every 8 frames


def test_sharing_never_costs_more() -> None:
    for stride in (2, 4, 8, 16, 32):
        found = plan("i3d", stride=stride)
        assert found.macs_shared <= found.macs_plain


def test_a_slice_is_padded_as_the_whole_is() -> None:
    # TensorFlow pads an even length behind alone, an odd one on both sides.
    times = TimeMap(make_network("s3d_fast", "garden"), SIZE_PX)
    for steps in (32, 33):
        whole = times.measure("mixed3c", "pool4a", steps)
        part = cut_part(times, whole, "mixed3c", 3, 5)
        assert (part.end - part.begin) % 2 == steps % 2
        assert times.measure("mixed3c", "pool4a", part.end - part.begin).reach == whole.reach


def test_calls_and_copies_count(monkeypatch: pytest.MonkeyPatch) -> None:
    free = plan("i3d_top_4")
    monkeypatch.setattr(stages_module, "CALL_MACS", free.macs_plain // 20)
    dear = plan("i3d_top_4")
    assert 0 < len(dear.stages) < len(free.stages)
    assert free.saving == pytest.approx(1 - free.macs_shared / free.macs_plain)
    assert dear.saving < 1 - dear.macs_shared / dear.macs_plain
    monkeypatch.setattr(stages_module, "CALL_MACS", free.macs_plain)
    assert not plan("i3d_top_4").stages
