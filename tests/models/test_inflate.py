"""An inflated network answers a still clip as the image network answers the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from s3d.errors import InputError
from s3d.models.blocks import BLOCKS, CubeConv
from s3d.models.inflate import (
    ImageWeights,
    find_image_weights,
    inflate_network,
    read_image_weights,
)
from s3d.models.layers import Conv, Gate
from s3d.models.network import Network, build
from s3d.models.published.tensors import Contents
from s3d.models.published.torch_names import name_in_ibm
from s3d.models.style import GOOGLENET, MIL_NCE, PAPER, SLIM, Style
from tests.models.fakes import (
    SLIM_ODD,
    ImageNet,
    image_state,
    names_in_slim,
    slim_image_state,
    stand_in,
    write_tensorflow,
)
from tests.models.published.publish import publish
from tests.tolerances import FLOAT32, PARITY, assert_close

SAME = replace(GOOGLENET, padding="same")
TWO_D = {"conv1a": "1a", "conv2b": "2b", "conv2c": "2c"}
NAMES = {
    block: TWO_D.get(block, "p" + block[4:5] if "pool" in block else block[-2:]) for block in BLOCKS
}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return image_state()


@pytest.fixture(scope="module")
def images(state: dict[str, Tensor]) -> ImageWeights:
    found = find_image_weights(Contents(state))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def googlenet(state: dict[str, Tensor]) -> ImageNet:
    return ImageNet(state, name_in_ibm, same=False)


@pytest.fixture(scope="module")
def slim_state() -> dict[str, Tensor]:
    return slim_image_state()


@pytest.fixture(scope="module")
def slim_images(slim_state: dict[str, Tensor]) -> ImageWeights:
    found = find_image_weights(Contents(slim_state))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def slim(slim_state: dict[str, Tensor]) -> ImageNet:
    return ImageNet(slim_state, names_in_slim(list(slim_state)), same=True)


def picture(height: int = 32, width: int = 32) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def still(image: Tensor, frames: int) -> Tensor:
    return image[:, :, None].expand(-1, -1, frames, -1, -1)


@torch.no_grad()
def walk(network: nn.Module, clips: Tensor) -> dict[str, Tensor]:
    """Return what every block gives, by the 2D network's names."""
    network.eval()
    x, blocks = clips, {}
    for block in BLOCKS:
        x = blocks[NAMES[block]] = network.get_submodule(block)(x)
    return blocks


def inflate(images: ImageWeights, network: str = "s3d", **options: object) -> Network:
    options = {"num_classes": 1000, **options}
    return build(network, inflate=images, **options).eval()  # type: ignore[arg-type]


def gaps(features: Tensor, wanted: Tensor) -> Tensor:
    """Return, for each step of time, how far features are from the image's, of its norm."""
    far = (features - wanted[:, :, None]).transpose(0, 2).flatten(1).norm(dim=1)
    return far / wanted.norm()


def assert_still(found: dict[str, Tensor], wanted: dict[str, Tensor], steps: slice) -> None:
    """Check that each block gives what the 2D network's gives, at these steps of time."""
    assert found.keys() == wanted.keys()
    for name, features in found.items():
        far = gaps(features[:, :, steps], wanted[name])
        assert len(far) > 0
        assert far.max() < PARITY, name


def assert_still_inside(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    for name, features in found.items():
        middle = features.shape[2] // 2
        assert gaps(features, wanted[name])[middle - 2 : middle + 2].max() < PARITY, name


def assert_same_answer(network: nn.Module, clips: Tensor, wanted: Tensor) -> None:
    with torch.no_grad():
        found = network(clips)
    assert wanted.std() > 0.1
    assert (found - wanted).norm() < PARITY * wanted.norm()


SIZES = [(64, 64), (57, 75), (33, 95), (96, 40)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_i2d_is_the_image_network(
    images: ImageWeights, googlenet: ImageNet, height: int, width: int
) -> None:
    image = picture(height, width)
    blocks, logits = googlenet(image)
    network = inflate(images, "i2d")
    assert network.style == GOOGLENET
    assert_still(walk(network, still(image, 1)), blocks, slice(None))
    assert_same_answer(network, still(image, 1), logits)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_i2d_is_slims_image_network(
    slim_images: ImageWeights, slim: ImageNet, height: int, width: int
) -> None:
    image = picture(height, width)
    blocks, logits = slim(image)
    network = inflate(slim_images, "i2d", num_classes=1001)
    assert network.style == SAME
    assert_still(walk(network, still(image, 1)), blocks, slice(None))
    assert_same_answer(network, still(image, 1), logits)


@pytest.mark.parametrize("frames", [1, 2, 7, 16])
def test_s3d_answers_a_still_clip_as_the_image_everywhere(
    images: ImageWeights, googlenet: ImageNet, frames: int
) -> None:
    image = picture(57, 75)
    blocks, logits = googlenet(image)
    network = inflate(images)
    assert_still(walk(network, still(image, frames)), blocks, slice(None))
    assert_same_answer(network, still(image, frames), logits)


@pytest.mark.parametrize(
    "style",
    [
        replace(GOOGLENET, separable_branches=(1, 2)),
        replace(GOOGLENET, temporal_first=True),
        replace(GOOGLENET, norm_has_scale=False),
        replace(GOOGLENET, norm_epsilon=1e-5),
        replace(GOOGLENET, temporal_norm="bias", norm_has_scale=False, norm_epsilon=1e-5),
        replace(GOOGLENET, time_strides="late", pool_follows_letter=False),
        replace(GOOGLENET, time_strides="none", head="pairs"),
    ],
)
def test_s3d_does_so_in_every_style_of_that_grid(
    images: ImageWeights, googlenet: ImageNet, style: Style
) -> None:
    image = picture()
    blocks, logits = googlenet(image)
    network = inflate(images, style=style)
    assert_still(walk(network, still(image, 9)), blocks, slice(None))
    assert_same_answer(network, still(image, 9), logits)


def test_a_picture_larger_than_the_heads_window_takes_a_global_head(
    images: ImageWeights, googlenet: ImageNet
) -> None:
    image = picture(224, 288)
    network = inflate(images, style=replace(GOOGLENET, head="global"))
    assert_same_answer(network, still(image, 2), googlenet(image)[1])


# A step of mixed5c sees 49 frames before its own eight and as many after.
@pytest.mark.parametrize("norm_has_scale", [True, False])
def test_i3d_does_so_away_from_the_ends(
    images: ImageWeights, googlenet: ImageNet, norm_has_scale: bool
) -> None:
    image = picture()
    blocks, _ = googlenet(image)
    network = inflate(images, "i3d", style=replace(GOOGLENET, norm_has_scale=norm_has_scale))
    found = walk(network, still(image, 160))
    assert_still_inside(found, blocks)
    for name, features in found.items():
        # There zeros are padded where the picture would go on.
        assert gaps(features, blocks[name])[[0, -1]].min() > 1e-2, name


@pytest.mark.parametrize("network", ["s3d_top_4", "s3d_bottom_4", "s3d_fast", "s22s2s22sss"])
def test_2d_and_separable_words_do_so_everywhere(
    images: ImageWeights, googlenet: ImageNet, network: str
) -> None:
    image = picture()
    blocks, logits = googlenet(image)
    inflated = inflate(images, network)
    assert_still(walk(inflated, still(image, 9)), blocks, slice(None))
    assert_same_answer(inflated, still(image, 9), logits)


@pytest.mark.parametrize("network", ["i3d_top_4", "i3d_bottom_4", "3s2s323s2s3"])
def test_words_with_full_convolutions_do_so_away_from_the_ends(
    images: ImageWeights, googlenet: ImageNet, network: str
) -> None:
    image = picture()
    blocks, _ = googlenet(image)
    assert_still_inside(walk(inflate(images, network), still(image, 160)), blocks)


def test_kernels_of_i3d_are_the_image_kernels_over_their_frames(
    images: ImageWeights, state: dict[str, Tensor]
) -> None:
    network = inflate(images, "i3d")
    for layer, frames, name in (
        ("conv1a.0", 7, "conv1"),
        ("conv2c.0", 3, "conv3"),
        ("mixed3b.branch1.0", 3, "inception3a.branch2.1"),
        ("mixed5c.branch2.0", 3, "inception5b.branch3.1"),
    ):
        kernel, wanted = network.get_submodule(layer).weight, state[f"{name}.conv.weight"]
        assert kernel.shape[2] == frames
        assert_close(kernel.sum(2), wanted, FLOAT32)
        for tap in range(frames):
            torch.testing.assert_close(kernel[:, :, tap], wanted / frames)


def test_all_four_branches_begin_as_the_identity_in_time(images: ImageWeights) -> None:
    network = inflate(images, style=replace(GOOGLENET, norm_epsilon=1e-5))
    assert network.style.separable_branches == (0, 1, 2, 3)
    x = torch.rand(1, 1024, 5, 2, 3)
    for branch in ("branch0.0", "branch1.1", "branch2.1", "branch3.2"):
        conv = network.get_submodule(f"mixed5c.{branch}")
        assert isinstance(conv, Conv)
        assert conv.kernel == (3, 1, 1)
        part = x[:, : conv.weight.shape[0]]
        assert_close(conv(part), part, FLOAT32, branch)


def test_gates_stay_fresh(images: ImageWeights, googlenet: ImageNet) -> None:
    torch.manual_seed(7)
    fresh = build("s3d_g", num_classes=1000, style=GOOGLENET).eval()
    torch.manual_seed(7)
    gated = inflate(images, "s3d_g")
    gates = [name for name, module in gated.named_modules() if isinstance(module, Gate)]
    assert len(gates) == 37
    for name in gates:
        assert torch.equal(gated.get_submodule(name).weight, fresh.get_submodule(name).weight)
    # With every gate open the answer is the image's again.
    for name in gates:
        gate = gated.get_submodule(name)
        nn.init.zeros_(gate.weight)
        nn.init.constant_(gate.bias, 30)
    image = picture()
    assert_same_answer(gated, still(image, 6), googlenet(image)[1])


@pytest.mark.parametrize("word", ["w" * 11, "v" * 11])
def test_gated_letters_take_the_kernels_of_those_without(images: ImageWeights, word: str) -> None:
    gated = inflate(images, word)
    plain = inflate(images, {"w": "2", "v": "3"}[word[0]] * 11)
    for name in ("conv1a.0", "conv2c.0", "mixed4c.entry", "mixed5c.branch2.0"):
        assert torch.equal(gated.get_submodule(name).weight, plain.get_submodule(name).weight)


# Cubes of 2x2x2 pixels: its 8x8 pixels begin two before a stride, as SAME has them on even sizes,
# and its four frames begin with the stride: only the last two frames have none to follow.
@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 78)])
def test_a_stem_on_cubes_is_the_plain_one_with_same_padding(
    slim_images: ImageWeights, slim: ImageNet, height: int, width: int
) -> None:
    style = replace(SAME, stem="space_to_depth", separable_branches=(1, 2))
    image = picture(height, width)
    cubes = inflate(slim_images, style=style).conv1a.eval()
    assert any(isinstance(module, CubeConv) for module in cubes)
    wanted = slim(image)[0]["1a"]
    found = cubes(still(image, 8))
    assert found.shape[2] == 4
    for step in range(3):
        assert_close(found[:, :, step], wanted, FLOAT32)
    assert (found[:, :, 3] - wanted).norm() > 0.1 * wanted.norm()


def test_a_stem_on_cubes_and_the_network_behind_it(
    slim_images: ImageWeights, slim: ImageNet
) -> None:
    style = replace(SAME, stem="space_to_depth", separable_branches=(1, 2))
    image = picture(64, 46)
    blocks, _ = slim(image)
    network = inflate(slim_images, style=style)
    assert_still(walk(network, still(image, 96)), blocks, slice(0, 3))


def test_a_stem_on_cubes_equals_torchvisions_inside(
    images: ImageWeights, googlenet: ImageNet
) -> None:
    """GoogLeNet's own windows begin at odd pixels: cubes see the picture moved by one."""
    image = picture(64, 64)
    style = replace(GOOGLENET, stem="space_to_depth", separable_branches=(1, 2))
    found = inflate(images, style=style).conv1a.eval()(still(image, 8))
    moved = torch.roll(image, (-1, -1), (2, 3))
    blocks, _ = googlenet(moved)
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert_close(found[:, :, 1][inside], blocks["1a"][inside], FLOAT32)


def test_mil_nce_style_is_inflated(slim_images: ImageWeights) -> None:
    network = inflate(slim_images, "s3d_g", style=MIL_NCE)
    assert torch.isfinite(network(still(picture(), 4))).all()


@pytest.mark.parametrize("stem", ["separable", "full", "space_to_depth"])
def test_flow_takes_the_mean_of_the_colours(
    images: ImageWeights, state: dict[str, Tensor], stem: str
) -> None:
    style = replace(GOOGLENET, stem=stem, stem_frames=3)  # type: ignore[arg-type]
    network = inflate(images, channels=2, style=style)
    mean = state["conv1.conv.weight"].mean(1)
    conv = next(module for module in network.conv1a if isinstance(module, Conv))
    if isinstance(conv, CubeConv):
        # (frame, row, column, channel) of a cube, then cubes: to pixels again.
        kernel = conv.weight.unflatten(1, (2, 2, 2, 2)).permute(0, 4, 5, 1, 6, 2, 7, 3)
        kernel = kernel.flatten(6, 7).flatten(4, 5).flatten(2, 3)
        assert not kernel[..., 7].any()
        assert not kernel[..., 7, :].any()
        kernel = kernel[..., :7, :7]
    else:
        kernel = conv.weight
    assert kernel.shape[1] == 2
    for channel in (0, 1):
        assert_close(kernel[:, channel].sum(1), mean, FLOAT32)


def test_a_head_is_copied_where_the_classes_are_as_many(
    images: ImageWeights, state: dict[str, Tensor]
) -> None:
    network = inflate(images)
    assert torch.equal(network.head.classifier.weight, state["fc.weight"])
    assert torch.equal(network.head.classifier.bias, state["fc.bias"])
    torch.manual_seed(2)
    fresh = build("s3d", num_classes=7, style=GOOGLENET)
    torch.manual_seed(2)
    other = inflate(images, num_classes=7)
    assert torch.equal(other.head.classifier.weight, fresh.head.classifier.weight)
    assert not other.head.classifier.bias.any()


def test_weights_of_images_are_known_by_their_names(
    state: dict[str, Tensor], slim_state: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "a.pth")
    found = read_image_weights(tmp_path / "a.pth")
    assert (found.title, found.style) == ("GoogLeNet (torchvision)", GOOGLENET)
    assert SLIM_ODD in slim_state
    write_tensorflow(tmp_path / "inception.ckpt", slim_state)
    for name in ("inception.ckpt", "inception.ckpt.index"):
        found = read_image_weights(tmp_path / name)
        assert (found.title, found.style) == ("Inception-v1 (slim)", SAME)
    kernel = found.tensors["InceptionV1/Conv2d_1a_7x7/weights"]
    assert torch.equal(kernel, slim_state["InceptionV1/Conv2d_1a_7x7/weights"])


def test_a_video_network_under_the_same_names_is_not_one_of_images() -> None:
    i3d = build("i3d", num_classes=3, width=0.1, style="ibm")
    assert find_image_weights(Contents(publish(i3d, "ibm"))) is None


def refuse(**options: object) -> str:
    with pytest.raises(InputError) as caught:
        build("s3d", **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_only_width_1_is_inflated(images: ImageWeights) -> None:
    assert "Inflate into a network of width 1." in refuse(inflate=images, width=0.5)
    assert "Inflate into a network of width 1." in refuse(inflate=images, width=2)
    assert "width is 0.5" in refuse(inflate="googlenet-imagenet", width=0.5)
    with pytest.raises(InputError, match=r"its layer for conv1a has a kernel \(64, 3, 7, 7\); "):
        inflate_network(build("s3d", width=0.5), images)


def test_other_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save({"conv1.conv.weight": torch.zeros(64, 3, 7, 7)}, other)
    line = refuse(inflate=other)
    assert line.startswith(f"{other}: not the weights of an image network. Inflating takes torchv")
    assert "googlenet-imagenet" in line
    assert "no such file. Inflating takes torchv" in refuse(inflate=tmp_path / "none.pth")
    assert "no such file. Inflating takes torchv" in refuse(inflate="googlenet")
    assert refuse(inflate=5) == "inflate is 5; it needs a file or googlenet-imagenet."
    # Weights of videos are not even fetched.
    line = refuse(inflate="s3d-kinetics400")
    assert line.startswith("s3d-kinetics400: not the weights of an image network. Inflating takes")


def test_what_is_missing_is_named(state: dict[str, Tensor]) -> None:
    for name, said in (
        ("inception4a.branch2.1.conv.weight", "is missing or has not 4 axes"),
        ("inception4a.branch2.1.bn.running_var", "is missing"),
        ("inception5b.branch1.bn.bias", "is missing"),
    ):
        less = {k: v for k, v in state.items() if k != name}
        images = ImageWeights(less, name_in_ibm, GOOGLENET, "GoogLeNet (torchvision)", "BSD")
        line = refuse(inflate=images)
        assert line.startswith("GoogLeNet (torchvision): ")
        assert repr(name) in line
        assert said in line


def test_googlenet_by_name_from_a_mirror(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("S3D_OFFLINE", "1")
    (path,) = stand_in(monkeypatch, tmp_path / "mirror", "googlenet-imagenet", state)
    network = build("i2d", num_classes=1000, inflate="googlenet-imagenet")
    assert torch.equal(network.head.classifier.weight, state["fc.weight"])
    path.write_bytes(path.read_bytes() + b"\0")
    assert "not the file that was published" in refuse(inflate="googlenet-imagenet")
    monkeypatch.delenv("S3D_MIRROR")
    assert "not here, and S3D_OFFLINE is set" in refuse(inflate="googlenet-imagenet")


def test_inflating_keeps_half_precision_files_usable(state: dict[str, Tensor]) -> None:
    halves = {name: value.half() for name, value in state.items()}
    network = build("i2d", inflate=find_image_weights(Contents(halves)))
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_the_paper_style_is_not_changed_by_what_it_is_inflated_from(images: ImageWeights) -> None:
    assert inflate(images, style="paper").style == PAPER
    assert inflate(images, style=SLIM).style == SLIM


def test_inflating_takes_an_existing_network(images: ImageWeights) -> None:
    network = build("s3d", num_classes=1000, style=GOOGLENET).eval()
    inflate_network(network, images)
    assert_same_answer(network, still(picture(), 3), inflate(images)(still(picture(), 3)))
