"""Kinetics in its layouts, and the paper's Mini-Kinetics with its true lists."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest

from s3d.data.video_list import Video
from s3d.data.videos import list_videos
from s3d.errors import InputError

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
TRAIN = HEADER + "tying bow tie,aaaaaaaaaaa,1,11,train,0\nabseiling,-_bbbbbbbbb,20,30,train,0\n"
VAL = HEADER + '"petting animal (not cat)",ccccccccccc,2,12,val,1\n'
VAL += "abseiling,ddddddddddd,3,13,val,0\n"


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def write_lists(folder: Path, **texts: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)


@pytest.mark.parametrize("name", ["kinetics400", "kinetics600", "kinetics700"])
@pytest.mark.parametrize(
    "files",
    [
        ("aaaaaaaaaaa_000001_000011.mp4", "ccccccccccc.mkv"),
        ("train/aaaaaaaaaaa_000001_000011.mp4", "val/ccccccccccc_000002_000012.mp4"),
        ("train/tying bow tie/aaaaaaaaaaa.mp4", "val/petting animal (not cat)/ccccccccccc.webm"),
        ("tying_bow_tie/aaaaaaaaaaa_000001_000011.mp4", "p/ccccccccccc_000002_000012.mp4"),
    ],
)
def test_every_layout(tmp_path: Path, name: str, files: tuple[str, str]) -> None:
    write_lists(tmp_path / "annotations", train=TRAIN, val=VAL)
    touch(tmp_path, *files, "train/other_file.mp4")
    found = list_videos(f"{name}:{tmp_path}")
    assert found.videos == (
        Video(str(tmp_path / files[0]), "tying bow tie", "aaaaaaaaaaa", "train"),
        Video(str(tmp_path / files[1]), "petting animal (not cat)", "ccccccccccc", "val"),
    )
    assert found.labels == ("abseiling", "petting animal (not cat)", "tying bow tie")
    assert [video.path for video in found.missing] == [
        str(tmp_path / "-_bbbbbbbbb_000020_000030.mp4"),
        str(tmp_path / "ddddddddddd_000003_000013.mp4"),
    ]
    assert (found.count_parts(), found.evaluated_part) == ("train 1 of 2, val 1 of 2", "val")


def test_the_clip_of_the_right_time_is_taken(tmp_path: Path) -> None:
    write_lists(tmp_path, kinetics700_train=TRAIN)
    touch(tmp_path, "aaaaaaaaaaa_000005_000015.mp4", "aaaaaaaaaaa_000001_000011.mp4")
    (video,) = list_videos(f"kinetics700:{tmp_path}").videos
    assert video.path.endswith("aaaaaaaaaaa_000001_000011.mp4")


def test_test_lists_without_labels_are_not_listed(tmp_path: Path) -> None:
    test = "youtube_id,time_start,time_end,split\neeeeeeeeeee,1,11,test\n"
    write_lists(tmp_path, train=TRAIN, validate=VAL, test=test)
    touch(tmp_path, "aaaaaaaaaaa.mp4", "eeeeeeeeeee.mp4")
    found = list_videos(f"kinetics600:{tmp_path}")
    assert (len(found.videos), found.listed) == (1, 4)


def test_labels_are_numbered_as_kinetics_does(shared_dir: Path, tmp_path: Path) -> None:
    for name, short in (("kinetics400", "k400"), ("kinetics600", "k600"), ("kinetics700", "k700")):
        labels = (shared_dir / f"annotations/labels/{short}.txt").read_text().splitlines()
        rows = (f'"{label}",{number:011d},0,10,train,0\n' for number, label in enumerate(labels))
        write_lists(tmp_path, train=HEADER + "".join(reversed(list(rows))))
        touch(tmp_path, "00000000007.mp4")
        assert list_videos(f"{name}:{tmp_path}").labels == tuple(labels)


def test_mini_kinetics_has_the_sizes_of_the_paper(shared_dir: Path, tmp_path: Path) -> None:
    lists = shared_dir / "annotations/mini_kinetics"
    ids = {part: (lists / f"{part}_ytid_list.txt").read_text().split() for part in ("train", "val")}
    for part, keys in ids.items():
        rows = [f"class {n % 200},{k},{n % 50},{n % 50 + 10},{part},0" for n, k in enumerate(keys)]
        text = "\n".join([*rows, "extra,zzzzzzzzzzz,0,10,train,0\n"])
        write_lists(tmp_path, **{part: HEADER + text})
    touch(tmp_path, *(f"{part}/{ids[part][3]}_000003_000013.mp4" for part in ids))
    begin = time.process_time()
    found = list_videos(f"mini_kinetics200:{tmp_path}?lists={lists}")
    seconds = time.process_time() - begin
    counts = Counter(video.split for video in (*found.videos, *found.missing))
    assert counts == {"train": 80_000, "val": 5_000}
    assert len(found.labels) == 200
    assert [(video.label, video.split) for video in found.videos] == [
        ("class 3", "train"),
        ("class 3", "val"),
    ]
    assert seconds < 8  # 1 to 2 on an idle core; a stat a name would add as much again


def test_mini_kinetics_names_ids_without_a_label(tmp_path: Path) -> None:
    write_lists(tmp_path, train=TRAIN)
    (tmp_path / "train_ytid_list.txt").write_text("aaaaaaaaaaa\nfffffffffff\n")
    (tmp_path / "val_ytid_list.txt").write_text("-_bbbbbbbbb\n")
    touch(tmp_path, "aaaaaaaaaaa.mp4")
    found = list_videos(f"mini_kinetics200:{tmp_path}")
    assert found.skipped == (
        ("fffffffffff", "is in no csv of Kinetics-400, which gives the labels"),
    )
    assert [(video.group, video.split) for video in found.missing] == [("-_bbbbbbbbb", "val")]
    (tmp_path / "train_ytid_list.txt").write_text("aaaaaaaaaaa\nhttps://x\n")
    with pytest.raises(InputError, match="line 2: 'https://x' is not a YouTube id of 11 char"):
        list_videos(f"mini_kinetics200:{tmp_path}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column 'youtube_id'; its first row is ''."),
        ("label,id\nx,y\n", "has no column 'youtube_id'; its first row is 'label,id'."),
        (HEADER + "x,aaaaaaaaaaa,a,b,train,0\n", "line 2: 'a,b' is not two times in seconds."),
        (HEADER + "x,short,1,11,train,0\n", "line 2: 'short' is not a YouTube id of 11 characters"),
        (HEADER + "x,aaaaaaaaaaa\n", "row 2: has 2 values for 6 columns."),
        (HEADER + '"x,aaaaaaaaaaa\n', "is no readable CSV"),
        (TRAIN, "not one of the 2 videos of its lists is there; first:"),
        (TRAIN.replace("label,", "name,"), "its lists give no labels. Add the train csv."),
    ],
)
def test_malformed_lists_are_one_line(tmp_path: Path, text: str, said: str) -> None:
    write_lists(tmp_path, train=text)
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        list_videos(f"kinetics400:{tmp_path}")
    assert "\n" not in str(caught.value)
