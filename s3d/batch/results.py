"""The folder of results: parts that are whole or absent, and a list of what failed.

    job.json               the settings; a call with others is refused
    part-<hash>.parquet    rows; all rows of a video lie in one part
    failures.csv           path and reason, as `--quarantine` reads them; tried again next time

One process writes, so a video that was worked on twice, after its worker died, is there once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from s3d.batch.job import Item, Outcome, Row
from s3d.batch.lock import lock_folder
from s3d.batch.parquet import check_parquet, read_columns, write_rows
from s3d.data.quarantine import write_quarantine
from s3d.errors import InputError
from s3d.files import make_folder, show_path, write_json

JOB = "job.json"
FAILURES = "failures.csv"

ROWS_A_PART = 20_000
BYTES_A_PART = 64 * 2**20
SECONDS_A_PART = 20.0
"""At most so much is lost when the process is killed."""


class Results:
    """Take the rows of a job into a folder; use it in a `with` statement.

    Attributes:
        folder: Where.
        done: Keys of the videos that are in.
        failures: (path, reason) of this call.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], columns: Mapping[str, str]
    ) -> None:
        if columns:
            check_parquet()
        self.folder, self.settings, self.columns = folder, settings, columns
        self.done: set[str] = set()
        self.failures: dict[str, str] = {}
        self.rows: list[Row] = []
        self.keys: list[str] = []
        self.bytes = 0
        self.since = time.monotonic()
        make_folder(folder)
        self.lock = _take_folder(folder)
        try:
            self._take_up()
        except BaseException:
            self.lock.close()
            raise

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.flush()
            self._write_failures()
        finally:
            self.lock.close()

    @property
    def parts(self) -> list[Path]:
        """Return the finished parts."""
        return sorted(self.folder.glob("part-*.parquet"))

    def leave_out(self, items: Sequence[Item]) -> list[Item]:
        """Return the videos that are not in yet."""
        return [item for item in items if as_text(item.path) not in self.done]

    def add(self, outcome: Outcome) -> None:
        """Take what became of a video; a second time is passed over.

        Raises:
            InputError: The disk will not take it.
        """
        key = as_text(outcome.path)
        if key in self.done:
            return
        if outcome.error is not None:
            self.failures[outcome.path] = outcome.error
            return
        self.done.add(key)
        self.keys.append(key)
        self.rows += [{"path": key, **row} for row in outcome.rows]
        self.bytes += sum(_size(value) for row in outcome.rows for value in row.values())
        waited = time.monotonic() - self.since
        if len(self.rows) >= ROWS_A_PART or self.bytes >= BYTES_A_PART or waited >= SECONDS_A_PART:
            self.flush()

    def flush(self) -> None:
        """Write what is held as a part.

        Raises:
            InputError: The disk will not take it.
        """
        if self.rows:
            # Named by what it holds, so that the same part written again replaces itself.
            name = hashlib.sha256("\n".join(sorted(self.keys)).encode()).hexdigest()[:16]
            path = self.folder / f"part-{name}.parquet"
            write_rows(path, self.rows, self.columns, self.settings)
        self.rows, self.keys, self.bytes = [], [], 0
        self.since = time.monotonic()

    def read(self, names: Sequence[str]) -> Iterable[Row]:
        """Yield rows of everything that is in, with some of their columns.

        Raises:
            InputError: A part is damaged.
        """
        for part in self.parts:
            found = read_columns(part, names)
            for values in zip(*found.values(), strict=True):
                yield dict(zip(found, values, strict=True))

    def _take_up(self) -> None:
        place = self.folder / JOB
        wanted = json.loads(json.dumps(self.settings))
        if place.exists():
            _check_same(place, wanted)
        elif self.parts:
            raise InputError(
                f"{show_path(self.folder)}: holds parts but no {JOB}. Choose another --out."
            )
        else:
            write_json(place, wanted)
        for left in self.folder.glob(".*.part"):
            left.unlink(missing_ok=True)  # What a killed process was writing.
        for part in self.parts:
            self.done.update(read_columns(part, ["path"])["path"])

    def _write_failures(self) -> None:
        place = self.folder / FAILURES
        if self.failures:
            write_quarantine(place, self.failures.items())
        else:
            place.unlink(missing_ok=True)


def as_text(path: str) -> str:
    """Return a path as text that can be stored, whatever bytes its name holds."""
    return path.encode("utf-8", "backslashreplace").decode()


def _check_same(place: Path, wanted: dict[str, Any]) -> None:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{show_path(place)}: is no record of a job. Choose another --out.")
    if found != wanted:
        raise InputError(
            f"{show_path(place.parent)}: holds results of other settings "
            f"({differences(found, wanted)}). Choose another --out, or delete it."
        )


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return how settings differ, as "at is mixed4f there, mixed5c asked"."""
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    shown = [
        f"{name} is {_short(found.get(name))} there, {_short(wanted.get(name))} asked"
        for name in names
    ]
    return "; ".join(shown[:3])


def _short(value: Any) -> str:
    text = show_path(str(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _size(value: Any) -> int:
    found = getattr(value, "nbytes", None)
    return int(found) if found is not None else 8 * len(value) if isinstance(value, list) else 8


def _take_folder(folder: Path) -> BinaryIO:
    lock = lock_folder(folder)
    if lock is None:
        raise InputError(
            f"{show_path(folder)}: another process writes there. Wait for it, or choose another "
            "--out."
        )
    return lock
