"""s3d benchmark, and --engine of the verbs that score: what they print, remember and refuse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.cli import main
from s3d.infer.engines import engine as engine_module
from s3d.infer.engines import measure as measure_module
from s3d.infer.engines.choose import read_choice
from s3d.infer.engines.engine import ENGINES, KINDS, Engine, usable_engines
from s3d.infer.recognizer import load
from tests.tiny import refuse

Output = pytest.CaptureFixture[str]
TINY = ("--runs", 1)
ON_CPU = usable_engines("cpu")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("S3D_OFFLINE", "1")
    monkeypatch.delenv("S3D_ENGINE")
    return tmp_path / "home"


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the engines that run from here on."""
    names: list[str] = []
    run = Engine.run

    def note(engine: Engine, *words: Any, **options: Any) -> Any:
        names.append(engine.name)
        return run(engine, *words, **options)

    monkeypatch.setattr(Engine, "run", note)
    return names


@pytest.fixture
def red(colours: Path) -> Path:
    return colours / "red" / "0.mp4"


def run(capsys: Output, *words: str | Path | int) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def rows_of(out: str, names: Sequence[str] = ENGINES) -> dict[str, str]:
    lines = [line.removeprefix("* ").strip() for line in out.splitlines()]
    return {line.split()[0]: line for line in lines if line and line.split()[0] in names}


def test_it_prints_a_row_an_engine_and_remembers_the_fastest(
    tiny_model: Path, capsys: Output, home: Path
) -> None:
    out = run(capsys, "benchmark", tiny_model, *TINY)
    lines = out.splitlines()
    assert lines[0].startswith("network  s3d_fast, width 0.1: ")
    assert lines[1] == "clip     4 frames of 32 x 32 px, 3 channels"
    assert lines[2].startswith("machine  ")
    assert " threads; torch " in lines[2]
    assert lines[3] == "medians of 1 runs, in turn"
    for word in ("load", "latency", "to eager", "throughput", "memory", "difference"):
        assert word in lines[5]
    rows = rows_of("\n".join(lines[6:-1]))
    assert set(rows) == set(ON_CPU)
    assert " 1.00 x" in rows["eager"]
    (file,) = (home / "engines").iterdir()
    fastest = lines[6].split()[1]
    assert lines[6].startswith("* ")
    assert lines[-1] == (
        f"* {fastest} is what auto takes from now on (s3d_fast, 32 x 32 px: {file})"
    )
    model = load(tiny_model)
    assert read_choice(model.network, model.spec) == fastest
    assert model.engine.name == fastest


def test_it_prints_json(tiny_model: Path, capsys: Output, home: Path) -> None:
    out = json.loads(run(capsys, "benchmark", tiny_model, *TINY, "--json", "--frames", 6))
    assert out["network"] == "s3d_fast"
    assert out["clip"] == {"frames": 6, "size_px": [32, 32], "channels": 3}
    assert {row["name"] for row in out["engines"]} == set(ON_CPU)
    for row in out["engines"]:
        assert row["is_equal"]
        assert row["latency_ms"] > 0
    (eager,) = (row for row in out["engines"] if row["name"] == "eager")
    first = out["engines"][0]
    assert out["fastest"] == first["name"]
    ratio = eager["latency_ms"] / first["latency_ms"]
    assert first["times_as_fast_as_eager"] == pytest.approx(ratio)
    assert out["versions"]["torch"]
    assert Path(out["remembered_in"]).is_relative_to(home)


def test_some_engines_are_measured_and_nothing_is_remembered(
    tiny_model: Path, capsys: Output, home: Path
) -> None:
    out = run(capsys, "benchmark", tiny_model, *TINY, "--engine", "torch", "torch")
    assert set(rows_of(out)) & set(KINDS) == {"torch"}
    *table, last = out.splitlines()
    assert " 1.00 x" in rows_of("\n".join(table))["eager"]
    assert not home.exists()
    fastest = last.split()[1]
    assert last == f"* {fastest} is the fastest of these. Use --engine {fastest} to take it."


def test_a_network_by_name_or_word_has_fresh_weights(capsys: Output) -> None:
    for name in ("s3d_fast", "222222222ss"):
        words = ("--frames", 1, "--size", 32, "--engine", "eager")
        out = run(capsys, "benchmark", name, *TINY, *words)
        assert out.startswith("network  s3d_fast, width 1: fresh weights\nclip     1 frames of 32")


def test_a_file_goes_before_a_network_of_its_name(
    tiny_model: Path, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s3d").write_bytes(tiny_model.read_bytes())
    monkeypatch.chdir(tmp_path)
    out = run(capsys, "benchmark", "s3d", *TINY, "--engine", "eager")
    assert out.startswith("network  s3d_fast, width 0.1: ")


def test_what_is_not_installed_is_named(
    tiny_model: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "find_spec", lambda name: None)
    monkeypatch.setattr(engine_module, "load_kernels", lambda: None)
    out = run(capsys, "benchmark", tiny_model, *TINY)
    rows = rows_of(out)
    assert rows["native"].split(None, 1)[1] == "not here: install a C compiler"
    assert rows["openvino"].split(None, 1)[1] == "not here: install openvino"
    assert rows["onnxruntime"].split(None, 1)[1] == "not here: install onnxruntime onnx"
    assert "half" not in rows
    out = json.loads(run(capsys, "benchmark", tiny_model, *TINY, "--json"))
    assert out["not_installed"]["openvino"] == ["openvino"]


def test_engines_that_fail_or_differ_are_told_and_not_taken(
    tiny_model: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("no such primitive")

    wrong = replace(KINDS["torch"], make=lambda graph, device: lambda x: x.new_zeros(len(x), 2))
    broken = replace(KINDS["torch"], make=fail, is_foreign=True)
    monkeypatch.setitem(KINDS, "torch", wrong)
    for name in ("native", "openvino", "onnxruntime"):
        monkeypatch.setitem(KINDS, name, broken)
    out = run(capsys, "benchmark", tiny_model, *TINY)
    rows = rows_of(out)
    assert rows["openvino"].split(None, 1)[1].startswith("cannot run: engine openvino: no such")
    assert rows["torch"].endswith("1e+00  not equal, not taken")
    assert out.splitlines()[-1].startswith("* eager is what auto takes")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("s3d_fat",), "s3d_fat: no such model file, published weights or network. Did you mean"),
        (("no/such.safetensors",), "no/such.safetensors: no such model file, published weights"),
        (("",), ": no such model file"),
        (("s3d", "--frames", "0"), "--frames is 0; at least 1 is needed."),
        (("s3d", "--frames", "9999"), "ClipSpec frames is 9999; it needs a whole number from 1"),
        (("s3d", "--size", "31"), "--size is 31; it needs a number from 32 to 4096."),
        (("s3d", "--size", "5000"), "--size is 5000; it needs a number from 32 to 4096."),
        (("s3d", "--runs", "0"), "--runs is 0; at least 1 is needed."),
        (("s3d", "--engine", "opnvino"), "unknown engine 'opnvino'. Did you mean openvino?"),
        (("s3d", "--engine", "half"), "engine half runs on cuda, not on cpu."),
        (("s3d", "--device", "tpu"), "unknown device 'tpu'. Known: auto, cpu, cuda."),
        (("s3d", "--engin", "torch"), "unknown option '--engin'. Did you mean --engine?"),
        ((), "the following arguments are required: MODEL."),
    ],
)
def test_what_cannot_be_measured_is_refused(
    capsys: Output, words: tuple[str, ...], message: str
) -> None:
    assert message in refuse(capsys, "benchmark", *words)


def test_it_ends_with_one_line_where_the_file_is_damaged(capsys: Output, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"x" * 100)
    assert "not a readable safetensors file" in refuse(capsys, "benchmark", path)


@pytest.mark.parametrize("name", ON_CPU)
def test_predict_scores_by_the_engine_that_is_named(
    tiny_model: Path, red: Path, capsys: Output, used: list[str], name: str
) -> None:
    words = ("predict", red, "--model", tiny_model, "--json")
    wanted = json.loads(run(capsys, *words, "--engine", "eager"))["top"]
    used.clear()
    found = json.loads(run(capsys, *words, "--engine", name))["top"]
    assert set(used) == {name}
    assert [row["label"] for row in found] == [row["label"] for row in wanted]
    for row, other in zip(found, wanted, strict=True):
        assert row["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.parametrize("name", ON_CPU)
def test_evaluate_scores_by_the_engine_that_is_named(
    tiny_model: Path, colours: Path, capsys: Output, used: list[str], name: str
) -> None:
    words = ("evaluate", colours, "--model", tiny_model, "--json")
    found = json.loads(run(capsys, *words, "--engine", name))
    assert set(used) == {name}
    used.clear()
    wanted = json.loads(run(capsys, *words, "--engine", "eager"))
    assert set(used) == {"eager"}
    assert found["top1"] == wanted["top1"]


@pytest.mark.parametrize("name", ON_CPU)
def test_features_come_from_the_engine_that_is_named(
    tiny_model: Path, red: Path, capsys: Output, used: list[str], name: str, tmp_path: Path
) -> None:
    found = {}
    for engine in (name, "eager"):
        out = tmp_path / f"by-{engine}-{len(found)}"
        words = ("--model", tiny_model, "--out", out, "--engine", engine, "--workers", 1)
        run(capsys, "features", red, *words)
        (file,) = out.rglob("*.npz")
        found[engine] = np.load(file)["features"]
    assert set(used) == {name, "eager"}
    assert np.linalg.norm(found[name] - found["eager"]) < 1e-4 * np.linalg.norm(found["eager"])


def test_predict_measures_once_and_says_so(
    tiny_model: Path, red: Path, capsys: Output, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["predict", str(red), "--model", str(tiny_model)]
    assert main(words) == 0
    err = capsys.readouterr().err
    assert err == "s3d: measuring once which engine is the fastest here\n"
    assert len(list((home / "engines").iterdir())) == 1
    monkeypatch.setattr(measure_module, "_Trial", None)  # What would measure is not there.
    assert main(words) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("verb", ["predict", "evaluate", "features"])
def test_an_engine_that_is_not_there_is_refused(
    verb: str, tiny_model: Path, colours: Path, capsys: Output, tmp_path: Path
) -> None:
    words = [verb, colours, "--model", tiny_model, "--engine", "opnvino"]
    words += ["--out", tmp_path / "out"] if verb == "features" else []
    assert "unknown engine 'opnvino'. Did you mean openvino?" in refuse(capsys, *words)


def test_the_variable_holds_where_no_engine_is_named(
    tiny_model: Path, red: Path, capsys: Output, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3D_ENGINE", "eager")
    words = ("predict", red, "--model", tiny_model)
    run(capsys, *words)
    run(capsys, *words, "--engine", "torch")
    assert list(dict.fromkeys(used)) == ["eager", "torch"]
    monkeypatch.setenv("S3D_ENGINE", "opnvino")
    line = refuse(capsys, *words)
    assert line.startswith("s3d: the variable S3D_ENGINE: unknown engine 'opnvino'.")
