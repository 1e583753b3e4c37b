"""The image network, held against a plain ResNet on torchvision's names, and its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import s3d
from s3d.detect.network.image_weights import Backbone, fill_backbone, find_depth, read_backbone
from s3d.detect.network.resnet import DEPTHS, IMAGE_MEAN, IMAGE_STD, ResNet, build_resnet
from s3d.errors import InputError
from s3d.models.inflate import read_image_weights
from s3d.models.open import open_start
from tests.models.fakes import stand_in
from tests.tolerances import PARITY, share_of_norm

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
Shapes = dict[str, tuple[int, ...]]


def torchvision_shapes(name: str) -> Shapes:
    """Return the shapes of torchvision's ResNet, from its published layout."""
    growth = 4 if name == "resnet50" else 1
    shapes: Shapes = {"fc.weight": (1000, 512 * growth), "fc.bias": (1000,)}

    def add(conv: str, norm: str, out: int, inside: int, side: int) -> None:
        shapes[f"{conv}.weight"] = (out, inside, side, side)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{leaf}"] = (out,)

    add("conv1", "bn1", 64, 3, 7)
    carried = 64
    for number, count in enumerate(BLOCKS[name]):
        inside = 64 * 2**number
        for place in range(count):
            home = f"layer{number + 1}.{place}"
            if growth == 4:
                add(f"{home}.conv1", f"{home}.bn1", inside, carried, 1)
                add(f"{home}.conv2", f"{home}.bn2", inside, inside, 3)
                add(f"{home}.conv3", f"{home}.bn3", inside * 4, inside, 1)
            else:
                add(f"{home}.conv1", f"{home}.bn1", inside, carried, 3)
                add(f"{home}.conv2", f"{home}.bn2", inside, inside, 3)
            if place == 0 and carried != inside * growth:
                add(f"{home}.downsample.0", f"{home}.downsample.1", inside * growth, carried, 1)
            carried = inside * growth
    return shapes


def random_state(name: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    state = {}
    for key, shape in torchvision_shapes(name).items():
        value = torch.randn(shape, generator=generator)
        if len(shape) == 4:
            value = value * (2 / value[0].numel()) ** 0.5
        if key.endswith("running_var") or (len(shape) == 1 and key.endswith(".weight")):
            value = 0.5 + value.abs() / 4
        state[key] = value
    state["bn1.num_batches_tracked"] = torch.tensor(7)
    return state


def plain_resnet(state: dict[str, Tensor], pictures: Tensor, layers: int) -> Tensor:
    """Return a layer's features, by plain operations on torchvision's names."""

    def conv(x: Tensor, kernel: str, norm: str, stride: int = 1) -> Tensor:
        weight = state[f"{kernel}.weight"]
        y = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return F.batch_norm(y, mean, var, state[f"{norm}.weight"], state[f"{norm}.bias"], eps=1e-5)

    mean = torch.tensor(IMAGE_MEAN).view(3, 1, 1)
    x = (pictures - mean) / torch.tensor(IMAGE_STD).view(3, 1, 1)
    x = F.max_pool2d(F.relu(conv(x, "conv1", "bn1", 2)), 3, stride=2, padding=1)
    for layer in range(1, layers + 1):
        place = 0
        while f"layer{layer}.{place}.conv1.weight" in state:
            home, stride = f"layer{layer}.{place}", 2 if layer > 1 and place == 0 else 1
            if f"{home}.conv3.weight" in state:
                y = F.relu(conv(x, f"{home}.conv1", f"{home}.bn1"))
                y = F.relu(conv(y, f"{home}.conv2", f"{home}.bn2", stride))
                y = conv(y, f"{home}.conv3", f"{home}.bn3")
            else:
                y = F.relu(conv(x, f"{home}.conv1", f"{home}.bn1", stride))
                y = conv(y, f"{home}.conv2", f"{home}.bn2")
            if f"{home}.downsample.0.weight" in state:
                x = conv(x, f"{home}.downsample.0", f"{home}.downsample.1", stride)
            x, place = F.relu(x + y), place + 1
    return x


@pytest.fixture(scope="module")
def states() -> dict[str, dict[str, Tensor]]:
    return {name: random_state(name) for name in DEPTHS}


@pytest.fixture
def home(weights_home: Path) -> Path:
    return weights_home


def pictures(batch: int = 2, height: int = 48, width: int = 70) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(2))


def backbone(state: dict[str, Tensor], name: str = "resnet18") -> Backbone:
    return Backbone(name, state, "a.pth", "a ResNet", "")


@pytest.mark.parametrize(
    ("name", "layers"), [("resnet18", 3), ("resnet18", 4), ("resnet18", 1), ("resnet50", 3)]
)
def test_features_are_those_of_a_plain_resnet(
    states: dict[str, dict[str, Tensor]], name: str, layers: int
) -> None:
    resnet = build_resnet(name, depth_to=f"layer{layers}").eval()
    fill_backbone(resnet, backbone(states[name], name))
    with torch.inference_mode():
        found, expected = resnet(pictures()), plain_resnet(states[name], pictures(), layers)
    assert found.shape == expected.shape
    assert share_of_norm(found, expected) < PARITY
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert expected.std() > 0.1


@pytest.mark.parametrize(
    ("name", "width", "layer", "channels", "stride"),
    [
        ("resnet50", 1.0, "layer3", 1024, 16),
        ("resnet18", 1.0, "layer3", 256, 16),
        ("resnet18", 0.25, "layer2", 32, 8),
        ("resnet50", 0.01, "layer4", 32, 32),
    ],
)
def test_shapes(name: str, width: float, layer: str, channels: int, stride: int) -> None:
    with torch.device("meta"):
        resnet = build_resnet(name, width, layer)
        found = resnet(torch.empty(1, 3, 64, 96))
    assert found.shape == (1, channels, 64 // stride, 96 // stride)
    assert (resnet.out_channels, resnet.stride) == (channels, stride)


def count(name: str) -> int:
    with torch.device("meta"):
        resnet = build_resnet(name, depth_to="layer4")
    return sum(p.numel() for p in resnet.parameters())


def test_parameters_are_as_many_as_published() -> None:
    # 11,689,512 and 25,557,032 with a classifier of 1000.
    assert count("resnet18") == 11_689_512 - 513_000
    assert count("resnet50") == 25_557_032 - 2_049_000


def test_norms_learn_unless_they_are_frozen() -> None:
    for frozen in (False, True):
        resnet = build_resnet("resnet18", 0.1, freeze_norms=frozen).train()
        norms = [m for m in resnet.modules() if isinstance(m, nn.BatchNorm2d)]
        before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
        resnet(pictures()).sum().backward()
        after = [norm.running_mean for norm in norms if norm.running_mean is not None]
        moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert moved == [not frozen] * len(norms)
        assert [norm.weight.grad is None for norm in norms] == [frozen] * len(norms)
        assert resnet.stem.weight.grad is not None
        assert resnet.stem.weight.grad.any()


def test_frozen_norms_can_be_freed_again() -> None:
    resnet = build_resnet("resnet18", 0.1, freeze_norms=True)
    assert not resnet.stem.norm.training
    resnet.freeze_norms(False)
    assert resnet.stem.norm.training
    assert resnet.stem.norm.weight.requires_grad
    resnet.eval().freeze_norms(False)
    assert not resnet.stem.norm.training


def test_a_frozen_network_gives_in_training_what_it_gives_in_eval() -> None:
    resnet = build_resnet("resnet18", 0.1, freeze_norms=True)
    assert torch.equal(resnet.train()(pictures()), resnet.eval()(pictures()))


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown image network 'r34'\. Known: resnet18, resnet5"):
        build_resnet("r34")
    with pytest.raises(InputError, match=r"unknown layer 'conv1'\. Known: layer1, layer2"):
        build_resnet("resnet18", depth_to="conv1")
    for width in (0.0, 9.0, float("nan")):
        with pytest.raises(InputError, match=r"width is .*; an image network's needs to be from"):
            build_resnet("resnet18", width)


# Weights


@pytest.mark.parametrize("name", DEPTHS)
def test_which_resnet_it_is_is_seen(states: dict[str, dict[str, Tensor]], name: str) -> None:
    state = states[name]
    assert find_depth(state) == name
    deeper = {**state, "layer3.6.conv1.weight": torch.zeros(1)}
    assert find_depth(deeper) is None
    assert find_depth({key: v for key, v in state.items() if key != "conv1.weight"}) is None
    assert find_depth({}) is None


def test_a_file_fills_the_network(states: dict[str, dict[str, Tensor]], tmp_path: Path) -> None:
    state = states["resnet18"]
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "a.pth")
    found = read_backbone(tmp_path / "a.pth")
    assert (found.name, found.licence) == ("resnet18", "")
    resnet = build_resnet("resnet18")
    fill_backbone(resnet, found)
    assert torch.equal(resnet.stem.weight, state["conv1.weight"])
    block = resnet.get_submodule("layer2.0.shortcut.norm")
    assert torch.equal(block.get_buffer("running_var"), state["layer2.0.downsample.1.running_var"])


def test_named_weights_come_from_a_mirror(
    states: dict[str, dict[str, Tensor]],
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match=r"^resnet18-f37072fd\.pth: not here, and S3D_OFFLINE is"):
        read_backbone("resnet18-imagenet")
    (path,) = stand_in(monkeypatch, tmp_path / "mirror", "resnet18-imagenet", states["resnet18"])
    found = read_backbone("resnet18-imagenet")
    assert (found.name, found.licence) == ("resnet18", "BSD-3-Clause")
    assert found.title.startswith("torchvision's ResNet-18")
    resnet = build_resnet("resnet18")
    fill_backbone(resnet, found)
    assert torch.equal(resnet.stem.norm.bias, states["resnet18"]["bn1.bias"])
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match="not the file that was published"):
        read_backbone("resnet18-imagenet")


def refuse(source: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        read_backbone(source)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_what_is_no_backbone_is_refused(home: Path, tmp_path: Path) -> None:
    taken = "starts from resnet50-imagenet or resnet18-imagenet, or from a file of such weights."
    torch.save({"conv1.conv.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "g.pth")
    line = refuse(tmp_path / "g.pth")
    assert line.startswith(
        f"{tmp_path / 'g.pth'}: not the weights of a ResNet of torchvision's. An"
    )
    assert line.endswith(taken)
    assert refuse(tmp_path / "none.pth").startswith(f"{tmp_path / 'none.pth'}: no such file. ")
    assert refuse("resnet34-imagenet").startswith("resnet34-imagenet: no such file. ")
    assert refuse("googlenet-imagenet").startswith("googlenet-imagenet is not a ResNet. ")
    assert refuse("googlenet-imagenet").endswith(taken)
    assert not home.exists()


def unchanged(resnet: ResNet, state: dict[str, Tensor], name: str = "resnet18") -> str:
    """Return why weights are refused, and see that they left nothing behind."""
    before = {key: value.clone() for key, value in resnet.state_dict().items()}
    with pytest.raises(InputError) as caught:
        fill_backbone(resnet, backbone(state, name))
    after = resnet.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    return str(caught.value)


def test_weights_that_do_not_fit_are_refused_whole(states: dict[str, dict[str, Tensor]]) -> None:
    state, whole = states["resnet18"], build_resnet("resnet18")
    last = "layer3.1.bn2.running_var"
    less = {key: value for key, value in state.items() if key != last}
    assert unchanged(whole, less) == f"a.pth: tensor '{last}' is missing."
    wrong = {**state, last: torch.zeros(3)}
    assert f"tensor '{last}' is torch.float32 (3,); the network" in unchanged(whole, wrong)
    assert unchanged(whole, states["resnet50"], "resnet50") == (
        "a.pth: holds a resnet50, and the detector has a resnet18. Use --image-net resnet50."
    )
    assert unchanged(build_resnet("resnet18", 0.5), state) == (
        "image width is 0.5, and a ResNet is whole. Use image width 1."
    )


@pytest.mark.parametrize("name", ["resnet50-imagenet", "resnet18-imagenet"])
def test_a_backbone_is_no_video_network(home: Path, name: str) -> None:
    expected = (
        f"{name} is of images, and scores no video and starts no video network: it is for the "
        f"image network of a detector. Use `s3d train-detector --image-init {name}`."
    )
    for take in (
        s3d.load,
        open_start,
        read_image_weights,
        lambda n: s3d.build("s3d", inflate=n),
    ):
        with pytest.raises(InputError) as caught:
            take(name)
        assert str(caught.value) == expected
    assert not home.exists()
