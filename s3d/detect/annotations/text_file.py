"""Text files that people bring: bounded, decoded, and refused in one line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from s3d.errors import InputError
from s3d.files import show_path

MOST_JSON_BYTES = 1 << 30


def read_bounded(path: Path, most_bytes: int) -> str:
    """Return the text of a file.

    Args:
        path: The file.
        most_bytes: More is refused before it is read.

    Raises:
        InputError: It cannot be read, is too large or is not UTF-8.
    """
    shown = show_path(path)
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise InputError(f"{shown}: is larger than {most_bytes:,} bytes. Check what it is.")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{shown}: is not UTF-8 text. Save it as UTF-8.") from None
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}). Check the path.") from None


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; NaN and Infinity are read as numbers.

    Raises:
        InputError: It is none, or is too large.
    """
    text = read_bounded(path, MOST_JSON_BYTES)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        reason = f"line {error.lineno}: {error.msg}"
    except RecursionError:
        reason = "nested too deeply"
    except ValueError:
        reason = "a number of too many digits"
    raise InputError(f"{show_path(path)}: is no JSON ({reason}). Export or copy it again.")


def number_or_nan(text: str) -> float:
    """Return the number that a text is; NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
