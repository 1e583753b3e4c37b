"""What is wrong with a list as a whole: copies, leaks, classes, and what should be left out."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s3d.data.doctor import KINDS, Checkup, check_videos, list_for_check
from s3d.data.quarantine import leave_out, read_quarantine, write_quarantine
from s3d.data.video_list import Video, VideoList
from s3d.errors import InputError

WriteVideo = Callable[..., Path]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> list[str]:
    """Return 12 different videos; 11 shows the scene of 0 in another encoding."""
    folder = tmp_path_factory.mktemp("clips")
    stills = np.random.default_rng(0).integers(0, 255, (12, 6, 8, 3), np.uint8)
    stills[11] = stills[0]
    paths = []
    for number, still in enumerate(stills.repeat(8, 1).repeat(8, 2)):
        path, codec = folder / f"{number}.mp4", "libx264" if number == 11 else "mpeg4"
        paths.append(str(write_video(path, still[None].repeat(6, 0), 25, codec=codec)))
    return paths


def copy(source: str, to: Path) -> str:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, to)
    return str(to)


def check(*videos: Video, **more: tuple[Video, ...]) -> Checkup:
    labels = tuple(sorted({video.label for video in videos}))
    return check_videos(VideoList(videos, labels, "list.csv", (), **more), 2)


def found(checkup: Checkup, *kinds: str) -> dict[str, str]:
    return {f.path: f.detail for f in checkup.findings if f.kind in kinds}


def test_copies_across_parts_leave_the_lesser_part(clips: list[str], tmp_path: Path) -> None:
    twin = copy(clips[0], tmp_path / "twin.mp4")
    checkup = check(
        Video(clips[0], "a", "g0", "train"),
        Video(clips[1], "a", "g1", "train"),
        Video(twin, "a", "g2", "test"),
    )
    assert found(checkup, "leak") == {clips[0]: f"part train; {twin} is of part test"}
    assert [path for path, _ in checkup.quarantine] == [clips[0]]
    assert found(checkup, "same_source", "copy") == {}


def test_copies_within_a_part_are_told_and_kept(clips: list[str], tmp_path: Path) -> None:
    twin = copy(clips[0], tmp_path / "twin.mp4")
    checkup = check(Video(clips[0], "a"), Video(twin, "a"), Video(clips[1], "a"))
    assert found(checkup, "copy") == {twin: f"the same as {clips[0]}"}
    assert checkup.quarantine == []


def test_one_video_under_two_labels_is_left_out(clips: list[str], tmp_path: Path) -> None:
    twin = copy(clips[0], tmp_path / "twin.mp4")
    checkup = check(Video(clips[0], "a"), Video(twin, "b"))
    assert found(checkup, "two_labels") == {
        clips[0]: f"'a'; the same as {twin}, 'b'",
        twin: f"'b'; the same as {clips[0]}, 'a'",
    }
    assert {path for path, _ in checkup.quarantine} == {clips[0], twin}


@pytest.mark.parametrize("groups", [(None, None), ("g0", "g1")])
def test_one_scene_in_two_parts_is_told(
    clips: list[str], groups: tuple[str | None, str | None]
) -> None:
    checkup = check(
        Video(clips[0], "a", groups[0], "train"),
        Video(clips[5], "a", "g5", "train"),
        Video(clips[11], "a", groups[1], "val"),
    )
    assert list(found(checkup, "same_source")) == [clips[0]]
    assert checkup.quarantine == []


def test_a_group_in_two_parts_is_told(clips: list[str]) -> None:
    checkup = check(Video(clips[2], "a", "g", "train"), Video(clips[3], "a", "g", "test"))
    assert list(found(checkup, "same_source")) == [clips[2]]


def test_classes_are_counted_without_what_is_broken(clips: list[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"")
    many = [Video(copy(path, tmp_path / f"{n}.mp4"), "many") for n, path in enumerate(clips[1:11])]
    checkup = check(*many, Video(clips[0], "few"), Video(str(broken), "few"))
    assert checkup.classes == {"few": 1, "many": 10}
    assert found(checkup, "few_clips") == {"few": "1 usable videos"}
    assert found(checkup, "imbalance") == {"many": "10 videos, 1 of 'few'"}
    assert [path for path, _ in checkup.quarantine] == [str(broken)]


def test_a_clean_list_is_clean(clips: list[str]) -> None:
    checkup = check(*(Video(path, "a") for path in clips[1:11]))
    assert (checkup.findings, checkup.quarantine) == ((), [])


def test_missing_files_and_json(clips: list[str]) -> None:
    gone = Video("gone.mp4", "a", None, "val")
    checkup = check(Video(clips[0], "a"), missing=(gone,))
    values = json.loads(json.dumps(checkup.to_json()))
    assert (values["listed"], values["checked"], values["parts"]) == (
        2, 1, "train 1 of 1, val 0 of 1",
    )  # fmt: skip
    assert values["counts"] == {"missing": 1, "few_clips": 1}
    assert values["findings"][0] == {
        "kind": "missing", "path": "gone.mp4", "detail": "part val, 'a'", "leaves_out": False,
    }  # fmt: skip


def test_every_kind_is_one_of_the_table(shared_dir: Path) -> None:
    checkup = check_videos(list_for_check(shared_dir / "videos/odd"), 2)
    assert len(checkup.listed.videos) == 10 and checkup.classes == {}
    assert set(checkup.counts) <= set(KINDS)
    assert checkup.counts["truncated"] == checkup.counts["empty"] == 1


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        list_for_check(tmp_path)


# --- quarantine ---


def test_what_is_written_is_left_out_and_still_counted(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.mp4") for name in ("a, b", "c")]
    listed = VideoList(tuple(Video(path, "x") for path in paths), ("x",), "list.csv", ())
    write_quarantine(tmp_path / "q.csv", [(paths[0], 'truncated: "3" of 5')])
    kept = leave_out(listed, tmp_path / "q.csv")
    assert [video.path for video in kept.videos] == [paths[1]]
    assert kept.skipped == ((paths[0], 'quarantined: truncated: "3" of 5'),)
    assert (kept.listed, leave_out(listed, None)) == (2, listed)


def test_paths_are_those_of_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists").mkdir()
    with (tmp_path / "lists/q.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "reason"), ("../v/a.mp4", "odd")])
    assert read_quarantine(tmp_path / "lists/q.csv") == {str(tmp_path / "v/a.mp4"): "odd"}
    monkeypatch.chdir(tmp_path)
    listed = VideoList((Video("v/a.mp4", "x"), Video("v/b.mp4", "x")), ("x",), "v", ())
    assert [video.path for video in leave_out(listed, "lists/q.csv").videos] == ["v/b.mp4"]
    one = replace(listed, videos=listed.videos[:1])
    with pytest.raises(InputError, match=r"leaves no video of v\. Check the list"):
        leave_out(one, "lists/q.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such list. `s3d check DATA --quarantine FILE` writes one."),
        ("file\nx\n", "has no column 'path'"),
        ("path,reason\n,x\n", "row 2: the path is empty"),
    ],
)
def test_a_list_that_is_none_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "q.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_quarantine(tmp_path / "q.csv")
