"""Training twice where labels say little: with low blocks as they are, and with all.

RUN/frozen/   a run of its own, of the same videos, begun and ended first: it is over soon, since
              what frozen blocks give is computed once
RUN/          the run of all blocks; in the end its model and report are those of the better, in
              doubt of the other
"""

from __future__ import annotations

import filecmp
import json
from dataclasses import replace
from pathlib import Path

from s3d.errors import InputError
from s3d.files import write_bytes
from s3d.train.features import choose_views
from s3d.train.run import Run, find_run, remove_parts, start_run

FOLDER = "frozen"
IN_DOUBT = 0.1
"""By what share of the validation loss training all blocks must be the better. Few held-out clips
do not tell what lies closer, and in doubt blocks that have seen more than these clips go further
in five of six such cases on the fights (docs/trunk.md)."""
_REPORT = "report.html"
_KEPT = ("model.safetensors", "report.png", _REPORT)
"""The report last: where it is that of the better, all is."""


def find_frozen_run(run: Run) -> Run | None:
    """Return the run that leaves low blocks as they are, begun if it was not; None if none is due.

    Raises:
        InputError: Its folder holds something else, or cannot be written to.
    """
    block = run.plan.also_until
    if block is None:
        return None
    folder = run.folder / FOLDER
    config = replace(run.config, out=str(folder), freeze_until=block)
    found = find_run(config)
    if found is not None:
        remove_parts(folder)
    else:
        plan = replace(run.plan, also_until=None, freeze_until=block)
        views, told = choose_views(config, plan, len(run.train), len(run.val))
        said = (f"blocks up to and with {block} stay as they are", *([told] if told else []))
        found = replace(
            run, folder=folder, config=config, plan=replace(plan, views=views, reasons=said)
        )
        start_run(found)
    return found


def keep_better(run: Run) -> str:
    """Make a run's model and report those of the way that validated better; return a line.

    In doubt it is low blocks as they are.

    A second call finds it done. Of a finished run whose other way was deleted nothing changes.

    Raises:
        InputError: The disk will not take them, or a history is damaged.
    """
    frozen = run.folder / FOLDER
    if not (frozen / _REPORT).exists():
        return f"{frozen}: is not there any more; {run.model_path} stays as it is"
    own, other = (_least_loss(folder) for folder in (run.folder, frozen))
    losses = f"validation loss {other:.3f} with low blocks as they are, {own:.3f} with all trained"
    if own < (1 - IN_DOUBT) * other:
        return f"training all blocks validated better: {losses}"
    if not filecmp.cmp(frozen / _REPORT, run.folder / _REPORT, shallow=False):
        for name in _KEPT:
            write_bytes(run.folder / name, (frozen / name).read_bytes())
    better = "validated better" if other <= own else "is kept in doubt"
    return f"leaving low blocks as they are {better}: {losses}; kept is what is in {frozen}"


def _least_loss(folder: Path) -> float:
    """Return the least validation loss of a run."""
    path = folder / "history.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line).get("val_loss") for line in lines]
        return min((float(loss) for loss in found if loss is not None), default=float("inf"))
    except (OSError, ValueError, AttributeError):
        raise InputError(f"{path}: is damaged; choose another --out.") from None
