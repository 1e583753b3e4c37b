"""A network of ours, written as a publisher would have, comes back as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from s3d.models.network import Network
from s3d.models.published.convert import Conversion, convert, summarise_unused
from s3d.models.published.sources import SOURCES
from tests.models.published.publish import KERAS, make_network, publish, write_published
from tests.tolerances import FLOAT32, assert_close

S3D, S3D_G, I3D, I2D = "s" * 11, "s" + "g" * 10, "3" * 11, "2" * 11
TIME_FROM_4B, GATES_FROM_4E = "s222sssssss", "sssssssgggg"
SCOPES = {
    "slim": "InceptionV1/",
    "deepmind": "RGB/inception_i3d/",
    "tf-garden": "model/layer_with_weights-0/",
}
WIDTHS = {"slim": 0.1, "tf-garden": 0.05}


def check_same(done: Conversion, network: Network, source: str, used: int) -> None:
    """Check that a conversion gave the network back, each tensor used once."""
    found = done.model.network
    assert (done.source, done.guessed, done.name) == (source, True, None)
    assert (found.word, found.width) == (network.word, network.width)
    assert (found.num_classes, found.channels) == (network.num_classes, network.channels)
    assert found.style == network.style
    assert (done.used, done.unused) == (used, ())
    assert not found.training
    wanted, state = network.state_dict(), found.state_dict()
    assert list(state) == list(wanted)
    for name in wanted:
        if "num_batches" not in name:
            assert_close(state[name], wanted[name], FLOAT32, name)
    check_answers(found, network)


def check_answers(found: Network, network: Network) -> None:
    clips = torch.randn(2, network.channels, 9, 32, 36)
    with torch.no_grad():
        wanted = network(clips)
        assert wanted.std() > 0
        assert_close(found(clips), wanted, FLOAT32)


def trip(
    folder: Path, source: str, word: str, *, scope: str | None = None, **changes: Any
) -> tuple[Conversion, Network]:
    options = {name: changes.pop(name) for name in ("classes", "channels") if name in changes}
    style = SOURCES[source].style
    if source not in WIDTHS:
        # Only narrow nets are quick to write, and only slim and the garden have a width.
        changes = {"fewest_channels": 1, **changes}
    style = replace(style, **changes)
    network = make_network(word, style, width=WIDTHS.get(source, 0.05), **options)
    scope = SCOPES.get(source, "") if scope is None else scope
    tensors = publish(network, source, scope)
    done = convert(write_published(folder, tensors, source))
    check_same(done, network, source, len(tensors))
    return done, network


@pytest.mark.parametrize("source", ["torchvision", "kylemin"])
@pytest.mark.parametrize("word", [S3D, I2D, I3D, "3323s2ss332"])
def test_networks_of_torchvision_and_kylemin(source: str, word: str, tmp_path: Path) -> None:
    trip(tmp_path, source, word)


@pytest.mark.parametrize("frames", [3, 5])
def test_a_separable_stem_of_other_length(frames: int, tmp_path: Path) -> None:
    trip(tmp_path, "torchvision", S3D, stem_frames=frames)


@pytest.mark.parametrize("word", [I3D, "3" * 4 + "2" * 7, I2D])
def test_networks_of_piergiaj(word: str, tmp_path: Path) -> None:
    # A module of PyTorch has a scale in its norms, as DeepMind's own files have not.
    done, _ = trip(tmp_path, "piergiaj", word, norm_has_scale=True)
    assert done.model.licence == "Apache-2.0"


@pytest.mark.parametrize(
    "word",
    [
        I3D,
        S3D,
        S3D_G,
        TIME_FROM_4B,
        GATES_FROM_4E,
        "2ggggggggg" + "g",
        "svvvvvvvvvv",
        "3" + "v" * 10,
        "s" + "w" * 3 + "g" * 7,
        "s22wwggssgg",
        "sss3v2wsgsg",
    ],
)
@pytest.mark.parametrize("source", ["slim", "tf-garden"])
def test_words_of_slim_and_the_garden(source: str, word: str, tmp_path: Path) -> None:
    trip(tmp_path, source, word)


@pytest.mark.parametrize("source", ["slim", "tf-garden"])
@pytest.mark.parametrize("frames", [3, 5, 7])
def test_full_stems(source: str, frames: int, tmp_path: Path) -> None:
    trip(tmp_path, source, S3D, stem_frames=frames)


@pytest.mark.parametrize("source", ["slim", "tf-garden"])
def test_a_full_stem_of_one_frame_is_2d(source: str, tmp_path: Path) -> None:
    style = replace(SOURCES[source].style, stem_frames=1)
    network = make_network(S3D, style, width=WIDTHS[source])
    tensors = publish(network, source, SCOPES[source])
    done = convert(write_published(tmp_path, tensors, source))
    assert done.model.network.word == "2" + "s" * 10
    check_answers(done.model.network, network)


@pytest.mark.parametrize("place", ["concat", "branch", "branch_and_concat"])
@pytest.mark.parametrize("pool_comes_first", [True, False])
def test_gates_and_pools_of_the_garden(place: str, pool_comes_first: bool, tmp_path: Path) -> None:
    trip(tmp_path, "tf-garden", "svgwgggwgvg", gate_place=place, pool_comes_first=pool_comes_first)


@pytest.mark.parametrize("scope", ["", "backbone/", "model/layer_with_weights-0/"])
def test_a_garden_checkpoint_by_each_of_its_scopes(scope: str, tmp_path: Path) -> None:
    trip(tmp_path, "tf-garden", S3D_G, scope=scope)


@pytest.mark.parametrize("word", [S3D_G, S3D, TIME_FROM_4B])
def test_the_garden_s_temporal_convolutions_may_come_first(word: str, tmp_path: Path) -> None:
    trip(tmp_path, "tf-garden", word, temporal_first=True)


@pytest.mark.parametrize(
    ("scope", "channels"), [("RGB/inception_i3d/", 3), ("Flow/inception_i3d/", 2), ("", 3)]
)
def test_networks_of_deepmind(scope: str, channels: int, tmp_path: Path) -> None:
    done, _ = trip(tmp_path, "deepmind", I3D, scope=scope, channels=channels)
    spec = done.model.spec
    assert (spec.modality, spec.channels) == ("rgb" if channels == 3 else "flow", channels)
    assert (spec.mean, spec.std) == ((0.5,) * channels, (0.5,) * channels)


def test_deepmind_s_norms_of_five_axes_and_slots_of_momentum(tmp_path: Path) -> None:
    network = make_network(I3D, replace(SOURCES["deepmind"].style, fewest_channels=1))
    plain = publish(network, "deepmind")
    tensors = {n: t[:, None, None, None, None] if "norm" in n else t for n, t in plain.items()}
    slots = {f"{n}/Momentum": torch.zeros_like(t) for n, t in tensors.items() if "moving" not in n}
    done = convert(write_published(tmp_path, tensors | slots, "deepmind"))
    assert (done.source, done.used) == ("deepmind", len(tensors))
    assert sorted(done.unused) == sorted(slots)
    assert summarise_unused(done.unused) == [f"{len(slots)} x Momentum"]
    check_answers(done.model.network, network)


def test_averages_beside_slim_s_variables_are_left(tmp_path: Path) -> None:
    network = make_network(S3D_G, SOURCES["slim"].style, width=0.1)
    tensors = publish(network, "slim", "InceptionV1/")
    kept = f"{next(iter(tensors))}/ExponentialMovingAverage"
    extras = {kept: torch.zeros(3), "global_step": torch.tensor(7)}
    done = convert(write_published(tmp_path, tensors | extras, "slim"))
    assert sorted(done.unused) == sorted(extras)
    check_answers(done.model.network, network)


def test_slots_beside_the_garden_s_variables_are_left(tmp_path: Path) -> None:
    network = make_network(S3D_G, SOURCES["tf-garden"].style)
    tensors = publish(network, "tf-garden", "backbone/")
    slot = f"/.OPTIMIZER_SLOT/optimizer/momentum{KERAS}"
    slots = {n.replace(KERAS, slot): torch.zeros_like(t) for n, t in tensors.items()}
    done = convert(write_published(tmp_path, tensors | slots, "tf-garden"))
    assert (done.used, sorted(done.unused)) == (len(tensors), sorted(slots))
    assert summarise_unused(done.unused) == [f"{len(slots)} x VARIABLE_VALUE"]
    check_answers(done.model.network, network)


# MIL-NCE


def test_an_embedding_of_mil_nce_has_no_labels(tmp_path: Path) -> None:
    done, _ = trip(tmp_path, "mil-nce", S3D_G, classes=512)
    assert done.model.labels == ()
    assert done.model.spec.value_range == (0, 1)


def test_mil_nce_without_space_to_depth(tmp_path: Path) -> None:
    trip(tmp_path, "mil-nce", S3D_G, stem="full", stem_frames=3)


def test_what_reads_text_in_mil_nce_is_left(tmp_path: Path) -> None:
    style = replace(SOURCES["mil-nce"].style, fewest_channels=1)
    tensors = publish(make_network(S3D_G, style), "mil-nce")
    odd = [f"text_module.{n}" for n in ("word_embd.weight", "fc1.weight", "fc1.bias", "fc2.weight")]
    counters = {f"conv1.bn{n}.num_batches_tracked": torch.tensor(0) for n in range(5)}
    extras = {name: torch.zeros(2, 2) for name in odd} | counters
    done = convert(write_published(tmp_path, extras | tensors, "mil-nce"))
    assert (done.used, done.unused) == (len(tensors), tuple(extras))
    assert summarise_unused(done.unused) == ["5 x num_batches_tracked", *odd]


# IBM


def write_ibm(
    folder: Path, network: Network, arch: object = None, *, depth_wise: bool = False
) -> tuple[Path, int]:
    """Write a network as IBM's script: biases before the norms, perhaps depth-wise kernels."""
    tensors = publish(network, "ibm")
    for name in [name for name in tensors if name.endswith("conv_t.weight")]:
        bias = torch.randn(len(tensors[name]))
        tensors[name.replace("weight", "bias")] = bias
        mean = name.replace("conv_t.weight", "bn_t.running_mean")
        tensors[mean] = tensors[mean] + bias
        if depth_wise:
            kernel = tensors[name]
            tensors[name] = kernel.diagonal(dim1=0, dim2=1).permute(3, 0, 1, 2)[:, None]
    content: dict[str, Any] = {f"module.{name}": tensor for name, tensor in tensors.items()}
    content = {"epoch": 3, "state_dict": content, "best_top1": 1.0, "optimizer": {}}
    torch.save(content if arch is None else {**content, "arch": arch}, folder / "model.pth.tar")
    return folder / "model.pth.tar", len(tensors)


def make_ibm(word: str, *, diagonal: bool = False, **changes: Any) -> Network:
    last_pool = 3 if word == I3D else 2
    style = replace(SOURCES["ibm"].style, fewest_channels=1, last_pool=last_pool, **changes)
    network = make_network(word, style)
    if diagonal:
        for name, kernel in network.state_dict().items():
            if kernel.ndim == 5 and kernel.shape[2:] == (3, 1, 1):
                kernel *= torch.eye(len(kernel))[..., None, None, None]
                assert kernel.count_nonzero() == 3 * len(kernel), name
    return network


@pytest.mark.parametrize("word", [S3D, I3D])
@pytest.mark.parametrize(
    ("arch", "strides"),
    [
        (None, "late"),
        (17, "late"),
        ("resnet", "late"),
        ("kinetics400-rgb-{}-ts-max-f64-cosine-bs72-e100", "late"),
        ("kinetics400-rgb-{}-tp-f8-cosine-bs72-e100", "late"),
        ("kinetics400-rgb-{}-f8-cosine-bs72-e100", "none"),
    ],
)
def test_networks_of_ibm(word: str, arch: Any, strides: str, tmp_path: Path) -> None:
    network = make_ibm(word, time_strides=strides)
    if isinstance(arch, str):
        arch = arch.format("s3d" if word == S3D else "i3d_v2")
    path, used = write_ibm(tmp_path, network, arch)
    check_same(convert(path), network, "ibm", used)


def test_depth_wise_kernels_of_ibm(tmp_path: Path) -> None:
    network = make_ibm(S3D, diagonal=True)
    path, used = write_ibm(tmp_path, network, "rgb-s3d-dw-t-conv-ts-max-f8", depth_wise=True)
    check_same(convert(path), network, "ibm", used)


def test_time_strides_of_ibm_can_be_told(tmp_path: Path) -> None:
    network = make_ibm(S3D, time_strides="none")
    path, _ = write_ibm(tmp_path, network)
    assert convert(path).model.network.style.time_strides == "late"
    found = convert(path, style={"time_strides": "none"}).model.network
    assert found.style == network.style
    check_answers(found, network)


# Files


@pytest.mark.parametrize(
    ("key", "prefix"), [("state_dict", "module."), ("model", ""), (None, "module."), (None, "")]
)
def test_a_state_dict_is_found_in_a_checkpoint(
    key: str | None, prefix: str, tmp_path: Path
) -> None:
    network = make_network(S3D, replace(SOURCES["kylemin"].style, fewest_channels=1))
    tensors = publish(network, "kylemin")
    content: dict[str, Any] = {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
    if key:
        content = {"epoch": 1, "optimizer": {"state": [1]}, key: content}
    torch.save(content, tmp_path / "a.pt")
    check_same(convert(tmp_path / "a.pt"), network, "kylemin", len(tensors))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    network = make_network(I2D, replace(SOURCES["piergiaj"].style, fewest_channels=1))
    tensors = {n: t.to(dtype) for n, t in publish(network, "piergiaj").items()}
    found = convert(write_published(tmp_path, tensors, "piergiaj")).model.network.state_dict()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            assert found[name].dtype == torch.float32
            assert torch.equal(found[name], tensor.to(dtype).float())


def test_a_safetensors_file_is_converted(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    network = make_network(S3D, replace(SOURCES["torchvision"].style, fewest_channels=1))
    tensors = publish(network, "torchvision")
    save_file({n: t.contiguous() for n, t in tensors.items()}, tmp_path / "a.safetensors")
    check_same(convert(tmp_path / "a.safetensors"), network, "torchvision", len(tensors))


def test_saved_parameters_become_plain_values(tmp_path: Path) -> None:
    network = make_network(I2D, replace(SOURCES["piergiaj"].style, fewest_channels=1))
    tensors: dict[str, Tensor] = {
        n: torch.nn.Parameter(t) for n, t in publish(network, "piergiaj").items()
    }
    found = convert(write_published(tmp_path, tensors, "piergiaj")).model.network
    assert all(p.is_leaf and p.requires_grad for p in found.parameters())
    assert not any(b.requires_grad for b in found.buffers())
    check_answers(found, network)
