"""A run of few clips trains with low blocks as they are, then all, and keeps the better."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from s3d.errors import InputError
from s3d.models.model_file import load_model, weights_of
from s3d.models.shipped.trunks import load_shipped
from s3d.train import train as train_module
from s3d.train.run import find_run
from s3d.train.train import train
from s3d.train.two_ways import FOLDER, find_frozen_run, keep_better
from tests.tiny import TINY, tiny_config

SHORT: dict[str, Any] = {**TINY, "network": None, "width": None, "epochs": 2, "lr": 1e-3}
LOW = "mixed4e.entry.weight"


def is_trunk(path: Path) -> bool:
    """Return whether the low blocks of a model are those of the trunk."""
    trunk = weights_of(load_shipped("motion-wide").network)
    return torch.equal(weights_of(load_model(path).network)[LOW], trunk[LOW])


def set_loss(folder: Path, loss: float) -> None:
    path = folder / "history.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("\n".join(json.dumps({**line, "val_loss": loss}) for line in lines) + "\n")


@pytest.fixture(scope="module")
def done(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two") / "run"
    train(tiny_config(colours, out, **SHORT), quiet=True)
    return out


def test_both_ways_are_trained_and_the_better_is_kept(
    done: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen = done / FOLDER
    config = tiny_config(colours, done, **SHORT)
    run = find_run(config)
    assert run is not None
    assert (run.plan.freeze_until, run.plan.also_until) == (None, "mixed4f")
    assert is_trunk(frozen / "model.safetensors")
    assert not (frozen / "cache").exists()
    other = find_frozen_run(run)
    assert other is not None
    assert other.is_finished
    assert (other.train, other.val, other.labels) == (run.train, run.val, run.labels)
    assert (other.plan.freeze_until, other.plan.also_until) == ("mixed4f", None)

    set_loss(done, 0.5)
    set_loss(frozen, 0.7)
    before = (done / "model.safetensors").read_bytes()
    assert keep_better(run) == (
        "training all blocks validated better: validation loss 0.700 with low blocks as they are, "
        "0.500 with all trained"
    )
    assert (done / "model.safetensors").read_bytes() == before

    set_loss(frozen, 0.54)
    assert "leaving low blocks as they are is kept in doubt: validation loss 0.540" in (
        keep_better(run)
    )
    assert (done / "model.safetensors").read_bytes() == (frozen / "model.safetensors").read_bytes()

    set_loss(frozen, 0.3)
    assert "leaving low blocks as they are validated better" in keep_better(run)
    for name in ("model.safetensors", "report.html", "report.png"):
        assert (done / name).read_bytes() == (frozen / name).read_bytes()
    assert "run, trained above mixed4f" in (done / "report.html").read_text()
    assert is_trunk(done / "model.safetensors")

    # What was added to the model since then stays.
    (done / "model.safetensors").write_bytes(b"with a metric")
    assert "0.300 with low blocks as they are, 0.500 with" in keep_better(run)
    assert (done / "model.safetensors").read_bytes() == b"with a metric"
    train(config)
    assert "this run is finished" in capsys.readouterr().err


def test_a_run_killed_between_the_two_goes_on_with_the_second(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    config, trained = tiny_config(colours, tmp_path / "run", **SHORT), list[str]()
    true = train_module._train

    def train_first(run: Any, *parts: Any) -> None:
        trained.append(run.folder.name)
        if len(trained) == 2:
            raise Killed
        true(run, *parts)

    monkeypatch.setattr(train_module, "_train", train_first)
    with pytest.raises(Killed):
        train(config, quiet=True)
    train(config, quiet=True)
    assert trained == [FOLDER, "run", "run"]
    assert (tmp_path / "run" / "report.html").exists()


def test_a_finished_run_does_without_its_other_way(
    done: Path, colours: Path, tmp_path: Path
) -> None:
    shutil.copytree(done, tmp_path / "run", ignore=shutil.ignore_patterns(FOLDER))
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    config = tiny_config(colours, tmp_path / "run", **SHORT)
    run = find_run(replace(config, out=str(done)))
    assert run is not None
    assert "is not there any more" in keep_better(replace(run, folder=tmp_path / "run"))
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_a_history_that_cannot_be_read(done: Path, colours: Path) -> None:
    run = find_run(tiny_config(colours, done, **SHORT))
    assert run is not None
    path = done / FOLDER / "history.jsonl"
    kept = path.read_text()
    path.write_text("[")
    with pytest.raises(InputError, match=r"history\.jsonl: is damaged"):
        keep_better(run)
    path.write_text(kept)
