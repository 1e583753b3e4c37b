"""The job of `s3d check --out`: what is odd about each video, for the doctor to judge the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from s3d.batch.job import Item, Outcome, Row
from s3d.data.examine import Examination, examine
from s3d.files import show_path

COLUMNS = {
    "path": "string", "frames": "int64", "kinds": "list string", "details": "list string",
    "signature": "list float32", "signature_shape": "list int64",
}  # fmt: skip


@dataclass(frozen=True)
class CheckJob:
    """Decode each video whole and note what is odd about it."""

    device: str = "cpu"

    def open(self) -> CheckTask:
        """Return the work itself."""
        return CheckTask()


class CheckTask:
    """A `CheckJob` at work: there is nothing to open."""

    columns: Mapping[str, str] = COLUMNS
    settings: Mapping[str, Any] = {"verb": "check"}

    def __call__(self, item: Item) -> Outcome:
        """Examine one video."""
        found = examine(item.path)
        signature = np.zeros(0, np.float32) if found.signature is None else found.signature
        shown = show_path(item.path)
        row = {
            "frames": found.frames,
            "kinds": [kind for kind, _ in found.oddities],
            "details": [detail.removeprefix(f"{shown}: ") for _, detail in found.oddities],
            "signature": signature.reshape(-1),
            "signature_shape": list(signature.shape),
        }
        return Outcome(item.path, (row,))


def examinations(rows: Iterable[Row]) -> dict[str, Examination]:
    """Return what rows say, by their path.

    Args:
        rows: With every column of `COLUMNS`.
    """
    found = {}
    for row in rows:
        oddities = tuple(zip(row["kinds"], row["details"], strict=True))
        values = np.asarray(row["signature"], np.float32)
        signature = values.reshape(row["signature_shape"]) if values.size else None
        found[row["path"]] = Examination(row["path"], oddities, row["frames"], signature)
    return found
