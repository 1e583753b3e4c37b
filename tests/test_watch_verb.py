"""s3d watch as a person runs it: a file, a server that drops connections, a pipe, a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.cli import main
from s3d.clip import ClipSpec
from s3d.data.decode import probe_video
from s3d.models.model_file import ModelFile, save_model
from s3d.models.network import build
from tests.conftest import WriteVideo
from tests.infer.live.streams import Script, make_film, play, serve
from tests.infer.live.test_live_webhook import listen
from tests.tiny import refuse


def coloured(colours: str, frames_each: int) -> np.ndarray:
    """Return moving textures, (T, 40, 48, 3), as of the fixture `colours`: r is red, b is blue."""
    texture = np.random.default_rng(5).integers(0, 60, (5, 6)).repeat(8, 0).repeat(8, 1)
    frames = []
    for place, colour in enumerate(colours):
        for t in range(frames_each):
            frame = np.stack([np.roll(texture, 2 * (place * frames_each + t), 1)] * 3, -1)
            frame[..., {"r": 0, "b": 2}[colour]] += 190
            frames.append(frame)
    return np.stack(frames).astype(np.uint8)


@pytest.fixture(scope="session")
def red_and_blue(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a video of 4 s: blue, and red from 1.5 to 3 s."""
    path = tmp_path_factory.mktemp("watch") / "clip.mp4"
    return write_video(path, coloured("bbbrrrbb", 4), 8, options={"qp": "10"})


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_file_gives_events_a_clip_and_a_summary(
    red_and_blue: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with listen([]) as (url, got):
        code = main([
            "watch", str(red_and_blue), "--model", str(tiny_model), "--json", "--nothing-labels",
            "blue", "--stride", "0.25", "--windows", "--save", str(tmp_path / "clips"),
            "--before", "1", "--after", "0.5", "--webhook", url,
        ])  # fmt: skip
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    said = lines_of(out)
    kinds = [line["event"] for line in said]
    assert kinds[0] == "start"
    assert kinds[-1] == "summary"
    begin, end = (next(line for line in said if line["event"] == kind) for kind in ("begin", "end"))
    assert kinds.count("begin") == kinds.count("end") == 1
    assert begin["label"] == end["label"] == "red"
    assert begin["start_seconds"] == pytest.approx(1.5, abs=0.3)
    assert end["end_seconds"] == pytest.approx(3.0, abs=0.3)
    summary = said[-1]
    windows = [line for line in said if line["event"] == "window"]
    assert summary["windows"] == len(windows) >= 13
    assert {"label", "score", "start_seconds", "end_seconds", "delay_seconds"} <= set(windows[0])
    assert (summary["events"], summary["clips"], summary["webhook_sent"]) == (1, 1, 2)
    assert summary["share_seen"] > 0.95
    assert summary["arrived"] == 32
    assert 0 < summary["delay"]["p50_seconds"] <= summary["delay"]["p95_seconds"] < 1
    assert [body["event"] for _, body in got] == ["begin", "end"]
    (clip,) = (tmp_path / "clips").iterdir()
    assert clip.name.endswith("Z_red.mp4")
    assert probe_video(clip).duration_seconds == pytest.approx(3.0, abs=0.6)


def test_lines_for_people(
    red_and_blue: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["watch", str(red_and_blue), "--model", str(tiny_model), "--nothing-labels", "blue"]
    assert main([*words, "--stride", "0.25", "--seconds", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("watching   ")
    assert "4 frames at 8 fps (0.5 s), 32 x 32 px, rgb, a window every 0.25 s" in lines[0]
    assert "  begins  red  " in lines[1]
    assert "  ends    red  " in lines[2]
    assert [line.split()[0] for line in lines[3:]] == [
        "watched", "windows", "frames", "delay", "reconnects", "events",
    ]  # fmt: skip
    assert "p50" in lines[6]
    assert "p95" in lines[6]
    assert "of the" in lines[5]


@pytest.mark.slow
def test_a_server_that_drops_connections_loses_no_event(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(coloured("bbrrrbbbbrrrrrbbb", 10), 20)
    drops = [25, 62, 110, 140]  # The first and third within a red stretch.
    begun: list[float] = []

    def act(number: int) -> Any:
        def send_on(send: Any) -> None:
            begun.append(time.monotonic())
            present = 0 if number == 0 else round((time.monotonic() - begun[0]) * 20)
            last = [*drops, 170][number] if number < 5 else 170
            play(film, send, max(0, present - present % 5), last)

        return send_on

    with serve(Script([act(n) for n in range(6)])) as url:
        code = main([
            "watch", url, "--model", str(tiny_model), "--json", "--nothing-labels", "blue",
            "--stride", "0.125", "--seconds", "8", "--threshold", "0.6",
        ])  # fmt: skip
    out, err = capsys.readouterr()
    assert code == 0
    said = lines_of(out)
    ended = [line for line in said if line["event"] == "end"]
    assert [line["label"] for line in ended] == ["red", "red"]
    for line, (start, end) in zip(ended, [(1.0, 2.5), (4.5, 7.0)], strict=True):
        assert line["start_seconds"] == pytest.approx(start, abs=0.6)
        assert line["end_seconds"] == pytest.approx(end, abs=0.6)
    assert said[-1]["reconnects"] >= 3
    assert err.count("lost (") == err.count("there again") >= 3
    assert any(line["event"] == "note" for line in said)


def start(*words: str | Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "s3d.cli", "watch", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, **options,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_summary(
    red_and_blue: Path, tiny_model: Path, number: signal.Signals
) -> None:
    process = start(red_and_blue, "--model", tiny_model, "--loop", "--windows")
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert "\nwatched    " in out
    assert "\ndelay      p50 " in out


@pytest.mark.slow
def test_a_pipe_of_standard_input(tiny_model: Path) -> None:
    film = make_film(coloured("b" * 60 + "rrrb", 10), 20)
    process = start(
        "-", "--model", tiny_model, "--json", "--nothing-labels", "blue", stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    send, first = process.stdin.buffer.raw.write, []  # type: ignore[attr-defined]
    listener = threading.Thread(target=lambda: first.append(process.stdout.readline()))  # type: ignore[union-attr]
    listener.start()
    frame = 0
    while not first and frame < 600:
        play(film, send, frame, frame + 5)
        frame += 5
    listener.join()
    play(film, send, 580)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    said = lines_of(out)
    assert [line["label"] for line in said if line["event"] == "begin"] == ["red"]
    assert said[-1]["reconnects"] == 0
    assert json.loads(first[0])["source"] == "standard input"


@pytest.mark.slow
def test_nobody_reads_what_it_prints(red_and_blue: Path, tiny_model: Path) -> None:
    process = start(red_and_blue, "--model", tiny_model, "--loop", "--windows")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=20) == 1
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.mp4"], "none.mp4: no such file"),
        (["ftp://host/x"], "ftp:// cannot be watched"),
        (["93", "--patience", "0"], "camera 93: cannot be watched"),
        (["clip", "--stride", "0"], "stride is 0 s"),
        (["clip", "--stride", "nan"], "stride is nan s"),
        (["clip", "--threshold", "1.5"], "threshold is 1.5"),
        (["clip", "--leave", "0.9"], "leaving threshold is 0.9"),
        (["clip", "--smooth", "2"], "smoothed over 2 windows"),
        (["clip", "--nothing-labels", "green"], "label 'green' is to mean nothing"),
        (["clip", "--seconds", "-1"], "--seconds is -1"),
        (["clip", "--patience", "inf"], "--patience is inf"),
        (["clip", "--save", "clips", "--after", "1e9"], "--after is 1e"),
        (["clip", "--webhook", "file:///x"], "is no http"),
        (["clip", "--show"], "--show"),
        (["clip", "--device", "tpu"], "unknown device"),
        (["http://127.0.0.1:9/", "--patience", "0"], "cannot be watched"),
    ],
)
def test_what_is_typed_wrong_is_one_line(
    red_and_blue: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cv2", None)
    words = [str(red_and_blue) if word == "clip" else word for word in words]
    assert message in refuse(capsys, "watch", *words, "--model", str(tiny_model))


def test_what_cannot_be_watched_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = (0.5,) * 2
    spec = ClipSpec(4, 8, (36, 36), (32, 32), mean=half, std=half, modality="flow")
    flow = build("s3d_fast", num_classes=2, width=0.1, channels=2)
    path = tmp_path / "flow.safetensors"
    save_model(path, ModelFile(flow, ("a", "b"), spec))
    line = refuse(capsys, "watch", "0", "--model", path)
    assert "takes flow; what is watched live is rgb" in line
    numbers = build("s3d_fast", num_classes=2, width=0.1)
    save_model(path, ModelFile(numbers, (), ClipSpec(4, 8, (36, 36), (32, 32))))
    assert "gives an embedding, not classes" in refuse(capsys, "watch", "0", "--model", path)


def test_threads_end_with_it(
    red_and_blue: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["watch", str(red_and_blue), "--model", str(tiny_model), "--seconds", "0.5"])
    capsys.readouterr()
    assert not [t for t in threading.enumerate() if t.name.startswith("s3d-watch")]
