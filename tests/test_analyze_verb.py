"""s3d analyze on real files: what it prints, what it writes, how it ends."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from s3d.cli import analyze_features, main
from s3d.cli.analyze_options import name_model
from s3d.clip import ClipSpec
from s3d.explore.analyse import embed
from s3d.explore.analyse.features import DEFAULT_BLOCKS
from s3d.models.model_file import ModelFile, save_model
from s3d.models.network import build
from tests.tiny import refuse

Output = pytest.CaptureFixture[str]


def run(capsys: Output, *words: str | Path) -> str:
    """Run a command that succeeds, and return what it printed."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def write_model(folder: Path, name: str) -> Path:
    torch.manual_seed(5)
    spec = ClipSpec(frames=4, rate_fps=8, size_px=(32, 32))
    network = build(name, num_classes=2, width=0.1).eval()
    path = folder / f"{name}.safetensors"
    save_model(path, ModelFile(network, ("blue", "red"), spec))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("analyze"), "s3d_fast")


# --- the verb ---


def test_analyze_alone_prints_its_help(capsys: Output) -> None:
    out = run(capsys, "analyze")
    assert out.startswith("usage: s3d analyze [-h] ANALYSIS")
    for name in ("kernels", "features"):
        assert f"\n    {name} " in out
        with pytest.raises(SystemExit):
            main(["analyze", name, "--help"])
        assert f"usage: s3d analyze {name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("kernel",), "unknown analysis 'kernel'. Did you mean kernels? Known: kernels, "),
        (("kernels",), "the following arguments are required: MODEL. See s3d analyze kernels -"),
        (("kernels", "m", "--ou", "x"), "unknown option '--ou'. Did you mean --out"),
        (("kernels", "m", "n"), "unknown argument 'n'. See s3d analyze kernels --help."),
        (("features", "m", "d", "--vidoes=3"), "unknown option '--vidoes=3'. Did you mean --vid"),
        (("kernels", "gone"), "gone: no such model file, and no published weights"),
    ],
)
def test_what_is_not_known_is_said_in_a_line(
    capsys: Output, words: tuple[str, ...], message: str
) -> None:
    assert refuse(capsys, "analyze", *words).startswith(f"s3d: {message}")


def test_a_file_whose_name_begins_with_a_dash_is_no_option(
    model: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "-m.safetensors").write_bytes(model.read_bytes())
    (tmp_path / "--out").write_text("")  # an option stays one
    monkeypatch.chdir(tmp_path)
    assert "in        new" in run(capsys, "analyze", "kernels", "-m.safetensors", "--out", "new")


def test_a_model_of_a_run_has_the_name_of_the_run() -> None:
    assert name_model("runs/one/model.safetensors") == "one"
    assert name_model("runs/two.safetensors") == "two"
    assert name_model("s3d-kinetics400") == "s3d-kinetics400"
    assert name_model("garden/s3dg.1.2") == "s3dg.1.2"


# --- kernels ---


def test_kernels_writes_a_table_numbers_and_a_picture(
    model: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = run(capsys, "analyze", "kernels", model).splitlines()
    assert [line.split()[0] for line in lines] == ["layer", "mixed5b", "mixed5c", "in"]
    assert lines[-1] == "in        s3d_fast-kernels"
    folder = tmp_path / "s3d_fast-kernels"
    assert (folder / "kernels.png").read_bytes().startswith(b"\x89PNG")
    values = json.loads((folder / "kernels.json").read_text())
    assert (values["model"], values["network"]) == (str(model), "s3d_fast")
    shown = f"{values['kernels'][0]['outer_ratio']:.2f}"
    assert lines[1].split()[6] == shown
    rows = list(csv.DictReader((folder / "kernels.csv").read_text().splitlines()))
    assert {row["offset"] for row in rows} == {"-1", "0", "1"}
    printed = run(capsys, "analyze", "kernels", model, "--json", "--out", tmp_path / "else")
    assert json.loads(printed) == values
    assert (tmp_path / "else" / "kernels.csv").exists()


def test_kernels_of_a_network_without_time_are_refused(tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out"
    said = refuse(capsys, "analyze", "kernels", write_model(tmp_path, "i2d"), "--out", out)
    assert said.startswith("s3d: i2d has no temporal kernels: every layer looks at one frame")
    assert not out.exists()


# --- features ---


def test_features_writes_a_table_numbers_and_a_picture(
    model: Path, colours: Path, tmp_path: Path, capsys: Output
) -> None:
    words = ("analyze", "features", model, colours, "--at", "mixed5c,pool3a", "--videos", "4")
    lines = run(capsys, *words, "--out", tmp_path / "out").splitlines()
    assert lines[0] == f"8 videos of 2 classes in {colours}, its part all"
    assert [line.split()[0] for line in lines[1:]] == ["block", "pool3a", "mixed5c", "in"]
    assert (tmp_path / "out/features.png").read_bytes().startswith(b"\x89PNG")
    values = json.loads((tmp_path / "out/features.json").read_text())
    assert (values["protocol"], values["most_videos_a_class"]) == ("clip", 4)
    first = values["blocks"][0]
    assert first["block"] == "pool3a"
    assert lines[2].split()[1] == f"{first['accuracy']:.1%}"
    rows = list(csv.DictReader((tmp_path / "out/features.csv").read_text().splitlines()))
    assert len(rows) == 16
    assert {row["label"] for row in rows} == {"blue", "red"}
    again = run(capsys, *words, "--out", tmp_path / "again", "--json")
    assert json.loads(again) == values
    for name in ("features.csv", "features.png"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_features_names_a_broken_video_and_goes_on(
    model: Path, colours: Path, tmp_path: Path, capsys: Output
) -> None:
    rows = [f"{colours}/{c}/{n}.mp4,{c},test" for c in ("red", "blue") for n in range(3)]
    (tmp_path / "broken.mp4").write_bytes(b"")
    rows += [f"{tmp_path}/broken.mp4,red,test", f"{colours}/red/7.mp4,red,train"]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    words = ["analyze", "features", str(model), str(tmp_path / "list.csv"), "--at", "pool3a"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"6 videos of 2 classes in {tmp_path / 'list.csv'}, its part test\n")
    broken = tmp_path / "broken.mp4"
    assert err == f"s3d: {broken}: is empty (0 bytes). Copy or download it again.\n"


def test_the_blocks_that_help_names_are_the_default_ones() -> None:
    assert tuple(analyze_features.BLOCKS.split(",")) == DEFAULT_BLOCKS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--at", "pool9a"), "unknown block 'pool9a'. Did you mean pool"),
        (("--at", ","), "no block is named. Known: conv1a, "),
        (("--protocol", "all-frames"), "features are not taken under protocol 'all-frames'."),
        (("--neighbours", "0"), "0 neighbours are asked for; at least 1 is needed."),
        (("--videos", "0"), "0 videos a class are asked for; at least 1 is needed."),
        (("--videos", "2"), "4 videos can be laid out; at least 6 are needed."),
        (("--device", "tpu"), "unknown device 'tpu'."),
    ],
)
def test_features_refuses_what_cannot_be(
    model: Path, colours: Path, tmp_path: Path, capsys: Output,
    words: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    said = refuse(capsys, "analyze", "features", model, colours, "--out", out, *words)
    assert said.startswith(f"s3d: {message}")
    assert not out.exists()


def test_features_without_scikit_learn_says_what_to_install(
    model: Path, colours: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "find_spec", lambda name: None)
    said = refuse(capsys, "analyze", "features", model, colours)
    assert "`pip install 's3d[analyze]'`" in said
