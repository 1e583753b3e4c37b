"""A file is whole or absent."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from s3d.errors import InputError
from s3d.files import (
    make_folder,
    show_path,
    write_atomically,
    write_bytes,
    write_json,
    write_text,
    write_together,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"\0\1")
    write_text(tmp_path / "b", "Tür\n押す")
    write_json(tmp_path / "c", {"Tür": [1, None]})
    assert (tmp_path / "a").read_bytes() == b"\0\1"
    assert (tmp_path / "b").read_bytes() == "Tür\n押す".encode()
    assert json.loads((tmp_path / "c").read_text(encoding="utf-8")) == {"Tür": [1, None]}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def write(beside: Path) -> None:
        beside.write_text("new")
        assert path.read_text() == "old"
        assert beside.parent == tmp_path

    write_atomically(path, write)
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_a_writer_that_fails_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fail(beside: Path) -> None:
        beside.write_text("half")
        raise error

    for name in ("a", "b"):
        with pytest.raises(error):
            write_atomically(tmp_path / name, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_disk_that_fills_is_told_in_one_line(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written \(File too large\)\. Free"):
            write_bytes(tmp_path / "a", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none/a", "No such file or directory"),
        ("file/a", "Not a directory"),
        ("folder", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("a\nb/c", "No such file or directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_in_one_line(
    name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=rf"cannot be written \({reason}\)\. Free some") as caught:
        write_text(tmp_path / name, "a")
    assert str(caught.value).isprintable()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "file/a", "x" * 300):
        with pytest.raises(InputError, match=r"the folder cannot be made \(.*Choose another place"):
            make_folder(tmp_path / name)


def test_a_folder_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InputError, match=r"no permission to write there\. Choose another place"):
        make_folder(tmp_path)


def test_a_path_is_shown_on_one_line() -> None:
    assert show_path("plain/Tür.mp4") == "plain/Tür.mp4"
    assert show_path(Path("a\nb\x1b[0m")) == "a\\nb\\x1b[0m"
    assert show_path(os.fsdecode(b"a\xff")) == "a\\udcff"


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_name_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no file can be there"):
        write_text(Path(name), "x")


# Files that belong together


def test_files_that_belong_together_come_together(tmp_path: Path) -> None:
    paths = [tmp_path / "m.bin", tmp_path / "m.xml"]
    for text in ("one", "two"):

        def write(folder: Path, text: str = text) -> None:
            for path in paths:
                (folder / path.name).write_text(text)

        write_together(paths, write)
        assert [path.read_text() for path in paths] == [text, text]
    assert sorted(tmp_path.iterdir()) == paths


def test_of_files_that_fail_none_is_changed(tmp_path: Path) -> None:
    paths = [tmp_path / "m.bin", tmp_path / "m.xml"]
    for path in paths:
        path.write_text("old")

    def fail(folder: Path) -> None:
        (folder / "m.bin").write_text("new")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_together(paths, fail)
    assert [path.read_text() for path in paths] == ["old", "old"]
    # One that was not written is an error of the system.
    with pytest.raises(InputError, match=r"m\.xml: cannot be written"):
        write_together(paths, lambda folder: None)
    assert sorted(tmp_path.iterdir()) == paths


def test_a_kill_between_the_two_leaves_none_that_stands_for_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "m.bin", tmp_path / "m.xml"]
    for path in paths:
        path.write_text("old")

    def write(folder: Path) -> None:
        for path in paths:
            (folder / path.name).write_text("new")

    rename = Path.replace

    def replace_first_only(self: Path, target: Path) -> Path:
        if target.suffix == ".xml":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace_first_only)
    with pytest.raises(KeyboardInterrupt):
        write_together(paths, write)
    assert list(tmp_path.iterdir()) == [tmp_path / "m.bin"]
