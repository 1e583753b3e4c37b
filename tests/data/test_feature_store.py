"""Features are found again after a kill, and only those of the very same question."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.data.feature_store import FeatureStore
from s3d.errors import InputError

SHAPE = (2, 1, 1, 3)
PATHS = [f"{n}.mp4" for n in range(5)]  # 3 to train, 2 views each; 2 to validate


def open_store(folder: Path, key: str = "key") -> FeatureStore:
    return FeatureStore(folder, key, PATHS, train=3, views=2, shape=SHAPE)


def make_rows(first: int, count: int) -> Any:
    rows = np.arange(first, first + count, dtype=np.float32)
    return np.broadcast_to(rows[:, None, None, None, None], (count, *SHAPE))


def fill(store: FeatureStore) -> None:
    store.add(2, make_rows(0, 4), {})
    store.add(1, make_rows(4, 2), {2: "2.mp4: is broken."})
    store.add(2, make_rows(6, 2), {})
    store.save()


def test_every_clip_has_its_row_and_a_failure_its_reason(tmp_path: Path) -> None:
    store = open_store(tmp_path / "cache")
    assert not store.is_whole
    fill(store)
    assert store.is_whole
    found = [store.read(video, view)[0, 0, 0, 0] for video in (0, 1) for view in (0, 1)]
    assert found == [0, 1, 2, 3]
    assert [store.read(video)[1, 0, 0, 2] for video in (3, 4)] == [6, 7]
    assert store.read(4).shape == SHAPE
    with pytest.raises(InputError, match=r"2\.mp4: is broken"):
        store.read(2, 1)


def test_a_whole_file_is_taken_up_with_its_failures(tmp_path: Path) -> None:
    fill(open_store(tmp_path))
    again = open_store(tmp_path)
    assert again.is_whole
    assert again.failures == {2: "2.mp4: is broken."}
    assert again.read(4)[0, 0, 0, 0] == 7


def test_what_was_not_recorded_is_computed_again_and_nothing_else(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.add(2, make_rows(0, 4), {})
    store.save()
    store.add(1, make_rows(90, 2), {})  # killed before its record
    again = open_store(tmp_path)
    assert again.done == 2
    again.add(3, make_rows(4, 4), {})
    assert [again.read(video)[0, 0, 0, 0] for video in (1, 2, 3)] == [2, 4, 6]


@pytest.mark.parametrize("damage", ["key", "short", "record", "count", "gone"])
def test_a_file_of_something_else_is_begun_anew(tmp_path: Path, damage: str) -> None:
    fill(open_store(tmp_path))
    data, record = tmp_path / "features.f32", tmp_path / "features.json"
    if damage == "short":
        data.write_bytes(data.read_bytes()[:-4])
    elif damage == "record":
        record.write_text("{")
    elif damage == "count":
        record.write_text(record.read_text().replace('"done": 5', '"done": 6'))
    elif damage == "gone":
        data.unlink()
    again = open_store(tmp_path, "other" if damage == "key" else "key")
    assert (again.done, again.failures) == (0, {})
    assert data.stat().st_size == 0
    assert not record.exists()


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)

    def fill_disk(*arguments: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", fill_disk)
    said = r"features\.f32: cannot be written \(No space left.*--cache-gb 0"
    with pytest.raises(InputError, match=said):
        store.add(1, make_rows(0, 2), {})
    with pytest.raises(InputError, match=said):
        store.save()
    assert store.done == 0
