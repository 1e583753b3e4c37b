"""Every verb on real files: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import s3d.cli
from s3d import __version__
from s3d.cli import analyze, entry, main
from s3d.cli.parser import subparsers
from s3d.data.videos import list_videos
from s3d.models.family import NETWORKS
from tests.tiny import run_s3d, tiny_words

VERBS = (
    "train", "evaluate", "analyze", "explore", "predict", "watch", "calibrate", "features",
    "similar", "check", "flow", "shard", "convert", "quantize", "export", "sample", "list", "cost",
    "benchmark", "train-detector", "evaluate-detector", "detect", "convert-boxes", "sample-boxes",
)  # fmt: skip
Output = pytest.CaptureFixture[str]


def run(capsys: Output, *words: str | Path | int) -> str:
    """Run a command that succeeds, and return what it printed."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


@pytest.fixture
def red(colours: Path) -> Path:
    return colours / "red" / "0.mp4"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(capsys: Output, verb: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"usage: s3d {verb}" in out
    assert len(out) > 100


def test_every_module_of_a_verb_is_listed() -> None:
    names = [module.name for module in iter_modules(s3d.cli.__path__, "s3d.cli.")]
    found = {module for module in map(import_module, names) if hasattr(module, "add")}
    assert found == {*entry.VERBS, *analyze.ANALYSES}
    assert tuple(subparsers(entry.make_parser())) == VERBS


def test_help_names_every_verb_and_comes_without_a_word(capsys: Output) -> None:
    out = run(capsys)
    for verb in VERBS:
        assert f"s3d {verb} " in out or f"    {verb} " in out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out == out


def test_version(capsys: Output) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"s3d {__version__}\n"


def test_help_comes_at_once() -> None:
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        result = run_s3d("--help")
        seconds.append(time.perf_counter() - begin)
        assert result.returncode == 0
    assert min(seconds) < 1.0


def test_help_does_not_load_what_is_slow() -> None:
    code = "import sys; from s3d.cli import main; main(['list']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for module in ("torch", "av", "matplotlib", "tqdm"):
        assert f"'{module}'" not in done.stdout


@pytest.mark.slow
def test_train_then_evaluate_and_predict(colours: Path, tmp_path: Path) -> None:
    out, model = tmp_path / "run", tmp_path / "run" / "model.safetensors"
    trained = run_s3d("train", colours, "--out", out, *tiny_words(epochs=2))
    assert (trained.returncode, trained.stdout) == (0, ""), trained.stderr
    for part in ("16 videos of 2 classes", "epoch    2", f"model   {model}", "report  "):
        assert part in trained.stderr
    again = run_s3d("train", colours, "--out", out, *tiny_words(epochs=2))
    assert (again.returncode, "this run is finished" in again.stderr) == (0, True)
    predicted = run_s3d("predict", colours / "red" / "0.mp4", "--model", model)
    assert (predicted.returncode, predicted.stderr) == (0, "")
    assert predicted.stdout.startswith(str(colours / "red" / "0.mp4"))


def test_train_quiet_shows_nothing(colours: Path, tmp_path: Path, capsys: Output) -> None:
    out = run(capsys, "train", colours, "--out", tmp_path / "run", "--quiet", *tiny_words(epochs=1))
    assert out == ""
    assert capsys.readouterr().err == ""


def test_predict_prints_classes_with_bars(tiny_model: Path, red: Path, capsys: Output) -> None:
    lines = run(capsys, "predict", red, "--model", tiny_model).splitlines()
    assert lines[0] == str(red)
    assert [line.split()[0] for line in lines[1:]] == ["red", "blue"]
    share = float(lines[1].split()[1].rstrip("%"))
    assert lines[1].count("█") == round(24 * share / 100)
    assert len(run(capsys, "predict", red, "--model", tiny_model, "--top", "1").splitlines()) == 2


def test_predict_prints_json_a_line_a_video(
    tiny_model: Path, colours: Path, capsys: Output
) -> None:
    files = sorted(colours.rglob("*.mp4"))
    text = run(
        capsys, "predict", *files, "--model", tiny_model, "--json", "--protocol", "10x3", "--top", 1
    )
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["path"] for row in rows] == [str(path) for path in files]
    assert {row["views"] for row in rows} == {30}
    right = [row["top"][0]["label"] == Path(row["path"]).parent.name for row in rows]
    assert sum(right) >= 15
    assert all(len(row["top"]) == 1 for row in rows)


def test_predict_goes_on_after_a_broken_file(
    tiny_model: Path, red: Path, tmp_path: Path, capsys: Output
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"")
    words = ["predict", str(broken), str(red), "--model", str(tiny_model)]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out.startswith(str(red))
    assert err == f"s3d: {broken}: is empty (0 bytes). Copy or download it again.\n"
    assert main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[0] == {"path": str(broken), "error": err.removeprefix("s3d: ").rstrip("\n")}
    assert rows[1]["path"] == str(red)


@pytest.mark.parametrize("name", ["-dash.mp4", "--json", "schön 日本 🕺.mp4", "a  b.mp4"])
def test_predict_takes_any_file_name(
    tiny_model: Path, red: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:  # fmt: skip
    shutil.copy(red, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    asked = f"./{name}" if name == "--json" else name
    out = run(capsys, "predict", asked, "--model", tiny_model, "--top", "1")
    assert out.splitlines()[0].removeprefix("./") == name
    assert "red" in out


def test_an_option_stays_one_though_a_file_bears_its_name(
    tiny_model: Path, red: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "--json").write_text("")
    monkeypatch.chdir(tmp_path)
    json.loads(run(capsys, "predict", red, "--model", tiny_model, "--json"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take only Unicode names")
def test_predict_takes_names_that_are_not_utf8_and_any_terminal(
    tiny_model: Path, red: Path, tmp_path: Path
) -> None:
    name = os.fsdecode(b"\xff.mp4")
    shutil.copy(red, tmp_path / name)
    environ = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    words = ["predict", name, "--model", str(tiny_model), "--top", "1"]
    code = f"import sys; from s3d.cli import main; w = {words!a}; main(w); main([*w, '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=tmp_path, check=True,
        env={**os.environ, **environ}, text=True,
    )  # fmt: skip
    path, top, row = done.stdout.splitlines()
    assert path == "\\udcff.mp4"
    assert top.startswith("  red ")
    assert "\\u2588" in top
    assert json.loads(row)["path"] == name


def test_evaluate_prints_every_figure(tiny_model: Path, colours: Path, capsys: Output) -> None:
    text = run(capsys, "evaluate", colours, "--model", tiny_model, "--protocol", "all-frames")
    for part in (
        "protocol   all-frames: all frames, centre crop",
        "videos     16 of 16 scored",
        "top-1 ",
        "per class",
        "G multiply-adds a video",
        "ms a video, decoding included",
        "red ",
    ):
        assert part in text


def test_evaluate_reversed_as_json(tiny_model: Path, colours: Path, capsys: Output) -> None:
    text = run(capsys, "evaluate", colours, "--model", tiny_model, "--reversed", "--json")
    values = json.loads(text)
    assert (values["protocol"], values["reversed"], values["videos_scored"]) == ("clip", True, 16)
    assert values["top1"] >= 0.8  # a colour is the same backwards


def test_evaluate_takes_a_list_and_names_what_fails(
    tiny_model: Path, colours: Path, tmp_path: Path, capsys: Output
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"x")
    rows = f"path,label\n{colours}/red/0.mp4,red\nbad.mp4,blue\ngone.mp4,blue\n"
    (tmp_path / "list.csv").write_text(rows)
    text = run(capsys, "evaluate", tmp_path / "list.csv", "--model", tiny_model)
    assert "videos     1 of 3 scored" in text
    assert text.count("failed     ") == 2


def test_sample_writes_videos_that_train_takes(tmp_path: Path, capsys: Output) -> None:
    out = run(
        capsys, "sample", tmp_path / "clips", "--train-clips", 2, "--test-clips", 1,
        "--difficulty", 0, "--actions", "grow, shrink", "--seed", 4,
    )  # fmt: skip
    assert out.startswith(f"4 videos to learn from in {tmp_path / 'clips' / 'train'}, 2 of unseen")
    listed = list_videos(tmp_path / "clips" / "train")
    assert (listed.labels, len(listed.videos)) == (("grow", "shrink"), 4)
    assert list_videos(tmp_path / "clips" / "test.csv").labels == ("grow", "shrink")


def test_list_shows_the_family(capsys: Output) -> None:
    lines = run(capsys, "list").splitlines()
    rows = {line.split()[0]: "".join(line.split()[1:]) for line in lines if line}
    for name, word in NETWORKS.items():
        assert rows[name] == word


def test_cost_prints_blocks_and_total(capsys: Output) -> None:
    text = run(capsys, "cost", "i3d", "--frames", 64, "--size", 224, "--style", "torchvision")
    assert text.splitlines()[-1].split()[:2] == ["total", "12,697,264"]
    assert "mixed5c" in text
    values = json.loads(run(capsys, "cost", "s3d", "--json", "--style", "torchvision"))
    assert values["parameters"] == 8_320_048
    assert values["macs"] == sum(block["macs"] for block in values["blocks"])


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = "import sys; from s3d.cli import main; sys.exit(main(['list']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_interruption_is_said(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("s3d.cli.list_networks.run", interrupt)
    assert main(["list"]) == 130
    assert "s3d: interrupted" in capsys.readouterr().err
