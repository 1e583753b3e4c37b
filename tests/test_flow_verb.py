"""s3d flow on real files: what it prints, what it writes, how it ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from s3d.cli import main
from s3d.data.flow.file import probe_flow
from tests.tiny import refuse

SMALL = ("--short-side", "32", "--threads", "1")
Output = pytest.CaptureFixture[str]


def test_flow_of_a_folder_then_nothing_more_to_do(
    colours: Path, tmp_path: Path, capsys: Output
) -> None:
    out = tmp_path / "flow"
    words = ["flow", str(colours), "--out", str(out), *SMALL]
    assert main(words) == 0
    first, err = capsys.readouterr()
    assert err == ""
    assert first.startswith("flow      16 videos, 112 pairs of frames, ")
    assert first.endswith(f" a second\nin        {out}\n")
    info = probe_flow(out / "red" / "0.mp4.flow.mp4")
    assert (info.frames, info.height_px, info.parameters["method"]) == (7, 32, "tvl1")
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(
        "flow      0 videos, 0 pairs of frames, 16 done before"
    )


def test_a_bad_file_is_named_and_the_rest_done(
    colours: Path, tmp_path: Path, capsys: Output
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"")
    video = colours / "red" / "0.mp4"
    assert main(["flow", str(broken), str(video), "--out", str(tmp_path / "flow"), *SMALL]) == 2
    out, err = capsys.readouterr()
    assert err == f"s3d: {broken}: is empty (0 bytes). Copy or download it again.\n"
    assert out.startswith("flow      1 video, 7 pairs of frames, ")
    assert ", 1 failed\n" in out
    assert probe_flow(tmp_path / "flow" / "0.mp4.flow.mp4").frames == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "farneback"), "unknown flow method 'farneback'. Known: tvl1, dis."),
        (("--method", "dis"), "flow method 'dis' needs OpenCV, which is not installed."),
        (("--method", "dis", "--device", "cuda"), "--method dis: computes on the CPU alone."),
        (("--threads", "0"), "--threads is 0; at least 1 is needed."),
        (("--short-side", "8"), "short side is 8 px; flow takes 16 to 4096."),
        (("--device", "tpu"), "unknown device 'tpu'."),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(
    colours: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "cv2", None)
    said = refuse(capsys, "flow", colours, "--out", tmp_path / "flow", *words)
    assert said.startswith(f"s3d: {message}")
    assert not (tmp_path / "flow").exists()


def test_a_folder_without_videos_is_refused(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "none").mkdir()
    said = refuse(capsys, "flow", tmp_path / "none", "--out", tmp_path / "flow")
    assert said == f"s3d: {tmp_path / 'none'}: holds no videos. Check the path."
