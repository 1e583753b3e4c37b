"""The file in which the rows of the miniature are kept, so that every call adds to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from s3d.errors import InputError
from s3d.explore.findings.miniature import Miniature
from s3d.explore.findings.study import Row
from s3d.files import make_folder, show_path, write_json


def read_rows(path: Path, miniature: Miniature) -> list[Row]:
    """Return the rows that are kept, by network and seed; none where there is no file.

    Raises:
        InputError: The file is damaged, or of another recipe.
    """
    if not path.exists():
        return []
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["recipe"] != _recipe(miniature):
            raise InputError(
                f"{show_path(path)}: holds rows of another recipe. Name another --record."
            )
        return [Row(**row) for row in values["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{show_path(path)}: is damaged. Name another --record.") from None


def keep_rows(path: Path, miniature: Miniature, rows: Sequence[Row]) -> None:
    """Write rows; of one network and seed the last counts.

    Raises:
        InputError: The file cannot be written.
    """
    by_name = {(row.network, row.seed): row for row in rows}
    place = {network: number for number, network in enumerate(miniature.networks)}
    order = sorted(by_name, key=lambda key: (place.get(key[0], len(place)), key))
    make_folder(path.parent)
    write_json(
        path,
        {"recipe": _recipe(miniature), "rows": [by_name[key].to_json() for key in order]},
    )


def _recipe(miniature: Miniature) -> dict[str, Any]:
    """Return what rows must share to be compared: which networks and seeds there are may grow."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(miniature)))
    del values["networks"], values["seeds"]
    return values
