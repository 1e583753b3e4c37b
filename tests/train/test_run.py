"""A run's folder: new, taken up, finished, somebody else's or damaged."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3d.errors import InputError
from s3d.train.config import TrainConfig
from s3d.train.run import Run, check_writable, find_run, remove_parts, start_run
from tests.tiny import tiny_config

EPOCHS = 20


@pytest.fixture
def folder(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def config(colours: Path, folder: Path) -> TrainConfig:
    return tiny_config(colours, folder, epochs=EPOCHS)


def found_run(config: TrainConfig) -> Run:
    run = find_run(config)
    assert run is not None
    return run


def edit(folder: Path, **values: Any) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_new_or_empty_folder_holds_no_run(tmp_path: Path) -> None:
    assert find_run(TrainConfig(out=str(tmp_path / "new"))) is None
    assert find_run(TrainConfig(out=str(tmp_path))) is None
    (tmp_path / "cache").mkdir()
    (tmp_path / ".run.json.123.part").write_text("{")  # killed while it wrote run.json
    assert find_run(TrainConfig(out=str(tmp_path))) is None


def test_what_was_saved_is_found(config: TrainConfig, folder: Path, tmp_path: Path) -> None:
    run = found_run(config)
    assert run.is_finished
    assert run.config == config
    assert run.labels == ("blue", "red")
    again = replace(
        run, folder=tmp_path / "again", config=replace(config, out=str(tmp_path / "again"))
    )
    start_run(again)
    assert found_run(again.config) == again
    assert not again.is_finished


def test_names_that_are_not_utf8_are_kept(config: TrainConfig, tmp_path: Path) -> None:
    run = found_run(config)
    odd = replace(run.train[0], path="\udcff ü.mp4")
    again = replace(run, folder=tmp_path / "again", train=(odd, *run.train[1:]))
    start_run(again)
    assert found_run(replace(config, out=str(again.folder))).train == again.train


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("epochs", 4),
        ("lr", 0.5),
        ("seed", 1),
        ("network", "s3d"),
        ("data", "other"),
        ("flip", True),
    ],
)
def test_other_options_are_refused(config: TrainConfig, option: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"holds a run with {option} .*, not {value!r}. Give the"):
        find_run(replace(config, **{option: value}))


@pytest.mark.parametrize(
    ("option", "value"),
    [("threads", 5), ("cache_gb", 0.0), ("checkpoint_seconds", 1.0), ("max_failed", 0.5)],
)
def test_options_that_change_no_result_are_free(
    config: TrainConfig, option: str, value: Any
) -> None:
    changed = replace(config, **{option: value})
    assert found_run(changed).config == changed


@pytest.mark.parametrize("name", ["notes.txt", "model.safetensors", ".hidden"])
def test_a_folder_of_other_things_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"holds other things \\({name}\\); --out needs a new or"):
        find_run(TrainConfig(out=str(tmp_path)))
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; --out needs a folder"):
        find_run(TrainConfig(out=str(tmp_path / "file")))
    with pytest.raises(InputError, match="--out is missing"):
        find_run(TrainConfig())


@pytest.mark.parametrize(
    "values",
    [
        {"format": "s3d-run-0"},
        {"plan": None},
        {"plan": {}},
        {"labels": 3},
        {"train": [{"name": "x"}]},
        {"val": 1},
        {"config": {}},
        {"config": None},
        {"failures": [1]},
    ],
)
def test_a_damaged_run_is_refused(
    config: TrainConfig, folder: Path, values: dict[str, Any]
) -> None:
    edit(folder, **values)
    with pytest.raises(InputError, match=r"run\.json: is damaged|plan is damaged"):
        find_run(config)


def test_a_config_of_the_wrong_kind_is_refused(config: TrainConfig, folder: Path) -> None:
    edit(folder, config={**config.to_json(), "lr": "x"})
    with pytest.raises(InputError, match=r"run\.json: is damaged"):
        find_run(config)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{", b"null"])
def test_what_is_not_json_is_refused(config: TrainConfig, folder: Path, content: bytes) -> None:
    (folder / "run.json").write_bytes(content)
    with pytest.raises(InputError, match=r"run\.json: is damaged"):
        find_run(config)


def test_parts_that_a_kill_left_are_removed_and_nothing_else(folder: Path) -> None:
    before = sorted(p.name for p in folder.iterdir())
    (folder / ".model.safetensors.77.part").write_text("half")
    remove_parts(folder)
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.mark.parametrize("is_new", [True, False])
def test_a_full_disk_leaves_no_new_folder(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    def fill(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = replace(found_run(config), folder=tmp_path / "full")
    if not is_new:
        run.folder.mkdir()
    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(InputError, match=r"run\.json: cannot be written \(No space left"):
        start_run(run)
    assert run.folder.exists() != is_new


def test_a_folder_that_may_not_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "a" / "b")
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(InputError, match="no permission to write there"):
        check_writable(tmp_path / "a" / "b")
