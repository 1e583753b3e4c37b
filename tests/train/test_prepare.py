"""From a folder to a run: what can be trained on, what is left out, and what is said."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from s3d.errors import InputError
from s3d.train.plan import Machine
from s3d.train.prepare import prepare_run
from s3d.train.run import Run
from tests.tiny import tiny_config


def silent(what: str) -> Callable[[int, int], None]:
    return lambda done, total: None


def prepare(data: Path, out: Path, **options: Any) -> Run:
    return prepare_run(tiny_config(data, out, **options), Machine("cpu", 2), silent)


@pytest.fixture
def videos(colours: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(colours, tmp_path / "videos"))


def write_list(path: Path, rows: Sequence[tuple[str, ...]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "split"), *rows])
    return path


def test_a_folder_is_split_by_source_and_said(videos: Path, tmp_path: Path) -> None:
    run = prepare(videos, tmp_path / "out")
    assert run.labels == ("blue", "red")
    assert len(run.train) + len(run.val) == 16
    assert {v.label for v in run.train} == {v.label for v in run.val} == {"blue", "red"}
    assert not {v.group for v in run.train} & {v.group for v in run.val}
    text = "\n".join(run.notes)
    assert "16 videos of 2 classes, 8 to 8 a class" in text
    assert "warning: fewer than 10 videos of 'blue', 'red'" in text
    assert not (tmp_path / "out").exists()


def test_copies_of_a_video_stay_on_one_side(videos: Path, tmp_path: Path) -> None:
    for number in range(4):
        shutil.copy(videos / "red" / "0.mp4", videos / "red" / f"copy{number}.mp4")
    run = prepare(videos, tmp_path / "out", val_share=0.4)
    sides = {v in run.val for v in (*run.train, *run.val) if Path(v.path).name.startswith("copy")}
    assert len(sides) == 1


def test_a_given_group_is_never_parted(videos: Path, tmp_path: Path) -> None:
    rows = [
        (f"{label}/{n}.mp4", label, f"camera {n % 3}", "") for label in ("red", "blue")
        for n in range(8)
    ]  # fmt: skip
    run = prepare(write_list(videos / "list.csv", rows), tmp_path / "out")
    assert {v.group for v in run.train}.isdisjoint({v.group for v in run.val})
    assert len({v.group for v in run.val}) == 1


def test_a_given_split_is_taken_and_test_is_not_opened(videos: Path, tmp_path: Path) -> None:
    (videos / "red" / "7.mp4").write_bytes(b"never opened")
    splits = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    rows = [
        (f"{label}/{n}.mp4", label, "", splits[n]) for label in ("red", "blue") for n in range(8)
    ]
    run = prepare(write_list(videos / "list.csv", rows), tmp_path / "out")
    assert (len(run.train), len(run.val), run.failures) == (8, 4, ())
    assert "4 videos marked test were not opened" in run.notes


def test_only_test_videos_are_refused(videos: Path, tmp_path: Path) -> None:
    rows = [("red/0.mp4", "red", "", "test"), ("blue/0.mp4", "blue", "", "test")]
    with pytest.raises(InputError, match="every video is marked test"):
        prepare(write_list(videos / "list.csv", rows), tmp_path / "out")


def test_one_broken_file_is_left_out_and_named(videos: Path, tmp_path: Path) -> None:
    (videos / "red" / "0.mp4").write_bytes(b"")
    run = prepare(videos, tmp_path / "out")
    ((path, reason),) = run.failures
    assert path == str(videos / "red" / "0.mp4")
    assert "is empty (0 bytes)" in reason
    assert all(v.path != path for v in (*run.train, *run.val))


def test_too_many_broken_files_stop_it(videos: Path, tmp_path: Path) -> None:
    for number in range(3):
        (videos / "red" / f"{number}.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"3 of 16 videos cannot be read, more than --max-failed"):
        prepare(videos, tmp_path / "out")
    assert len(prepare(videos, tmp_path / "out", max_failed=0.5).failures) == 3


def test_no_readable_video_at_all(videos: Path, tmp_path: Path) -> None:
    for path in videos.rglob("*.mp4"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="not one of 16 videos can be read; first: "):
        prepare(videos, tmp_path / "out", max_failed=1)


@pytest.mark.parametrize("left", [0, 1])
def test_a_class_with_nothing_to_learn_from_is_refused(
    videos: Path, tmp_path: Path, left: int
) -> None:
    for path in sorted((videos / "red").iterdir())[left:]:
        path.write_bytes(b"")
    said = "class 'red' has " + ("no video" if left == 0 else "1 readable video; at least 2")
    with pytest.raises(InputError, match=said):
        prepare(videos, tmp_path / "out", max_failed=1)


def test_where_no_honest_split_exists_all_is_trained_on_and_said(
    videos: Path, tmp_path: Path
) -> None:
    rows = [(f"{label}/{n}.mp4", label, "one", "") for label in ("red", "blue") for n in range(8)]
    run = prepare(write_list(videos / "list.csv", rows), tmp_path / "out")
    assert (len(run.train), run.val) == (16, ())
    assert any("no honest validation split was possible" in note for note in run.notes)


def test_a_class_that_cannot_be_validated_is_named(videos: Path, tmp_path: Path) -> None:
    rows = [(f"blue/{n}.mp4", "blue", f"b{n}", "") for n in range(8)]
    rows += [(f"red/{n}.mp4", "red", "r", "") for n in range(8)]
    run = prepare(write_list(videos / "list.csv", rows), tmp_path / "out")
    assert {v.label for v in run.val} == {"blue"}
    assert any("1 classes are not validated (one source only): 'red'" in n for n in run.notes)


def test_validation_can_be_switched_off(videos: Path, tmp_path: Path) -> None:
    run = prepare(videos, tmp_path / "out", val_share=0)
    assert (len(run.train), run.val) == (16, ())
    assert "no validation was asked for; the last weights are kept" in run.notes


@pytest.mark.parametrize("option", [{"network": "s3d_slow"}, {"style": "cubist"}])
def test_unknown_names_are_refused_before_videos_are_opened(
    tmp_path: Path, option: dict[str, str]
) -> None:
    with pytest.raises(InputError, match="unknown"):
        prepare(tmp_path / "not there", tmp_path / "out", **option)


def test_the_same_seed_gives_the_same_split(videos: Path, tmp_path: Path) -> None:
    runs = [prepare(videos, tmp_path / "out", seed=seed) for seed in (1, 1, 2)]
    assert runs[0].val == runs[1].val
    assert runs[0].val != runs[2].val
