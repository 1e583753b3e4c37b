"""s3d convert-boxes: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from s3d.cli import convert_boxes
from s3d.cli.parser import Parser, parse
from s3d.detect.annotations.read import read_annotated
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.detect.annotating import put_text, put_video

XML = (
    "<annotations><meta/><track id='1' label='run'>"
    "<box frame='0' outside='0' xtl='1' ytl='2' xbr='30' ybr='40'/>"
    "<box frame='2' outside='0' xtl='1' ytl='2' xbr='70' ybr='40'/>"
    "<box frame='3' outside='1' xtl='1' ytl='2' xbr='30' ybr='40'/></track></annotations>"
)


def run(*words: str | Path) -> int:
    """Do the verb, whether or not the command knows it."""
    parser = Parser(prog="s3d")
    convert_boxes.add(parser.add_subparsers())
    options: argparse.Namespace = parse(["convert-boxes", *map(str, words)], parser)
    return convert_boxes.run(options)


@pytest.fixture
def export(tmp_path: Path, write_video: WriteVideo) -> Path:
    put_video(write_video, tmp_path / "a.mp4", frames=5)
    return put_text(tmp_path / "a.xml", XML)


def test_an_export_becomes_a_csv(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = export.with_name("boxes.csv")
    assert run(export, "--out", out) == 0
    assert out.read_text().splitlines() == [
        "video,frame,x1,y1,x2,y2,label,track,split", "a.mp4,0,1,2,30,40,run,1,",
        "a.mp4,1,1,2,50,40,run,1,", "a.mp4,2,1,2,64,40,run,1,", "a.mp4,3,,,,,,,", "a.mp4,4,,,,,,,",
    ]  # fmt: skip
    printed, told = capsys.readouterr()
    assert printed == f"videos   1\ntubes    1\nclasses  1: run\ncsv      {out}, 5 rows\n"
    assert told.startswith("s3d: 1 boxes that reach out of the picture by more than 1 px cut at")
    assert read_annotated(str(out)).has_tracks


def test_boxes_of_nobody_are_said_to_have_no_tracks(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "video,frame,x1,y1,x2,y2,label\na.mp4,0,1,2,3,4,run\n"
    assert run(put_text(export.with_name("b.csv"), text), "--out", export.with_name("c.csv")) == 0
    assert "boxes    1, no tracks\n" in capsys.readouterr().out
    assert export.with_name("c.csv").read_text().startswith("video,frame,x1,y1,x2,y2,label,split")


def test_a_place_where_no_csv_can_be_is_refused(export: Path) -> None:
    with pytest.raises(InputError, match=r"it needs a file, as boxes\.csv"):
        run(export, "--out", export.parent)
    with pytest.raises(InputError, match=r"a\.xml itself; it needs another file"):
        run(export, "--out", export)
    with pytest.raises(InputError, match="is no annotations of a known kind"):
        run(export.with_name("a.mp4"), "--out", export.with_name("c.csv"))
    assert not export.with_name("c.csv").exists()
