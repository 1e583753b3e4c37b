"""Each native kernel against PyTorch's convolution in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s3d.errors import InputError
from s3d.infer.native.compile import load_kernels
from s3d.infer.native.runner import NativeRunner
from s3d.infer.native.weights import choose_kind
from s3d.models.graph import (
    Concatenation,
    Convolution,
    FeaturesInput,
    Gating,
    Graph,
    MaxPooling,
    Node,
)
from tests.tolerances import WINOGRAD, assert_close

Triple = tuple[int, int, int]

pytestmark = pytest.mark.skipif(load_kernels() is None, reason="no C compiler is here")

SPACE: tuple[Triple, Triple, Triple] = ((1, 3, 3), (1, 1, 1), (0, 1, 1))
TIME: tuple[Triple, Triple, Triple] = ((3, 1, 1), (1, 1, 1), (1, 0, 0))
LONG: tuple[Triple, Triple, Triple] = ((7, 1, 1), (2, 1, 1), (3, 0, 0))
STEM: tuple[Triple, Triple, Triple] = ((1, 7, 7), (1, 2, 2), (0, 3, 3))
POINT: tuple[Triple, Triple, Triple] = ((1, 1, 1), (1, 1, 1), (0, 0, 0))
CUBE: tuple[Triple, Triple, Triple] = ((3, 3, 3), (1, 1, 1), (1, 1, 1))
STRIDED_CUBE: tuple[Triple, Triple, Triple] = ((3, 3, 3), (2, 2, 2), (1, 1, 1))


def sizes_of(node_shape: tuple[int, ...], window: tuple[Triple, Triple, Triple]) -> tuple[int, ...]:
    kernel, stride, pads = window
    return tuple(
        (size + 2 * p - k) // s + 1
        for size, k, s, p in zip(node_shape[1:], kernel, stride, pads, strict=True)
    )


def make_convolution(source: Node, out: int, window: tuple[Triple, Triple, Triple]) -> Convolution:
    kernel, stride, pads = window
    weight = torch.randn(out, source.shape[0], *kernel) / (source.shape[0] * kernel[1]) ** 0.5
    shape = (out, *sizes_of(source.shape, window))
    return Convolution("conv", shape, (source,), weight, torch.randn(out), stride, pads, pads)


def reference(node: Convolution, x: Tensor) -> Tensor:
    weight, bias = node.weight.double(), node.bias.double()
    (b0, b1, b2), (a0, a1, a2) = node.before, node.after
    padded = F.pad(x.double(), (b2, a2, b1, a1, b0, a0))
    return F.conv3d(padded, weight, bias, node.stride).relu().float()


def check(shape: tuple[int, ...], out: int, window: tuple[Triple, Triple, Triple]) -> None:
    torch.manual_seed(0)
    source = FeaturesInput("input", shape[1:], ())
    node = make_convolution(source, out, window)
    x = torch.randn(shape)
    found = NativeRunner(Graph((source, node)))(x)
    assert_close(found, reference(node, x), WINOGRAD, str(shape))


@pytest.mark.parametrize("window", [SPACE, TIME, LONG, POINT, CUBE, STRIDED_CUBE])
@pytest.mark.parametrize(
    ("shape", "out"),
    [
        ((1, 16, 4, 8, 8), 32),  # whole vectors, whole tiles
        ((2, 24, 5, 7, 9), 40),  # half vectors, tiles that end outside
        ((1, 3, 3, 5, 4), 5),  # fewer channels than a vector
        ((1, 100, 2, 14, 13), 209),  # a last panel of half the width
        ((3, 17, 1, 1, 1), 16),  # one place
    ],
)
def test_kernels_agree_with_torch(
    shape: tuple[int, ...], out: int, window: tuple[Triple, Triple, Triple]
) -> None:
    check(shape, out, window)


@pytest.mark.parametrize("frames", range(1, 10))
def test_any_number_of_frames(frames: int) -> None:
    check((2, 20, frames, 3, 5), 33, TIME)
    check((2, 20, frames, 3, 5), 33, LONG)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (35, 61), (7, 8), (1, 1), (64, 33)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_stem(channels: int, height: int, width: int) -> None:
    check((2, channels, 3, height, width), 24, STEM)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 32, 32), (6, 21, 70), (9, 130, 33)])
def test_stem_goes_on_along_time(frames: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    source = FeaturesInput("input", (3, frames, height, width), ())
    first = make_convolution(source, 24, STEM)
    second = make_convolution(first, 40, LONG)
    x = torch.randn(2, *source.shape)
    found = NativeRunner(Graph((source, first, second)))(x)
    assert_close(found, reference(second, reference(first, x)), WINOGRAD)


def test_uneven_padding() -> None:
    torch.manual_seed(0)
    source = FeaturesInput("input", (20, 6, 9, 10), ())
    for kernel, stride, before, after in [
        ((1, 3, 3), (1, 1, 1), (0, 0, 2), (0, 2, 0)),
        ((3, 1, 1), (1, 1, 1), (0, 0, 0), (2, 0, 0)),
        ((7, 1, 1), (2, 1, 1), (2, 0, 0), (3, 0, 0)),
        ((1, 1, 1), (1, 2, 2), (0, 0, 0), (0, 0, 0)),
    ]:
        weight, bias = torch.randn(18, 20, *kernel) / 10, torch.randn(18)
        x = torch.randn(1, *source.shape)
        bare = Convolution("conv", (), (source,), weight, bias, stride, before, after)
        wanted = reference(bare, x)
        shape = tuple(wanted.shape[1:])
        node = Convolution("conv", shape, (source,), weight, bias, stride, before, after)
        assert_close(NativeRunner(Graph((source, node)))(x), wanted, WINOGRAD, str(kernel))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(threads: int) -> None:
    torch.manual_seed(0)
    source = FeaturesInput("input", (48, 5, 14, 14), ())
    x = torch.randn(1, *source.shape)
    before = torch.get_num_threads()
    for window in (SPACE, TIME, LONG, POINT, STRIDED_CUBE):
        node = make_convolution(source, 160, window)
        runner = NativeRunner(Graph((source, node)))
        try:
            torch.set_num_threads(threads)
            found = runner(x)
        finally:
            torch.set_num_threads(before)
        assert_close(found, reference(node, x), WINOGRAD)


def test_nan_stays_nan() -> None:
    source = FeaturesInput("input", (16, 4, 8, 8), ())
    node = make_convolution(source, 16, POINT)
    x = torch.zeros(1, *source.shape)
    x[0, 3, 2, 1, 1] = float("nan")
    found = NativeRunner(Graph((source, node)))(x)
    assert found[0, :, 2, 1, 1].isnan().all()
    assert found.isnan().sum() == 16


@pytest.mark.parametrize(
    ("kernel", "stride", "before", "after"),
    [
        ((1, 3, 3), (1, 2, 2), (0, 1, 1), (0, 1, 1)),
        ((3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
        ((2, 2, 2), (2, 2, 2), (0, 0, 0), (0, 1, 1)),
        ((3, 3, 3), (2, 2, 2), (0, 0, 0), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("channels", [5, 16, 40])
def test_pools(
    channels: int, kernel: Triple, stride: Triple, before: Triple, after: Triple
) -> None:
    torch.manual_seed(0)
    source = FeaturesInput("input", (channels, 4, 7, 9), ())
    x = torch.randn(2, *source.shape)
    (b0, b1, b2), (a0, a1, a2) = before, after
    padded = F.pad(x, (b2, a2, b1, a1, b0, a0), value=-torch.inf)
    wanted = F.max_pool3d(padded, kernel, stride)
    node = MaxPooling("pool", tuple(wanted.shape[1:]), (source,), kernel, stride, before, after)
    assert torch.equal(NativeRunner(Graph((source, node)))(x), wanted)


def test_each_layer_has_its_kernel() -> None:
    none = (0, 0, 0)
    assert choose_kind(64, (1, 1, 1), (1, 1, 1), none) == "points"
    assert choose_kind(64, (1, 1, 1), (1, 2, 2), none) == "direct"
    assert choose_kind(64, *SPACE) == "space"
    assert choose_kind(64, *CUBE) == "space"
    assert choose_kind(64, *TIME) == "time3"
    assert choose_kind(64, *LONG) == "time7"
    assert choose_kind(3, *STEM) == "stem"
    assert choose_kind(64, *STEM) == "direct"
    assert choose_kind(5000, *SPACE) == "direct"


def test_an_input_of_another_shape_is_refused() -> None:
    source = FeaturesInput("input", (16, 4, 8, 8), ())
    runner = NativeRunner(Graph((source, make_convolution(source, 16, POINT))))
    for x in (torch.zeros(1, 16, 4, 8, 9), torch.zeros(16, 4, 8, 8), torch.zeros(0, 16, 4, 8, 8)):
        with pytest.raises(InputError, match=r"made for floats \(batch, 16, 4, 8, 8\)"):
            runner(x)


def test_what_two_read_is_copied_into_a_concatenation() -> None:
    torch.manual_seed(0)
    source = FeaturesInput("input", (16, 4, 8, 8), ())
    first = make_convolution(source, 24, SPACE)
    second = make_convolution(first, 40, TIME)
    whole = Concatenation("concat", (80, 4, 8, 8), (source, first, second))
    last = make_convolution(first, 80, POINT)
    both = Concatenation("both", (160, 4, 8, 8), (whole, last))
    x = torch.randn(2, *source.shape)
    found = NativeRunner(Graph((source, first, second, whole, last, both)))(x)
    y = reference(first, x)
    wanted = torch.cat([x, y, reference(second, y), reference(last, y)], 1)
    assert_close(found, wanted, WINOGRAD)


def test_a_gate_leaves_what_others_read() -> None:
    torch.manual_seed(0)
    source = FeaturesInput("input", (16, 4, 8, 8), ())
    first = make_convolution(source, 24, SPACE)
    gate = Gating("gate", first.shape, (first,), torch.randn(24, 24), torch.randn(24))
    second = make_convolution(first, 24, POINT)
    whole = Concatenation("concat", (48, 4, 8, 8), (gate, second))
    x = torch.randn(2, *source.shape)
    found = NativeRunner(Graph((source, first, gate, second, whole)))(x)
    y = reference(first, x)
    shares = torch.sigmoid(F.linear(y.mean((2, 3, 4)), gate.weight, gate.bias))
    wanted = torch.cat([y * shares[:, :, None, None, None], reference(second, y)], 1)
    assert_close(found, wanted, WINOGRAD)
