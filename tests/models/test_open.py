"""Whatever names a model is opened: a file of ours, somebody's, published weights, images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.models.layers import Gate
from s3d.models.model_file import ModelFile, save_model, weights_of
from s3d.models.network import Network
from s3d.models.open import open_model, open_start
from s3d.models.published.sources import TORCHVISION_CLIP
from s3d.models.style import GOOGLENET, SLIM, TORCHVISION
from tests.models.fakes import image_state, stand_in, write_tensorflow
from tests.models.published.publish import make_network, publish

NAMED = "s3d-kinetics400"
IMAGES = "googlenet-imagenet"


@pytest.fixture(autouse=True)
def home(weights_home: Path) -> Path:
    return weights_home


@pytest.fixture(scope="module")
def network() -> Network:
    """Return a narrow S3D as torchvision's."""
    return make_network("s" * 11, TORCHVISION, classes=400)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return image_state()


def answers(network: Network) -> Tensor:
    clips = torch.rand(1, 3, 9, 40, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return network(clips)


def same_weights(one: Network, other: Network) -> bool:
    ours, theirs = weights_of(one), weights_of(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def refuse(name: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        open_model(name)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("file", ["model.safetensors", "model", "model.pth", "s3d-kinetics400"])
def test_a_model_file_is_one_whatever_its_name(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    labels = tuple(f"l{number}" for number in range(400))
    spec = replace(TORCHVISION_CLIP, frames=9)
    save_model(tmp_path / file, ModelFile(network, labels, spec, source="mine"))
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path / file, file):
        found = open_model(name)
        assert (found.labels, found.spec, found.source) == (labels, spec, "mine")
        assert same_weights(found.network, network)


def test_weights_are_opened_by_name(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, tmp_path / "mirror", NAMED, publish(network, "torchvision"))
    found = open_model(NAMED)
    assert (found.network.word, found.network.style) == ("s" * 11, TORCHVISION)
    assert found.spec == TORCHVISION_CLIP
    assert (found.labels[0], len(found.labels)) == ("abseiling", 400)
    assert [metric["value"] for metric in found.metrics] == [0.68368, 0.8805]
    assert found.source.startswith("torchvision's S3D, Kinetics-400, converted from https://")
    assert found.licence == "BSD-3-Clause"
    assert torch.equal(answers(found.network), answers(network))


def test_the_cache_comes_before_a_mirror_and_both_are_verified(
    network: Network, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = stand_in(monkeypatch, tmp_path / "mirror", NAMED, publish(network, "torchvision"))
    (home / "weights").mkdir(parents=True)
    (home / "weights" / path.name).write_bytes(b"something else")
    assert f"{home / 'weights' / path.name}: not the file that was published" in refuse(NAMED)
    (home / "weights" / path.name).unlink()
    assert open_model(NAMED).metrics
    path.write_bytes(path.read_bytes()[:-1])
    assert f"{path}: not the file that was published" in refuse(NAMED)


@pytest.mark.parametrize("file", ["weights.pth", "weights.safetensors", "weights"])
def test_somebodys_checkpoint_is_converted(network: Network, tmp_path: Path, file: str) -> None:
    if file.endswith(".pth"):
        torch.save(publish(network, "torchvision"), tmp_path / file)
    else:
        save_file(publish(network, "torchvision"), tmp_path / file)
    found = open_model(tmp_path / file)
    assert same_weights(found.network, network)
    assert found.metrics == ()
    assert "none of the published ones" in found.source


def test_a_checkpoint_of_tensorflow_is_converted(tmp_path: Path) -> None:
    network = make_network("s" + "g" * 10, SLIM)
    data, index = write_tensorflow(
        tmp_path / "model.ckpt", publish(network, "slim", "InceptionV1/")
    )
    for name in (tmp_path / "model.ckpt", index, data, tmp_path):
        found = open_model(name)
        assert found.network.style == SLIM
        assert torch.equal(answers(found.network), answers(network))


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "foreign"])
def test_a_broken_model_file_is_complained_of_as_one(
    network: Network, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, ModelFile(network, (), TORCHVISION_CLIP))
    whole = path.read_bytes()
    if kind == "foreign":
        save_file({"weight": torch.zeros(2)}, path)
        assert "nobody's names that are known here (it begins with weight)" in refuse(path)
        save_file({}, path)
        assert "a safetensors file, but not a model of s3d (no s3d header)" in refuse(path)
        return
    path.write_bytes({"empty": b"", "text": b"hello, world", "cut": whole[:-9]}[kind])
    said = f"{path}: not a readable safetensors file ("
    assert refuse(path).startswith(said)
    with pytest.raises(InputError) as caught:
        open_start(str(path))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s3d-kinetics40", "Did you mean s3d-kinetics400 or "),
        ("S3D-Kinetics400", "Did you mean s3d-kinetics400"),
        ("googlenet", "Did you mean googlenet-imagenet?"),
        ("/no/such/model.safetensors", "no such model file, and no published weights of this"),
        ("", "no such model file, and no published weights"),
        ("a\nb" + "c" * 5000, "a\\nbccc"),
        ("a\0b", "a\\x00b: no such model file"),
    ],
)
def test_a_name_that_means_nothing(name: str, said: str) -> None:
    line = refuse(name)
    assert said in line
    assert "`s3d train`" in line
    assert "`s3d list` shows the weights." in line


@pytest.mark.parametrize("name", [None, 5, 0, b"x"])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(InputError, match=rf"^model is {name!r}; it needs a file or a name\.$"):
        open_model(name)


def test_an_empty_name_is_not_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.ckpt.index").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert "no such model file" in refuse("")


def test_weights_of_images_are_no_model(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "googlenet-imagenet is of images and scores no video" in refuse(IMAGES)
    torch.save(state, tmp_path / "images.pth")
    line = refuse(tmp_path / "images.pth")
    assert "Weights of images are for --init or s3d.build(inflate=...)." in line


def test_a_run_starts_from_a_model(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, tmp_path / "mirror", NAMED, publish(network, "torchvision"))
    torch.save(publish(network, "torchvision"), tmp_path / "weights.pth")
    for name in (NAMED, str(tmp_path / "weights.pth")):
        start = open_start(name, network="i2d", width=0.5, style="paper")
        assert not start.is_of_images
        assert same_weights(start.model.network, network)
        assert start.model.spec == TORCHVISION_CLIP


def test_a_run_starts_from_images_with_the_same_network_each_time(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, tmp_path / "mirror", IMAGES, state)
    torch.save(state, tmp_path / "images.pth")
    before = torch.random.get_rng_state()
    first = open_start(IMAGES, network="s3d_g")
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    second = open_start(str(tmp_path / "images.pth"), network="s3d_g")
    assert first.is_of_images
    assert first.model.network.word == "s" + "g" * 10
    assert same_weights(first.model.network, second.model.network)
    gate = next(m for m in first.model.network.modules() if isinstance(m, Gate))
    assert gate.weight.std() > 0
    assert first.model.network.head.classifier.weight.std() > 0
    kernel = first.model.network.state_dict()["conv1a.0.weight"][:, :, 0]
    assert torch.equal(kernel, state["conv1.conv.weight"])


def test_images_are_inflated_into_what_was_asked_for(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = str(tmp_path / "images.pth")
    torch.save(state, path)
    plain = open_start(path).model
    assert (plain.network.word, plain.network.style) == ("s" * 11, GOOGLENET)
    assert not plain.network.training
    assert (plain.labels, plain.spec) == ((), ClipSpec())
    assert plain.source == "inflated from GoogLeNet (torchvision)"
    other = open_start(path, network="i3d_top_4", style="slim").model
    assert (other.network.word, other.network.style) == ("2222" + "3" * 7, SLIM)
    with pytest.raises(InputError, match=r"Inflate into a network of width 1\."):
        open_start(path, width=0.5)


def test_a_start_that_means_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Did you mean googlenet-imagenet\?"):
        open_start("googlenet-imagnet")
    (tmp_path / "x.pth").write_bytes(b"x" * 99)
    with pytest.raises(InputError, match=r"x\.pth: not a readable PyTorch file"):
        open_start(str(tmp_path / "x.pth"))
    with pytest.raises(InputError, match="not here, and S3D_OFFLINE is set"):
        open_start(IMAGES)
