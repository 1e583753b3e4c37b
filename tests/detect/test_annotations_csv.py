"""Boxes of one's own: what the CSV means, what is left out, and that it comes back as written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s3d.detect.annotations.boxes_csv import write_boxes_csv
from s3d.detect.annotations.read import read_annotated
from s3d.detect.annotations.relabel import keep_present, restrict_labels
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.detect.annotating import boxes_of, counts, only, put_pictures, put_text, put_video

HEAD = "video,frame,x1,y1,x2,y2,label"


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo) -> Path:
    put_video(write_video, tmp_path / "clips" / "a.mp4")
    put_video(write_video, tmp_path / "b.mp4", frames=5)
    return tmp_path


def test_tracks_become_tubes(folder: Path) -> None:
    rows = "\n".join(
        [f"{HEAD},track,split", "clips/a.mp4,4,3,4,30,40,run,7,", "clips/a.mp4,2,1,2,30,40,run,7,",
         "clips/a.mp4,2,1,2,30,40,jump,7,", "clips/a.mp4,3,0,0,9,9,run,8,"]
    )  # fmt: skip
    annotated = read_annotated(str(put_text(folder / "boxes.csv", rows)))
    video = only(annotated)
    assert annotated.labels == ("jump", "run")
    assert annotated.has_tracks
    assert not annotated.multi_label
    assert video.path == str(folder / "clips" / "a.mp4")
    assert (video.size_px, video.part, video.name) == ((48, 64), "", "clips/a.mp4")
    assert video.frames.tolist() == [2, 3, 4]
    tubes = {(tube.label, tube.track): tube for tube in video.tubes}
    assert tubes.keys() == {(1, "7"), (0, "7"), (1, "8")}
    assert tubes[1, "7"].frames.tolist() == [2, 4]
    assert tubes[1, "7"].boxes.tolist() == [[1, 2, 30, 40], [3, 4, 30, 40]]
    assert (tubes[1, "7"].frames.dtype, tubes[1, "7"].boxes.dtype) == (np.int64, np.float32)
    assert not annotated.problems.counts


def test_without_tracks_a_box_is_a_tube(folder: Path) -> None:
    rows = f"{HEAD}\nb.mp4,0,1,2,30,40,run\nb.mp4,1,1,2,30,40,run\nb.mp4,1,5,2,30,40,run\n"
    annotated = read_annotated(str(put_text(folder / "boxes.csv", rows)))
    assert not annotated.has_tracks
    assert [tube.frames.tolist() for tube in only(annotated).tubes] == [[0], [1], [1]]


def test_a_row_without_places_is_a_frame_with_nothing_in_it(folder: Path) -> None:
    rows = f"{HEAD}\nb.mp4,0,1,2,30,40,run\nb.mp4,3,,,,,\n"
    annotated = read_annotated(str(put_text(folder / "boxes.csv", rows)))
    assert only(annotated).frames.tolist() == [0, 3]
    assert not annotated.problems.counts


def test_a_part_is_taken_by_its_rows(folder: Path) -> None:
    rows = f"{HEAD},split\nb.mp4,0,1,2,30,40,run,test\nclips/a.mp4,0,1,2,30,40,jump,\n"
    path = put_text(folder / "boxes.csv", rows)
    assert {video.part for video in read_annotated(str(path)).videos} == {"test", ""}
    test = read_annotated(f"{path}?part=test")
    assert only(test).name == "b.mp4"
    assert test.labels == ("jump", "run")  # Of the whole file, whatever the part.
    assert only(read_annotated(str(path), "train")).name == "clips/a.mp4"
    with pytest.raises(InputError, match=r"has no videos of part 'val'; it has test \(1\), train"):
        read_annotated(str(path), "val")
    with pytest.raises(InputError, match="part=test, but part 'train' is needed here"):
        read_annotated(f"{path}?part=test", "train")
    with pytest.raises(InputError, match="unknown part 'tset'"):
        read_annotated(f"{path}?part=tset")


def test_what_is_wrong_is_counted(folder: Path) -> None:
    rows = [
        "b.mp4,0,1,2,30,40,run,1", "b.mp4,0,9,2,30,40,run,1", "b.mp4,0,nan,2,30,40,run,2",
        "b.mp4,0,x,2,30,40,run,2", "b.mp4,0,1,2,,40,run,2", "b.mp4,1,1,2,1,40,run,1",
        "b.mp4,1,70,2,90,40,run,2", "b.mp4,2,-9,2,30,40,run,1", "b.mp4,5,1,2,30,40,run,1",
        "b.mp4,-1,1,2,30,40,run,1", "b.mp4,3,1,2,30,40,,1", "no.mp4,3,1,2,30,40,run,1",
        "no.mp4,4,1,2,30,40,run,1", "boxes.csv,4,1,2,30,40,run,1",
    ]  # fmt: skip
    path = put_text(folder / "boxes.csv", "\n".join([f"{HEAD},track", *rows]))
    annotated = read_annotated(str(path))
    assert counts(annotated) == {
        "boxes that stand twice left out": 1,
        "boxes that are not four numbers left out": 3,
        "boxes without width or height left out": 1,
        "boxes outside the picture left out": 1,
        "boxes that reach out of the picture by more than 1 px cut at its edge": 1,
        "boxes in frames that their video does not have left out": 2,
        "boxes without a label left out": 1,
        "videos that are not there left out": 1,
        "videos that cannot be read left out": 1,
    }
    assert boxes_of(annotated) == {("run", "1", 0): [1, 2, 30, 40], ("run", "1", 2): [0, 2, 30, 40]}
    lines = annotated.problems.lines()
    assert f"1 boxes that stand twice left out; first: {path}, row 3: (9, 2, 30, 40)" in lines
    assert any("3 boxes that are not four" in x and "row 4: (nan, 2, 30, 40)" in x for x in lines)


def test_the_same_box_of_nobody_twice_is_one(folder: Path) -> None:
    rows = f"{HEAD}\nb.mp4,0,1,2,30,40,run\nb.mp4,0,1,2,30,40,run\n"
    annotated = read_annotated(str(put_text(folder / "boxes.csv", rows)))
    assert len(only(annotated).tubes) == 1
    assert counts(annotated) == {"boxes that stand twice left out": 1}


def test_a_folder_of_pictures_is_a_video(tmp_path: Path) -> None:
    put_pictures(tmp_path / "p")
    path = put_text(tmp_path / "boxes.csv", f"{HEAD}\np?rate=5,3,1,2,30,40,run\n")
    assert only(read_annotated(str(path))).path == f"{tmp_path / 'p'}?rate=5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,frame\na,1\n", "has no column 'x1'"),
        (f"{HEAD}\nb.mp4,one,1,2,3,4,run\n", r"row 2: 'b\.mp4,one' is not a video and a frame"),
        (f"{HEAD}\n,1,1,2,3,4,run\n", "row 2: ',1' is not a video and a frame"),
        (f"{HEAD}\nb.mp4,{'9' * 20},1,2,3,4,run\n", "row 2: .* is not a video and a frame"),
        (f"{HEAD},split\nb.mp4,1,1,2,3,4,run,dev\n", "row 2: 'dev' is not a split"),
        (f"{HEAD}\nb.mp4,1\n", "row 2: has 2 values for 7 columns"),
        (f"{HEAD}\n", r"not one annotated video can be used\. Check the folder"),
        (f"{HEAD}\nno.mp4,1,1,2,3,4,run\n", r"can be used \(1 videos that are not there left out;"),
    ],
)
def test_a_broken_file_is_one_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_annotated(str(put_text(folder / "boxes.csv", text)))
    assert "\n" not in str(caught.value)


def test_files_of_no_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no annotations of a known kind\. Name a file \(.csv"):
        read_annotated(str(put_text(tmp_path / "boxes.txt", "")))
    with pytest.raises(InputError, match="unknown data set 'ucf24'"):
        read_annotated(f"ucf24:{tmp_path}")
    with pytest.raises(InputError, match=r"no\.csv: cannot be read"):
        read_annotated(str(tmp_path / "no.csv"))


def test_what_is_written_is_read_again(folder: Path) -> None:
    rows = "\n".join(
        [f"{HEAD},track,split", "clips/a.mp4,2,1.25,2,30,40,run,7,test",
         "clips/a.mp4,4,3,4,30.123457,40,run,7,test", "clips/a.mp4,5,,,,,,,test",
         "b.mp4,1,0,0,9,9,\"a, b\",8,train"]
    )  # fmt: skip
    first = read_annotated(str(put_text(folder / "boxes.csv", rows)))
    assert write_boxes_csv(first, folder / "again.csv") == 4
    again = read_annotated(str(folder / "again.csv"))
    assert (again.labels, again.has_tracks) == (first.labels, True)
    for one, two in zip(first.videos, again.videos, strict=True):
        assert (one.path, one.name, one.part) == (two.path, two.name, two.part)
        assert one.frames.tolist() == two.frames.tolist()
    for place in (0, 1):
        assert boxes_of(again, place) == boxes_of(first, place)


def test_boxes_are_written_in_the_size_of_the_file(folder: Path) -> None:
    first = read_annotated(str(put_text(folder / "boxes.csv", f"{HEAD}\nb.mp4,1,8,6,32,24,run\n")))
    larger = replace(first, videos=(replace(only(first), size_px=(96, 64)),))
    write_boxes_csv(larger, folder / "again.csv")
    assert boxes_of(read_annotated(str(folder / "again.csv"))) == {("run", "", 1): [8, 3, 32, 12]}


def test_labels_of_a_model_replace_those_of_annotations(folder: Path) -> None:
    rows = (
        f"{HEAD},track\nb.mp4,1,8,6,32,24,run,1\nb.mp4,2,8,6,32,24,run,1\nb.mp4,1,1,6,9,24,dig,2\n"
    )
    first = read_annotated(str(put_text(folder / "boxes.csv", rows)))
    mapped = restrict_labels(first, ("jump", "dig", "sit"))
    assert mapped.labels == ("jump", "dig", "sit")
    assert boxes_of(mapped) == {("dig", "2", 1): [1, 6, 9, 24]}
    assert only(mapped).frames.tolist() == [1, 2]
    kind = "boxes of class 'run', which the model does not know, left out"
    assert counts(mapped) == {kind: 2}
    assert not first.problems.counts
    assert keep_present(mapped).labels == ("dig",)
    assert boxes_of(keep_present(mapped)) == boxes_of(mapped)
