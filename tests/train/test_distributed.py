"""Two processes train and score as one does: shares, gradients, norms, kills, broken files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s3d.cli import main
from s3d.errors import InputError
from s3d.models.processes import ALONE, Processes
from s3d.train import train as train_module
from s3d.train.config import TrainConfig
from s3d.train.display import Display
from s3d.train.distributed import check_norms, check_shares, describe_processes, seed_dropout
from s3d.train.loop import Trainer
from s3d.train.plan import Machine
from s3d.train.prepare import prepare_run
from s3d.train.run import find_run, start_run
from s3d.train.state import load_state
from s3d.train.train import open_trainer
from tests.conftest import WriteVideo
from tests.tiny import tiny_config, tiny_words
from tests.train.in_double import compute_in_double

# Nothing random that depends on how a step is divided, and a batch that two cannot share evenly.
OPTIONS: dict[str, Any] = {
    "batch": 5, "epochs": 10, "size": 64, "frames": 8, "dropout": 0.0, "optimizer": "sgd",
    "lr": 1e-4, "sync_norms": True, "checkpoint_seconds": 0,
}  # fmt: skip
STEPS = 20
CLOSE = 1e-8
"""In float64; in float32, where the issue asks for 1e-5, kernels are that close at --lr 1e-5."""
DOUBLE = "tests.train.in_double"
MakeTrainer = Callable[..., Trainer]


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a folder of 2 classes, told apart by which way a texture moves."""
    folder, rng = tmp_path_factory.mktemp("waves"), np.random.default_rng(0)
    for way, label in ((4, "left"), (-4, "right")):
        (folder / label).mkdir()
        for number in range(6):
            texture = rng.integers(0, 200, (12, 12, 3)).repeat(6, 0).repeat(6, 1)
            frames = np.stack([np.roll(texture, way * t, 1) for t in range(8)]).astype(np.uint8)
            path = folder / label / f"{number}.mp4"
            write_video(path, frames, 8, codec="mpeg4", options={"qscale": "2"})
    return folder


def launch(
    processes: int, module: str, *words: str | Path, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a module under torchrun."""
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, "-m", *start, "-m", module, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environ},
        timeout=100,
        check=False,
    )


def train_double(folder: Path, waves: Path, processes: int, kill: str = "", **options: Any) -> Any:
    """Train in float64 and return what torchrun gave."""
    words = ["train", waves, "--quiet", *tiny_words(**{**OPTIONS, **options}), "--out", folder]
    return launch(processes, DOUBLE, *words, S3D_TEST_KILL=kill)


@pytest.fixture
def in_double(monkeypatch: pytest.MonkeyPatch) -> Any:
    compute_in_double(monkeypatch.setattr)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def alone(waves: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run in one process, in float64, with PyTorch's own norms."""
    out = tmp_path_factory.mktemp("alone") / "run"
    with pytest.MonkeyPatch.context() as patch:
        compute_in_double(patch.setattr)
        train_module.train(tiny_config(waves, out, **{**OPTIONS, "sync_norms": False}), quiet=True)
    torch.set_default_dtype(torch.float32)
    return out


def state_of(folder: Path) -> dict[str, Any]:
    state = load_state(folder / "state.ckpt")
    assert state is not None
    return state


def assert_same_run(found: Path, wanted: Path, steps: int) -> None:
    """Check that two runs ended with the same weights, statistics and figures."""
    one, other = state_of(found), state_of(wanted)
    assert one["step"] == other["step"] == steps
    pairs = [(one["network"][name], tensor) for name, tensor in other["network"].items()]
    pairs += zip(one["average"], other["average"], strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, atol=CLOSE, rtol=CLOSE)
    for mine, theirs in zip(one["history"], other["history"], strict=True):
        for name in ("train_loss", "train_top1", "val_loss", "val_top1", "rate", "step"):
            assert mine[name] == pytest.approx(theirs[name], abs=1e-6), name


@pytest.mark.timeout(120)
def test_two_processes_end_with_the_weights_and_figures_of_one(
    waves: Path, alone: Path, tmp_path: Path
) -> None:
    done = train_double(tmp_path / "run", waves, 2)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_run(tmp_path / "run", alone, STEPS)
    history = state_of(alone)["history"]
    assert abs(history[0]["val_loss"] - history[-1]["val_loss"]) > 1e-4, "it learnt"
    assert not (tmp_path / "run" / "cache").exists()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "2 processes: cpu" in page


@pytest.mark.timeout(240)
def test_a_run_whose_process_was_killed_goes_on_under_another_number(
    waves: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_double: None
) -> None:
    killed = train_double(tmp_path / "run", waves, 2, kill="1:6")
    assert killed.returncode != 0
    assert state_of(tmp_path / "run")["step"] in (5, 6)

    def take_step(self: Trainer, parts: Any) -> None:
        whole_step(self, parts)
        if self.step == 11:
            raise KeyboardInterrupt

    whole_step = Trainer._take_step
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_take_step", take_step)
        train_module.train(tiny_config(waves, tmp_path / "run", **OPTIONS), quiet=True)
    assert state_of(tmp_path / "run")["step"] == 10
    done = train_double(tmp_path / "run", waves, 3)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_run(tmp_path / "run", alone, STEPS)


@pytest.mark.timeout(120)
def test_parts_on_two_processes_are_the_parts_of_one(
    waves: Path, tmp_path: Path, in_double: None
) -> None:
    options = {**OPTIONS, "batch": 9, "accumulate": 2, "epochs": 6, "ema": 0.0}
    train_module.train(tiny_config(waves, tmp_path / "one", **options), quiet=True)
    done = train_double(tmp_path / "two", waves, 2, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_run(tmp_path / "two", tmp_path / "one", 6)


@pytest.mark.timeout(120)
def test_kept_features_and_norms_of_their_own_train_on_two_processes(
    colours: Path, tiny_model: Path, tmp_path: Path
) -> None:
    free = ("network", "width", "frames", "rate_fps", "size")
    words = [w for w in tiny_words(batch=5, epochs=2) if w[2:].partition("=")[0].replace("-", "_")
             not in free]  # fmt: skip
    words += ["--init", str(tiny_model), "--freeze-until", "mixed4c", "--views", "2"]
    done = launch(2, "s3d", "train", colours, *words, "--mixup=0.2", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("a norm sees the clips of its own process") == 1
    assert done.stderr.count("epoch    2 ") == 1
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.timeout(120)
def test_videos_scored_by_two_processes_count_once_and_broken_ones_are_named(
    colours: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{path},{path.parent.name}" for path in sorted(colours.glob("*/*"))[3:12]]
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    rows.insert(4, f"{tmp_path / 'broken.mp4'},red")
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    words = ["evaluate", tmp_path / "list.csv", "--model", tiny_model, "--json"]
    shared = launch(2, "s3d", *words, "--protocol", "all-frames")
    assert shared.returncode == 0, shared.stderr[-3000:]
    assert main([*map(str, words), "--protocol", "all-frames"]) == 0
    found, wanted = json.loads(shared.stdout), json.loads(capsys.readouterr().out)
    assert found.pop("seconds")
    assert wanted.pop("seconds")
    assert found == wanted
    assert (found["videos_scored"], len(found["failures"])) == (9, 1)


@pytest.mark.timeout(60)
def test_what_is_wrong_is_said_by_one_process(colours: Path, tmp_path: Path) -> None:
    words = tiny_words(**{**OPTIONS, "batch": 3, "accumulate": 2})
    done = launch(2, "s3d", "train", colours, *words, "--out", tmp_path / "run")
    said = [line for line in done.stderr.splitlines() if line.startswith("s3d: ")]
    assert done.returncode != 0
    assert len(said) == 1, said
    assert "--batch 3 on 2 processes in 2 parts leaves one without a clip; at least 4" in said[0]
    assert "exitcode  : 2" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_part_without_clips_is_refused() -> None:
    with pytest.raises(InputError, match="--accumulate 9 parts of --batch 8 leave parts without"):
        TrainConfig(batch=8, accumulate=9)
    check_shares(TrainConfig(batch=8, accumulate=4), Processes(world=2))
    with pytest.raises(InputError, match=r"--batch 8 on 3 processes in 4 parts .* at least 12"):
        check_shares(TrainConfig(batch=8, accumulate=4), Processes(world=3))


@pytest.fixture
def make_trainer(colours: Path, tmp_path: Path) -> MakeTrainer:
    def make(name: str = "run", **options: Any) -> Trainer:
        config = tiny_config(colours, tmp_path / name, **options)
        machine, display = Machine("cpu", 2), Display(quiet=True)
        run = find_run(config) or prepare_run(config, machine, display.stage)
        start_run(run)
        return open_trainer(run, machine, display)

    return make


def test_one_value_a_channel_is_refused(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    config, plan = trainer.run.config, trainer.run.plan
    check_norms(config, plan, ALONE)
    check_norms(TrainConfig(batch=8, sync_norms=True), plan, Processes(world=8))
    with pytest.raises(InputError, match="--batch 8 on 8 processes in 1 parts leaves a norm one"):
        check_norms(config, plan, Processes(world=8))


def gradients(trainer: Trainer, parts: Sequence[Any]) -> list[Tensor]:
    """Return the gradients of a step from the weights a trainer has."""
    trainer.optimizer.step = lambda *_: None  # type: ignore[method-assign, assignment]
    trainer._take_step(parts)
    return [p.grad.clone() for p in trainer.trained.parameters() if p.grad is not None]


def test_gradients_of_uneven_parts_add_up_to_that_of_the_batch(
    make_trainer: MakeTrainer, in_double: None
) -> None:
    options = {"batch": 7, "dropout": 0.0, "label_smoothing": 0.1}
    whole, parted = make_trainer("one", **options), make_trainer("two", accumulate=3, **options)
    for trainer in (whole, parted):
        trainer.network.eval()  # Norms that see a part alone would differ, and are fixed here.
    parts = list(parted.loader.batches(0))[:3]
    assert [len(part.labels) for part in parts] == [3, 2, 2]
    wanted = gradients(whole, [next(whole.loader.batches(0))])
    found = gradients(parted, parts)
    assert len(found) == len(wanted) > 10
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
    assert parted.sums[:3] == pytest.approx(whole.sums[:3])


def test_draws_differ_by_part_and_process_but_not_by_run() -> None:
    def draw(*place: int) -> tuple[float, tuple[int, ...]]:
        seed = seed_dropout(3, *place)
        return float(torch.rand(1)), seed

    places = [(5, 0, 0), (5, 0, 1), (5, 1, 0), (6, 0, 0), (5, 1, 1)]
    drawn = [draw(*place) for place in places]
    assert drawn == [draw(*place) for place in places]
    assert len({value for value, _ in drawn}) == len({seed for _, seed in drawn}) == len(places)
    torch.manual_seed(3 * 1_000_003 + 5)
    assert drawn[0] == (float(torch.rand(1)), (3, 5))


def test_what_is_divided_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert describe_processes(TrainConfig(), ALONE, "cpu") == []
    two = Processes(0, 2, 0, 2)
    lines = describe_processes(TrainConfig(accumulate=4, sync_norms=True), two, "cpu")
    assert ["2 processes share" in lines[0], "4 parts" in lines[1], "1 thread" in lines[2]] == [
        True
    ] * 3
    assert len(describe_processes(TrainConfig(), two, "cuda")) == 1
