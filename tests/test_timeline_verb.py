"""s3d predict --timeline, as a person runs it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s3d.cli import main
from tests.conftest import WriteVideo
from tests.infer.test_timeline import coloured
from tests.tiny import refuse, run_s3d

FILES = (".csv", ".html", ".json", ".srt")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a folder of a film of 15 s and one of 2 s."""
    folder = tmp_path_factory.mktemp("films")
    frames = coloured(("red", 40), ("blue", 40), ("grey", 10), ("red", 30))
    write_video(folder / "long.mp4", frames, 8, options={"g": "8"})
    write_video(folder / "short.mp4", coloured(("blue", 16)), 8)
    return folder


def timeline(*words: str | Path, model: Path, out: Path) -> int:
    common = ("--model", model, "--timeline", "--out", out)
    return main([str(word) for word in ("predict", *words, *common)])


def outputs(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.suffix in FILES}


def test_segments_are_printed_and_written(
    films: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert timeline(films / "long.mp4", films / "short.mp4", model=tiny_model, out=out) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("long.mp4")
    assert said[1].startswith("  0:00:00.0  0:00:0")
    assert said[1].split()[2] == "red"
    assert any(line.startswith("threshold 0.5, to go on 0.4 (the default, not") for line in said)
    assert any(line.startswith("speed     ") and "s of video a second" in line for line in said)
    assert sorted(outputs(out)) == [f"{name}{end}" for name in ("long", "short") for end in FILES]
    rows = list(csv.DictReader((out / "long.csv").read_text().splitlines()))
    assert [row["label"] for row in rows][:2] == ["red", "blue"]
    written = json.loads((out / "long.json").read_text())
    assert written["model"] == str(tiny_model)
    assert [one["label"] for one in written["segments"]] == [row["label"] for row in rows]


def test_another_threshold_takes_no_scoring(
    films: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"model": tiny_model, "out": tmp_path}
    assert timeline(films / "long.mp4", **words) == 0
    capsys.readouterr()
    options = ("--threshold", "1", "--leave", "0.2", "--smooth", "3", "--least", "1.5")
    assert timeline(films / "long.mp4", *options, "--nothing-labels", "blue", **words) == 0
    said = capsys.readouterr().out
    assert "speed     all windows were scored before" in said
    assert "nothing reaches the threshold" in said
    assert "threshold 1, to go on 0.2 (as given)" in said
    rule = json.loads((tmp_path / "long.json").read_text())["threshold"]
    assert (rule["smooth_windows"], rule["least_seconds"], rule["nothing"]) == (3, 1.5, ["blue"])


def test_a_broken_video_is_a_line_and_the_others_are_done(
    films: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    out = tmp_path / "out"
    words = (bad, films / "short.mp4", tmp_path / "none.mp4", "--json")
    assert timeline(*words, model=tiny_model, out=out) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 2
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert ["error" in line for line in lines] == [True, False, True]
    assert lines[1]["segments"][0]["label"] == "blue"
    assert sorted(outputs(out)) == ["short.csv", "short.html", "short.json", "short.srt"]


def test_a_folder_of_videos_and_windows_of_ones_own(
    films: Path, tiny_model: Path, tmp_path: Path
) -> None:
    options = ("--stride", "1", "--frames", "8", "--rate", "4")
    assert timeline(films, *options, model=tiny_model, out=tmp_path) == 0
    written = json.loads((tmp_path / "long.json").read_text())
    assert written["protocol"] == "windows of 8 frames at 4 fps, one every 1 s, centre crop"
    assert written["windows"] == 14
    assert written["clip"]["rate_fps"] == 4.0
    assert (tmp_path / "short.json").exists()


@pytest.mark.slow
def test_killed_and_run_again_the_files_are_the_same(
    films: Path, tiny_model: Path, tmp_path: Path
) -> None:
    words = ("predict", films / "long.mp4", "--model", tiny_model, "--timeline", "--out")
    assert run_s3d(*words, tmp_path / "whole").returncode == 0
    command = [sys.executable, "-m", "s3d.cli", *map(str, words), str(tmp_path / "killed")]
    record = tmp_path / "killed" / "long.windows"
    whole, sizes = (tmp_path / "whole" / "long.windows").stat().st_size, []
    for fifths in (1, 2, 3):
        wanted = whole * fifths // 5
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        while process.poll() is None and (not record.exists() or record.stat().st_size < wanted):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        sizes.append(record.stat().st_size)
    assert sizes[0] < whole
    done = run_s3d(*words, tmp_path / "killed")
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")


def test_two_at_once_do_not_write_one_folder(
    films: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from s3d.batch.lock import lock_folder

    words = ("predict", films / "short.mp4", "--model", tiny_model, "--timeline")
    held = lock_folder(tmp_path)
    assert held is not None
    with held:
        said = refuse(capsys, *words, "--out", tmp_path)
    assert "another process writes there" in said


def test_real_videos_have_timelines(
    shared_dir: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared_dir / "videos"
    names = ["clips/archery.avi", "clips/flipping_a_pancake.mkv", "odd/video_90.mov"]
    names += ["odd/testsrc2_odd_height_and_width_vp9.mp4", "odd/unordered.mov"]
    names += ["odd/no_duration.webm", "odd/av1_video.mkv", "odd/h265_10bits.mp4"]
    videos = [folder / name for name in names]
    broken = [folder / "odd" / name for name in ("audio_only.wav", "empty.mp4")]
    assert timeline(*videos, *broken, model=tiny_model, out=tmp_path) == 2
    assert len(capsys.readouterr().err.splitlines()) == len(broken)
    for video in videos:
        written = json.loads((tmp_path / f"{video.stem}.json").read_text())
        assert written["windows"] >= 1
        assert written["duration_seconds"] > 0


def test_a_model_of_flow_has_timelines_too(tmp_path: Path, write_video: WriteVideo) -> None:
    import torch

    from s3d.clip import ClipSpec
    from s3d.models.model_file import ModelFile, save_model
    from s3d.models.network import build
    from tests.data.moving import slide

    torch.manual_seed(0)
    spec = ClipSpec(
        4, 8.0, (32, 32), (32, 32), mean=(0.5, 0.5), std=(0.5, 0.5), modality="flow",
        flow_side_px=40,
    )  # fmt: skip
    network = build("s3d_fast", num_classes=2, width=0.1, channels=2).eval()
    save_model(tmp_path / "flow.safetensors", ModelFile(network, ("left", "right"), spec))
    video = write_video(tmp_path / "v.mp4", slide(20, (40, 48), (2, -1)), 8)
    out = tmp_path / "out"
    model = tmp_path / "flow.safetensors"
    assert timeline(video, "--threshold", "0.3", model=model, out=out) == 0
    written = json.loads((out / "v.json").read_text())
    assert written["windows"] == 16
    assert written["clip"]["modality"] == "flow"
    assert 'class="shot' in (out / "v.html").read_text()  # of the video itself


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--timeline"], "--timeline needs --out DIR"),
        (["--stride", "1"], "--stride goes with --timeline"),
        (["--threshold", "0.5", "--out", "x"], "--threshold goes with --timeline"),
        (["--timeline", "--out", "x", "--reversed"], "--reversed does not go with --timeline"),
        (["--timeline", "--out", "x", "--flow-model", "f"], "--flow-model does not go with"),
        (["--timeline", "--out", "x", "--workers", "2"], "--workers does not go with"),
        (["--timeline", "--out", "x", "--threshold", "2"], "threshold is 2; it needs a score"),
        (["--timeline", "--out", "x", "--smooth", "2"], "smoothed over 2 windows"),
        (["--timeline", "--out", "x", "--stride", "0"], "stride is 0 s"),
        (["--timeline", "--out", "x", "--frames", "0"], "ClipSpec frames is 0"),
        (["--timeline", "--out", "x", "--nothing-labels", "green"], "label 'green' is to mean"),
    ],
)
def test_what_does_not_go_is_one_line(
    films: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    video = films / "short.mp4"
    assert message in refuse(capsys, "predict", video, "--model", tiny_model, *words)
    assert not list(tmp_path.iterdir())


def test_two_videos_of_one_name_are_not_mixed_up(
    films: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "short.avi"
    other.write_bytes((films / "short.mp4").read_bytes())
    words = ("predict", films / "short.mp4", other, "--model", tiny_model, "--timeline")
    said = refuse(capsys, *words, "--out", tmp_path / "out")
    assert "would both become" in said and "Give each its own --out." in said
