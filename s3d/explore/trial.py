"""A trial: one candidate trained once and scored; a folder that says everything about it.

TRIAL/trial.json      what is to be done
TRIAL/run/            the run of `s3d train`, which goes on where it was killed
TRIAL/scores.npz      the scores of every scored video, forwards and, where asked for, backwards
TRIAL/outcome.json    what came of it; written last
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from s3d.data.videos import VideoList, list_videos
from s3d.errors import InputError
from s3d.evaluate.evaluation import Evaluation, evaluate
from s3d.explore.candidate import Candidate
from s3d.explore.machine import describe_machine
from s3d.files import make_folder, show_path, write_atomically, write_json
from s3d.infer.recognizer import load
from s3d.models.device import choose_device
from s3d.train.config import NONE, TrainConfig
from s3d.train.train import train

FORMAT = "s3d-trial-1"
ENGINE = "torch"
"""Scores need no engine measured first; latency is measured elsewhere."""


@dataclass(frozen=True)
class Trial:
    """Say what is trained, on what, and how it is scored.

    Attributes:
        candidate: The network and its clip.
        seed: Of the training.
        epochs: Times each clip is seen.
        data: What is trained on, as `s3d train` takes it; all of it.
        scored: What is scored, as `s3d evaluate` takes it.
        fold: Which part of the data was left out, where it was parted more than once.
        protocol: Which clips of a video are scored.
        plays_reversed: Score the videos played backwards too.
        options: Fields of `TrainConfig` that all trials share; from random weights where `init`
            is not among them.
    """

    candidate: Candidate
    seed: int
    epochs: int
    data: str
    scored: str
    fold: int = 0
    protocol: str = "clip"
    plays_reversed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return f"{self.candidate.name}-e{self.epochs}-f{self.fold}-s{self.seed}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"format": FORMAT, **asdict(self), "options": dict(self.options)}

    def config(self, folder: Path) -> TrainConfig:
        """Return the options of its training.

        Raises:
            InputError: One cannot be used.
        """
        candidate = self.candidate
        # All of the data is trained on and the last weights are kept: the scored videos choose
        # nothing, so that what they say is not of their own choosing.
        fixed: dict[str, Any] = {
            "data": self.data,
            "out": str(folder / "run"),
            "network": candidate.network,
            "width": float(candidate.width),
            "frames": candidate.frames,
            "size": candidate.size_px,
            "rate_fps": float(candidate.rate_fps),
            "epochs": self.epochs,
            "seed": self.seed,
            "val_share": 0.0,
            "keep": "last",
        }
        return TrainConfig(**{"init": NONE, **self.options, **fixed})


@dataclass(frozen=True)
class Outcome:
    """Say what came of a trial.

    Attributes:
        name: Of the trial.
        error: Why nothing came of it; the figures are then empty.
        top1: Share of the scored videos that were named right.
        videos: How many were scored.
        listed: How many there should be.
        reversed_top1: Share named by their own class when played backwards; None if not asked for.
        minutes: Of training; over all calls, where it was killed.
        date: When it ended.
        hardware: What trained it.
    """

    name: str
    error: str | None = None
    top1: float = 0.0
    videos: int = 0
    listed: int = 0
    reversed_top1: float | None = None
    minutes: float = 0.0
    date: str = ""
    hardware: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Scores:
    """Hold the scores of the scored videos.

    Attributes:
        labels: The K classes.
        paths: Of the V videos that could be scored.
        truth: (V,) class numbers.
        forwards: (V, K).
        backwards: (V, K); None if they were not played backwards.
    """

    labels: tuple[str, ...]
    paths: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    forwards: npt.NDArray[np.float32]
    backwards: npt.NDArray[np.float32] | None = None

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Return (V,) which videos are named right."""
        right: npt.NDArray[np.bool_] = self.forwards.argmax(1) == self.truth
        return right


def plan_trial(folder: Path, trial: Trial) -> Path:
    """Make a trial's folder below `folder`, or find it, and return it.

    Raises:
        InputError: It is there for another trial, or cannot be made.
    """
    place = folder / trial.name
    path = place / "trial.json"
    if path.exists():
        if _read_json(path) != json.loads(json.dumps(trial.to_json())):
            raise InputError(
                f"{show_path(place)}: holds a trial with other settings. Choose another --out."
            )
        return place
    make_folder(place)
    write_json(path, trial.to_json())
    return place


def read_trial(place: Path) -> Trial:
    """Return what is to be done in a trial's folder.

    Raises:
        InputError: There is no trial, or it is damaged.
    """
    values = _read_json(place / "trial.json")
    try:
        if values.pop("format") != FORMAT:
            raise ValueError("another version")
        return Trial(**{**values, "candidate": Candidate(**values["candidate"])})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _damaged(place / "trial.json") from None


def read_outcome(place: Path) -> Outcome | None:
    """Return what came of a trial; None where it has not ended.

    Raises:
        InputError: The file is damaged.
    """
    path = place / "outcome.json"
    if not path.exists():
        return None
    try:
        return Outcome(**_read_json(path))
    except TypeError:
        raise _damaged(path) from None


def read_scores(place: Path) -> Scores:
    """Return the scores of a trial that has ended well.

    Raises:
        InputError: They are missing or damaged.
    """
    path = place / "scores.npz"
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            backwards = file.get("backwards", None)
            return Scores(
                tuple(map(str, file["labels"])), tuple(map(str, file["paths"])),
                file["truth"], file["forwards"], backwards,
            )  # fmt: skip
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        raise _damaged(path) from None


def run_trial(place: Path) -> Outcome:
    """Train and score what a trial's folder says; where that was done, only read it.

    Args:
        place: The folder.

    Returns:
        What came of it; a failure is an outcome too, and is tried again by the next call.

    Raises:
        InputError: The folder holds no trial, or cannot be written to.
    """
    trial = read_trial(place)
    found = read_outcome(place)
    if found is not None and found.error is None:
        return found
    try:
        outcome = _train_and_score(place, trial)
    except InputError as error:
        outcome = Outcome(trial.name, error=str(error))
    write_json(place / "outcome.json", asdict(outcome))
    return outcome


def _train_and_score(place: Path, trial: Trial) -> Outcome:
    config = trial.config(place)
    videos = list_videos(trial.scored, least_classes=1)
    model = train(config, quiet=True)
    recognizer = load(model)
    recognizer.use(ENGINE)
    forwards = evaluate(recognizer, videos, trial.protocol)
    backwards = evaluate(recognizer, videos, trial.protocol, True) if trial.plays_reversed else None
    _save_scores(place / "scores.npz", videos, forwards, backwards)
    (place / "run" / "state.ckpt").unlink(missing_ok=True)  # Twice the model, for nothing now.
    return Outcome(
        name=trial.name,
        top1=forwards.top(1),
        videos=len(forwards.truth),
        listed=forwards.found,
        reversed_top1=backwards.top(1) if backwards else None,
        minutes=_count_minutes(place / "run"),
        date=datetime.now().astimezone().isoformat(timespec="minutes"),
        hardware=describe_machine(choose_device(config.device)),
    )


def _save_scores(
    path: Path, videos: VideoList, forwards: Evaluation, backwards: Evaluation | None
) -> None:
    failed = {name for name, _ in forwards.failures}
    values: dict[str, npt.NDArray[Any]] = {
        "labels": np.array(forwards.labels),
        "paths": np.array([v.path for v in videos.videos if v.path not in failed]),
        "truth": forwards.truth,
        "forwards": forwards.scores,
    }
    if backwards is not None:
        values["backwards"] = backwards.scores

    def write(beside: Path) -> None:
        with beside.open("wb") as file:
            np.savez_compressed(file, **values)  # type: ignore[arg-type]

    write_atomically(path, write)


def _count_minutes(run: Path) -> float:
    """Return how long the epochs took, those before a kill too."""
    lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return sum(float(json.loads(line)["seconds"]) for line in lines) / 60


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise _damaged(path) from None
    if not isinstance(values, dict):
        raise _damaged(path)
    return values


def _damaged(path: Path) -> InputError:
    return InputError(f"{show_path(path)}: is missing or damaged. Delete its folder to try again.")
