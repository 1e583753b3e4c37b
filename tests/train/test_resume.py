"""A killed run, started again, ends with the same weights, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3d.data.loader import Batch
from s3d.errors import InputError
from s3d.train import train as train_module
from s3d.train.config import TrainConfig
from s3d.train.loop import Trainer
from s3d.train.state import load_state
from s3d.train.train import train
from tests.tiny import tiny_config, tiny_words

# Everything that draws at random or keeps something from step to step.
OPTIONS: dict[str, Any] = {"epochs": 3, "mixup": 0.3, "dropout": 0.5, "flip": True, "batch": 6}
STEPS = 3 * 2


class Killed(BaseException):
    """Stand for a kill, which nothing catches."""


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the report, which takes longer than the run, where it is not looked at."""
    monkeypatch.setattr(train_module, "_report", lambda *parts: None)


@pytest.fixture(scope="module")
def whole(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(tiny_config(colours, out, **OPTIONS), quiet=True)
    return out


def train_until(config: TrainConfig, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train, and be killed when so many steps are taken, before their state is saved."""

    def take_step(self: Trainer, batch: Batch) -> None:
        whole_step(self, batch)
        if self.step >= steps:
            raise Killed

    whole_step = Trainer._take_step
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", take_step)
        with pytest.raises(Killed):
            train(config, quiet=True)


def comparable(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "history.jsonl").read_text().splitlines()
    timing = ("seconds", "clips_per_second")
    return [{k: v for k, v in json.loads(line).items() if k not in timing} for line in lines]


@pytest.mark.parametrize("kills", [[1], [3], [2, 4, 5], [STEPS]])
def test_a_resumed_run_ends_with_the_same_bytes(
    colours: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, kills: list[int]
) -> None:
    config = tiny_config(colours, tmp_path / "run", checkpoint_seconds=0, **OPTIONS)
    for steps in kills:
        train_until(config, steps, monkeypatch)
        assert not (tmp_path / "run" / "report.html").exists()
    model = train(config, quiet=True)
    assert model.read_bytes() == (whole / "model.safetensors").read_bytes()
    assert comparable(tmp_path / "run") == comparable(whole)


def test_threads_cache_and_times_of_saving_change_nothing(
    colours: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(colours, tmp_path / "run", **OPTIONS)
    train_until(replace(config, cache_gb=0.0, checkpoint_seconds=0), 3, monkeypatch)
    train_until(replace(config, threads=3, checkpoint_seconds=1e6), 5, monkeypatch)
    model = train(replace(config, cache_gb=0.0, threads=1), quiet=True)
    assert model.read_bytes() == (whole / "model.safetensors").read_bytes()


def test_another_seed_ends_elsewhere(colours: Path, tmp_path: Path, whole: Path) -> None:
    model = train(tiny_config(colours, tmp_path / "run", seed=1, **OPTIONS), quiet=True)
    assert model.read_bytes() != (whole / "model.safetensors").read_bytes()


def test_it_goes_on_where_it_was_and_says_so(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config = tiny_config(colours, tmp_path / "run", checkpoint_seconds=0, **OPTIONS)
    train_until(config, 4, monkeypatch)
    state = load_state(tmp_path / "run" / "state.ckpt")
    assert state is not None
    assert state["step"] == 3
    (tmp_path / "run" / ".model.safetensors.1.part").write_bytes(b"half")
    train(config)
    assert f"goes on at step 3 of {STEPS}" in capsys.readouterr().err
    assert not list((tmp_path / "run").glob(".*.part"))
    assert not (tmp_path / "run" / "cache").exists()


def test_what_was_logged_before_a_kill_is_not_shown_twice(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = tiny_config(colours, tmp_path / "run", **OPTIONS)

    def save(self: Trainer) -> None:
        if self.step == 4:
            raise Killed
        whole_save(self)

    whole_save = Trainer._save
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Trainer, "_save", save)
        train(config, quiet=True)
    train(config, quiet=True)
    logs = tmp_path / "run" / "tensorboard"
    assert len(list(logs.iterdir())) == 2
    events = module.EventAccumulator(str(logs)).Reload()
    assert [event.step for event in events.Scalars("loss/train")] == [2, 4, 6]


def test_a_finished_run_says_so_and_is_left_alone(
    tiny_run: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in tiny_run.iterdir()}
    (tiny_run / "cache").mkdir()  # killed after its report was written
    model = train(tiny_config(colours, tiny_run, epochs=20))
    assert "this run is finished; its model is" in capsys.readouterr().err
    assert model == tiny_run / "model.safetensors"
    assert {p.name: p.stat().st_mtime_ns for p in tiny_run.iterdir()} == before


def test_a_run_whose_videos_have_gone_says_which(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(colours, tmp_path / "run", **OPTIONS)
    train_until(config, 1, monkeypatch)
    path = tmp_path / "run" / "run.json"
    path.write_text(path.read_text().replace("red/3.mp4", "red/gone.mp4"))
    with pytest.raises(
        InputError, match=r"1 videos of the run are gone .*gone\.mp4.*Put them back"
    ):
        train(config, quiet=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sigkill_at_any_moment_changes_nothing(colours: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "epochs": 20}
    words = [str(colours), "--quiet", *tiny_words(checkpoint_seconds=0, **options)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.killer", str(tmp_path), *words],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    kills = json.loads(done.stdout)
    wanted = (tmp_path / "whole" / "model.safetensors").read_bytes()
    folders = [folder for folder in tmp_path.iterdir() if folder.name != "whole"]
    assert len(folders) >= 2
    for folder in folders:
        assert (folder / "model.safetensors").read_bytes() == wanted, (folder, kills)
        assert (folder / "report.html").exists()
        assert not list(folder.glob(".*.part"))
    assert len(kills["random"]) == 10
    assert len(set(kills["random"])) > 4, "kills at more than four stages"
    assert kills["written"] == [
        "run.json", "frames.u8", "frames.json", "state.ckpt", "history.jsonl",
        "model.safetensors", "state.ckpt", "model.safetensors", "report.png", "report.html",
    ]  # fmt: skip
