"""Folders, CSVs and splits."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from s3d.data.videos import Video, list_videos, split_videos
from s3d.errors import InputError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def write_csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "list.csv"
    path.write_text(text, encoding=encoding)
    return path


def refused(source: Path, message: str, least_classes: int = 2) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        list_videos(source, least_classes)
    assert "\n" not in str(caught.value)


# --- folders ---


def test_folder_in_natural_order_with_nested_files(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "take 10/b.mp4",
        "take 2/v10.mp4",
        "take 2/v9.mp4",
        "take 2/deep 10/x.avi",
        "take 2/deep 9/x.avi",
    )
    found = list_videos(tmp_path)
    assert found.labels == ("take 2", "take 10") and found.source == str(tmp_path)
    names = [(Path(v.path).relative_to(tmp_path).as_posix(), v.label) for v in found.videos]
    assert names == [
        ("take 2/v9.mp4", "take 2"),
        ("take 2/v10.mp4", "take 2"),
        ("take 2/deep 9/x.avi", "take 2"),
        ("take 2/deep 10/x.avi", "take 2"),
        ("take 10/b.mp4", "take 10"),
    ]
    assert all(v.group is None and v.split is None for v in found.videos)


def test_class_names_of_any_kind(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "-rf/a.mp4",
        "zwei Wörter/a.mp4",
        "走る/a.mp4",
        "de\u0301ja\u0300/a.mp4",
        "1/a.ogv",
    )
    assert set(list_videos(tmp_path).labels) == {
        "-rf",
        "zwei Wörter",
        "走る",
        "d\u00e9j\u00e0",
        "1",
    }


def test_class_name_that_is_no_unicode_can_be_stored(tmp_path: Path) -> None:
    touch(tmp_path, os.fsdecode(b"b\xff/a.mp4"), "a/a.mp4")
    assert list_videos(tmp_path).labels == ("a", "b\ufffd")


def test_class_name_that_breaks_lines_prints_on_one(tmp_path: Path) -> None:
    touch(tmp_path, "wave\nhands/a.mp4", "clap/a.mp4")
    assert list_videos(tmp_path).labels == ("clap", "wave hands")


def test_what_is_no_video_is_skipped_and_said(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/1", "a/.hid.mp4", "a/x.JPG", "a/.cache/y.mp4", "note.txt")
    touch(tmp_path, "loose.mp4", "c/readme.md")
    found = list_videos(tmp_path)
    assert [Path(v.path).name for v in found.videos] == ["1.mp4", "1"]
    reasons = {Path(path).name: reason for path, reason in found.skipped}
    assert reasons == {
        ".hid.mp4": "hidden",
        "x.JPG": ".jpg is no video",
        "note.txt": ".txt is no video",
        "loose.mp4": "lies beside the class folders",
        "readme.md": ".md is no video",
        "c": "class folder without videos",
    }


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "gone", f"{tmp_path}/gone: no such folder or CSV. Check the path.")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "is empty. Put one sub-folder of videos a class in it.")
    refused(touch(tmp_path / "flat", "a.mp4", "b.mp4"), "holds 2 files but no class sub-folders.")
    refused(touch(tmp_path / "text", "a/a.txt"), "holds no videos.")
    refused(touch(tmp_path / "one", "a/a.mp4"), "holds one class only ('a'); at least 2 are needed")
    assert list_videos(tmp_path / "one", least_classes=1).labels == ("a",)
    refused(touch(tmp_path, "v.mp4") / "v.mp4", "is a file but no CSV.")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is neither a folder nor a file.")
    refused(tmp_path / ("x" * 5000), "cannot be read (File name too long)")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_folder_without_permission_is_refused(tmp_path: Path) -> None:
    folder = touch(tmp_path / "shut", "a/a.mp4")
    folder.chmod(0)
    receiver, sender = multiprocessing.get_context("fork").Pipe(duplex=False)

    def try_it() -> None:
        if os.geteuid() == 0:  # Root may read all; a child may become somebody else.
            for parent in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
                parent.chmod(0o755)
            os.seteuid(65534)
        try:
            list_videos(folder)
            sender.send("was read")
        except Exception as error:
            sender.send(repr(error))

    process = multiprocessing.get_context("fork").Process(target=try_it)
    process.start()
    assert receiver.poll(30)
    assert re.match(r"InputError\(.*no permission to read it", receiver.recv())
    process.join()
    folder.chmod(0o755)


# --- CSVs ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv(tmp_path: Path, encoding: str) -> None:
    touch(tmp_path, "v/1, x.mp4", "v/2.mp4", "../out.mp4")
    rows = 'Path,Label,group,split,note\n"v/1, x.mp4",läuft,g1,train,\nv/2.mp4, sitzt ,,VAL,x\n'
    path = write_csv(tmp_path, rows + "\n../out.mp4,läuft,g2\n", encoding)
    found = list_videos(path)
    assert found.videos == (
        Video(str(tmp_path / "v/1, x.mp4"), "läuft", "g1", "train"),
        Video(str(tmp_path / "v/2.mp4"), "sitzt", None, "val"),
        Video(str(tmp_path.parent / "out.mp4"), "läuft", "g2", None),
    )
    assert found.labels == ("läuft", "sitzt") and found.skipped == ()


def test_csv_of_the_real_clips(shared_dir: Path) -> None:
    found = list_videos(shared_dir / "videos/fights/clips.csv")
    assert len(found.videos) == 241 and found.labels == ("fight", "no_fight")
    assert len({video.group for video in found.videos}) == 35 and found.skipped == ()


def test_csv_skips_some_missing_and_repeated_files(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4")
    path = write_csv(tmp_path, "path,label\n1.mp4,a\n2.mp4,b\n3.mp4,b\n./1.mp4,a\n")
    found = list_videos(path)
    assert [Path(v.path).name for v in found.videos] == ["1.mp4", "2.mp4"]
    assert found.skipped == ((str(tmp_path / "1.mp4"), "listed twice (rows 2 and 5)"),)
    assert found.missing == (Video(str(tmp_path / "3.mp4"), "b"),)
    assert found.left_out[1] == (str(tmp_path / "3.mp4"), "no such file")
    assert found.listed == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty. It needs a header with the columns path and label."),
        ("path,label\n", "has a header but no rows."),
        ("file,class\n1.mp4,a\n", "its columns are 'file', 'class'; path and label are needed"),
        ("path;label\n1.mp4;a\n", "its columns are 'path;label'; path and label are needed"),
        ("path,label\n1.mp4,a\n1.mp4,\n", "row 3: the label is empty. Fill it in or delete"),
        ("path,label\n,a\n", "row 2: the path is empty."),
        ("path,label\n1.mp4\n", "row 2: the label is empty."),
        ("path,label,split\n1.mp4,a,dev\n", "row 2: split is 'dev'; it needs train, val or test."),
        ("path,label\n1.mp4,a\n1.mp4,b\n", "1.mp4 is labelled 'b', but 'a' in row 2."),
        ('path,label\n"1.mp4,a\n', "is no readable CSV"),
        ("path,label\n1.mp4,a\n", "holds one class only ('a')"),
        (
            "path,label\nw.mp4,a\nx.mp4,a\ny.mp4,a\nz.mp4,b\n",
            "none of its 4 files exists",
        ),
    ],
)
def test_bad_csvs_are_refused(tmp_path: Path, text: str, message: str) -> None:
    touch(tmp_path, "1.mp4")
    refused(write_csv(tmp_path, text), message)


def test_all_missing_names_three(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "path,label\n" + "".join(f"{i}.mp4,a\n" for i in range(5)))
    refused(path, f"({tmp_path}/0.mp4, {tmp_path}/1.mp4, {tmp_path}/2.mp4 and 2 more)")


def test_csv_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    refused(write_csv(tmp_path, "path,label\n1.mp4,läuft\n", "latin-1"), "is not UTF-8 text.")
    (tmp_path / "nul.csv").write_bytes(b"path,label\n\0.mp4,a\n")
    with pytest.raises(InputError):
        list_videos(tmp_path / "nul.csv")


# --- splits ---


def grouped(sizes: dict[str, list[int]]) -> list[Video]:
    """Videos of each class in groups of the sizes given."""
    return [
        Video(f"{label}{group}_{item}", label, f"{label}{group}")
        for label, groups in sizes.items()
        for group, size in enumerate(groups)
        for item in range(size)
    ]


def groups_of(videos: tuple[Video, ...]) -> set[str | None]:
    return {video.group for video in videos}


@pytest.mark.parametrize("seed", range(5))
def test_split_keeps_groups_whole_and_classes_near_the_share(seed: int) -> None:
    videos = grouped({"a": [3] * 20, "b": [1] * 30, "c": [10, 2, 2, 2, 2, 2]})
    train, val = split_videos(videos, 0.2, seed)
    assert not groups_of(train) & groups_of(val)
    assert sorted(train + val, key=lambda v: v.path) == sorted(videos, key=lambda v: v.path)
    counts = Counter(video.label for video in val)
    assert counts == {"a": 12, "b": 6, "c": 4}


def test_split_is_the_same_for_a_seed_and_differs_between_seeds() -> None:
    videos = grouped({"a": [1] * 40, "b": [1] * 40})
    assert split_videos(videos, 0.2, 1) == split_videos(videos, 0.2, 1)
    assert split_videos(videos, 0.2, 1) != split_videos(videos, 0.2, 2)


def test_a_class_of_one_group_stays_in_training() -> None:
    train, val = split_videos(grouped({"a": [5], "b": [2, 2]}), 0.7, 0)
    assert {video.label for video in val} == {"b"} and groups_of(train) >= {"a0"}


def test_no_honest_split_leaves_validation_empty() -> None:
    one_source = [Video(f"{i}", "ab"[i % 2], "same") for i in range(10)]
    assert split_videos(one_source, 0.2, 0) == (tuple(one_source), ())
    assert split_videos(one_source, 0.9, 0) == (tuple(one_source), ())
    assert split_videos(one_source, 0.0, 0) == (tuple(one_source), ())
    assert split_videos([], 0.2, 0) == ((), ())


def test_a_group_of_both_classes_does_not_part() -> None:
    videos = [Video(f"{g}{i}", "ab"[i % 2], str(g)) for g in range(5) for i in range(4)]
    train, val = split_videos(videos, 0.2, 0)
    assert len(val) == 4 and not groups_of(train) & groups_of(val)


def test_videos_without_group_are_their_own_and_few_still_give_one() -> None:
    videos = [Video(f"{label}{i}", label) for label in "ab" for i in range(3)]
    train, val = split_videos(videos, 0.1, 0)
    assert Counter(v.label for v in val) == {"a": 1, "b": 1} and len(train) == 4


def test_given_split_is_taken_and_test_is_on_neither_side() -> None:
    videos = [
        Video(f"{i}", "a", None, split) for i, split in enumerate(["val", "test", "train", None])
    ]
    train, val = split_videos(videos, 0.5, 0)
    assert [v.path for v in train] == ["2", "3"] and [v.path for v in val] == ["0"]
    without = [Video(f"{i}", "a", None, ["train", "test"][i % 2]) for i in range(20)]
    train, val = split_videos(without, 0.2, 0)
    assert len(train) == 8 and len(val) == 2 and {v.split for v in train + val} == {"train"}


def test_real_clips_split_near_the_share(shared_dir: Path) -> None:
    train, val = split_videos(list_videos(shared_dir / "videos/fights/clips.csv").videos, 0.2, 0)
    assert not groups_of(train) & groups_of(val)
    counts = Counter(video.label for video in val)
    assert 40 <= len(val) <= 60 and min(counts.values()) >= 15


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="it needs a number from 0 to below 1"):
        split_videos([], share, 0)
