"""s3d similar, as a person runs it."""

from __future__ import annotations

import csv
import inspect
import json
import shutil
from pathlib import Path

import pytest
import torch

from s3d.cli import main
from s3d.cli import similar as verb
from s3d.clip import ClipSpec
from s3d.infer.similar import similar as search
from s3d.models.model_file import ModelFile, save_model
from s3d.models.network import build
from tests.tiny import refuse

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a small embedding."""
    torch.manual_seed(0)
    spec = ClipSpec(frames=4, rate_fps=8, resize_px=(32, 32), size_px=(32, 32))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, ModelFile(build("s3d_fast", num_classes=2, width=0.1).eval(), (), spec))
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))


@pytest.fixture
def videos(colours: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(colours / "red", tmp_path / "videos"))
    (folder / "broken.mp4").write_text("no video")
    return folder


def test_hits_are_printed_and_written(
    videos: Path, model: Path, tmp_path: Path, capsys: Output
) -> None:
    query = Path(shutil.copy(videos / "3.mp4", tmp_path))
    files = [tmp_path / name for name in ("page.html", "found.json", "found.csv")]
    words = ["similar", query, videos, "--model", model, "--top", "3", "--out", files[0]]
    words += ["--json", files[1], "--csv", files[2]]
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[0].split() == ["1", "1.00", str(videos / "3.mp4"), "0:00:00.0", "0:00:01.0"]
    assert [line.split()[0] for line in lines[1:3]] == ["2", "3"]
    assert lines[3].startswith(f"query     {query}  0:00:00.0  0:00:01.0")
    assert lines[4] == "windows   4 frames at 8 fps (0.5 s), 32 x 32 px, rgb; one every 0.25 s"
    assert lines[5].startswith("videos    8 compared, 8 of them for the first time, in ")
    assert lines[6].startswith("skipped   1 that cannot be read; the first: ")
    assert "broken.mp4" in lines[6]
    assert lines[7] == f"page      {files[0]}"
    found = json.loads(files[1].read_text())
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    assert found["model"] == str(model)
    rows = list(csv.DictReader(files[2].read_text().splitlines()))
    assert [row["path"] for row in rows] == [hit["path"] for hit in found["hits"]]
    assert files[0].read_text().startswith("<!DOCTYPE html>")


def test_what_is_printed_for_machines_is_that_alone(
    videos: Path, model: Path, tmp_path: Path, capsys: Output
) -> None:
    words = ["similar", str(videos / "0.mp4"), str(videos), "--model", str(model)]
    assert main([*words, "--json", "-", "--start", "0.2", "--end", "0.9"]) == 0
    found = json.loads(capsys.readouterr().out)
    query = {"path": str(videos / "0.mp4"), "start_seconds": 0.2, "end_seconds": 0.9}
    assert found["query"] == query
    assert (found["videos"], len(found["hits"]), len(found["failed"])) == (8, 7, 1)
    assert main([*words, "--csv", "-", "--json", str(tmp_path / "x.json")]) == 0
    assert capsys.readouterr().out.startswith("rank,likeness,path,start_seconds,end_seconds\n1,")
    assert main([*words, "--index", str(tmp_path / "index"), "--moments", "--at", "mixed4f"]) == 0
    assert list((tmp_path / "index").glob("*/part-*.db"))


def test_what_cannot_be_used_is_one_line(
    videos: Path, model: Path, tmp_path: Path, capsys: Output
) -> None:
    query, known = videos / "0.mp4", ("--model", model)

    def said(*words: str | Path, of: Path = query, among: Path = videos) -> str:
        return refuse(capsys, "similar", of, among, *known, *words)

    assert "gone.mp4: no such file" in said(of=tmp_path / "gone.mp4")
    assert "videos: is a folder; the query is one video." in said(of=videos)
    assert "no such folder. Check the path." in said(among=tmp_path / "gone")
    assert "top is 0; it needs a number from 1" in said("--top", "0")
    assert "unknown block 'mixed9'" in said("--at", "mixed9")
    assert "start is -1 s" in said("--start", "-1")
    assert "end is 1 s; it needs seconds after the start, 2 s." in said(
        "--start", "2", "--end", "1"
    )
    assert "lasts 1 s; the moment would begin at 5 s" in said("--start", "5")
    assert "stride is 0 s" in said("--stride", "0")
    assert "none.safetensors: no such model file" in refuse(
        capsys, "similar", query, videos, "--model", tmp_path / "none.safetensors"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "empty: holds no videos. Check the path." in said(among=empty)
    shutil.copy(videos / "broken.mp4", empty)
    line = said(among=empty)
    assert "empty: none of its videos can be read. The first: " in line
    assert "broken.mp4" in line


def test_places_that_cannot_be_written_are_told_first(
    videos: Path, model: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = videos / "0.mp4"

    def said(*words: str | Path) -> str:
        return refuse(capsys, "similar", query, videos, "--model", "none", *words)

    assert f"--out {videos}: is a folder. Name a file." in said("--out", videos)
    assert "gone: no such folder. Make it first." in said("--csv", tmp_path / "gone" / "x.csv")
    assert f"--json and QUERY are one file, {query}. Name two." in said("--json", query)
    both = tmp_path / "x"
    assert "--json and --out are one file" in said("--out", both, "--json", both)
    assert "--json - and --csv - would both be printed." in said("--json", "-", "--csv", "-")
    assert "is a folder. Name a file." in said("--out", "")
    assert not (tmp_path / "home").exists()


def test_the_verb_and_python_take_the_same_model() -> None:
    default = inspect.signature(search.similar).parameters["model"].default
    assert default == verb.FOR_LIKENESS == "motion-wide"
