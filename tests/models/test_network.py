"""The whole network: shapes, counts, identities, any clip, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.errors import InputError
from s3d.models.blocks import INCEPTION, Head, Inception, scaled
from s3d.models.family import NETWORKS
from s3d.models.layers import Conv, Gate, MaxPool
from s3d.models.network import BLOCKS, Network, build, start_as_2d
from s3d.models.style import IBM, MIL_NCE, PAPER, SLIM, STYLES, TORCHVISION, Style, find_style
from tests.tolerances import FLOAT32, assert_close

MIXED_WORD = "wvg3s2g2sw3"
HALVED_STYLES = [name for name, style in STYLES.items() if style.time_strides == "paper"]

SHAPES = """
    conv1a   32 112 112 64
    pool2a   32 56 56 64
    conv2b   32 56 56 64
    conv2c   32 56 56 192
    pool3a   32 28 28 192
    mixed3b  32 28 28 256
    mixed3c  32 28 28 480
    pool4a   16 14 14 480
    mixed4b  16 14 14 512
    mixed4c  16 14 14 512
    mixed4d  16 14 14 512
    mixed4e  16 14 14 528
    mixed4f  16 14 14 832
    pool5a   8 7 7 832
    mixed5b  8 7 7 832
    mixed5c  8 7 7 1024
"""


def small(word: str = "s3d_g", style: str | Style = PAPER, **options: Any) -> Network:
    torch.manual_seed(0)
    width = 0.05 if find_style(style).fewest_channels == 16 else 0.25
    return build(word, num_classes=5, style=style, width=width, **options).eval()


def clips_of(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def block_shapes(network: Network, clip: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    x = torch.empty(1, 3, *clip, device="meta")
    for name in BLOCKS:
        x = network.get_submodule(name)(x)
        shapes[name] = (*x.shape[2:], x.shape[1])
    return shapes


@pytest.mark.parametrize(
    ("network", "style"),
    [*product(("i3d", "s3d_g"), HALVED_STYLES), ("i2d", "paper"), ("s3d", "paper")],
)
def test_every_block_has_the_paper_s_shape(network: str, style: str) -> None:
    rows = [line.split() for line in SHAPES.strip().splitlines()]
    wanted = {name: tuple(map(int, shape)) for name, *shape in rows}
    with torch.device("meta"):
        assert block_shapes(build(network, style=style), (64, 224, 224)) == wanted


@pytest.mark.parametrize(
    ("strides", "frames"),
    [("late", (16, 16, 16, 8, 4, 2)), ("none", (16, 16, 16, 16, 16, 15))],
)
def test_ibm_s_networks_halve_time_later_or_never(strides: str, frames: tuple[int, ...]) -> None:
    style = replace(IBM, time_strides=strides)
    with torch.device("meta"):
        shapes = block_shapes(build("s3d", style=style), (16, 224, 224))
    blocks = ("conv1a", "pool2a", "conv2c", "pool3a", "pool4a", "pool5a")
    assert tuple(shapes[block][0] for block in blocks) == frames


@pytest.mark.parametrize("style", ["paper", "slim", "mil_nce"])
@pytest.mark.parametrize(
    ("clip", "shape"), [((64, 112, 112), (8, 4, 4, 1024)), ((10, 224, 224), (2, 7, 7, 1024))]
)
def test_other_clips_end_in_the_paper_s_shapes(
    clip: tuple[int, int, int], shape: tuple[int, ...], style: str
) -> None:
    with torch.device("meta"):
        assert block_shapes(build("s3d", style=style), clip)["mixed5c"] == shape


def test_torchvision_s_last_pool_drops_what_is_odd() -> None:
    with torch.device("meta"):
        shapes = block_shapes(build("s3d", style="torchvision"), (64, 112, 112))
    assert (shapes["mixed4f"], shapes["mixed5c"]) == ((16, 7, 7, 832), (8, 3, 3, 1024))


@pytest.mark.parametrize(
    ("network", "style", "parameters"),
    [
        ("s3d", TORCHVISION, 8_320_048),
        ("i3d", TORCHVISION, 12_697_264),
        ("i2d", TORCHVISION, 6_009_904),
        ("i3d", PAPER, 12_697_264),
        ("i2d", PAPER, 6_009_904),
    ],
)
def test_parameters(network: str, style: Style, parameters: int) -> None:
    with torch.device("meta"):
        found = sum(p.numel() for p in build(network, style=style).parameters())
    assert found == parameters


def test_parameters_of_slim_s_s3d_g() -> None:
    with torch.device("meta"):
        found = sum(p.numel() for p in build("s3d_g", style=SLIM).parameters())
    assert round(found / 1e6, 3) == 9.519


def test_four_branches_add_a_temporal_kernel_to_branches_0_and_3() -> None:
    with torch.device("meta"):
        two, four = build("s3d", style=TORCHVISION), build("s3d", style=PAPER)
    more = set(dict(four.named_modules())) - set(dict(two.named_modules()))
    convs = {n for n in more if isinstance(four.get_submodule(n), Conv)}
    assert convs == {f"{block}.{n}" for block in INCEPTION for n in ("branch0.0", "branch3.2")}
    assert {four.get_submodule(n).kernel for n in convs} == {(3, 1, 1)}


@pytest.mark.parametrize("family", ["i3d", "s3d"])
def test_bottom_and_top_heavy_end_in_the_full_network(family: str) -> None:
    with torch.device("meta"):
        full, *ends = (build(n) for n in (family, f"{family}_bottom_10", f"{family}_top_0"))
    for end in ends:
        assert {k: v.shape for k, v in end.state_dict().items()} == {
            k: v.shape for k, v in full.state_dict().items()
        }


@pytest.mark.parametrize("family", ["i3d", "s3d"])
def test_one_layer_more_is_one_block_changed(family: str) -> None:
    with torch.device("meta"):
        chain = [build(n) for n in ("i2d", *(f"{family}_bottom_{k}" for k in range(11)))]
    for before, after in pairwise(chain):
        old, new = ({k: v.shape for k, v in n.state_dict().items()} for n in (before, after))
        changed = {name.split(".")[0] for name, _ in old.items() ^ new.items()}
        assert len(changed) == 1


def test_a_2d_block_pools_no_time_and_a_3d_or_separable_one_does() -> None:
    with torch.device("meta"):
        network = build("22223333sss")
    kernels = [network.get_submodule(f"{block}.branch3.0").kernel for block in INCEPTION]
    assert kernels == [(1, 3, 3)] * 2 + [(3, 3, 3)] * 7


@pytest.mark.parametrize(
    ("style", "gates"),
    [
        (PAPER, 1 + 9 * 4),
        (TORCHVISION, 1 + 9 * 2),
        (SLIM, 1 + 9 * 4),
        (MIL_NCE, 1 + 9 * 4),
        (replace(SLIM, gate_place="concat"), 1 + 9),
    ],
)
def test_gates_stand_where_the_style_has_them(style: Style, gates: int) -> None:
    network = small("s3d_g", style)
    assert sum(isinstance(m, Gate) for m in network.modules()) == gates
    assert not any(isinstance(m, Gate) for m in network.get_submodule("conv1a").modules())


# Identities


def i2d_and_s3d(style: Style, *, wide_pools: bool) -> tuple[Network, Network]:
    """Return I2D and S3D of the same 2D kernels, S3D's temporal halves identity."""
    flat, deep = small("i2d", style), small("s3d", style)
    for name, buffer in flat.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    assert not deep.load_state_dict(flat.state_dict(), strict=False).unexpected_keys
    start_as_2d(deep)
    for block in flat.children():
        if wide_pools and isinstance(block, Inception):
            pool = block.branch3[0]
            assert isinstance(pool, MaxPool)
            pool.kernel = (3, 3, 3)
    return flat, deep


@pytest.mark.parametrize("style", [PAPER, TORCHVISION], ids=["four", "two"])
@torch.no_grad()
def test_s3d_at_identity_is_i2d_on_a_still_clip(style: Style) -> None:
    flat, deep = i2d_and_s3d(style, wide_pools=False)
    still = clips_of(2, 3, 1, 64, 64).expand(-1, -1, 16, -1, -1)
    for name in BLOCKS:
        wanted = flat.features(still, at=name)
        assert wanted.norm() > 0
        assert_close(deep.features(still, at=name), wanted, FLOAT32, name)
    assert_close(deep(still), flat(still), FLOAT32)


@pytest.mark.parametrize("style", [PAPER, TORCHVISION], ids=["four", "two"])
@torch.no_grad()
def test_s3d_at_identity_is_i2d_with_its_pools_on_a_moving_clip(style: Style) -> None:
    flat, deep = i2d_and_s3d(style, wide_pools=True)
    moving = clips_of(2, 3, 16, 64, 64)
    for name in BLOCKS:
        wanted = flat.features(moving, at=name)
        assert wanted.norm() > 0
        assert_close(deep.features(moving, at=name), wanted, FLOAT32, name)
    assert_close(deep(moving), flat(moving), FLOAT32)


@pytest.mark.parametrize("home", ["conv1a.1", "conv2c.1", "mixed4d.branch1.1", "mixed5c.branch0.0"])
@torch.no_grad()
def test_one_tap_off_identity_shows(home: str) -> None:
    flat, deep = i2d_and_s3d(PAPER, wide_pools=True)
    conv = deep.get_submodule(home)
    assert isinstance(conv, Conv)
    conv.weight[:, :, 0] += torch.eye(len(conv.weight))[:, :, None, None]
    moving = clips_of(2, 3, 16, 64, 64)
    block = home.partition(".")[0]
    found, wanted = deep.features(moving, at=block), flat.features(moving, at=block)
    assert (found - wanted).norm() > 0.01 * wanted.norm() > 0


@torch.no_grad()
def test_zero_gates_without_bias_halve_each_branch() -> None:
    plain, gated = small("s3d", SLIM), small("s3d_g", SLIM)
    gated.load_state_dict(plain.state_dict(), strict=False)
    for module in gated.modules():
        if isinstance(module, Gate):
            nn.init.zeros_(module.weight)
    x = plain.features(clips_of(2, 3, 4, 64, 64), at="pool3a")
    wanted = 0.5 * plain.get_submodule("mixed3b")(x)
    assert wanted.norm() > 0
    assert torch.equal(gated.get_submodule("mixed3b")(x), wanted)


@torch.no_grad()
def test_a_still_clip_reads_the_same_backwards_and_a_moving_one_does_not() -> None:
    network = small("s3d")
    moving = clips_of(1, 3, 9, 32, 32)
    still = moving[:, :, :1].expand(-1, -1, 9, -1, -1)
    assert_close(network(still.flip(2)), network(still), FLOAT32)
    assert (network(moving.flip(2)) - network(moving)).norm() > 1e-3 * network(moving).norm()


# Any clip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("word", ["s3d_g", MIXED_WORD])
@torch.no_grad()
def test_any_length_and_size_works(word: str, style: str) -> None:
    network = small(word, style)
    sizes = ((32, 32), (33, 47), (64, 32), (45, 101))
    for frames, size in zip((1, 2, 3, 5, 8, 1, 9, 17), 2 * sizes, strict=True):
        clips = clips_of(1, 3, frames, *size)
        assert network.features(clips).norm() > 0, (frames, size)
        assert network(clips).isfinite().all(), (frames, size)


@pytest.mark.parametrize("style", STYLES)
@torch.no_grad()
def test_a_batch_of_one_answers_as_in_a_batch_of_four(style: str) -> None:
    network = small(MIXED_WORD, style)
    clips = clips_of(4, 3, 8, 48, 40)
    alone = torch.cat([network(clip[None]) for clip in clips])
    assert_close(alone, network(clips), FLOAT32)
    assert (alone[1:] - alone[0]).norm(dim=1).min() > 1e-3 * alone.norm()


@torch.no_grad()
def test_clips_may_lie_in_memory_as_they_like() -> None:
    network = small()
    clips = clips_of(2, 3, 5, 40, 36)
    wanted = network(clips)
    by_frame = clips.transpose(1, 2).contiguous().transpose(1, 2)
    wider = torch.zeros(2, 3, 5, 40, 72)
    wider[..., ::2] = clips
    assert_close(network(by_frame), wanted, FLOAT32)
    assert_close(network(wider[..., ::2]), wanted, FLOAT32)


@pytest.mark.parametrize("style", STYLES)
@torch.no_grad()
def test_features_are_what_forward_has_partway(style: str) -> None:
    network = small(MIXED_WORD, style)
    seen: dict[str, Tensor] = {}
    for name in BLOCKS:
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: output})
        )
    clips = clips_of(1, 3, 6, 40, 33)
    network(clips)
    partway = dict(seen)
    for name in BLOCKS:
        assert torch.equal(network.features(clips, at=name), partway[name])
    assert torch.equal(network.features(clips), partway["mixed5c"])


@pytest.mark.parametrize("style", STYLES)
def test_every_weight_learns(style: str) -> None:
    network = small(MIXED_WORD, style).train()
    network(clips_of(2, 3, 9, 64, 64)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.count_nonzero(), name


def test_mixed_precision_trains() -> None:
    # No letter 3: PyTorch 2.13's own conv3d gives NaN weight gradients in bfloat16 on a CPU.
    network = small("s3d_g").train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(clips_of(2, 3, 8, 40, 40))
    logits.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@torch.no_grad()
def test_norms_may_be_synchronised() -> None:
    network = small(MIXED_WORD)
    clips = clips_of(1, 3, 4, 32, 32)
    wanted = network(clips)
    other = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    assert_close(other(clips), wanted, FLOAT32)


@torch.no_grad()
def test_dropout_only_in_training() -> None:
    network = small("i2d", replace(PAPER, dropout=0.5))
    clips = clips_of(1, 3, 2, 32, 32)
    assert torch.equal(network(clips), network(clips))
    features = network.features(clips)
    network.train()
    assert not torch.equal(network.head(features), network.head(features))


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 7), (4, 8, 10), (3, 2, 9)])
@torch.no_grad()
def test_the_head_averages_windows_or_everything(shape: tuple[int, int, int]) -> None:
    features = torch.rand(2, 16, *shape)
    windows, everything = Head(16, 5, PAPER).eval(), Head(16, 5, MIL_NCE).eval()
    kernel = [min(n, k) for n, k in zip(shape, (2, 7, 7), strict=True)]
    pooled = F.avg_pool3d(features, kernel, 1)
    classify = windows.classifier
    wanted = torch.stack([classify(place) for place in pooled.flatten(2).unbind(2)]).mean(0)
    assert_close(windows(features), wanted, FLOAT32)
    assert_close(everything(features), everything.classifier(features.mean((2, 3, 4))), FLOAT32)


# Width and options


@pytest.mark.parametrize(
    ("width", "channels"), [(1.0, 192), (0.5, 96), (0.25, 48), (0.01, 16), (2, 384)]
)
def test_width_multiplies_channels_and_keeps_sixteen(width: float, channels: int) -> None:
    assert scaled(192, width) == channels


def test_a_narrow_network_has_slim_s_channels() -> None:
    shapes = """16 16 16 48 48 80 120 120 132 128 128 132 208 208 208 256"""  # slim's own, at 0.25
    with torch.device("meta"):
        found = block_shapes(build("s3d_g", style=SLIM, width=0.25), (16, 64, 64))
    assert [shape[-1] for shape in found.values()] == [int(n) for n in shapes.split()]


def test_flow_clips_have_two_channels() -> None:
    assert small(channels=2)(clips_of(1, 2, 4, 32, 32)).shape == (1, 5)


@pytest.mark.parametrize("name", ["i3d_bottom_4", "i3d_top_0", "s3d_top_10", "s3d_fast_g"])
def test_a_name_builds_its_word(name: str) -> None:
    assert small(name).word == NETWORKS[name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0; it needs a whole number from 1 to 1000000"),
        ({"num_classes": 2.0}, "num_classes is 2.0; it needs a whole number"),
        ({"num_classes": True}, "num_classes is True"),
        ({"num_classes": 10**400}, "num_classes is 1000"),
        ({"width": float("nan")}, "width is nan; it needs a number from 0.01 to 8.0"),
        ({"width": 0}, "width is 0"),
        ({"width": True}, "width is True"),
        ({"width": "1"}, "width is '1'"),
        ({"channels": 65}, "channels is 65"),
        ({"network": "s3dg"}, "unknown network 's3dg'"),
        ({"style": "tf"}, "unknown style 'tf'"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        build(**options)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 8, 32, 32), r"clips have 4 axes \(3, 8, 32, 32\); .*clip\[None\]"),
        ((1, 8, 3, 32, 32), "clips have 8 channels; this network takes 3"),
        ((0, 3, 8, 32, 32), "at least 1 clip of 1 frame is needed"),
        ((1, 3, 0, 32, 32), "at least 1 clip of 1 frame is needed"),
        ((1, 3, 8, 31, 40), r"clip is 40 x 31 px; a network needs at least 32 each way\. Use Clip"),
        ((1, 3, 8, 40, 31), "clip is 31 x 40 px"),
    ],
)
def test_unusable_clips_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small()(torch.zeros(shape))


def test_whole_number_clips_are_refused() -> None:
    with pytest.raises(InputError, match=r"clips are torch\.uint8; a network takes floats"):
        small()(torch.zeros(1, 3, 4, 32, 32, dtype=torch.uint8))


def test_an_unknown_block_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"unknown block 'mixed4g'\. Did you mean mixed4.\? Known: conv1a, pool2a"
    ):
        small().features(torch.zeros(1, 3, 4, 32, 32), at="mixed4g")


@pytest.mark.parametrize("block", BLOCKS)
def test_classifying_a_blocks_output_is_going_on_from_there(block: str) -> None:
    network, clips = small().eval(), torch.rand(2, 3, 8, 64, 48)
    with torch.no_grad():
        assert_close(
            network.classify(network.features(clips, block), block), network(clips), FLOAT32
        )


def test_a_new_head_has_the_new_classes_and_the_old_trunk() -> None:
    network, clips = small().eval(), torch.rand(1, 3, 8, 64, 64)
    before = network.features(clips)
    network.replace_head(9)
    assert network.num_classes == 9
    assert network(clips).shape == (1, 9)
    assert torch.equal(network.features(clips), before)


def test_a_head_of_no_classes_is_refused() -> None:
    with pytest.raises(InputError, match=r"num_classes is 0; it needs a whole number from 1"):
        small().replace_head(0)
