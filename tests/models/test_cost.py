"""Parameters and multiply-adds against the paper's table (paper.md section 2)."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from s3d.errors import InputError
from s3d.models.cost import count_cost
from s3d.models.family import network_word
from s3d.models.layers import Conv
from s3d.models.network import BLOCKS, build
from s3d.models.style import STYLES, TORCHVISION
from tests.tolerances import EXACT_GMACS, PRINTED_GMACS

# k: Bottom-I3D, Top-I3D, Bottom-S3D, Top-S3D; GMACs, the separable stem at strided time.
TABLE = {
    0: (59.6, 111.2, 48.4, 68.1),
    1: (81.8, 88.5, 59.5, 56.6),
    2: (87.5, 66.3, 60.8, 45.5),
    3: (100.0, 60.5, 64.3, 44.2),
    4: (101.2, 48.0, 64.7, 40.8),
    6: (104.6, 45.4, 65.9, 39.8),
    8: (110.2, 41.0, 67.8, 38.3),
    9: (110.6, 37.8, 68.0, 37.2),
    10: (111.2, 37.5, 68.1, 37.1),
}
COLUMNS = ("i3d_bottom", "i3d_top", "s3d_bottom", "s3d_top")


@cache
def gmacs(network: str, style: str = "torchvision") -> float:
    return count_cost(network, style=style).macs / 1e9


@pytest.mark.parametrize(
    ("network", "style", "wanted"),
    [
        ("i3d", "torchvision", 111.15),
        ("s3d", "torchvision", 71.92),
        ("i2d", "torchvision", 36.89),
        ("s3d_g", "slim", 64.19),
    ],
)
def test_multiply_adds_of_the_paper_s_clip(network: str, style: str, wanted: float) -> None:
    assert gmacs(network, style) == pytest.approx(wanted, abs=EXACT_GMACS)


@pytest.mark.parametrize("k", TABLE)
@pytest.mark.parametrize("column", COLUMNS)
def test_the_table_over_k(column: str, k: int) -> None:
    name = f"{column}_{k}"
    wanted = TABLE[k][COLUMNS.index(column)] + unstrided_stem(network_word(name)[0])
    assert gmacs(name) == pytest.approx(wanted, abs=PRINTED_GMACS)


@cache
def unstrided_stem(letter: str) -> float:
    """Return what our separable stem costs more than the table's: 1x7x7 on all frames, not on half.

    The stride in time is the temporal half's, as in published code; the table has it before.
    """
    with torch.device("meta"):
        stem = build(letter + 10 * "2", style=TORCHVISION).get_submodule("conv1a.0")
    assert isinstance(stem, Conv)
    strided = 64 // 2
    more = (64 // stem.stride[0] - strided) * 112 * 112 * stem.weight.numel() / 1e9
    assert more == pytest.approx(3.78 if letter == "s" else 0, abs=EXACT_GMACS)
    return more


def test_a_network_and_its_name_cost_the_same() -> None:
    network = build("s3d_fast_g", num_classes=7, width=0.25)
    by_name = count_cost("s3d_fast_g", 8, (64, 48), num_classes=7, width=0.25)
    assert count_cost(network, 8, (64, 48)) == by_name
    assert network.training


@pytest.mark.parametrize("style", STYLES)
def test_costs_are_what_pytorch_counts(style: str) -> None:
    network = build("g3s2g2s3gs3", num_classes=7, style=style, width=0.1).eval()
    cost = count_cost(network, 17, (224, 250))
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        meta = build(network.word, num_classes=7, style=style, width=0.1).eval()
        meta(torch.empty(1, 3, 17, 224, 250))
    assert 2 * cost.macs == counter.get_total_flops()
    assert cost.parameters == sum(p.numel() for p in network.parameters())


def test_blocks_come_in_order_with_their_shapes() -> None:
    blocks = count_cost("s3d", 10, (224, 224), num_classes=9).blocks
    assert [block.name for block in blocks] == [*BLOCKS, "head"]
    assert [block.shape for block in blocks[-2:]] == [(1024, 2, 7, 7), (9,)]


def test_activations_and_bytes_are_those_of_every_operation() -> None:
    blocks = {b.name: b for b in count_cost("i2d", 4, (32, 32), num_classes=7).blocks}
    clip, stem, pooled = 3 * 4 * 32 * 32, 64 * 2 * 16 * 16, 64 * 2 * 8 * 8
    assert blocks["conv1a"].activations == stem
    # A frame's byte read and a clip's float32 written, before the convolution reads it.
    wanted = 5 * clip + 4 * (clip + 64 * 3 * 49 + 64 + stem)
    assert blocks["conv1a"].moved_bytes == wanted == 279_552
    assert blocks["pool2a"].activations == pooled
    assert blocks["pool2a"].moved_bytes == 4 * (stem + pooled) == 163_840
    assert blocks["conv2b"].moved_bytes == 4 * (2 * pooled + 64 * 64 + 64) == 82_176
    assert blocks["head"].activations == 7
    assert blocks["head"].moved_bytes == 4 * (1024 + 7 * 1024 + 7 + 7)


def test_an_inception_block_reads_its_input_once_for_each_branch() -> None:
    cost = count_cost("i2d", 4, (32, 32))
    block = next(b for b in cost.blocks if b.name == "mixed3b")
    places = 2 * 4 * 4
    x = 192 * places
    made = [places * c for c in (64, 96, 16, 128, 32, 192, 32)]
    read = [x, x, x, made[1], made[2], x, x]
    weights = 192 * (64 + 96 + 16 + 32) + 9 * (96 * 128 + 16 * 32) + 64 + 96 + 16 + 128 + 32 + 32
    whole = places * 256
    assert block.activations == sum(made) + whole == 26_112
    assert block.moved_bytes == 4 * (sum(made) + sum(read) + weights + 2 * whole)


@pytest.mark.parametrize(("network", "gbytes"), [("i2d", 1.551), ("s3d", 2.357), ("s3d_g", 2.743)])
def test_totals_are_sums_of_the_blocks(network: str, gbytes: float) -> None:
    cost = count_cost(network)
    # As scripts/benchmark roofline had counted from the graph of frames: its recorded figures.
    assert cost.moved_bytes / 1e9 == pytest.approx(gbytes, abs=1e-3)
    for name in ("parameters", "macs", "activations", "moved_bytes"):
        assert getattr(cost, name) == sum(getattr(block, name) for block in cost.blocks)


@pytest.mark.parametrize(
    ("frames", "size", "message"),
    [
        (0, (64, 64), "frames is 0; it needs a whole number from 1 to 100000"),
        (-1, (64, 64), "frames is -1"),
        (2.5, (64, 64), r"frames is 2\.5"),
        (8, (10**30, 64), "height is 1000"),
        (8, (64, 20), "clip is 20 x 64 px; a network needs at least 32"),
    ],
)
def test_unusable_clips_are_refused(frames: int, size: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        count_cost("s3d_fast", frames, size, width=0.1)


def test_a_very_large_clip_is_counted_at_once() -> None:
    assert count_cost("i2d", 100_000, (100_000, 100_000), width=0.1).macs > 10**17
