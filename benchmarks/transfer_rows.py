"""The rows of benchmarks/transfer.py: one file each while they are measured, then one record.

WORK/rows/NAME.json   one row, whole or absent; whoever finds it does not measure it again
WORK/claims/NAME/     locked by the process that measures it, so that two share the work
results/transfer.json all rows
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

from s3d.batch.lock import lock_folder
from s3d.explore.machine import describe_machine
from s3d.files import make_folder, write_json

RECORD = Path(__file__).parent / "results" / "transfer.json"
FIGHTS, SAMPLE = "fights", "sample"
SCRATCH, TRUNK, PROBE = "scratch", "trunk", "probe"

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """Say what a row measures.

    Attributes:
        data: "fights" or "sample".
        start: "scratch", "trunk", "probe"; or "trunk@BLOCK", frozen until there ("trunk@none").
        seed: Of the training; on the sample data also of which clips it sees.
        clips_per_class: Of the sample data.
        fold: Of the fights: the one left out.
    """

    data: str
    start: str
    seed: int
    clips_per_class: int | None = None
    fold: int | None = None

    @property
    def name(self) -> str:
        """Return a name that can be a file's."""
        where = f"fold{self.fold}" if self.data == FIGHTS else f"{self.clips_per_class:02d}"
        return f"{self.data}_{self.start}_{where}_seed{self.seed}"

    @property
    def needs_trunk(self) -> bool:
        """Return whether another trunk would give another row."""
        return self.start != SCRATCH


def job_of(row: Mapping[str, Any]) -> Job:
    """Return what a row measures."""
    return Job(row["data"], row["start"], row["seed"], row.get("clips_per_class"), row.get("fold"))


def make_row(job: Job, measured: Mapping[str, Any], trunk: str | None) -> Row:
    """Return a row: what was measured of what, when and where.

    Args:
        job: What.
        measured: top1, mean_class_accuracy, test_videos, minutes, and whatever else is known.
        trunk: The sha256 of the trunk's file, where one was used.
    """
    machine = describe_machine()
    hardware = f"{machine.get('gpu', machine['cpu'])}, {machine['threads']} threads"
    own = {"trunk": trunk if job.needs_trunk else None, "date": date.today().isoformat()}
    return {**asdict(job), **measured, **own, "hardware": hardware}


def is_of(row: Mapping[str, Any], trunk: str | None) -> bool:
    """Return whether a row still counts: what another trunk gave does not."""
    return row["start"] == SCRATCH or row.get("trunk") == trunk


class RowFolder:
    """Keep the rows of a benchmark that several processes measure together."""

    def __init__(self, work: Path, trunk: str | None, record: Path = RECORD) -> None:
        """Open a folder of rows.

        Args:
            work: The folder; it is made.
            trunk: The sha256 of the trunk whose rows count.
            record: Of all rows.
        """
        self.work, self.trunk, self.record = work, trunk, record
        make_folder(work / "rows")

    def has(self, job: Job) -> bool:
        """Return whether a row has been measured, here or for the record."""
        return job in {job_of(row) for row in self.rows()}

    def rows(self) -> list[Row]:
        """Return every row that counts, those of this folder before those of the record."""
        found: dict[Job, Row] = {}
        for row in (*self._recorded(), *self._kept()):
            if is_of(row, self.trunk):
                found[job_of(row)] = row
        return [found[job] for job in sorted(found, key=_order)]

    def keep(self, row: Row) -> None:
        """Write a row."""
        write_json(self.work / "rows" / f"{job_of(row).name}.json", row)

    def claim(self, job: Job) -> BinaryIO | None:
        """Take a job for this process until the file is closed; None where another has it."""
        folder = self.work / "claims" / job.name
        make_folder(folder)
        return lock_folder(folder)

    def collect(self, about: Mapping[str, Any]) -> list[Row]:
        """Write the record of all rows, also of those that others keep, and return these.

        Args:
            about: What else the record says.
        """
        while (lock := lock_folder(self.work)) is None:
            time.sleep(0.05)
        with lock:
            rows = self.rows()
            today = {"date": date.today().isoformat()}
            make_folder(self.record.parent)
            write_json(self.record, {**today, **about, "rows": rows, **describe_machine()})
        return rows

    def _kept(self) -> Iterable[Row]:
        for path in sorted((self.work / "rows").glob("*.json")):
            yield json.loads(path.read_text(encoding="utf-8"))

    def _recorded(self) -> Sequence[Row]:
        if not self.record.exists():
            return ()
        rows: list[Row] = json.loads(self.record.read_text(encoding="utf-8"))["rows"]
        return rows


def read_lines(path: Path, trunk: str | None) -> list[Row]:
    """Return rows that were measured elsewhere, a line of JSON each.

    Args:
        path: Of the file; a row has at least data, start, seed, top1, test_videos, and fold or
            clips_per_class.
        trunk: The sha256 that rows of a trunk need to name.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            rows.append(_import_row(json.loads(line), f"{path}, line {number}", trunk))
    return rows


def _import_row(values: Row, place: str, trunk: str | None) -> Row:
    missing = {"data", "start", "seed", "top1", "test_videos"} - set(values)
    if missing:
        raise SystemExit(f"{place}: lacks {', '.join(sorted(missing))}; a row needs them all.")
    if not 0 <= values["top1"] <= 1:
        raise SystemExit(f"{place}: top1 is {values['top1']}; it needs a share from 0 to 1.")
    if not is_of(values, trunk):
        raise SystemExit(f"{place}: is of another trunk than the one shipped; measure it again.")
    job = job_of(values)
    if (job.fold is None) == (job.clips_per_class is None):
        raise SystemExit(f"{place}: a row has a fold (fights) or clips_per_class (sample data).")
    minutes = values.pop("minutes_this_time", None)
    return {**make_row(job, {"minutes": minutes}, trunk), **values}


def _order(job: Job) -> tuple[Any, ...]:
    return job.data, job.clips_per_class or 0, job.start, job.seed, job.fold or 0
