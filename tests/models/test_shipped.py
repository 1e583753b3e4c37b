"""What comes inside the package is what its table says, and opens without a network."""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import s3d
from s3d.cli import main
from s3d.errors import InputError
from s3d.models.family import network_word
from s3d.models.model_file import ModelFile, load_model, save_model, weights_of
from s3d.models.network import build
from s3d.models.open import open_model, open_start
from s3d.models.shipped import table, trunks
from s3d.models.shipped.table import FOLDER, MOST_BYTES, SHIPPED, Shipped
from s3d.models.shipped.trunks import file_sha256, load_shipped, save_trunk
from s3d.models.style import find_style
from tests.conftest import ROOT
from tests.tiny import refuse

NAMES = list(SHIPPED)
SPEC = s3d.ClipSpec(frames=4, rate_fps=8.0, resize_px=(36, 36), size_px=(32, 32))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, weights_home: Path) -> None:
    """Let nobody open a connection."""

    def refuse_connection(*parts: Any, **more: Any) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "create_connection", refuse_connection)
    monkeypatch.setattr(socket.socket, "connect", refuse_connection)


@pytest.fixture
def model() -> ModelFile:
    """Return a small network without labels, its norms no powers of two."""
    torch.manual_seed(0)
    network = build("s3d_g", num_classes=3, width=0.05).eval()
    for name, tensor in network.state_dict().items():
        if "norm." in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return ModelFile(network, (), SPEC, source="by hand", licence="Apache-2.0")


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_the_one_that_the_table_names(name: str) -> None:
    found = file_sha256(SHIPPED[name].path)
    assert found == SHIPPED[name].sha256, f"s3d/models/shipped/table.py: {name} is {found} now"


@pytest.mark.parametrize("name", NAMES)
def test_the_header_says_what_the_table_says(name: str) -> None:
    shipped, model = SHIPPED[name], load_model(SHIPPED[name].path)
    network = model.network
    assert (network.word, network.width) == (network_word(shipped.network), shipped.width)
    assert network.style == find_style(shipped.style)
    assert (model.labels, model.licence) == ((), "Apache-2.0")
    assert model.source
    assert model.spec.modality == "rgb"


def test_all_files_are_listed_small_and_packed() -> None:
    files = sorted(FOLDER.glob("*.safetensors"))
    assert files == sorted(shipped.path for shipped in SHIPPED.values())
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES == 8_000_000
    (packed,) = re.findall(r"^s3d = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert '"models/shipped/*.safetensors"' in packed
    assert "!/s3d/models/shipped/*.safetensors" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_kernels_lie_there_in_half_and_are_loaded_whole(name: str) -> None:
    kept = load_file(SHIPPED[name].path)
    for tensor, value in kept.items():
        assert value.dtype == (torch.float16 if value.ndim > 1 else torch.float32), tensor
    loaded = weights_of(load_shipped(name).network)
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    assert all(torch.equal(loaded[key], kept[key].float()) for key in kept)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", NAMES)
def test_a_name_opens_without_a_network(name: str, colours: Path) -> None:
    start = open_start(name)
    assert (start.is_shipped, start.is_of_images) == (True, False)
    assert open_model(name).network.word == start.model.network.word
    found = s3d.load(name).features(colours / "red" / "0.mp4").features
    assert found.dtype == np.float32
    channels = int(1024 * SHIPPED[name].width)
    assert (found.ndim, found.shape[1]) == (2, channels)
    assert np.isfinite(found).all()
    assert found.std() > 0


def test_a_file_of_that_name_goes_before(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model("motion-small", model)
    start = open_start("motion-small")
    assert not start.is_shipped
    assert start.model.source == "by hand"


def test_near_names_are_named() -> None:
    for name in ("motion-smal", "Motion-small"):
        with pytest.raises(InputError, match=r"Did you mean motion-small\b"):
            open_model(name)
    with pytest.raises(InputError, match=r"'motion-smal' does not come with this s3d\. Did you"):
        load_shipped("motion-smal")
    with pytest.raises(InputError, match=r"'x' does not come with this s3d\. Those that do: mo"):
        load_shipped("x")


def test_a_damaged_installation_is_told(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / SHIPPED["motion-small"].file
    monkeypatch.setattr(table, "FOLDER", tmp_path)
    with pytest.raises(InputError, match=r"motion-small\.safetensors: is missing; it came with"):
        load_shipped("motion-small")
    save_trunk(path, model)
    said = rf"is another file \(sha256 {file_sha256(path)}\); it came with s3d\. Install s3d again"
    with pytest.raises(InputError, match=said):
        load_shipped("motion-small")
    shipped = Shipped("x", path.name, file_sha256(path) or "", "s3d_g", 0.05)
    monkeypatch.setattr(trunks, "SHIPPED", {"motion-small": shipped})
    assert load_shipped("motion-small").source == "by hand"


def test_half_rounds_kernels_alone(model: ModelFile, tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_model(whole, model)
    save_model(half, model, in_half=True)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    wanted, found = weights_of(model.network), weights_of(load_model(half).network)
    assert wanted.keys() == found.keys()
    for name, tensor in wanted.items():
        rounded = tensor.half().float() if tensor.ndim > 1 else tensor
        assert torch.equal(found[name], rounded), name
    assert sum(not torch.equal(found[name], wanted[name]) for name in wanted) > 50


def test_what_half_cannot_hold_is_refused(model: ModelFile, tmp_path: Path) -> None:
    with torch.no_grad():
        model.network.mixed5b.entry.weight[0, 0] = 7e4
    with pytest.raises(InputError, match=r"mixed5b\.entry\.weight holds 70000, which 16 bits do"):
        save_model(tmp_path / "half.safetensors", model, in_half=True)
    assert not list(tmp_path.iterdir())


def test_a_trunk_gives_the_average_of_its_features(model: ModelFile, tmp_path: Path) -> None:
    path, before = tmp_path / "trunk.safetensors", torch.random.get_rng_state()
    save_trunk(path, model)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.network.num_classes == 3  # as it was
    first = path.read_bytes()
    torch.rand(3)
    save_trunk(path, model)
    assert path.read_bytes() == first
    network = load_model(path).network
    clips = torch.rand(2, 3, 4, 32, 32)
    with torch.inference_mode():
        wanted = network.features(clips).mean((2, 3, 4))
        assert torch.allclose(network(clips), wanted, atol=1e-6)
    assert wanted.std() > 0


def test_a_trunk_has_no_classes(model: ModelFile, tmp_path: Path) -> None:
    named = replace(model, labels=("a", "b", "c"))
    with pytest.raises(InputError, match=r"the model has 3 labels; a trunk has none\. Use save_mo"):
        save_trunk(tmp_path / "trunk.safetensors", named)


def test_to_predict_with_a_trunk_is_refused_in_a_line(
    colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refuse(capsys, "predict", colours / "red" / "0.mp4", "--model", "motion-small")
    assert "gives an embedding, not classes: it knows none" in line
    for verb in ("`s3d train DATA --init MODEL`", "`s3d features`", "`s3d similar`"):
        assert verb in line


@pytest.mark.usefixtures("no_network")
def test_the_list_shows_title_and_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, shipped in SHIPPED.items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert f"{shipped.path.stat().st_size / 1e6:.1f} MB" in line
        assert shipped.title in line
        assert f"{shipped.network} x {shipped.width:g}" in line


def test_verbs_that_take_a_network_take_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "motion-small", "--json"]) == 0
    assert '"width": 0.25' in capsys.readouterr().out
    assert "Did you mean motion-small" in refuse(capsys, "cost", "motion-smal")
