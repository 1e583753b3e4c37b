"""The verbs that work on many videos, on real files: what is printed, written and refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.batch.check import COLUMNS, CheckJob, examinations
from s3d.batch.job import Item
from s3d.batch.results import Results
from s3d.cli import main
from s3d.data.examine import examine
from s3d.infer.recognizer import load
from tests.tiny import refuse

Output = pytest.CaptureFixture[str]


def run(capsys: Output, *words: str | Path | int, code: int = 0) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == code
    return capsys.readouterr().out


def table(folder: Path) -> list[dict[str, Any]]:
    pq = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    rows = [row for part in folder.glob("part-*") for row in pq.read_table(part).to_pylist()]
    return sorted(rows, key=lambda row: (row["path"], row.get("window")))


@pytest.fixture
def videos(colours: Path, tmp_path: Path) -> Path:
    """Return a folder of 4 videos and one that is broken."""
    for label in ("red", "blue"):
        (tmp_path / "videos" / label).mkdir(parents=True)
        for name in ("0.mp4", "1.mp4"):
            shutil.copy(colours / label / name, tmp_path / "videos" / label / name)
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"")
    return tmp_path / "videos"


def test_features_are_a_file_a_video_in_the_same_tree(
    videos: Path, tiny_model: Path, tmp_path: Path, capsys: Output
) -> None:
    out = tmp_path / "out"
    words = ["features", videos, "--model", tiny_model, "--out", out, "--stride", "0.25"]
    assert main([str(word) for word in words]) == 2
    said, err = capsys.readouterr()
    assert said == f"features  4 videos, 1 failed\nin        {out}\nfailed    {out}/failures.csv\n"
    assert err.startswith(f"s3d: {videos / 'broken.mp4'}: is empty (0 bytes)")
    assert len(err.splitlines()) == 1
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.npz")) == [
        "blue/0.mp4.npz", "blue/1.mp4.npz", "red/0.mp4.npz", "red/1.mp4.npz",
    ]  # fmt: skip
    wanted = load(tiny_model).features(videos / "red" / "1.mp4", stride_seconds=0.25)
    with np.load(out / "red" / "1.mp4.npz", allow_pickle=False) as file:
        found = dict(file)
    np.testing.assert_allclose(found["features"], wanted.features, rtol=1e-5, atol=1e-6)
    assert found["start_seconds"].tolist() == [0, 0.25, 0.5]
    assert found["end_seconds"].tolist() == [0.5, 0.75, 1.0]
    numbers = ("windows", "stride_seconds", "rate_fps", "video_frames", "duration_seconds")
    assert [float(found[name]) for name in numbers] == [3, 0.25, 8, 8, 1]
    texts = {name: str(found[name]) for name in ("at", "pool", "video", "model")}
    assert texts == {
        "at": "mixed5c", "pool": "average", "video": str(videos / "red" / "1.mp4"),
        "model": str(tiny_model),
    }  # fmt: skip
    assert json.loads(str(found["clip"]))["frames"] == 4


def test_features_that_are_there_are_not_taken_again(
    videos: Path, tiny_model: Path, tmp_path: Path, capsys: Output
) -> None:
    out = tmp_path / "out"
    words = ["features", videos, "--model", tiny_model, "--out", out]
    run(capsys, *words, code=2)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    (out / "red" / "0.mp4.npz").unlink()
    shutil.copy(videos / "red" / "0.mp4", videos / "blue" / "1.mp4")  # another video
    said = run(capsys, *words, code=2)
    assert said.startswith("features  2 videos, 2 done before, 1 failed\n")
    again = {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert again == {out / "red" / "0.mp4.npz", out / "blue" / "1.mp4.npz"}


def test_features_of_other_settings_are_refused(
    videos: Path, tiny_model: Path, tmp_path: Path, capsys: Output
) -> None:
    out = tmp_path / "out"
    words = ["features", videos / "red", "--model", tiny_model, "--out", out]
    run(capsys, *words)
    assert refuse(capsys, *words, "--at", "mixed4f").endswith(
        f"{out}: holds results of other settings (at is mixed5c there, mixed4f asked). "
        "Choose another --out, or delete it."
    )
    (out / "job.json").unlink()  # then the files themselves say it
    assert main([str(word) for word in (*words, "--at", "mixed4f")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "0.mp4.npz: holds features of other settings (at is mixed5c there" in lines[0]


def test_a_file_that_is_no_features_is_not_overwritten(
    videos: Path, tiny_model: Path, tmp_path: Path, capsys: Output
) -> None:
    place = tmp_path / "out" / "0.mp4.npz"
    place.parent.mkdir()
    place.write_bytes(b"mine")
    words = ["features", videos / "red" / "0.mp4", "--model", tiny_model, "--out", place.parent]
    assert main([str(word) for word in words]) == 2
    assert "0.mp4.npz: is there and holds no features of s3d." in capsys.readouterr().err
    assert place.read_bytes() == b"mine"


def test_features_that_are_not_pooled_are_written_as_they_come(
    videos: Path, tiny_model: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3d.infer.features.WINDOWS_AT_ONCE_PIXELS", 1)
    video, out = videos / "red" / "0.mp4", tmp_path / "out"
    run(capsys, "features", video, "--model", tiny_model, "--out", out, "--pool", "none")
    with np.load(out / "0.mp4.npz", allow_pickle=False) as file:
        found = file["features"]
    wanted = load(tiny_model).features(video, pool="none").features
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_features_as_rows(videos: Path, tiny_model: Path, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out"
    words = ["features", videos, "--model", tiny_model, "--out", out, "--format", "parquet"]
    run(capsys, *words, code=2)
    rows = table(out)
    assert [(Path(row["path"]).parent.name, row["window"]) for row in rows] == [
        (label, window) for label in ("blue", "blue", "red", "red") for window in (0, 1)
    ]
    wanted = load(tiny_model).features(videos / "red" / "1.mp4")
    np.testing.assert_allclose(rows[-1]["features"], wanted.features[1], rtol=1e-5, atol=1e-6)
    times = [(row["start_seconds"], row["end_seconds"], row["windows"]) for row in rows[-2:]]
    assert times == [(0, 0.5, 2), (0.5, 1, 2)]
    said = run(capsys, *words, code=2)
    assert said.startswith("features  0 videos, 4 done before, 1 failed\n")
    assert len(table(out)) == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "csv"), "unknown format 'csv'. Known: npz, parquet."),
        (("--format", "parquet", "--pool", "none"), "pool 'none' gives arrays, which a table"),
        (("--at", "mixed5d"), "unknown block 'mixed5d'. Did you mean mixed5"),
        (("--stride", "0"), "stride is 0 s; it needs seconds above 0."),
        (("--workers", "0"), "--workers is 0; at least 1 is needed."),
        (("--frames", "0"), "ClipSpec frames is 0; it needs a whole number"),
    ],
)
def test_features_refuses_before_anything_is_written(
    videos: Path, tiny_model: Path, tmp_path: Path, capsys: Output, words: tuple[str, ...],
    message: str,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    said = refuse(capsys, "features", videos, "--model", tiny_model, "--out", out, *words)
    assert said.startswith(f"s3d: {message}")
    assert not out.exists()


def test_predict_writes_rows_and_goes_on(
    videos: Path, tiny_model: Path, tmp_path: Path, capsys: Output
) -> None:
    out = tmp_path / "out"
    words = ["predict", videos, "--model", tiny_model, "--out", out, "--all-scores"]
    said = run(capsys, *words, code=2)
    assert said.startswith(f"labelled  4 videos, 1 failed\nin        {out}\n")
    for row in table(out):
        wanted = load(tiny_model).predict(row["path"])
        assert (row["label"], row["views"]) == (wanted.label, wanted.views)
        assert row["top_labels"] == [label for label, _ in wanted.top()]
        np.testing.assert_allclose(row["scores"], wanted.scores, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(row["top_scores"], sorted(wanted.scores)[::-1], rtol=1e-5)
        assert row["score"] == row["top_scores"][0]
    (videos / "broken.mp4").unlink()
    said = run(capsys, *words)
    assert said == f"labelled  0 videos, 4 done before\nin        {out}\n"
    assert (len(table(out)), (out / "failures.csv").exists()) == (4, False)


def test_check_keeps_what_was_seen_and_says_the_same(
    videos: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(videos / "red" / "0.mp4", videos / "blue" / "copy.mp4")
    (videos / "broken.mp4").rename(videos / "red" / "broken.mp4")
    (videos / "red" / "sound.mp4").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    wanted = json.loads(run(capsys, "check", "videos", "--json", code=1))
    words = ["check", "videos", "--out", "out", "--json"]
    found = json.loads(run(capsys, *words, code=1))
    monkeypatch.setattr("s3d.batch.check.examine", None)  # not looked at again
    again = json.loads(run(capsys, *words, code=1))
    for values in (wanted, found, again):
        del values["seconds"]
    assert found == wanted
    assert again == wanted
    assert {"two_labels", "empty", "unreadable"} <= set(wanted["counts"])


def test_rows_of_a_check_say_all_that_was_seen(videos: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    paths = [str(videos / "red" / "0.mp4"), str(videos / "broken.mp4")]
    task = CheckJob().open()
    with Results(tmp_path / "out", task.settings, task.columns) as results:
        for path in paths:
            results.add(task(Item(path, "")))
    found = examinations(results.read(list(COLUMNS)))
    whole, broken = examine(paths[0]), found[paths[1]]
    assert (found[paths[0]].frames, found[paths[0]].oddities) == (8, whole.oddities)
    assert whole.signature is not None
    np.testing.assert_array_equal(found[paths[0]].signature, whole.signature)
    assert (broken.signature, [kind for kind, _ in broken.oddities]) == (None, ["empty"])


@pytest.mark.parametrize("verb", ["predict", "check"])
@pytest.mark.parametrize("option", ["--ray", "--workers"])
def test_what_goes_to_ray_needs_a_folder(
    videos: Path, capsys: Output, verb: str, option: str
) -> None:
    said = refuse(capsys, verb, videos, option, "1")
    assert said == f"s3d: {option} needs --out DIR, where the results go."


def test_options_that_do_not_go_together(videos: Path, tmp_path: Path, capsys: Output) -> None:
    said = refuse(capsys, "predict", videos, "--out", tmp_path / "out", "--json")
    assert said == "s3d: --json prints, and --out writes. Leave one out."
    said = refuse(capsys, "flow", videos, "--out", tmp_path / "out", "--workers", 2)
    assert said == "s3d: --workers goes with --ray. Without it, use --threads N."


@pytest.mark.parametrize("verb", ["predict", "features", "check", "flow"])
def test_without_ray_the_extra_is_named(
    videos: Path, tiny_model: Path, tmp_path: Path, capsys: Output,
    monkeypatch: pytest.MonkeyPatch, verb: str,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "ray", None)
    model = ["--model", tiny_model] if verb in ("predict", "features") else []
    said = refuse(capsys, verb, videos, "--out", tmp_path / "out", "--ray", "auto", *model)
    assert said == "s3d: --ray needs Ray, which is not installed. Run: pip install 's3d[cluster]'"
    assert not (tmp_path / "out").exists()
