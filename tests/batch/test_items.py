"""Which videos a call names, and where what is made of them belongs."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3d.batch.items import list_items
from s3d.batch.job import Item
from s3d.errors import InputError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a/1.mp4", "a/b/2.avi", "c/1.mp4", "c/notes.txt", "c/.hidden.mp4"):
        (tmp_path / "v" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "v" / name).write_bytes(b"x")
    return tmp_path / "v"


def places(items: list[Item]) -> list[str]:
    return [item.place for item in items]


def test_a_folder_gives_its_tree_and_paths_are_absolute(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree.parent)
    items = list_items(["v"], "out", keeps_tree=True)
    assert places(items) == ["a/1.mp4", "a/b/2.avi", "c/1.mp4"]
    assert [item.path for item in items] == [str(tree / place) for place in places(items)]


def test_files_and_what_is_not_there_are_taken_as_they_are(tree: Path) -> None:
    items = list_items([str(tree / "a/1.mp4"), str(tree / "gone.mp4")], "out", keeps_tree=True)
    assert places(items) == ["1.mp4", "gone.mp4"]


def test_lists_and_addresses_give_their_videos(tree: Path) -> None:
    rows = "path,label,split\nv/a/1.mp4,x,train\nv/c/1.mp4,y,test\n"
    (tree.parent / "list.csv").write_text(rows)
    source = str(tree.parent / "list.csv")
    assert places(list_items([source], "out", keeps_tree=True)) == ["v/a/1.mp4", "v/c/1.mp4"]
    assert places(list_items([f"{source}?part=test"], "out", keeps_tree=True)) == ["v/c/1.mp4"]


def test_a_video_is_there_once(tree: Path) -> None:
    source = str(tree / "a/1.mp4")
    assert len(list_items([source, source], "out", keeps_tree=True)) == 1


def test_two_videos_cannot_have_one_place(tree: Path) -> None:
    sources = [str(tree / "a/1.mp4"), str(tree / "c/1.mp4")]
    with pytest.raises(InputError, match=r"c/1\.mp4 and .*a/1\.mp4 would both become 1\.mp4 in o"):
        list_items(sources, "out", keeps_tree=True)
    assert len(list_items(sources, "out", keeps_tree=False)) == 2


def test_the_folder_of_results_is_not_looked_into(tree: Path) -> None:
    assert places(list_items([str(tree)], str(tree / "a"), keeps_tree=True)) == ["c/1.mp4"]


@pytest.mark.parametrize(
    ("source", "message"),
    [("", "holds no videos"), ("nothing.csv", "no such folder or CSV"), ("ucf101:", "missing")],
)
def test_what_holds_no_videos_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        list_items([source or "empty"], "out", keeps_tree=True)
