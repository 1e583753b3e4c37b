"""Published weights by name: fetched, verified, converted, and what is said where they are not."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import s3d
from s3d.errors import InputError
from s3d.models import download
from s3d.models.download import fetch_files
from s3d.models.network import Network
from s3d.models.published.convert import read_labels
from s3d.models.published.named import load_named
from s3d.models.published.sources import SOURCES
from s3d.models.published.weights import BACKBONE, DEFAULT, IMAGES, WEIGHTS, find_weights
from s3d.models.style import DEEPMIND, MIL_NCE
from tests.models.fakes import stand_in, write_tensorflow
from tests.models.published.publish import make_network, publish

KYLEMIN = "s3d-kinetics400-kylemin"


@pytest.fixture(autouse=True)
def home(weights_home: Path) -> Path:
    return weights_home


@pytest.fixture(scope="module")
def network() -> Network:
    return make_network("s" * 11, SOURCES["kylemin"].style, classes=400)


def refuse(name: str) -> str:
    with pytest.raises(InputError) as caught:
        load_named(name)
    assert str(caught.value).isprintable()
    return str(caught.value)


def same_answers(one: Network, other: Network) -> bool:
    clips = torch.rand(1, one.channels, 9, 32, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return torch.equal(one(clips), other(clips))


def test_every_name_says_what_it_is() -> None:
    assert DEFAULT in WEIGHTS
    for name, weights in WEIGHTS.items():
        assert find_weights(name) is weights
        assert weights.source in (IMAGES, BACKBONE) or weights.source in SOURCES
        assert name.replace("-", "").isalnum()
        assert weights.files
        for metric in weights.metrics:
            assert metric["metric"] in ("top1", "top5")
            assert 0 < metric["value"] < 1
            assert metric["protocol"].startswith("as published, not measured here: ")
    files = [remote.file for weights in WEIGHTS.values() for remote in weights.files]
    assert len(set(files)) == len(files)


def test_an_unknown_name_names_the_near_ones() -> None:
    assert refuse("i3d-kinetics40").startswith(
        "unknown weights 'i3d-kinetics40'. Did you mean i3d-kinetics400 or "
    )
    assert ", ".join(WEIGHTS) in refuse("zzz")


def test_what_only_a_person_may_fetch_says_where_from_and_where_to(home: Path) -> None:
    line = refuse(KYLEMIN)
    assert line.startswith("S3D_kinetics400.pt: not here, and ")
    assert "https://github.com/kylemin/S3D" in line
    assert str(home / "weights" / "S3D_kinetics400.pt") in line
    assert "S3D_MIRROR" in line


def test_without_an_address_it_is_not_downloaded_though_the_network_may_be_used(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("S3D_OFFLINE")
    assert "not here, and no program may download it. Fetch https://github" in refuse(KYLEMIN)
    assert not home.exists()


def test_what_was_fetched_by_hand_is_taken_on_trust(network: Network, home: Path) -> None:
    (home / "weights").mkdir(parents=True)
    state = publish(network, "kylemin")
    torch.save(state, home / "weights" / "S3D_kinetics400.pt")
    model = load_named(KYLEMIN)
    assert same_answers(model.network, network)
    assert model.metrics == WEIGHTS[KYLEMIN].metrics
    assert [metric["value"] for metric in model.metrics] == [0.7208, 0.9035]
    assert model.source == (
        "kylemin's S3D, Kinetics-400, converted from https://github.com/kylemin/S3D, "
        "taken to be S3D_kinetics400.pt, of which nobody gives a checksum"
    )
    assert (model.licence, len(model.labels)) == ("MIT", 400)


def test_weights_with_a_checksum_are_not_taken_on_trust(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = publish(network, "kylemin")
    stand_in(monkeypatch, tmp_path / "mirror", KYLEMIN, state)
    model = load_named(KYLEMIN)
    assert model.metrics == WEIGHTS[KYLEMIN].metrics
    assert model.source == (
        "kylemin's S3D, Kinetics-400, converted from https://github.com/kylemin/S3D"
    )


def test_a_file_of_somebody_else_under_a_trusted_name_is_refused(
    network: Network, home: Path
) -> None:
    (home / "weights").mkdir(parents=True)
    path = home / "weights" / "S3D_kinetics400.pt"
    torch.save(publish(network, "torchvision"), path)  # torchvision's names
    assert refuse(KYLEMIN).startswith(f"{path}: its names are those of torchvision, not of kylemin")


def test_an_embedding_has_no_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network("s" + "g" * 10, MIL_NCE, classes=12)
    state = publish(network, "mil-nce")
    stand_in(monkeypatch, tmp_path / "mirror", "s3dg-howto100m", state, digest=False)
    model = load_named("s3dg-howto100m")
    assert same_answers(model.network, network)
    assert (model.labels, model.metrics, model.licence) == ((), (), "Apache-2.0")
    assert model.spec.value_range == (0, 1)


def test_tensorflows_two_files_come_from_a_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network("3" * 11, DEEPMIND, classes=400, channels=2)
    state = publish(network, "deepmind", "Flow/inception_i3d/")
    files = write_tensorflow(tmp_path / "model.ckpt", state)
    name = "i3d-kinetics400-flow-scratch"
    data, index = stand_in(monkeypatch, tmp_path / "mirror", name, *(f.read_bytes() for f in files))
    model = load_named(name)
    assert same_answers(model.network, network)
    assert (model.network.word, model.spec.modality) == ("3" * 11, "flow")
    assert [metric["value"] for metric in model.metrics] == [0.615, 0.834]
    index.rename(tmp_path / "away")
    line = refuse(name)
    assert line.startswith(f"{index}: no such file; S3D_MIRROR names it.")
    (tmp_path / "away").rename(index)
    data.write_bytes(data.read_bytes()[:-4] + b"abcd")
    assert f"{data}: not the file that was published: it has sha256:" in refuse(name)


def test_weights_of_images_are_refused_before_they_are_fetched(home: Path) -> None:
    line = refuse("googlenet-imagenet")
    assert line == (
        "googlenet-imagenet is of images and scores no video. Start a network from it with "
        "`s3d train --init googlenet-imagenet` or s3d.build(inflate='googlenet-imagenet')."
    )
    assert not home.exists()


class Screen(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("total", [4_000_000, 0])
def test_a_bar_goes_to_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_terminal: bool, total: int
) -> None:
    told: list[str] = []

    def fetch(remote: Any, progress: Any) -> Path:
        told.append(remote.file)
        for done in (0, 1_000_000, 4_000_000):
            progress(done, total)
            time.sleep(0.12)  # a bar is drawn ten times a second at most
        return tmp_path

    screen = Screen(is_terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(download, "fetch_file", fetch)
    weights = WEIGHTS["i3d-kinetics600"]
    fetch_files(weights.files)
    assert told == [remote.file for remote in weights.files]
    shown = screen.getvalue()
    if not is_terminal:
        assert shown == ""
        return
    for remote in weights.files:
        assert f"{remote.file}: " in shown
    assert ("4.00M/4.00M" if total else "4.00MB") in shown
    assert shown.endswith("\r")  # it is gone when all is there


def test_a_bar_is_taken_away_when_a_download_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(remote: Any, progress: Any) -> Path:
        progress(1, 2)
        raise InputError("cut")

    screen = Screen(True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(download, "fetch_file", fetch)
    with pytest.raises(InputError, match="cut"):
        fetch_files(WEIGHTS["i3d-charades"].files)
    assert screen.getvalue().endswith("\r")


def test_what_is_no_python_is_packaged() -> None:
    tomllib = pytest.importorskip("tomllib")
    home = Path(s3d.__file__).parent
    settings = tomllib.loads((home.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["s3d"]
    packaged = {path for pattern in patterns for path in home.glob(pattern)}
    others = {
        path
        for path in home.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".so")
    }
    assert others == packaged
    assert {path.name for path in packaged} >= {"kinetics400.txt", "kinetics600.txt"}


@pytest.mark.parametrize(("name", "count"), [("kinetics400", 400), ("kinetics600", 600)])
def test_lists_of_labels_are_whole(name: str, count: int) -> None:
    labels = read_labels(name)
    assert len(set(labels)) == len(labels) == count
    assert all(label == label.strip() != "" for label in labels)
    assert {"abseiling", "zumba"} <= set(labels)


def test_every_source_names_its_licence() -> None:
    assert {known.licence for known in SOURCES.values()} <= {"Apache-2.0", "BSD-3-Clause", "MIT"}
    assert all(known.page.startswith("https://github.com/") for known in SOURCES.values())
