"""What every analysis leaves behind: a table, its numbers, a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from s3d.files import write_bytes, write_json

Row = Mapping[str, object]


def write_analysis(
    folder: Path, name: str, values: object, rows: Sequence[Row], picture: bytes
) -> None:
    """Write <name>.json, <name>.csv and <name>.png, each whole or not at all.

    Args:
        folder: That holds them; it is there.
        name: Of the analysis.
        values: What the JSON says.
        rows: Of the table, all with the same columns; at least one.
        picture: A PNG.

    Raises:
        InputError: The disk will not take it.
    """
    write_json(folder / f"{name}.json", values)
    write_bytes(folder / f"{name}.csv", format_csv(rows).encode("utf-8", "surrogateescape"))
    write_bytes(folder / f"{name}.png", picture)


def format_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV with a header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
