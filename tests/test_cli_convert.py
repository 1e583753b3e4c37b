"""Published weights on the command line: converted, named, the default, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from s3d.cli import main
from s3d.models.model_file import ModelFile, load_model, save_model
from s3d.models.network import build
from s3d.models.published.convert import read_labels
from s3d.models.published.sources import HOWTO100M_CLIP
from s3d.models.published.weights import DEFAULT, WEIGHTS
from s3d.models.shipped.table import SHIPPED
from s3d.models.style import IBM, TORCHVISION
from tests.models.fakes import stand_in
from tests.models.published.publish import make_network, publish
from tests.tiny import refuse

Output = pytest.CaptureFixture[str]
ROWS = ("from", "network", "clip", "classes", "origin", "licence", "used", "not used", "model")


@pytest.fixture(autouse=True)
def home(weights_home: Path) -> Path:
    return weights_home


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """Return weights under torchvision's names: a narrow S3D of 400 classes."""
    return publish(make_network("s" * 11, TORCHVISION, classes=400), "torchvision")


@pytest.fixture
def weights(tmp_path: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


@pytest.fixture
def red(colours: Path) -> Path:
    return colours / "red" / "0.mp4"


def convert(capsys: Output, *words: str | Path) -> dict[str, str]:
    """Convert, and return what is printed by its first word."""
    capsys.readouterr()
    assert main(["convert", *map(str, words)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = {}
    for line in out.splitlines():
        key = next(key for key in (*ROWS, "top1", "top5") if line.startswith(f"{key} "))
        found[key] = line.removeprefix(key).strip()
    return found


def test_weights_become_a_model_file(
    capsys: Output, weights: Path, tmp_path: Path, state: dict[str, Tensor]
) -> None:
    out = tmp_path / "model.safetensors"
    rows = convert(capsys, weights, "--out", out)
    assert rows["from"] == "torchvision, guessed from the names"
    assert rows["network"] == "s3d x 0.05, 0.13 M parameters"
    assert rows["clip"].startswith("128 frames at 15 fps (8.5 s), 224 x 224 px, rgb, values -1.9 ")
    assert rows["classes"] == "400: abseiling, air drumming, ..."
    assert rows["licence"] == "BSD-3-Clause"
    counted = [name for name in state if not name.endswith("num_batches_tracked")]
    assert rows["used"] == f"{len(counted)} tensors, each once"
    assert rows["model"] == str(out)
    assert not {"not used", "top1"} & rows.keys()
    model = load_model(out)
    assert model.labels == read_labels("kinetics400")
    assert torch.equal(
        model.network.state_dict()["conv1a.0.weight"], state["features.0.0.0.weight"]
    )
    assert model.source.endswith("the file is none of the published ones known here")


def test_a_source_may_be_named_and_what_is_left_is_told(
    capsys: Output, tmp_path: Path, state: dict[str, Tensor]
) -> None:
    more = {f"optimizer.{number}.momentum": torch.zeros(2) for number in range(4)}
    more |= {f"odd.part{number}": torch.zeros(1) for number in range(20)}
    torch.save({"state_dict": state | more, "epoch": 3}, tmp_path / "a.pt")
    rows = convert(capsys, tmp_path / "a.pt", "--from", "torchvision", "--out", tmp_path / "m")
    assert rows["from"] == "torchvision"
    assert rows["not used"].startswith("4 x momentum, odd.part0, odd.part1, ")
    assert rows["not used"].endswith("odd.part10, and 9 more")


def test_the_file_that_was_published_is_known(
    capsys: Output, tmp_path: Path, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = stand_in(monkeypatch, tmp_path / "mirror", "s3d-kinetics400", state)
    rows = convert(capsys, file, "--out", tmp_path / "model.safetensors")
    assert rows["from"] == "torchvision, guessed from the names; it is s3d-kinetics400"
    assert rows["top1"].startswith("68.37% as published, not measured here: Kinetics-400 val")
    assert rows["top5"].startswith("88.05% ")


@pytest.mark.parametrize(
    ("choice", "field", "value"),
    [
        ("time_strides=none", "time_strides", "none"),
        ('time_strides="none"', "time_strides", "none"),
        ("last_pool=3", "last_pool", 3),
        ("norm_epsilon=1e-5", "norm_epsilon", 1e-5),
        ("pool_comes_first=False", "pool_comes_first", False),
        ("pool_comes_first=false", "pool_comes_first", False),
    ],
)
def test_choices_that_no_tensor_shows(
    capsys: Output, tmp_path: Path, choice: str, field: str, value: object
) -> None:
    network = make_network("s" * 11, IBM)
    torch.save(publish(network, "ibm"), tmp_path / "ibm.pth")
    out = tmp_path / "model.safetensors"
    convert(capsys, tmp_path / "ibm.pth", "--set", choice, "--set", "dropout=0.25", "--out", out)
    style = load_model(out).network.style
    assert getattr(style, field) == value
    assert type(getattr(style, field)) is type(value)
    assert style.dropout == 0.25


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("time_strides", "--set is 'time_strides'; it needs FIELD=VALUE, as time_strides=none."),
        ("time_stride=none", "no field 'time_stride' of style. Did you mean time_strides"),
        ("=none", "--set: no field '' of style. Known: stem, stem_frames"),
        ("time_strides=non", "Style time_strides is 'non'; it is one of 'paper', 'late', 'none'."),
        ("last_pool=True", "Style last_pool is True; it is one of 2, 3."),
        ("dropout=NaN", "Style dropout is nan; it needs a number from 0 to below 1."),
        ("separable_branches=1,2", "Style separable_branches is '1,2'; it is one of (1, 2), (0,"),
        ("head=" + "[" * 9999, "Style head is '[[["),
        ('head={"a": 1}', "Style head is {'a': 1}; it is one of"),
    ],
)
def test_choices_that_mean_nothing(
    capsys: Output, weights: Path, tmp_path: Path, choice: str, said: str
) -> None:
    line = refuse(capsys, "convert", weights, "--out", tmp_path / "m", "--set", choice)
    assert said in line
    assert not (tmp_path / "m").exists()


def test_labels_of_ones_own(capsys: Output, weights: Path, tmp_path: Path) -> None:
    text = "\ufeff" + "\r\n".join(f" Tür {number} " for number in range(400)) + "\r\n\r\n"
    (tmp_path / "labels.txt").write_bytes(text.encode())
    out = tmp_path / "model.safetensors"
    rows = convert(capsys, weights, "--labels", tmp_path / "labels.txt", "--out", out)
    assert rows["classes"] == "400: Tür 0, Tür 1, ..."
    assert load_model(out).labels[-1] == "Tür 399"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "labels.txt: cannot be read as class names (No such file or directory)."),
        (b"\xff\xfe", "labels.txt: cannot be read as class names (not UTF-8 text)."),
        (b"a\nb\n", "2 labels for 400 classes; one each is needed."),
        (b"", "0 labels for 400 classes; one each is needed."),
        (b"a\n" * 400, "1 different labels for 400 classes; one each is needed."),
        (b"a" * 10_000_001, "labels.txt: too large for a list of class names."),
    ],
)
def test_labels_that_do_not_fit(
    capsys: Output, weights: Path, tmp_path: Path, content: bytes | None, said: str
) -> None:
    labels = tmp_path / "labels.txt"
    if content is not None:
        labels.write_bytes(content)
    out = tmp_path / "model.safetensors"
    assert said in refuse(capsys, "convert", weights, "--labels", labels, "--out", out)
    assert not out.exists()


def test_a_folder_is_no_list_of_labels(capsys: Output, weights: Path, tmp_path: Path) -> None:
    words = ("convert", weights, "--out", tmp_path / "m", "--labels", tmp_path)
    assert "cannot be read as class names (Is a directory)" in refuse(capsys, *words)


def test_places_that_take_no_file(
    capsys: Output, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = weights.read_bytes()
    for out, said in (
        ("", "--out is empty; it needs a file, as model.safetensors."),
        (".", "--out is .; it needs a file"),
        ("/", "--out is /; it needs a file"),
        (str(tmp_path), f"--out is {tmp_path}; it needs a file"),
        ("none/model", "none/model: cannot be written (No such file or directory)."),
        ("weights.pth", "itself; it needs another file."),
    ):
        assert said in refuse(capsys, "convert", weights, "--out", out)
    assert weights.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file. Name a .pt, .pth, .safetensors or .index file."),
        (b"", "not a readable PyTorch file"),
        (b"hello, world", "not a readable PyTorch file"),
        (b"PK\3\4" + bytes(99), "a damaged PyTorch file"),
        (b"\x89HDF" + bytes(99), "a Keras .h5 file, which is not read"),
        ({"a": torch.zeros(2)}, "nobody's names that are known here (it begins with a)"),
        ({}, "holds no tensors"),
        ([1, 2], "holds a list, not a state dict"),
        (torch.nn.Linear(2, 2), "holds more than tensors (a pickle that could run code)"),
        (
            {
                "conv1.conv.weight": torch.zeros(64, 3, 7, 7),
                "inception3a.branch2.1.conv.weight": torch.zeros(1, 1, 3, 3),
                "fc.weight": torch.zeros(2, 2),
            },
            "Weights of images are for --init or s3d.build(inflate=...).",
        ),
    ],
)
def test_files_that_are_no_weights_of_videos(
    capsys: Output, tmp_path: Path, content: object, said: str
) -> None:
    file = tmp_path / "file.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    line = refuse(capsys, "convert", file, "--out", tmp_path / "m")
    assert line.startswith(f"s3d: {file}: ")
    assert said in line
    assert not (tmp_path / "m").exists()


def test_a_source_that_is_not_theirs(capsys: Output, weights: Path, tmp_path: Path) -> None:
    words = ("convert", weights, "--out", tmp_path / "m", "--from")
    assert "unknown source 'torch'. Known: torchvision, kylemin" in refuse(capsys, *words, "torch")
    told = (
        "weights.pth: its names are those of torchvision, not of kylemin. Take --from torchvision."
    )
    assert told in refuse(capsys, *words, "kylemin")


def test_predict_without_a_model_and_without_a_network(
    capsys: Output, red: Path, home: Path
) -> None:
    line = refuse(capsys, "predict", red)
    assert line.startswith("s3d: s3d-d76dad2f.pth: not here, and S3D_OFFLINE is set. Fetch https:")
    assert str(home / "weights" / "s3d-d76dad2f.pth") in line
    assert not home.exists()


def test_predict_without_a_model_uses_published_weights(
    capsys: Output,
    red: Path,
    tmp_path: Path,
    state: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (file,) = stand_in(monkeypatch, tmp_path / "mirror", DEFAULT, state)
    words = ["predict", str(red), "--json", "--top", "400", "--protocol", "clip"]
    capsys.readouterr()
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert {top["label"] for top in found["top"]} == set(read_labels("kinetics400"))
    # The same weights, converted, give the same answer.
    model = tmp_path / "model.safetensors"
    convert(capsys, file, "--out", model)
    assert main([*words, "--model", str(model)]) == 0
    assert capsys.readouterr().out == out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s3d-kinetic400", "Did you mean s3d-kinetics400 or "),
        (
            "googlenet-imagenet",
            "is of images and scores no video. Start a network from it with `s3",
        ),
        ("s3d-kinetics400-kylemin", "Fetch https://github.com/kylemin/S3D by hand and put it at"),
        ("", "no such model file, and no published weights"),
    ],
)
def test_models_that_cannot_be_had(capsys: Output, red: Path, name: str, said: str) -> None:
    for verb in ("predict", "evaluate"):
        assert said in refuse(capsys, verb, red.parents[1], "--model", name)


def test_an_embedding_labels_nothing(capsys: Output, red: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    network = build("s3d_fast", num_classes=7, width=0.1)
    save_model(model, ModelFile(network.eval(), (), HOWTO100M_CLIP))
    assert "an embedding, not classes" in refuse(capsys, "predict", red, "--model", model)
    refuse(capsys, "evaluate", red.parents[1], "--model", model)


def test_an_embedding_is_converted_without_labels(capsys: Output, tmp_path: Path) -> None:
    from s3d.models.style import MIL_NCE

    save_file(publish(make_network("s" + "g" * 10, MIL_NCE), "mil-nce"), tmp_path / "a.safetensors")
    rows = convert(capsys, tmp_path / "a.safetensors", "--out", tmp_path / "m")
    assert rows["classes"] == "none: an embedding of 5 numbers"
    assert rows["network"].startswith("s3d_g x 0.05")


def test_list_names_all_weights(capsys: Output) -> None:
    capsys.readouterr()
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert rows.keys() == {*SHIPPED, *WEIGHTS}
    assert "motion learnt from drawn video" in rows["motion-small"]
    for name, known in WEIGHTS.items():
        assert known.title in rows[name]
        assert rows[name].endswith(", by hand") == (not known.files[0].url)
    assert rows["s3d-kinetics400"].split()[1] == "68.4%"
    assert "%" not in rows["s3dg-howto100m"]


def test_the_default_is_told(capsys: Output) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert f"[{DEFAULT}]" in " ".join(capsys.readouterr().out.split())


def test_convert_takes_a_file_that_begins_with_a_dash(
    capsys: Output, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move(weights, tmp_path / "-x.pth")
    monkeypatch.chdir(tmp_path)
    assert convert(capsys, "-x.pth", "--out", "m")["model"] == "m"
