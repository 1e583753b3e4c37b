"""s3d analyze order, confusions and activation, on real files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from s3d.cli import main
from s3d.explore.analyse.order import ClassOrder
from tests.conftest import WriteVideo
from tests.tiny import refuse

Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize("analysis", ["order", "confusions"])
def test_an_analysis_writes_three_files_and_says_where(
    analysis: str,
    tiny_model: Path,
    colours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["analyze", analysis, str(tiny_model), str(colours), "--pairs", "red:blue"]) == 0
    shown = capsys.readouterr().out
    folder = tmp_path / f"{tiny_model.parent.name}-{analysis}"
    assert {path.name for path in folder.iterdir()} == {
        f"{analysis}.png", f"{analysis}.csv", f"{analysis}.json",
    }  # fmt: skip
    assert f"written    {folder.name}/{analysis}.png" in shown
    assert "16 videos scored both ways" in shown
    assert json.loads((folder / f"{analysis}.json").read_text())["videos"] == 16


def test_order_prints_json_of_what_it_wrote(
    tiny_model: Path, colours: Path, tmp_path: Path, capsys: Output
) -> None:
    words = ["analyze", "order", str(tiny_model), str(colours), "--json", "--out", str(tmp_path)]
    assert main(words) == 0
    values = json.loads(capsys.readouterr().out)
    assert values == json.loads((tmp_path / "order.json").read_text())
    # Colours stay what they are when a video is reversed.
    assert values["top1_forward"] == values["top1_reversed"] == 1
    assert values["pairs"] == []
    rows = list(csv.DictReader((tmp_path / "order.csv").read_text().splitlines()))
    assert list(rows[0]) == list(ClassOrder.__dataclass_fields__)
    assert {row["label"] for row in rows} == {"red", "blue"}


def test_a_broken_video_is_named_and_the_others_count(
    tiny_model: Path, colours: Path, tmp_path: Path, capsys: Output
) -> None:
    data = tmp_path / "data"
    for label in ("red", "blue"):
        (data / label).mkdir(parents=True)
        (data / label / "0.mp4").write_bytes((colours / label / "0.mp4").read_bytes())
    (data / "red" / "1.mp4").write_bytes(b"no video")
    assert main(["analyze", "order", str(tiny_model), str(data), "--out", str(tmp_path / "o")]) == 0
    shown = capsys.readouterr().out
    assert "2 videos scored both ways" in shown
    assert "not read" in shown
    assert shown.count("1.mp4") >= 1


def test_activation_writes_a_film_and_what_belongs_to_it(
    tiny_model: Path, colours: Path, tmp_path: Path, capsys: Output
) -> None:
    film = tmp_path / "new" / "film.mp4"
    video = str(colours / "red" / "0.mp4")
    words = ["analyze", "activation", str(tiny_model), video, "--at", "mixed4f", "--out", str(film)]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert {path.name for path in film.parent.iterdir()} == {
        "film.mp4", "film.png", "film.csv", "film.json",
    }  # fmt: skip
    assert "class      red" in shown
    assert "Grad-CAM" in shown
    assert json.loads(film.with_suffix(".json").read_text())["class"] == "red"


def test_activation_names_its_film_by_video_and_class(
    tiny_model: Path,
    colours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    monkeypatch.chdir(tmp_path)
    video = str(colours / "red" / "0.mp4")
    assert main(["analyze", "activation", str(tiny_model), video, "--class", "blue", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["class"] == "blue"
    assert (tmp_path / f"{tiny_model.parent.name}-activation" / "0_blue.mp4").is_file()


def test_what_cannot_be_analysed_is_told_in_a_line(
    tiny_model: Path, colours: Path, tmp_path: Path, write_video: WriteVideo, capsys: Output
) -> None:
    order = ("analyze", "order", tiny_model, colours)
    assert "class 'rad' is unknown to the model. Did you mean red?" in refuse(
        capsys, *order, "--pairs", "rad:blue", "--out", tmp_path
    )
    assert "are neither a file nor a:b" in refuse(capsys, *order, "--pairs", "x")
    assert "unknown protocol 'all'" in refuse(capsys, *order, "--protocol", "all")
    film = ("analyze", "activation", tiny_model)
    video = colours / "red" / "0.mp4"
    assert "a film is an MP4 file" in refuse(capsys, *film, video, "--out", "x.gif")
    assert "no such file" in refuse(capsys, *film, tmp_path / "none.mp4")
    assert "Did you mean blue?" in refuse(capsys, *film, video, "--class", "blu")
    assert "unknown block 'mixed9'" in refuse(capsys, *film, video, "--at", "mixed9")
    assert "start is 99 s" in refuse(capsys, *film, video, "--start", "99")
    assert not list(tmp_path.glob("*.mp4"))
