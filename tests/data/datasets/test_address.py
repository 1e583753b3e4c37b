"""How data are named, and what is said of a name that means nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from s3d.data.datasets.address import parse_address
from s3d.data.datasets.table import DATASETS
from s3d.data.videos import list_videos, name_split
from s3d.errors import InputError


def test_a_name_a_folder_and_its_options(tmp_path: Path) -> None:
    address = parse_address(f"ucf101:{tmp_path}?split=2&part=test", DATASETS)
    assert (address.name, address.folder) == ("ucf101", tmp_path)
    assert address.options == {"split": "2", "part": "test"}
    assert address.with_option("split", 3) == f"ucf101:{tmp_path}?split=3&part=test"


@pytest.mark.parametrize("name", ["plain", "what?x=1", "ucf101:x"])
def test_a_path_that_exists_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    address = parse_address(name, DATASETS)
    assert (address.name, address.place, address.options) == ("", name, {})


def test_a_plain_source_takes_a_part(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "l.csv").write_text("path,label,split\na.mp4,x,train\nb.mp4,x,test\nc.mp4,y,val\n")
    found = list_videos(f"{tmp_path}/l.csv?part=test")
    assert [Path(video.path).name for video in found.videos] == ["b.mp4"]
    assert (found.part, found.listed, found.labels) == ("test", 1, ("x", "y"))
    assert len(list_videos(f"{tmp_path}/l.csv?part=all").videos) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kinetics40:DIR", "unknown data set 'kinetics40'. Did you mean kinetics400"),
        ("http://x/y", "unknown data set 'http'. Shards on the web are named shards:https://HOST"),
        ("ucf101:", "the folder is missing; write ucf101:DIR"),
        ("ucf101:gone", "no such folder 'gone'. Check the path."),
        ("ucf101:DIR?spilt=1", "unknown key 'spilt'. Known here: part, split, lists, classes."),
        ("ucf101:DIR?split=4", "split is '4'; it is one of 1, 2, 3."),
        ("ucf101:DIR?split=", "split has no value; write split=VALUE."),
        ("ucf101:DIR?split=1&split=2", "split is given twice. Give it once."),
        ("DIR?split=1", "unknown key 'split'. Known here: part."),
        ("ucf101:DIR", "classInd.txt is neither in DIR nor in its annotations"),
        ("ucf101:DIR?lists=gone", "lists=gone: no such folder. Check the path."),
        ("hmdb51:DIR", "<class>_test_split1.txt is neither in DIR"),
        ("kinetics700:DIR", "train.csv, val.csv or test.csv of Kinetics is neither in DIR"),
        ("mini_kinetics200:DIR", "train_ytid_list.txt is neither in DIR"),
        ("sthv1:DIR", "something-something-v1-train.csv is neither in DIR"),
        ("sthv2:DIR", "something-something-v2-labels.json is neither in DIR"),
        ("frames:DIR", "how many pictures a second? Write it as ?rate=12."),
        ("frames:DIR?rate=12", "holds no DIR/<class>/<video>/*.jpg."),
    ],
)
def test_what_means_nothing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "DIR").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        list_videos(text)
    assert "\n" not in str(caught.value)


def test_only_numbered_splits_are_renamed(tmp_path: Path) -> None:
    assert name_split(f"hmdb51:{tmp_path}", "2") == f"hmdb51:{tmp_path}?split=2"
    with pytest.raises(InputError, match=r"no numbered splits\. Name one that has: ucf101, hmd"):
        name_split(f"sthv1:{tmp_path}", "2")
    with pytest.raises(InputError, match="has no numbered splits"):
        name_split(str(tmp_path), "2")


def test_a_part_without_videos_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.mp4").write_bytes(b"x")
    with pytest.raises(InputError, match=r"has no videos of part 'val'; it has train 1 of 1\."):
        list_videos(f"{tmp_path}?part=val", 1)
    with pytest.raises(InputError, match=r"unknown part 'dev'\. Known: train, val, test, all\."):
        list_videos(f"{tmp_path}?part=dev", 1)
