"""Detections in a CSV: whoever found them, they are scored by the same rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s3d.cli import main
from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems
from s3d.detect.annotations.found_csv import read_found, write_found
from s3d.detect.tube import Detections, TrueTube
from s3d.errors import InputError
from tests.conftest import WriteVideo

HEAD = "video,frame,x1,y1,x2,y2,label,score\n"


def make_annotated() -> Annotated:
    tube = TrueTube(0, np.arange(3), np.tile(np.float32([4, 4, 20, 24]), (3, 1)), "a")
    one = AnnotatedVideo("one.mp4", "one", (48, 64), (tube,), np.arange(3))
    return Annotated("boxes", (one, replace(one, name="two")), ("jump", "run"), True)


def write(path: Path, *rows: str) -> Path:
    path.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found = Detections(
        np.array([0, 0, 2]),
        np.float32([[1, 2, 30, 40], [5.25, 6, 20, 22], [0, 0, 64, 48]]),
        np.array([0, 1, 1]),
        rng.random(3).astype(np.float32),
    )
    path = tmp_path / "found.csv"
    write_found(path, make_annotated(), [Detections.none(), found])
    nothing, again = read_found(path, make_annotated())
    assert len(nothing) == 0
    for name in ("frames", "boxes", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    np.testing.assert_allclose(again.scores, found.scores, atol=1e-6)


def test_each_kind_of_bad_row_is_counted_and_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path / "found.csv",
        "one,0,1,1,9,9,jump,0.5",
        "three,0,1,1,9,9,jump,0.5",
        "one,0,1,1,9,9,fly,0.5",
        "one,0,1,1,9,9,jump,1.5",
        "one,0,1,1,9,9,jump,much",
        "one,0,1,1,nan,9,jump,0.5",
        "one,0,9,1,9,9,jump,0.5",
        "one,0,100,1,110,9,jump,0.5",
    )
    annotated = replace(make_annotated(), problems=Problems())
    found = read_found(path, annotated)
    assert [len(rows) for rows in found] == [1, 0]
    assert list(annotated.problems.counts.values()) == [1, 1, 2, 1, 1, 1]
    lines = "\n".join(annotated.problems.lines())
    assert "1 detections in videos that are not annotated left out; first: " in lines
    assert "row 3: three" in lines
    assert "found boxes outside the picture" in lines


def test_a_frame_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "found.csv", "one,first,1,1,9,9,jump,0.5")
    with pytest.raises(InputError, match=r"row 2: 'first' is no frame, counted from 0"):
        read_found(path, make_annotated())


def test_a_file_of_other_videos_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "found.csv", "other,0,1,1,9,9,jump,0.5")
    with pytest.raises(InputError, match="not one of its 1 detections can be used"):
        read_found(path, make_annotated())


def test_the_verb_scores_detections(
    tmp_path: Path, write_video: WriteVideo, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "one.mp4", np.full((4, 48, 64, 3), 90, np.uint8))
    rows = [f"one.mp4,{frame},8,8,24,40,jump,a" for frame in range(4)]
    (tmp_path / "boxes.csv").write_text("video,frame,x1,y1,x2,y2,label,track\n" + "\n".join(rows))
    # Two of four frames are found, and nothing else: recall and so AP are one half.
    found = write(tmp_path / "found.csv", *(f"one.mp4,{f},8,8,24,40,jump,0.9" for f in (0, 1)))
    words = ["evaluate-detector", str(tmp_path / "boxes.csv"), "--detections", str(found)]
    assert main(words) == 0
    assert "frame-mAP  50.0% at 0.5" in capsys.readouterr().out
    assert main([*words, "--model", "m.safetensors"]) == 2
    assert "--model MODEL, or --detections CSV, one of them" in capsys.readouterr().err
    assert main([*words, "--save", "x.csv"]) == 2
    assert "--detections has it already" in capsys.readouterr().err
