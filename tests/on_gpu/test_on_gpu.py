"""What a GPU gives is what a CPU gives, within the precision it computes in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import s3d
from s3d.clip import ClipSpec
from s3d.data.flow.compute import compute_flow
from s3d.data.loader import normalise
from s3d.data.videos import list_videos
from s3d.detect.figures import BoxSampleConfig, write_box_sample
from s3d.detect.run.action_detector import load_detector
from s3d.detect.train.train import train_detector
from s3d.evaluate.evaluation import evaluate
from s3d.infer.engines.engine import Engine
from s3d.infer.engines.measure import HALF_TOLERANCE, measure_engines
from s3d.models.family import network_word
from s3d.models.style import PAPER
from s3d.pretrain.pretrain import pretrain
from s3d.pretrain.settings import PretrainConfig
from s3d.train.state import load_state
from s3d.train.train import train
from tests.detect.detecting import detect_config
from tests.models.published.publish import make_network
from tests.tiny import tiny_config, tiny_words
from tests.tolerances import share_of_norm

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here"),
    # What torch.compile imports is deprecated, by PyTorch's own word.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SPEC = ClipSpec(frames=8, size_px=(48, 48), resize_px=(48, 48), mean=(0.1, 0.5, 0.9))
TF32 = 2e-3
"""Of the norm: a GPU may multiply with 10 bits of mantissa where single precision is asked for."""


@pytest.mark.parametrize("name", ["s3d", "s3d_g", "i3d", "s22s22222ss", "i2d"])
@pytest.mark.parametrize(("engine", "tolerance"), [("half", HALF_TOLERANCE), ("torch", TF32)])
def test_engines_answer_as_the_modules_do_on_a_cpu(
    name: str, engine: str, tolerance: float
) -> None:
    network = make_network(network_word(name), PAPER)
    frames = torch.randint(0, 256, (3, 8, 48, 48, 3), dtype=torch.uint8)
    with torch.no_grad():
        wanted = network(normalise(frames, SPEC))
    found = Engine(network.to("cuda"), SPEC, engine).run(frames)
    assert share_of_norm(found, wanted) < tolerance


def test_engines_are_measured_and_half_is_among_them() -> None:
    network = make_network(network_word("s3d_fast"), PAPER).to("cuda")
    rows = {row.name: row for row in measure_engines(network, SPEC, runs=2)}
    assert {"half", "torch", "eager"} <= set(rows)
    assert not any(row.error for row in rows.values()), rows
    assert all(row.memory_bytes and row.clips_per_second > 0 for row in rows.values())


def test_a_run_learns_and_goes_on_and_its_model_says_the_same_on_both(
    colours: Path, tmp_path: Path
) -> None:
    config = tiny_config(colours, tmp_path / "run", device="cuda", epochs=20)
    model = train(config, quiet=True)
    data = list_videos(colours)
    on_gpu, on_cpu = (evaluate(s3d.load(model).to(d), data) for d in ("cuda", "cpu"))
    assert on_gpu.top(1) == 1.0
    np.testing.assert_allclose(on_gpu.scores, on_cpu.scores, atol=0.02)
    assert train(config, quiet=True) == model  # nothing is left to do


def test_two_ways_and_cached_features_train(colours: Path, tmp_path: Path) -> None:
    config = tiny_config(
        colours, tmp_path / "run", device="cuda", init="motion-small", network=None, width=None
    )
    model = train(config, quiet=True)
    assert evaluate(s3d.load(model).to("cuda"), list_videos(colours)).top(1) >= 0.5


def test_torchrun_speaks_by_nccl(colours: Path, tmp_path: Path) -> None:
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1", "-m", "s3d.cli"]
    run = [sys.executable, *words, "train", str(colours), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*run, *tiny_words(device="cuda", sync_norms=True)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_flow_is_the_flow_of_a_cpu() -> None:
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(0, 255, (16, 20)), np.ones((4, 4)))
    frames = np.stack([np.roll(texture, t, 1) for t in range(5)]).astype(np.uint8)
    on_gpu, on_cpu = (compute_flow(frames, device=device) for device in ("cuda", "cpu"))
    off = np.abs(on_gpu - on_cpu)
    assert np.median(np.abs(on_cpu)) > 0.1
    assert off.mean() < 0.01, off.mean()


def test_a_trunk_is_learnt_and_goes_on(tmp_path: Path, shared_dir: Path) -> None:
    config = PretrainConfig(
        network="s3d_fast", width=0.1, clips=1600, batch=16, frames=8, size_px=32, late_size_px=48
    )
    pretrain(config, tmp_path / "run", processes=2, until=50)
    path = pretrain(config, tmp_path / "run", processes=2)
    state = load_state(tmp_path / "run" / "state.pt")
    assert state is not None
    assert state["step"] == config.steps
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    first, last = (json.loads(lines[i]) for i in (0, -1))
    assert last["verbs"] < first["verbs"]
    video = next((shared_dir / "videos" / "clips").glob("*.mp4"))
    a, b = (s3d.load(path).to(device).features(video).features for device in ("cuda", "cpu"))
    assert share_of_norm(torch.from_numpy(a), torch.from_numpy(b)) < HALF_TOLERANCE


def test_a_detector_learns_and_finds_what_it_finds_on_a_cpu(tmp_path: Path) -> None:
    sample = BoxSampleConfig(4, 0, height_px=48, width_px=64, seconds=0.6, difficulty=0.0)
    boxes = write_box_sample(tmp_path / "boxes", sample).train_csv
    model = train_detector(detect_config(boxes, tmp_path / "run", device="cuda"), quiet=True)
    video = next(boxes.parent.rglob("*.mp4"))
    on_gpu, on_cpu = (list(load_detector(model, d, "torch").look(video)) for d in ("cuda", "cpu"))
    assert [seen.frame for seen in on_gpu] == [seen.frame for seen in on_cpu]
    for ours, theirs in zip(on_gpu, on_cpu, strict=True):
        np.testing.assert_allclose(
            np.sort(ours.found.scores.max(1)), np.sort(theirs.found.scores.max(1)), atol=0.02
        )
