"""The folder of results: nothing twice, nothing lost but what was not written, one job a folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from s3d.batch import results as results_module
from s3d.batch.job import Item, Outcome, attempt
from s3d.batch.results import Results
from s3d.data.quarantine import read_quarantine
from s3d.errors import InputError

pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: pip install 's3d[parquet]'")

COLUMNS = {"path": "string", "value": "int64", "names": "list string"}
SETTINGS = {"verb": "test", "at": "mixed5c"}


def outcome(name: str, value: int = 0) -> Outcome:
    return Outcome(name, ({"value": value, "names": ["a", name]},))


def rows_of(results: Results) -> list[dict[str, Any]]:
    return sorted(results.read(list(COLUMNS)), key=lambda row: str(row["path"]))


def test_rows_come_back_and_are_left_out_next_time(tmp_path: Path) -> None:
    items = [Item(name, name) for name in ("a", "b", "c")]
    with Results(tmp_path, SETTINGS, COLUMNS) as results:
        assert results.leave_out(items) == items
        results.add(outcome("a", 1))
        results.add(outcome("c", 3))
    with Results(tmp_path, SETTINGS, COLUMNS) as results:
        assert results.leave_out(items) == [items[1]]
        results.add(outcome("b", 2))
    assert rows_of(results) == [
        {"path": name, "value": value, "names": ["a", name]}
        for name, value in (("a", 1), ("b", 2), ("c", 3))
    ]
    assert len(results.parts) == 2


def test_a_video_that_comes_twice_is_there_once(tmp_path: Path) -> None:
    with Results(tmp_path, SETTINGS, COLUMNS) as results:
        results.add(outcome("a", 1))
        results.add(outcome("a", 2))
        results.flush()
        results.add(outcome("a", 3))
    assert [row["value"] for row in rows_of(results)] == [1]


def test_failures_are_listed_and_tried_again(tmp_path: Path) -> None:
    bad = str(tmp_path / "bad, bad.mp4")
    with Results(tmp_path, SETTINGS, COLUMNS) as results:
        results.add(Outcome(bad, error="is empty."))
    assert read_quarantine(tmp_path / "failures.csv") == {bad: "is empty."}
    assert not results.parts
    with Results(tmp_path, SETTINGS, COLUMNS) as results:
        assert results.leave_out([Item(bad, "bad")])
        results.add(outcome(bad))
    assert not (tmp_path / "failures.csv").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("ROWS_A_PART", 2), ("BYTES_A_PART", 40), ("SECONDS_A_PART", 0)]
)
def test_parts_are_written_before_they_grow_large_or_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    monkeypatch.setattr(results_module, name, value)
    results = Results(tmp_path, SETTINGS, COLUMNS)
    for number in range(4):
        results.add(outcome(str(number)))
    assert len(results.parts) >= 2  # and nothing was closed
    results.lock.close()


def test_a_part_is_named_by_what_it_holds(tmp_path: Path) -> None:
    names = []
    for folder in ("one", "two"):
        with Results(tmp_path / folder, SETTINGS, COLUMNS) as results:
            results.add(outcome("a"))
        names.append(results.parts[0].name)
    assert names[0] == names[1]


def test_what_a_killed_process_was_writing_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".part-0123.parquet.99.part"
    left.write_bytes(b"PAR1")
    with Results(tmp_path, SETTINGS, COLUMNS) as results:
        assert not results.done
    assert not left.exists()


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    with Results(tmp_path, SETTINGS, COLUMNS) as results:
        results.add(outcome("a"))
    wanted = rf"{tmp_path}: holds results of other settings \(at is mixed5c there, mixed4f asked\)"
    with pytest.raises(InputError, match=wanted):
        Results(tmp_path, {**SETTINGS, "at": "mixed4f"}, COLUMNS)
    with Results(tmp_path, SETTINGS, COLUMNS) as results:  # the lock is free again
        assert results.done == {"a"}


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_record_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(InputError, match=r"job\.json: is no record of a job"):
        Results(tmp_path, SETTINGS, COLUMNS)


def test_parts_without_a_record_are_refused(tmp_path: Path) -> None:
    (tmp_path / "part-1.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds parts but no job\.json"):
        Results(tmp_path, SETTINGS, COLUMNS)


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps(SETTINGS))
    (tmp_path / "part-1.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(InputError, match=r"part-1\.parquet: cannot be read .*Delete it"):
        Results(tmp_path, SETTINGS, COLUMNS)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_two_processes_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with (
        Results(tmp_path, SETTINGS, COLUMNS),
        pytest.raises(InputError, match="another process writes there"),
    ):
        Results(tmp_path, SETTINGS, COLUMNS)


def test_names_that_are_not_utf8_can_be_stored_and_found(tmp_path: Path) -> None:
    item = Item("/v/\udcff.mp4", "x")
    with Results(tmp_path, SETTINGS, COLUMNS) as results:
        results.add(Outcome(item.path, ({"value": 1, "names": []},)))
    with Results(tmp_path, SETTINGS, COLUMNS) as results:
        assert results.leave_out([item]) == []


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"not installed\. Run: pip install 's3d\[parquet\]'"):
        Results(tmp_path / "out", SETTINGS, COLUMNS)
    assert not (tmp_path / "out").exists()


class Faulty:
    columns, settings = COLUMNS, SETTINGS

    def __call__(self, item: Item) -> Outcome:
        raise InputError("it is bad.") if item.path == "bad" else RuntimeError("boom")


def test_a_fault_of_ours_ends_one_video_alone() -> None:
    assert attempt(Faulty(), Item("bad", "")) == Outcome("bad", error="it is bad.")
    found = attempt(Faulty(), Item("x", ""))
    assert found.error == "x: a fault of s3d (RuntimeError: boom). Report it with the video."
