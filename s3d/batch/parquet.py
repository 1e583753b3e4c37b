"""Rows in Parquet files, through pyarrow, which is an extra."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s3d.batch.job import Row
from s3d.errors import InputError
from s3d.files import show_path, write_atomically


def check_parquet() -> None:
    """Check that Parquet files can be written.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise InputError(
            "Parquet needs pyarrow, which is not installed. Run: pip install 's3d[parquet]'"
        ) from None


def write_rows(
    path: Path, rows: Sequence[Row], columns: Mapping[str, str], settings: Mapping[str, Any]
) -> None:
    """Write rows, whole or not at all.

    Args:
        path: The file.
        rows: A value a column each.
        columns: Kinds by name: pyarrow's names of types, "list " before that of their members.
        settings: Put into the file under the key "s3d", as JSON.

    Raises:
        InputError: The disk will not take it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {"s3d": json.dumps(settings)}
    schema = pa.schema(
        [(name, _type_of(kind)) for name, kind in columns.items()], metadata=metadata
    )
    arrays = [
        pa.array([row[field.name] for row in rows], field.type, from_pandas=False)
        for field in schema
    ]
    table = pa.Table.from_arrays(arrays, schema=schema)
    write_atomically(path, lambda beside: pq.write_table(table, beside))


def read_columns(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return columns of a Parquet file.

    Raises:
        InputError: It is damaged, or has no such columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found: dict[str, list[Any]] = pq.read_table(path, columns=list(names)).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{show_path(path)}: cannot be read ({str(error).splitlines()[0]}). Delete it; what it "
            "held is then done again."
        ) from None
    if set(found) != set(names):
        raise InputError(f"{show_path(path)}: is not of this job. Choose another --out.")
    return found


def _type_of(kind: str) -> Any:
    import pyarrow as pa

    name = kind.removeprefix("list ")
    found = pa.type_for_alias(name)
    return found if name == kind else pa.list_(found)
