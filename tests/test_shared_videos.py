"""Every real video there is to test on is predicted, or refused in the line it deserves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from s3d.cli import main
from s3d.infer.views import PROTOCOLS

PREDICTED = ""

# file: what is said of it where it is refused
TABLE = {
    "clips/R6llTwEh07w.mp4": PREDICTED,
    "clips/RATRACE_wave_f_nm_np1_fr_goo_37.avi": PREDICTED,
    "clips/SOX5yA1l24A.mp4": PREDICTED,
    "clips/TrumanShow_wave_f_nm_np1_fr_med_26.avi": PREDICTED,
    "clips/archery.avi": PREDICTED,
    "clips/arm_wrestling.mp4": PREDICTED,
    "clips/flipping_a_pancake.mkv": PREDICTED,
    "clips/hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": PREDICTED,
    "clips/v_SoccerJuggling_g23_c01.avi": PREDICTED,
    "clips/v_SoccerJuggling_g24_c01.avi": PREDICTED,
    "detection/boxes.json": "is not a video that can be read",
    "detection/v_Basketball_g01_c02.mp4": PREDICTED,
    "detection/v_Basketball_g07_c04.mp4": PREDICTED,
    "detection/v_CliffDiving_g03_c01.mp4": PREDICTED,
    "detection/v_HorseRiding_g01_c03.mp4": PREDICTED,
    "detection/v_IceDancing_g02_c05.mp4": PREDICTED,
    "detection/v_SkateBoarding_g02_c01.mp4": PREDICTED,
    "fights/clips.csv": "is not a video that can be read",
    "odd/audio_only.wav": "holds sound but no video. Name a file with pictures.",
    "odd/av1_video.mkv": PREDICTED,
    "odd/corrupted.mp4": PREDICTED,  # the 28 frames that decode, again and again
    "odd/empty.mp4": "is empty (0 bytes). Copy or download it again.",
    "odd/h265_10bits.mp4": PREDICTED,
    "odd/no_duration.webm": PREDICTED,
    "odd/testsrc2_mpeg4.mp4": PREDICTED,  # one frame
    "odd/testsrc2_odd_height_and_width_vp9.mp4": PREDICTED,
    "odd/unordered.mov": PREDICTED,
    "odd/video_270.mov": PREDICTED,
    "odd/video_90.mov": PREDICTED,
}

# folder of clips of one kind, all predicted: how many there are
FOLDERS = {"fights/fight": 119, "fights/no_fight": 122}
NO_VIDEOS = {"README.md"}


@pytest.fixture(scope="module")
def videos(shared_dir: Path) -> Path:
    return shared_dir / "videos"


def predict(
    capsys: pytest.CaptureFixture[str], model: Path, files: list[Path], protocol: str
) -> list[tuple[str, str]]:
    """Return (path, what was said: nothing where it was predicted) of each file."""
    capsys.readouterr()
    words = [*map(str, files), "--model", str(model), "--json", "--protocol", protocol]
    code = main(["predict", *words])
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    errors = [row["error"] for row in rows if "error" in row]
    assert err.splitlines() == [f"s3d: {error}" for error in errors]
    assert code == (2 if errors else 0)
    for row in rows:
        assert "error" in row or sum(top["score"] for top in row["top"]) == pytest.approx(
            1, abs=1e-5
        )
    return [(row["path"], row.get("error", PREDICTED)) for row in rows]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_file_of_the_table(
    videos: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], protocol: str
) -> None:
    files = [videos / name for name in TABLE]
    if protocol in ("10x3", "all-frames"):  # every way through a file; the odd ones are many
        files = [path for path in files if path.parent.name == "odd"]
    found = predict(capsys, tiny_model, files, protocol)
    assert [path for path, _ in found] == [str(path) for path in files]
    for path, said in found:
        wanted = TABLE[str(Path(path).relative_to(videos))]
        if wanted == PREDICTED:
            assert said == PREDICTED, said
        else:
            assert said.startswith(f"{path}: {wanted}"), said


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "count"), FOLDERS.items())
def test_every_clip_of_a_folder(
    videos: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], folder: str, count: int
) -> None:
    files = sorted((videos / folder).iterdir())
    assert len(files) == count
    assert {said for _, said in predict(capsys, tiny_model, files, "clip")} == {PREDICTED}


def test_no_file_is_left_out(videos: Path) -> None:
    found = {str(path.relative_to(videos)) for path in videos.rglob("*") if path.is_file()}
    single = {name for name in found if str(Path(name).parent) not in FOLDERS}
    assert single == {*TABLE, *NO_VIDEOS}
    for folder, count in FOLDERS.items():
        assert sum(str(Path(name).parent) == folder for name in found) == count
