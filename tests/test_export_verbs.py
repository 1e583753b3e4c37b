"""s3d quantize and s3d export from the command line: what they print, write and refuse."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from s3d.cli import main
from s3d.infer.engines import int8
from s3d.infer.recognizer import load
from s3d.models.model_file import load_model, save_model
from tests.tiny import refuse

pytest.importorskip("openvino", reason="8 bits and most exports here need OpenVINO")


@pytest.fixture(scope="module")
def int8_model(tiny_model: Path, colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("int8") / "int8.safetensors"
    assert main(["quantize", str(tiny_model), str(colours), "--out", str(out), "--clips=6"]) == 0
    return out


# s3d quantize


def test_both_accuracies_go_into_the_model_file(int8_model: Path, tiny_model: Path) -> None:
    model, before = load_model(int8_model), load_model(tiny_model)
    assert model.ranges is not None
    assert model.metrics[: len(before.metrics)] == before.metrics
    plain, rounded = model.metrics[len(before.metrics) :]
    assert (plain["metric"], plain["value"], plain["bits"]) == ("top1", 1.0, 32)
    assert (rounded["metric"], rounded["value"], rounded["bits"]) == ("top1", 1.0, 8)
    assert "clip, 8 bits, 16 of 16 videos" in rounded["protocol"]
    assert "ranges from 6 clips" in rounded["protocol"]


def test_what_it_costs_is_printed(
    tiny_model: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.safetensors"
    assert main(["quantize", str(tiny_model), str(colours), "--out", str(out), "--clips=4"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["ranges"].endswith(f"from 4 clips of {colours}")
    assert "top-1 100.00%, 16 of 16 videos, clip protocol" in lines["32"]
    assert "top-1 100.00%; 16 videos are named as before" in lines["8"]
    assert 0.0 < float(lines["logits"].split("%")[0].rsplit(" ", 1)[-1]) < 20.0
    assert lines["model"] == str(out)


def test_done_again_it_replaces_what_it_measured(
    int8_model: Path, colours: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again.safetensors"
    assert main(["quantize", str(int8_model), str(colours), "--out", str(out), "--clips=2"]) == 0
    again, once = load_model(out), load_model(int8_model)
    assert [m.get("bits") for m in again.metrics] == [m.get("bits") for m in once.metrics]
    assert again.ranges != once.ranges


def test_ranges_are_of_the_part_to_train_on(
    tiny_model: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "list.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for video in sorted(colours.glob("*/*.mp4")):
            split = "test" if video.stem in "567" else "train"
            rows.writerow([video, video.parent.name, split])
    out = tmp_path / "m.safetensors"
    assert main(["quantize", str(tiny_model), str(table), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"from 10 clips of part train of {table}" in printed
    assert "6 of 6 videos" in printed
    assert f"(part test of {table})" in load_model(out).metrics[-1]["protocol"]


def test_a_model_with_ranges_predicts_in_8_bits_and_says_as_before(
    int8_model: Path, tiny_model: Path, colours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("S3D_ENGINE", raising=False)
    video = colours / "red" / "0.mp4"
    rounded, plain = load(int8_model), load(tiny_model).use("openvino")
    found, wanted = rounded.predict(video), plain.predict(video)
    assert rounded.engine.name == "int8"
    assert found.label == wanted.label == "red"
    assert found.scores == pytest.approx(wanted.scores, abs=0.1)


def test_an_engine_can_be_forced(
    int8_model: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = str(colours / "red" / "0.mp4")
    texts = []
    for engine in ("int8", "openvino"):
        words = ["predict", video, "--model", str(int8_model), "--engine", engine, "--json"]
        assert main(words) == 0
        texts.append(json.loads(capsys.readouterr().out))
    assert texts[0] != texts[1]


def test_8_bits_of_a_model_without_ranges_are_refused(
    tiny_model: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", colours / "red" / "0.mp4", "--model", tiny_model, "--engine=int8")
    assert "Make one with `s3d quantize" in refuse(capsys, *words)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--out=no/m.safetensors",), "there is no folder no"),
        (("--out=",), "--out is empty"),
        (("--out=m.safetensors", "--clips=0"), "--clips is 0; at least 1 is needed"),
        (("--out=m.safetensors", "--protocol=middle"), "unknown protocol 'middle'"),
    ],
)
def test_wrong_options_of_quantize_are_refused(
    extra: tuple[str, ...], message: str, tiny_model: Path, colours: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert message in refuse(capsys, "quantize", tiny_model, colours, *extra)
    assert not list(tmp_path.iterdir())


def test_videos_that_cannot_be_read_are_passed_over(
    tiny_model: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("red", "blue"):
        (tmp_path / "data" / label).mkdir(parents=True)
    (tmp_path / "data" / "blue" / "0.mp4").write_bytes((colours / "blue" / "0.mp4").read_bytes())
    (tmp_path / "data" / "red" / "0.mp4").write_bytes(b"no video")
    out = tmp_path / "m.safetensors"
    assert main(["quantize", str(tiny_model), str(tmp_path / "data"), "--out", str(out)]) == 0
    assert "from 1 clips" in capsys.readouterr().out
    assert "1 of 2 videos" in load_model(out).metrics[-1]["protocol"]


def test_an_embedding_and_a_missing_runtime_are_refused(
    tiny_model: Path, colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    embedding, out = tmp_path / "e.safetensors", tmp_path / "m.safetensors"
    save_model(embedding, replace(load_model(tiny_model), labels=()))
    assert "gives an embedding" in refuse(capsys, "quantize", embedding, colours, "--out", out)
    monkeypatch.setattr(int8, "usable_engines", lambda device: ["torch", "eager"])
    line = refuse(capsys, "quantize", tiny_model, colours, "--out", out)
    assert "Use `pip install openvino`" in line
    assert not out.exists()


# s3d export


def test_a_file_is_named_as_the_model_where_nobody_names_it(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(tiny_model), "--to", "openvino"]) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    printed = capsys.readouterr().out
    assert "batch any, time 4, fixed, 32, 32, 3" in printed
    assert "output   logits and scores" in printed
    assert "checked  differs from the network by" in printed
    assert "bits" not in printed


def test_bits_are_told_of_a_model_with_ranges(
    int8_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(int8_model), "--out", str(tmp_path / "m.xml")]) == 0
    assert "bits     8, as `s3d quantize` scored it" in capsys.readouterr().out
    pytest.importorskip("onnxruntime", reason="export to onnx needs onnxruntime")
    assert main(["export", str(int8_model), "--out", str(tmp_path / "m.onnx")]) == 0
    assert "bits     32: onnx takes no ranges" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ((), "--to is missing: onnx, openvino or torch"),
        (("--to=open_vino",), "unknown format 'open_vino'. Did you mean openvino?"),
        (("--out=m.safetensors",), "m.safetensors: ends in no suffix of a format"),
        (("--to=openvino", "--out=m.onnx"), "m.onnx: a file of openvino ends in .xml"),
        (("--to=openvino", "--out=no/m.xml"), "there is no folder no"),
        (("--to=openvino", "--size=20"), "clip is 20 x 20 px"),
        (("--to=openvino", "--frames=0"), "ClipSpec frames is 0"),
        (("--too=openvino",), "unknown option '--too=openvino'. Did you mean --to or --out?"),
    ],
)
def test_wrong_options_of_export_are_refused(
    extra: tuple[str, ...], message: str, tiny_model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert message in refuse(capsys, "export", tiny_model, *extra)
    assert not list(tmp_path.iterdir())


def test_a_place_is_refused_before_the_model_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("export", "nothing.safetensors", "--to=openvino", "--out=no/m.xml")
    assert "there is no folder no" in refuse(capsys, *words)


def test_a_runtime_that_is_missing_is_told_in_one_line(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from s3d.infer.export import formats

    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    line = refuse(capsys, "export", tiny_model, "--to", "onnx")
    assert "Use `pip install onnx onnxruntime`" in line
