"""AVA: seconds become frames, persons become tracks, and what is wrong is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3d.detect.annotations.read import read_annotated
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.detect.annotating import boxes_of, counts, only, put_text, put_video

ACTIONS = 'item { name: "sit" id: 11 }\nitem { name: "bend" id: 1 }\n'


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo) -> Path:
    # 12 frames at 4 a second: second 1 is frame 4.
    put_video(write_video, tmp_path / "films" / "a.mp4")
    put_video(write_video, tmp_path / "films" / "b.mp4")
    put_text(tmp_path / "label_map.pbtxt", ACTIONS)
    return tmp_path


def rows(folder: Path, text: str, name: str = "ava_val_v2.2.csv") -> str:
    put_text(folder / name, text)
    return f"ava:{folder}"


def test_a_second_is_its_nearest_frame(folder: Path) -> None:
    address = rows(folder, "a,1,.25,.5,.75,1,1,7\na,1,.25,.5,.75,1,11,7\na,0002,0,0,.5,.5,11,7\n")
    annotated = read_annotated(address)
    video = only(annotated)
    assert annotated.labels == ("bend", "sit")
    assert annotated.multi_label
    assert annotated.has_tracks
    assert (video.size_px, video.part, video.frames.tolist()) == ((48, 64), "val", [4, 8])
    assert boxes_of(annotated) == {
        ("bend", "7", 4): [16, 24, 48, 48],
        ("sit", "7", 4): [16, 24, 48, 48],
        ("sit", "7", 8): [0, 0, 32, 24],
    }
    assert len(video.tubes) == 2


def test_cut_files_start_later(folder: Path) -> None:
    address = rows(folder, "a,0902,.25,.5,.75,1,1,7\n")
    assert only(read_annotated(f"{address}?starts=900")).frames.tolist() == [8]
    missed = read_annotated(f"{address}?starts=899")
    assert not only(missed).tubes
    assert counts(missed) == {"boxes in frames that their video does not have left out": 1}
    with pytest.raises(InputError, match="starts is 'x'; it needs a number of seconds, as 900"):
        read_annotated(f"{address}?starts=x")


def test_who_was_away_is_another_track(folder: Path) -> None:
    address = rows(folder, "".join(f"a,{s},.25,.5,.75,1,1,7\n" for s in (0, 2)))
    assert {tube.track for tube in only(read_annotated(address)).tubes} == {"7", "7.1"}
    address = rows(folder, "".join(f"a,{s},.25,.5,.75,1,1,7\n" for s in (1, 0, 2)))
    assert only(read_annotated(address)).tubes[0].frames.tolist() == [0, 4, 8]


def test_without_persons_there_are_no_tracks(folder: Path) -> None:
    address = rows(folder, "a,0,.25,.5,.75,1,1\na,1,.25,.5,.75,1,1\n")
    annotated = read_annotated(address)
    assert not annotated.has_tracks
    assert [tube.frames.tolist() for tube in only(annotated).tubes] == [[0], [4]]


def test_parts_and_seconds_left_out(folder: Path) -> None:
    rows(folder, "b,1,.25,.5,.75,1,1,7\n", "annotations/ava_train_v2.2.csv")
    address = rows(folder, "a,1,.25,.5,.75,1,1,7\na,2,.25,.5,.75,1,1,7\n")
    put_text(folder / "ava_val_excluded_timestamps_v2.2.csv", "a,0002\n")
    assert {v.name: v.part for v in read_annotated(address).videos} == {"a": "val", "b": "train"}
    assert only(read_annotated(f"{address}?part=train")).name == "b"
    assert only(read_annotated(address, "val")).frames.tolist() == [4]
    with pytest.raises(InputError, match=r"ava_test_v2\.2\.csv is neither in its folder"):
        read_annotated(address, "test")


def test_what_is_wrong_is_counted(folder: Path) -> None:
    text = (
        "a,0,.1,.2,.3,.4,1,1\na,0,.1,.2,.3,.4,1,1\na,0,.1,x,.3,.4,1,2\na,0,.1,.2,.1,.4,1,3\n"
        "a,0,.1,.2,.3,1.4,1,4\na,0,.1,.2,.3,.4,,5\na,0,.1,.2,.3,.4,80,6\na,1,,,,,,\n"
        "c,0,.1,.2,.3,.4,1,1\n"
    )
    annotated = read_annotated(rows(folder, text))
    assert only(annotated).frames.tolist() == [0, 4]
    assert counts(annotated) == {
        "boxes that stand twice left out": 1,
        "boxes that are not four numbers left out": 1,
        "boxes without width or height left out": 1,
        "boxes that reach out of the picture by more than 1 px cut at its edge": 1,
        "boxes that nobody gave an action left out": 1,
        "boxes of an action that is not in the list left out": 1,
        "videos that are not there left out": 1,
    }
    first = annotated.problems.first["boxes that stand twice left out"]
    assert first.startswith(f"{folder / 'ava_val_v2.2.csv'}, line 2: (6.4, ")


def test_files_may_be_named(folder: Path) -> None:
    boxes = put_text(folder / "mine" / "gt.csv", "a,1,.25,.5,.75,1,3\n")
    actions = put_text(folder / "mine" / "list.txt", 'item { name: "jump" id: 3 }')
    annotated = read_annotated(f"ava:{folder}?boxes={boxes}&actions={actions}")
    assert boxes_of(annotated) == {("jump", "", 4): [16, 24, 48, 48]}
    assert only(annotated).part == ""
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        read_annotated(f"ava:{folder}?boxes={folder / 'none.csv'}")
    (folder / "label_map.pbtxt").unlink()
    with pytest.raises(InputError, match="no list of actions"):
        read_annotated(f"ava:{folder}?boxes={boxes}")
