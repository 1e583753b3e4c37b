"""Each layer alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.models.blocks import SpaceToDepth
from s3d.models.layers import (
    Conv,
    Gate,
    MaxPool,
    Triple,
    channels_last,
    clips_view,
    fold_norm,
    frames_view,
    make_identity,
    padding_amount,
)
from s3d.models.style import MIL_NCE, PAPER, SLIM, TORCHVISION, Padding, Style
from tests.tolerances import FLOAT32, assert_close

SAME = replace(PAPER, padding="same")


def random_clips(channels: int = 4) -> Tensor:
    return channels_last(torch.rand(2, channels, 5, 9, 8, generator=torch.manual_seed(0)))


def test_the_views_copy_nothing_where_channels_are_last() -> None:
    x = random_clips()
    frames = frames_view(x)
    assert frames.shape == (10, 4, 9, 8)
    assert frames.data_ptr() == clips_view(frames, 2).data_ptr() == x.data_ptr()
    assert torch.equal(clips_view(frames, 2), x)


@pytest.mark.parametrize(
    ("style", "size", "kernel", "stride", "pads"),
    [
        ("same", 224, 7, 2, (2, 3)),
        ("same", 225, 7, 2, (3, 3)),
        ("same", 112, 3, 2, (0, 1)),
        ("same", 113, 3, 2, (1, 1)),
        ("same", 1, 2, 2, (0, 1)),
        ("same", 4, 1, 2, (0, 0)),
        ("static", 112, 3, 2, (0, 1)),
        ("static", 113, 3, 2, (0, 2)),
        ("static", 9, 3, 1, (1, 1)),
        ("static", 1, 3, 2, (0, 2)),
    ],
)
def test_padding_is_where_the_published_code_has_it(
    style: Padding, size: int, kernel: int, stride: int, pads: tuple[int, int]
) -> None:
    assert padding_amount(style, size, kernel, stride) == pads


@pytest.mark.parametrize("kernel", [(1, 1, 1), (1, 3, 3), (3, 1, 1), (3, 3, 3), (7, 7, 7)])
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 2, 2), (1, 2, 2), (2, 1, 1)])
def test_a_convolution_equals_conv3d(kernel: Triple, stride: Triple) -> None:
    conv = Conv((4, 6), kernel, PAPER, stride).eval()
    x = random_clips()
    pads = tuple(k // 2 for k in kernel)
    assert conv.norm is not None
    wanted = F.conv3d(x, conv.weight, None, stride, pads) / (1 + 1e-3) ** 0.5
    assert_close(conv(x), wanted.relu(), FLOAT32)


@pytest.mark.parametrize("kernel", [(1, 1, 1), (1, 3, 3), (3, 1, 1), (3, 3, 3)])
def test_activations_stay_channels_last(kernel: Triple) -> None:
    for mode in (True, False):
        y = Conv((4, 6), kernel, PAPER).train(mode)(random_clips())
        assert y.is_contiguous(memory_format=torch.channels_last_3d)
    pooled = MaxPool((3, 3, 3), (1, 1, 1), PAPER)(random_clips())
    assert pooled.is_contiguous(memory_format=torch.channels_last_3d)


def test_a_folded_norm_answers_as_the_norm() -> None:
    torch.manual_seed(0)
    conv = Conv((4, 6), (1, 3, 3), MIL_NCE)
    assert conv.norm is not None
    for tensor in conv.norm.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 2)
    weight, bias = fold_norm(conv.weight, conv.norm)
    x = random_clips()
    wanted = conv.norm.eval()(frames_view(F.conv3d(x, conv.weight, None, 1, (0, 1, 1))))
    assert_close(F.conv3d(x, weight, bias, 1, (0, 1, 1)), clips_view(wanted, 2), FLOAT32)


@pytest.mark.parametrize("style", [PAPER, MIL_NCE, SLIM], ids=["paper", "mil_nce", "slim"])
def test_an_identity_hands_through(style: Style) -> None:
    conv = Conv((6, 6), (3, 1, 1), style).eval()
    make_identity(conv)
    x = random_clips(6)
    assert_close(conv(x), x, FLOAT32)


def test_slim_s_temporal_kernels_start_as_identity() -> None:
    assert torch.equal(
        Conv((3, 3), (3, 1, 1), SLIM).weight[:, :, :, 0, 0].movedim(2, 0),
        torch.stack([torch.zeros(3, 3), torch.eye(3), torch.zeros(3, 3)]),
    )
    assert Conv((3, 3), (1, 3, 3), SLIM).weight.count_nonzero() == 81
    assert Conv((3, 3), (3, 1, 1), PAPER).weight.count_nonzero() == 27


def test_slim_s_norms_have_no_scale_to_learn() -> None:
    names = [name for name, _ in Conv((3, 3), (1, 3, 3), SLIM).named_parameters()]
    assert names == ["weight", "norm.bias"]
    assert [name for name, _ in Conv((3, 3), (3, 1, 1), SLIM).named_parameters()] == [
        "weight",
        "bias",
    ]


def test_a_gate_of_zero_weights_halves() -> None:
    gate = Gate(4, has_bias=False)
    nn.init.zeros_(gate.weight)
    x = random_clips()
    assert torch.equal(gate(x), 0.5 * x)


def test_a_gate_weighs_by_what_the_whole_clip_holds() -> None:
    gate = Gate(4, has_bias=True)
    assert gate.bias is not None
    nn.init.constant_(gate.bias, 0.3)
    x = random_clips()
    weights = torch.sigmoid(x.mean((2, 3, 4)) @ gate.weight.T + 0.3)
    assert_close(gate(x), x * weights[:, :, None, None, None], FLOAT32)


@pytest.mark.parametrize("kernel", [(1, 3, 3), (3, 3, 3), (2, 2, 2)])
@pytest.mark.parametrize("stride", [(1, 1, 1), (1, 2, 2), (2, 2, 2)])
def test_a_pool_equals_max_pool3d(kernel: Triple, stride: Triple) -> None:
    x = random_clips()
    pads = tuple(k // 2 if k % 2 else 0 for k in kernel)
    wanted = F.max_pool3d(x, kernel, stride, pads)
    assert torch.equal(MaxPool(kernel, stride, TORCHVISION)(x), wanted)


def test_the_last_pool_keeps_what_is_odd_in_the_paper_s_style_only() -> None:
    x = random_clips()
    kept, dropped = (MaxPool((2, 2, 2), (2, 2, 2), style)(x) for style in (PAPER, TORCHVISION))
    assert torch.equal(kept, F.max_pool3d(x, 2, 2, ceil_mode=True))
    assert (kept.shape[2:], dropped.shape[2:]) == ((3, 5, 4), (2, 4, 4))


@pytest.mark.parametrize("style", [PAPER, TORCHVISION, SAME, MIL_NCE])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (2, 2, 2)])
def test_a_pool_shrinks_to_what_is_there(style: Style, kernel: Triple) -> None:
    x = torch.rand(1, 2, 1, 1, 1)
    assert torch.equal(MaxPool(kernel, (2, 2, 2), style)(x), x)


def test_a_cube_of_pixels_becomes_channels_in_the_port_s_order() -> None:
    t, h, w = torch.meshgrid(torch.arange(4), torch.arange(4), torch.arange(6), indexing="ij")
    clip = torch.stack([100 * t + 10 * h + w, -(100 * t + 10 * h + w)])[None].float()
    cubes = SpaceToDepth()(clip)
    assert cubes.shape == (1, 16, 2, 2, 3)
    corner = [0, 1, 10, 11, 100, 101, 110, 111]
    assert cubes[0, 0::2, 0, 0, 0].tolist() == corner
    assert cubes[0, 1::2, 0, 0, 0].tolist() == [-n for n in corner]
    assert cubes[0, 0, :, 1, 2].tolist() == [24, 224]


def test_odd_clips_fill_their_last_cubes_with_zeros() -> None:
    cubes = SpaceToDepth()(torch.ones(1, 3, 1, 33, 35))
    assert cubes.shape == (1, 24, 1, 17, 18)
    assert cubes.sum() == 3 * 33 * 35
