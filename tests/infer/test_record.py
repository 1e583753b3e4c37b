"""A record gives what was put in, whatever a kill left of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.errors import InputError
from s3d.infer.record import _ENTRY, MAGIC, MOST_ENTRY_BYTES, Record, _read_entries

SETTINGS: dict[str, Any] = {"weights": "abc", "stride": 4}
ROWS = np.random.default_rng(0).random((5, 3), np.float32)


def fill(path: Path, rows: int = 5) -> None:
    with Record(path, SETTINGS, 3) as record:
        record.add_glance(2, b"jpeg of 2")
        for tick, row in enumerate(ROWS[:rows]):
            record.add_window(tick, tick >= 3, row)
        record.add_glance(9, b"jpeg of 9")
        record.add_glance(5, b"jpeg of 5")  # After an end that came early others are chosen.
        record.end_at(77)
        record.complete()


def test_what_is_added_is_given_again(tmp_path: Path) -> None:
    path = tmp_path / "r"
    fill(path)
    record = Record(path, SETTINGS, 3)
    found = list(record.windows())
    assert [(w.tick, w.is_counted) for w in found] == [(t, t >= 3) for t in range(5)]
    np.testing.assert_array_equal([w.scores for w in found], ROWS)
    assert record.glances() == [(2, b"jpeg of 2"), (5, b"jpeg of 5"), (9, b"jpeg of 9")]
    with record:
        progress = record.progress
        assert (progress.windows, progress.is_counted, progress.ends_at) == (5, True, 77)
        assert progress.glances == {2, 5, 9}
        assert progress.is_complete
        size = path.stat().st_size
        record.complete()
        record.add_glance(9, b"another")
        assert path.stat().st_size == size


def test_whatever_length_is_left_what_is_whole_counts(tmp_path: Path) -> None:
    path = tmp_path / "r"
    fill(path)
    content, counts = path.read_bytes(), []
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        with Record(path, SETTINGS, 3) as record:
            counts.append(record.progress.windows)
            assert (
                path.read_bytes() == content[: path.stat().st_size] or not record.progress.windows
            )
            whole = len(list(record.windows()))
            assert whole == counts[-1]
            record.add_window(50, False, ROWS[0])
            assert len(list(record.windows())) == whole + 1
    assert counts == sorted(counts)
    assert set(counts) == set(range(6))


def test_a_byte_that_changed_ends_what_counts(tmp_path: Path) -> None:
    path = tmp_path / "r"
    fill(path)
    content = path.read_bytes()
    for place in range(len(MAGIC), len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0x40
        path.write_bytes(damaged)
        with Record(path, SETTINGS, 3) as record:
            found = [w.scores for w in record.windows()]
            np.testing.assert_array_equal(np.array(found).reshape(-1, 3), ROWS[: len(found)])
            assert not record.progress.is_complete


def test_a_length_that_cannot_be_takes_no_memory() -> None:
    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None and 0 <= size <= MOST_ENTRY_BYTES
            return super().read(size)

    assert list(_read_entries(Watched(_ENTRY.pack(b"W", 2**32 - 1, 0) + b"abc"))) == []


@pytest.mark.parametrize("other", [{"weights": "abc", "stride": 5}, {}, {**SETTINGS, "more": 1}])
def test_other_settings_begin_anew(tmp_path: Path, other: dict[str, Any]) -> None:
    path = tmp_path / "r"
    fill(path)
    with Record(path, other, 3) as record:
        assert record.progress.windows == 0
        assert list(record.windows()) == []
    with Record(path, other, 3) as record:
        record.add_window(0, False, ROWS[0])
    with Record(path, other, 3) as record:
        assert record.progress.windows == 1


def test_what_is_no_record_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "r"
    for content in (b"", b"something else", MAGIC, MAGIC + b"\xff" * 50):
        path.write_bytes(content)
        with Record(path, SETTINGS, 3) as record:
            assert record.progress.windows == 0
    fill(path)
    with Record(path, SETTINGS, 4) as record:  # Entries of another length are none of its own.
        assert record.progress.windows == 0


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none/r: cannot be read or written \(No such file"):
        Record(tmp_path / "none" / "r", SETTINGS, 3).__enter__()
    with pytest.raises(InputError, match="cannot be read or written"):
        list(Record(tmp_path / "r", SETTINGS, 3).windows())
    with pytest.raises(ValueError, match="in a `with` statement alone"):
        Record(tmp_path / "r", SETTINGS, 3).complete()


def test_a_full_disk_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(InputError, match="/dev/full: cannot be read or written"):
        Record(Path("/dev/full"), SETTINGS, 3).__enter__()
