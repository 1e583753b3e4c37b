"""What tests of the whole share: options of a net that trains in seconds, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from s3d.cli import main
from s3d.train.config import TrainConfig

TINY: dict[str, Any] = {
    "network": "s3d_fast",
    "size": 32,
    "width": 0.1,
    "frames": 4,
    "rate_fps": 8,
    "batch": 8,
    "epochs": 3,
    "lr": 1e-2,
    "ema": 0.8,
    "norm_decay": 0.6,
    "jitter": 0.05,
    "device": "cpu",
    "threads": 2,
}


def tiny_config(data: Path, out: Path, **options: Any) -> TrainConfig:
    """Return the configuration of a run of seconds."""
    return TrainConfig(data=str(data), out=str(out), **{**TINY, **options})


def tiny_words(**options: Any) -> list[str]:
    """Return the same options as words of the command line."""
    words = []
    for name, value in {**TINY, **options}.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words.append(f"--{flag}={value}")
    return words


def run_s3d(*words: str | Path, cwd: Path | None = None, **environ: str) -> Any:
    """Run the command in a process of its own; give what it printed and its code."""
    return subprocess.run(
        [sys.executable, "-m", "s3d.cli", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environ},
        timeout=280,
        check=False,
    )


def refuse(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Check that a command is refused in one line with code 2; return the line."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert (code, len(lines)) == (2, 1), err
    assert lines[0].startswith("s3d: ")
    assert not out
    return lines[0]
