"""A run's folder: what is in it, and whether a command may go on with it.

run.json           what was asked for, the plan, which videos train and validate
state.ckpt         all that a killed run needs to go on
history.jsonl      one line an epoch
model.safetensors  the best model so far
report.html, .png  at the end
cache/             decoded frames or frozen features, removed at the end
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3d.data.videos import Video
from s3d.errors import InputError
from s3d.files import make_folder, show_path, write_json
from s3d.train.config import TrainConfig
from s3d.train.plan import Plan

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FORMAT = "s3d-run-2"
# These change where, how fast or how far a run computes, not what.
_FREE_OPTIONS = ("out", "device", "threads", "checkpoint_seconds", "cache_gb", "max_failed")


@dataclass(frozen=True)
class Run:
    """Hold what is fixed for the whole of a run.

    Attributes:
        folder: Where everything is kept.
        config: What was asked for.
        plan: What was chosen.
        labels: Class names.
        train: Videos trained on.
        val: Videos validated on; empty where no honest split was possible.
        failures: (path, reason) of files that could not be used.
        notes: What was decided about the data, and why.
        coverage: How many of the listed videos it uses.
    """

    folder: Path
    config: TrainConfig
    plan: Plan
    labels: tuple[str, ...]
    train: tuple[Video, ...]
    val: tuple[Video, ...]
    failures: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    coverage: str = ""

    @property
    def state_path(self) -> Path:
        """Return where the state is kept."""
        return self.folder / "state.ckpt"

    @property
    def model_path(self) -> Path:
        """Return where the best model is kept."""
        return self.folder / "model.safetensors"

    @property
    def cache_path(self) -> Path:
        """Return the folder of decoded frames or features."""
        return self.folder / "cache"

    @property
    def is_finished(self) -> bool:
        """Return whether the run has come to its end."""
        return (self.folder / "report.html").exists() and self.model_path.exists()

    def save(self) -> None:
        """Write run.json.

        Raises:
            InputError: The disk will not take it.
        """
        values = {
            "format": FORMAT,
            "config": self.config.to_json(),
            "plan": self.plan.to_json(),
            "labels": list(self.labels),
            "train": [asdict(video) for video in self.train],
            "val": [asdict(video) for video in self.val],
            "failures": [list(f) for f in self.failures],
            "notes": list(self.notes),
            "coverage": self.coverage,
        }
        write_json(self.folder / "run.json", values)


def find_run(config: TrainConfig) -> Run | None:
    """Return the run that is in the folder already, None where it is empty or not there.

    Raises:
        InputError: The folder holds something else, or a run with other options.
    """
    folder = Path(config.out)
    if not config.out:
        raise InputError("--out is missing: name a folder for the run.")
    if folder.is_file():
        raise InputError(f"{folder}: is a file; --out needs a folder.")
    path = folder / "run.json"
    if not path.exists():
        check_empty(folder)
        return None
    values = _read(path)
    try:
        found = TrainConfig(**values["config"])
    except (TypeError, InputError):
        raise _damaged(path) from None
    check_same(config, found, folder, _FREE_OPTIONS)
    try:
        return Run(
            folder,
            replace(found, **{name: getattr(config, name) for name in _FREE_OPTIONS}),
            Plan.from_json(values["plan"]),
            tuple(values["labels"]),
            tuple(Video(**video) for video in values["train"]),
            tuple(Video(**video) for video in values["val"]),
            tuple((p, r) for p, r in values["failures"]),
            tuple(values["notes"]),
            str(values["coverage"]),
        )
    except (TypeError, KeyError, ValueError, AttributeError):
        raise _damaged(path) from None


def start_run(run: Run) -> None:
    """Make a new run's folder and write run.json; where that fails, nothing is left.

    Raises:
        InputError: The folder cannot be made or written to.
    """
    is_new = not run.folder.exists()
    make_folder(run.folder)
    try:
        run.save()
    except InputError:
        if is_new:
            with contextlib.suppress(OSError):
                run.folder.rmdir()
        raise


def check_writable(folder: Path) -> None:
    """Check that a folder can be written to, or made.

    Raises:
        InputError: There is no permission.
    """
    # os.path, since Path.exists raises where one may not even look.
    above = (folder, *folder.absolute().parents)
    there = next((path for path in above if os.path.exists(path)), Path("/"))  # noqa: PTH110
    if there.is_dir() and not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{show_path(there)}: no permission to write there. Choose another --out.")


def remove_parts(folder: Path) -> None:
    """Remove what a killed run was writing."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        names = {option.name for option in fields(TrainConfig)}
        if values["format"] != FORMAT or set(values["config"]) != names:
            raise _damaged(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path) from None
    return dict(values)


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path}: is damaged or of another version of s3d. Choose another --out, or delete it."
    )


def check_empty(folder: Path, ours: Sequence[str] = ("cache",)) -> None:
    """Check that a run may begin in a folder.

    Args:
        folder: That of the run.
        ours: What a run that was killed before it wrote run.json may have left there.

    Raises:
        InputError: It holds something else, or cannot be read.
    """
    try:
        found = [path.name for path in folder.iterdir()] if folder.exists() else []
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}). Choose another.") from None
    # A run killed while it wrote run.json leaves but a part of that.
    others = sorted(n for n in found if n not in ours and not fnmatch(n, ".run.json.*.part"))
    if others:
        more = ", ..." if len(others) > 1 else ""
        raise InputError(
            f"{folder}: holds other things ({show_path(others[0])}{more}); --out needs a new or "
            "empty folder, or that of an interrupted run."
        )


def check_same(
    config: DataclassInstance, found: DataclassInstance, folder: Path, free: Sequence[str]
) -> None:
    """Check that a run is gone on with under the options that it began with.

    Args:
        config: What is asked for now.
        found: What was asked for then, of the same kind.
        folder: Of the run.
        free: Options that may change.

    Raises:
        InputError: Another one has changed.
    """
    for option in fields(found):
        name = option.name
        if name in free:
            continue
        asked, had = getattr(config, name), getattr(found, name)
        if asked != had:
            raise InputError(
                f"{folder}: holds a run with {name} {had!r}, not {asked!r}. "
                "Give the same options to go on with it, or choose another --out."
            )
