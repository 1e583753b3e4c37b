"""A trunk is learnt, killed, gone on with, and comes out the same."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import s3d
from s3d import compiled
from s3d.errors import InputError
from s3d.models.model_file import load_model
from s3d.pretrain import pretrain as pretraining
from s3d.pretrain.pretrain import plan_at, pretrain
from s3d.pretrain.settings import PretrainConfig

pytestmark = pytest.mark.skipif(
    compiled.find_compiler() is None, reason="no C compiler is here to draw with"
)
TINY = PretrainConfig(
    network="s3d_fast", width=0.05, clips=48, batch=8, frames=8, size_px=32, late_size_px=48
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_sizes_and_difficulty_grow() -> None:
    config = replace(TINY, clips=800, late_from=0.5, hard_from=0.2)
    assert config.steps == 100
    assert [config.size_at(step) for step in (0, 49, 50, 99)] == [32, 32, 48, 48]
    hardest = [config.hardest_at(step) for step in (0, 10, 19, 40)]
    assert hardest == pytest.approx([0.05, 0.55, 1.0, 1.0])
    assert plan_at(config, 10).hardest == pytest.approx(0.55)
    assert plan_at(config, 10).has_figures
    assert not plan_at(replace(config, left_out=("figures",)), 10).has_figures


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining, "LOG_STEPS", 2)
    whole = pretrain(TINY, tmp_path / "whole", processes=0)
    pretrain(TINY, tmp_path / "parts", processes=0, until=3)
    # What a killed run logged after its last saved state is said once.
    with (tmp_path / "parts" / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 4}) + "\n")
    parts = pretrain(TINY, tmp_path / "parts", processes=1)
    assert parts.read_bytes() == whole.read_bytes()
    for name in ("whole", "parts"):
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [2, 4, 6]
        assert {"verbs", "pairs", "flow", "facts", "camera", "top1", "waited_share"} <= set(
            json.loads(lines[-1])
        )
    before = whole.stat().st_mtime_ns
    assert pretrain(TINY, tmp_path / "whole", processes=0) == whole
    assert whole.stat().st_mtime_ns == before


def test_a_trunk_is_a_model_of_no_classes(tmp_path: Path) -> None:
    path = pretrain(replace(TINY, clips=8), tmp_path, processes=0)
    model = load_model(path)
    assert model.labels == ()
    assert model.licence == "Apache-2.0"
    assert (model.spec.frames, model.spec.size_px) == (8, (48, 48))
    assert model.network.width == 0.05
    features = s3d.load(path).features
    assert callable(features)


def test_another_seed_is_another_trunk(tmp_path: Path) -> None:
    short = replace(TINY, clips=16)
    first = pretrain(short, tmp_path / "a", processes=0)
    second = pretrain(replace(short, seed=1), tmp_path / "b", processes=0)
    assert first.read_bytes() != second.read_bytes()


@pytest.mark.slow
def test_it_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "LOG_STEPS", 10)
    config = replace(TINY, clips=16 * 60, batch=16, late_size_px=32, hard_from=10.0)
    pretrain(config, tmp_path, processes=1)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["flow"] < 0.75 * lines[0]["flow"]
    assert lines[-1]["camera"] < 0.5 * lines[0]["camera"]


def test_a_folder_of_other_settings(tmp_path: Path) -> None:
    pretrain(replace(TINY, clips=8), tmp_path, processes=0)
    with pytest.raises(InputError, match="is a run with other settings"):
        pretrain(replace(TINY, clips=8, seed=1), tmp_path, processes=0)


def test_a_state_that_does_not_fit(tmp_path: Path) -> None:
    short = replace(TINY, clips=16)
    pretrain(short, tmp_path, processes=0, until=1)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["heads"]
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(InputError, match="does not fit the run"):
        pretrain(short, tmp_path, processes=0)
    (tmp_path / "state.pt").write_bytes(b"nothing")
    with pytest.raises(InputError, match="state is damaged"):
        pretrain(short, tmp_path, processes=0)


KILLED = """
import sys, torch
from pathlib import Path
from s3d.pretrain import pretrain as pretraining
from s3d.pretrain.settings import PretrainConfig
torch.set_num_threads(1)
pretraining.SAVE_SECONDS = 0.0
config = PretrainConfig(network="s3d_fast", width=0.05, clips=48, batch=8, frames=8, size_px=32,
                        late_size_px=48)
pretraining.pretrain(config, Path(sys.argv[1]), processes=1)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "run")])
    state = tmp_path / "run" / "state.pt"
    end = time.monotonic() + 120
    while not state.exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert torch.load(state, weights_only=True)["step"] < TINY.steps
    whole = pretrain(TINY, tmp_path / "whole", processes=0)
    assert pretrain(TINY, tmp_path / "run", processes=0).read_bytes() == whole.read_bytes()
