"""Train in processes that are killed by SIGKILL: `python -m tests.killer FOLDER TRAIN_WORDS...`.

Prints as JSON where each kill struck: of the folders "random*" the stage found after a kill at a
random moment, of "written" the file of which half was written.
Torch is loaded once and every attempt is a fork, so that kills are cheap and spread over the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

from s3d.cli import main
from s3d.models.cost import count_cost
from s3d.train.state import load_state

# (name, how many of them are written before the kill)
WRITTEN = (
    ("run.json", 0),
    ("frames.u8", 0),
    ("frames.json", 0),
    ("state.ckpt", 0),
    ("history.jsonl", 0),
    ("model.safetensors", 0),
    ("state.ckpt", 2),
    ("model.safetensors", 0),
    ("report.png", 0),
    ("report.html", 0),
)


def run(
    words: list[str], seconds: float | None = None, dies_at: tuple[str, int] | None = None
) -> int:
    """Run the command in a fork, killed after some seconds or when it writes; return its status."""
    child = os.fork()
    if child == 0:
        if dies_at:
            die_when_writing(*dies_at)
        os._exit(main(words))
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def die_when_writing(name: str, spared: int) -> None:
    """Let this process kill itself when half of a file is written, beside its place."""
    replace, left = Path.replace, [spared]

    def strike(self: Path, target: Path) -> Path:
        if Path(target).name == name:
            left[0] -= 1
            if left[0] < 0:
                os.truncate(self, self.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = strike  # type: ignore[assignment, method-assign]


def stage_of(folder: Path) -> str:
    """Return how far a killed run had come."""
    if not (folder / "run.json").exists():
        return "preparing"
    state = load_state(folder / "state.ckpt")
    if state is None:
        return "decoded" if (folder / "cache" / "frames.json").exists() else "decoding"
    return f"step {state['step']}"


def kill_at_random(words: list[str], folder: Path, whole_seconds: float) -> list[str]:
    """Kill ten times at moments from a fixed seed, then let it end; return the stages.

    A run that ends before it was killed ten times makes way for another, in a folder of its own.
    """
    rng, stages, number = random.Random(7), list[str](), 0
    while len(stages) < 10:
        out = folder / f"random{number}"
        status = run([*words, "--out", str(out)], whole_seconds * rng.uniform(0.03, 0.35))
        if os.WIFSIGNALED(status):
            stages.append(stage_of(out))
        else:
            check(status)
            number += 1
    check(run([*words, "--out", str(folder / f"random{number}")]))
    return stages


def kill_when_written(words: list[str]) -> list[str]:
    """Kill at each kind of file, then let it end; return the files."""
    killed = [place[0] for place in WRITTEN if os.WIFSIGNALED(run(words, dies_at=place))]
    check(run(words))
    return killed


def check(status: int) -> None:
    """End with an error where a run that nobody killed failed."""
    if status != 0:
        raise SystemExit(f"a run ended with status {status}")


def load_all() -> None:
    """Load what a run loads on its way, so that its time is spent on the run itself."""
    for name in ("s3d.train.train", "matplotlib.backends.backend_agg", "torch.utils.tensorboard"):
        with contextlib.suppress(ImportError):
            import_module(name)
    count_cost("s3d_fast", 4, (32, 32), width=0.1)


def start() -> None:
    """Train three times: undisturbed, killed at random, killed at each file."""
    folder, words = Path(sys.argv[1]), ["train", *sys.argv[2:]]
    load_all()
    begin = time.monotonic()
    check(run([*words, "--out", str(folder / "whole")]))
    seconds = time.monotonic() - begin
    kills = {
        "random": kill_at_random(words, folder, seconds),
        "written": kill_when_written([*words, "--out", str(folder / "written")]),
    }
    print(json.dumps(kills))


if __name__ == "__main__":
    start()
