"""A data set that is drawn into a folder: claimed, gone on with where it broke off, never mixed.

DIR/sample.json    the settings; with others nothing is written
DIR/train/, DIR/train.csv, DIR/test/, DIR/test.csv
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from s3d.errors import InputError
from s3d.files import make_folder, write_bytes

SPLITS = ("train", "test")
CONTENT = {"sample.json", "train.csv", "test.csv", *SPLITS}

Progress = Callable[[int, int], None]
"""Called with (videos there, videos in all) after each video."""


def count_scenes(split: str, difficulty: float) -> int:
    """Return how many scenes a split has: more of them the harder it is."""
    low, more = {"train": (6, 34), "test": (3, 9)}[split]
    return low + round(more * difficulty)


def claim_folder(directory: Path, settings: Mapping[str, object]) -> None:
    """Check that the directory is ours to write, and put the settings there.

    Args:
        directory: New, empty, or begun with the same settings.
        settings: What tells one data set from another.

    Raises:
        InputError: It holds other things or cannot be written.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file; the sample data needs a directory.")
    make_folder(directory)
    # What a killed run was writing has a hidden name, and says nothing.
    found = [path.name for path in sorted(directory.iterdir()) if path.suffix != ".part"]
    text = json.dumps(settings, indent=1) + "\n"
    note = directory / "sample.json"
    strangers = [name for name in found if name not in CONTENT]
    if strangers or (found and not note.exists()):
        other = (strangers or found)[0]
        raise InputError(f"{directory} holds other things ({other}); choose a new directory.")
    if not note.exists():
        write_bytes(note, text.encode())
    elif note.read_bytes() != text.encode():
        raise InputError(
            f"{directory} holds sample data with other settings (see sample.json); "
            "use the same settings or choose a new directory."
        )


def write_missing(
    directory: Path, paths: Sequence[str], draw: Callable[[int], bytes], progress: Progress | None
) -> int:
    """Write the files that are not there yet, each whole or absent.

    Args:
        directory: As it was claimed.
        paths: Of all files, in it.
        draw: Gives the content of the file at a place of `paths`, in any of several threads.
        progress: Told after each file.

    Returns:
        How many were written.
    """
    _prepare_folders(directory, paths)
    missing = [place for place, path in enumerate(paths) if not (directory / path).exists()]

    def write(place: int) -> None:
        write_bytes(directory / paths[place], draw(place))

    done = len(paths) - len(missing)
    # Threads: numpy and x264 let go of the interpreter, which gives nine tenths of what processes
    # give on two cores, without their trouble with torch's threads and unguarded scripts.
    pool = ThreadPoolExecutor(count_cores())
    try:
        for there, _ in enumerate(pool.map(write, missing), done + 1):
            if progress is not None:
                progress(there, len(paths))
    finally:
        pool.shutdown(cancel_futures=True)
    return len(missing)


def write_if_other(path: Path, content: bytes) -> None:
    """Write a file unless it holds just that."""
    if not path.exists() or path.read_bytes() != content:
        write_bytes(path, content)


def check_action(action: str, known: Sequence[str]) -> None:
    """Raise InputError, with the near ones, where an action is not among those known."""
    if action in known:
        return
    near = difflib.get_close_matches(str(action), known, n=3)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"unknown action {action!r}. {hint}Known: {', '.join(known)}.")


def check_actions(actions: Sequence[str], known: Sequence[str]) -> None:
    """Raise InputError where actions are none, unknown or named twice."""
    if not actions:
        raise InputError(f"no actions asked for; choose from {', '.join(known)}.")
    for action in actions:
        check_action(action, known)
    if len(set(actions)) < len(actions):
        raise InputError(f"actions name one twice: {', '.join(actions)}.")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise InputError where a value is not a number, whole if `low` is, from low to high."""
    kinds = (int,) if isinstance(low, int) else (int, float)
    # NaN fails the comparison.
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "a whole number" if isinstance(low, int) else "a number"
        raise InputError(f"{name} is {value!r}; it needs {kind} from {low} to {high}.")


def count_cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _prepare_folders(directory: Path, paths: Sequence[str]) -> None:
    for folder in sorted({(directory / path).parent for path in paths}):
        make_folder(folder)
    for part in directory.rglob(".*.part"):
        part.unlink(missing_ok=True)
