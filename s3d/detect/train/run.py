"""A run's folder: what is in it, and whether a command may go on with it.

run.json           what was asked for, the plan, the classes, what was wrong with the data
state.ckpt         all that a killed run needs to go on
history.jsonl      a line now and then
model.safetensors  the detector, at the end
cache/             decoded frames, removed at the end
flow/              optical flow, where it is looked at and no other folder was named for it
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.plan import DetectorPlan
from s3d.errors import InputError
from s3d.files import make_folder, show_path, write_json
from s3d.train.run import check_empty, check_same

FORMAT = "s3d-detector-run-1"
CACHE_FOLDER, FLOW_FOLDER = "cache", "flow"
# These change where, how fast or how far a run computes, not what.
_FREE_OPTIONS = ("out", "device", "threads", "checkpoint_seconds", "cache_gb", "max_failed")


@dataclass(frozen=True)
class DetectorRun:
    """Hold what is fixed for the whole of a run.

    Attributes:
        folder: Where everything is kept.
        config: What was asked for.
        plan: What was chosen.
        labels: Class names.
        digest: Of the videos and boxes it learns from, and of what it starts from.
        notes: What was wrong with the data, a line a kind.
    """

    folder: Path
    config: DetectorConfig
    plan: DetectorPlan
    labels: tuple[str, ...]
    digest: str
    notes: tuple[str, ...]

    @property
    def state_path(self) -> Path:
        """Return where the state is kept."""
        return self.folder / "state.ckpt"

    @property
    def model_path(self) -> Path:
        """Return where the detector is kept."""
        return self.folder / "model.safetensors"

    @property
    def history_path(self) -> Path:
        """Return where what was seen on the way is kept."""
        return self.folder / "history.jsonl"

    @property
    def cache_path(self) -> Path:
        """Return the folder of decoded frames."""
        return self.folder / CACHE_FOLDER

    @property
    def flow_path(self) -> Path:
        """Return the folder of flow."""
        return flow_folder(self.config)

    def begin(self) -> None:
        """Make the folder and write run.json.

        Raises:
            InputError: The disk will not take it.
        """
        make_folder(self.folder)
        values = {
            "format": FORMAT,
            "config": self.config.to_json(),
            "plan": self.plan.to_json(),
            "labels": list(self.labels),
            "digest": self.digest,
            "notes": list(self.notes),
        }
        write_json(self.folder / "run.json", values)


def flow_folder(config: DetectorConfig) -> Path:
    """Return where flow is kept: where it was asked for, or in the run's folder."""
    return Path(config.flow) if config.flow else Path(config.out) / FLOW_FOLDER


def digest_data(
    videos: Sequence[AnnotatedVideo], labels: Sequence[str], starts: Sequence[str]
) -> str:
    """Return a hash of what is learnt from: other boxes would make another run of it."""
    found = hashlib.sha256(json.dumps([list(labels), list(starts)]).encode())
    for video in videos:
        found.update(json.dumps([video.name, video.size_px]).encode() + video.frames.tobytes())
        for tube in video.tubes:
            found.update(str(tube.label).encode() + tube.frames.tobytes() + tube.boxes.tobytes())
    return found.hexdigest()


def find_run(config: DetectorConfig) -> DetectorRun | None:
    """Return the run that is in the folder already; None where it is empty or not there.

    Raises:
        InputError: The folder holds something else, or a run with other options.
    """
    folder = Path(config.out)
    if folder.is_file():
        raise InputError(f"{show_path(folder)}: is a file; --out needs a folder.")
    path = folder / "run.json"
    if not path.exists():
        # Flow is computed before the run's numbers are settled: a kill may leave it alone there.
        check_empty(folder, (CACHE_FOLDER, FLOW_FOLDER))
        return None
    damaged = InputError(
        f"{show_path(path)}: is damaged, or no training of a detector. Choose another --out."
    )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise damaged
        found = DetectorConfig(**values["config"])
        check_same(config, found, folder, _FREE_OPTIONS)
        return DetectorRun(
            folder,
            replace(found, **_free(config)),
            DetectorPlan.from_json(values["plan"]),
            tuple(values["labels"]),
            str(values["digest"]),
            tuple(values["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise damaged from None


def _free(config: DetectorConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in _FREE_OPTIONS}
