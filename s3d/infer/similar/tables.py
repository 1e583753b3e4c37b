"""What a search found, for other programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from s3d.infer.similar.rank import Hit
from s3d.infer.similar.similar import Found

COLUMNS = ("rank", "likeness", "path", "start_seconds", "end_seconds")


def as_json(found: Found, model: str, folder: str) -> dict[str, Any]:
    """Return everything as JSON values.

    Args:
        found: What was found.
        model: The name or path of the model.
        folder: That was searched.
    """
    query = _row(found.query)
    del query["likeness"]
    return {
        "model": model,
        "at": found.recipe.at,
        "window_seconds": found.recipe.spec.span_seconds,
        "stride_seconds": found.recipe.stride,
        "query": query,
        "folder": folder,
        "videos": found.videos,
        "failed": [{"path": path, "error": error} for path, error in found.failures],
        "hits": [{"rank": rank, **_row(hit)} for rank, hit in enumerate(found.hits, 1)],
    }


def format_csv(found: Found) -> str:
    """Return the hits as CSV with the columns of `COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, hit in enumerate(found.hits, 1):
        row = _row(hit)
        writer.writerow([rank, *(row[name] for name in COLUMNS[1:])])
    return text.getvalue()


def _row(hit: Hit) -> dict[str, Any]:
    return {
        "likeness": round(hit.likeness, 4),
        "path": hit.path,
        "start_seconds": round(hit.start_seconds, 3),
        "end_seconds": round(hit.end_seconds, 3),
    }
