"""UCF-101 and HMDB-51 in their true layout, with their true lists."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s3d.data.store import open_videos
from s3d.data.videos import list_videos, split_videos
from s3d.errors import InputError

WriteVideo = Callable[..., Path]
UCF_SIZES = {"1": (9537, 3783), "2": (9586, 3734), "3": (9624, 3696)}


@pytest.fixture
def lists(shared_dir: Path) -> Path:
    return shared_dir / "annotations"


@pytest.fixture(scope="module")
def ucf(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return UCF-101 with 4 of its 13,320 videos, one of them broken."""
    folder = tmp_path_factory.mktemp("ucf") / "UCF-101"
    frames = np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), np.uint8)
    for name in ("Archery_g08_c01", "Archery_g01_c01", "YoYo_g20_c02"):
        path = folder / name.split("_")[0] / f"v_{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, frames, 25, codec="mpeg4")
    (folder / "YoYo/v_YoYo_g21_c01.avi").write_bytes(b"broken")
    return folder


@pytest.mark.parametrize("split", UCF_SIZES)
def test_ucf_has_the_official_sizes(ucf: Path, lists: Path, split: str) -> None:
    found = list_videos(f"ucf101:{ucf}?split={split}&lists={lists / 'ucf101'}")
    counts = Counter(video.split for video in (*found.videos, *found.missing))
    assert (counts["train"], counts["test"]) == UCF_SIZES[split]
    assert found.labels == tuple((lists / "labels/ucf101.txt").read_text().split())
    assert found.listed == 13_320
    assert found.evaluated_part == "test"
    groups = {part: set() for part in ("train", "test")}
    for video in (*found.videos, *found.missing):
        groups[video.split].add(video.group)
    assert not groups["train"] & groups["test"]


def test_ucf_finds_videos_and_names_what_is_missing_or_broken(ucf: Path, lists: Path) -> None:
    found = list_videos(f"ucf101:{ucf}?lists={lists / 'ucf101'}")
    rows = {Path(v.path).name: (v.label, v.group, v.split) for v in found.videos}
    assert rows == {
        "v_Archery_g01_c01.avi": ("Archery", "v_Archery_g01", "test"),
        "v_Archery_g08_c01.avi": ("Archery", "v_Archery_g08", "train"),
        "v_YoYo_g20_c02.avi": ("YoYo", "v_YoYo_g20", "train"),
        "v_YoYo_g21_c01.avi": ("YoYo", "v_YoYo_g21", "train"),
    }
    assert found.count_parts() == "train 3 of 9,537, test 1 of 3,783"
    assert str(ucf / "Archery/v_Archery_g09_c01.avi") in {path for path, _ in found.left_out}
    opened = open_videos(found.videos, 2)
    assert [Path(path).name for path, _ in opened.failures] == ["v_YoYo_g21_c01.avi"]


@pytest.mark.parametrize("place", ["UCF-101/ucfTrainTestlist", "ucfTrainTestlist"])
def test_ucf_lists_are_found_in_their_usual_folders(
    ucf: Path, lists: Path, tmp_path: Path, place: str
) -> None:
    shutil.copytree(ucf, tmp_path / "UCF-101")
    shutil.copytree(lists / "ucf101", tmp_path / place)
    assert len(list_videos(f"ucf101:{tmp_path / 'UCF-101'}?split=3").videos) == 4


def test_ucf_flat_and_converted_files_are_found(lists: Path, tmp_path: Path) -> None:
    (tmp_path / "v_Archery_g01_c01.mp4").write_bytes(b"x")
    found = list_videos(f"ucf101:{tmp_path}?lists={lists / 'ucf101'}&classes=present", 1)
    assert [Path(video.path).name for video in found.videos] == ["v_Archery_g01_c01.mp4"]
    assert found.labels == ("Archery",)
    assert {video.label for video in found.missing} == {"Archery"}


def test_ucf_validates_by_groups_of_the_train_list(lists: Path, tmp_path: Path) -> None:
    for line in (lists / "ucf101/trainlist01.txt").read_text().splitlines()[:200]:
        path = tmp_path / line.split()[0]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    found = list_videos(f"ucf101:{tmp_path}?lists={lists / 'ucf101'}&classes=present")
    train, val = split_videos(found.videos, 0.2, 0)
    assert (len(train) + len(val), bool(val)) == (200, True)
    assert not {video.group for video in train} & {video.group for video in val}


@pytest.mark.parametrize("split", ["1", "2", "3"])
def test_hmdb_has_70_and_30_a_class(lists: Path, tmp_path: Path, split: str) -> None:
    (tmp_path / "chew").mkdir()
    (tmp_path / "chew/#2_Gum_chew_h_nm_np1_fr_med_0.avi").write_bytes(b"x")
    found = list_videos(f"hmdb51:{tmp_path}?split={split}&lists={lists / 'hmdb51'}")
    counts = Counter((video.label, video.split) for video in (*found.videos, *found.missing))
    assert set(counts.values()) == {70, 30}
    assert all(counts[label, "train"] == 70 for label in found.labels)
    assert len(counts) == 2 * 51
    assert found.labels == tuple((lists / "labels/hmdb51.txt").read_text().split())


def test_hmdb_takes_the_folder_of_the_class_and_the_source(lists: Path, tmp_path: Path) -> None:
    name = "#2_Gum_chew_h_nm_np1_fr_med_0.avi"
    for folder in ("aside", "chew"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"x")
    shutil.copytree(lists / "hmdb51", tmp_path / "testTrainMulti_7030_splits")
    (video,) = list_videos(f"hmdb51:{tmp_path}").videos
    assert (video.path, video.label) == (str(tmp_path / "chew" / name), "chew")
    assert (video.group, video.split) == ("#2_Gum_chew", "train")
    with pytest.raises(InputError, match="not one of the 1,530 videos of part 'test' is there"):
        list_videos(f"hmdb51:{tmp_path}?part=test")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("classInd.txt", "1 A\n3 B\n", "classInd.txt, line 2: '3 B' is not '2 <class>'"),
        ("classInd.txt", "", "classInd.txt: is empty."),
        ("trainlist01.txt", "A/v_A_g1.avi 1\n", "line 1: 'A/v_A_g1.avi 1' is not '<class>/v_<cl"),
        ("trainlist01.txt", "C/v_C_g01_c01.avi 1\n", "line 1: 'C' is not a class of classInd"),
        ("trainlist01.txt", "A/v_A_g01_c01.avi 2\n", "is not '... 1', as classInd says"),
        ("trainlist01.txt", "B/v_B_g02_c01.avi 2\n", "v_B_g02_c01 is listed twice under split 1"),
        ("testlist01.txt", "\xff", "testlist01.txt: is not UTF-8 text."),
    ],
)
def test_malformed_ucf_lists_are_one_line(tmp_path: Path, file: str, text: str, said: str) -> None:
    good = {
        "classInd.txt": "1 A\r\n2 B\r\n",
        "trainlist01.txt": "A/v_A_g01_c01.avi 1\r\n",
        "testlist01.txt": "B/v_B_g02_c01.avi\r\n",
    }
    for name, content in {**good, file: text}.items():
        (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        list_videos(f"ucf101:{tmp_path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["a.avi 3", "a.avi", "1"])
def test_malformed_hmdb_lists_are_one_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "run_test_split1.txt").write_text(f"b.avi 1 \n{line}\n")
    with pytest.raises(InputError, match=rf"line 2: '{line}' is not '<video>.avi 0, 1 or 2'"):
        list_videos(f"hmdb51:{tmp_path}")
