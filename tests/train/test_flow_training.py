"""Flow end to end: trained on, scored, fused with frames, on clips that move left or right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from s3d.batch.job import Item
from s3d.batch.predict import PredictJob
from s3d.cli import main
from s3d.data.flow.file import probe_flow
from s3d.data.flow.videos import measure_flow
from s3d.errors import InputError
from s3d.infer.recognizer import load
from s3d.infer.streams import TwoStreams
from s3d.models.model_file import load_model
from s3d.models.network import build
from s3d.train.train import train
from tests.conftest import WriteVideo
from tests.data.moving import slide
from tests.tiny import refuse, tiny_config, tiny_words

OPTIONS = {"frames": 4, "rate_fps": 8.0, "size": 32, "epochs": 24, "flow_side": 32}
Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a folder of two classes, told apart by the way the picture moves."""
    folder = tmp_path_factory.mktemp("moving")
    for way, label in ((-1, "left"), (1, "right")):
        (folder / label).mkdir()
        for number in range(8):
            rng = np.random.default_rng((number, way + 1))
            step, tint = way * rng.uniform(1, 2), rng.integers(-60, 60, 3)
            frames = np.clip(slide(8, (40, 40), (step, 0)).astype(int) + tint, 0, 255)
            write_video(folder / label / f"{number}.mp4", frames.astype(np.uint8), 8)
    return folder


@pytest.fixture(scope="module")
def flow_run(moving: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "flow"
    train(tiny_config(moving, out, flow=str(out.with_name("kept")), **OPTIONS), quiet=True)
    return out


@pytest.fixture(scope="module")
def rgb_run(moving: Path, flow_run: Path) -> Path:
    out = flow_run.with_name("rgb")
    train(tiny_config(moving, out, **{**OPTIONS, "epochs": 1, "flow_side": None}), quiet=True)
    return out


def test_a_run_on_flow_learns_which_way_things_move(
    moving: Path, flow_run: Path, capsys: Output
) -> None:
    recognizer = load(flow_run / "model.safetensors")
    spec = recognizer.spec
    assert (spec.modality, spec.flow_side_px, recognizer.network.channels) == ("flow", 32, 2)
    assert (flow_run / "report.html").stat().st_size > 1000
    kept = flow_run.with_name("kept")
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*.mp4")}
    assert len(before) == 16
    trained = json.loads((flow_run / "run.json").read_text())["train"]
    unit_px = measure_flow([video["path"] for video in trained])
    assert 0.1 < unit_px < 5
    assert spec.std == pytest.approx((unit_px / 40,) * 2)
    words = ["evaluate", str(moving), "--model", str(flow_run / "model.safetensors"), "--json"]
    assert main([*words, "--flow", str(kept)]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["top1"] >= 0.9
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*.mp4")} == before
    assert main(words) == 0  # without the folder, flow is computed as it is needed
    assert json.loads(capsys.readouterr().out)["top1"] == given["top1"]
    assert main([*words, "--reversed", "--flow", str(kept)]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] <= 0.1  # what moved left moves right


def test_two_streams_are_scored_apart_and_together(
    moving: Path, flow_run: Path, rgb_run: Path, capsys: Output
) -> None:
    models = [
        *("--model", str(rgb_run / "model.safetensors")),
        *("--flow-model", str(flow_run / "model.safetensors")),
    ]
    kept = ["--flow", str(flow_run.with_name("kept"))]
    assert main(["evaluate", str(moving), *models, *kept, "--json"]) == 0
    both = json.loads(capsys.readouterr().out)
    assert set(both["streams"]) == {"rgb", "flow"}
    assert both["streams"]["flow"]["top1"] >= 0.9
    for name, run in (("rgb", rgb_run), ("flow", flow_run)):
        words = ["evaluate", str(moving), "--model", str(run / "model.safetensors"), "--json"]
        assert main([*words, *(kept if name == "flow" else [])]) == 0
        alone = json.loads(capsys.readouterr().out)
        for key in ("top1", "mean_class_accuracy", "macs_per_video"):
            assert both["streams"][name][key] == alone[key]
    costs = [stream["macs_per_video"] for stream in both["streams"].values()]
    assert both["macs_per_video"] == sum(costs)
    assert main(["evaluate", str(moving), *models, *kept]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:8]] == [
        "data", "protocol", "clip", "clip", "views", "videos", "top-1", "rgb"
    ]  # fmt: skip
    video = str(moving / "left" / "0.mp4")
    assert main(["predict", video, *models, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["path"], said["flow"]["label"], said["views"]) == (video, "left", 4)
    assert main(["predict", video, *models, "--flow", str(flow_run.with_name("alone"))]) == 0
    assert probe_flow(flow_run.with_name("alone") / "0.mp4.flow.mp4").frames == 7


def test_rows_of_many_videos_are_those_of_both_streams(
    moving: Path, flow_run: Path, rgb_run: Path
) -> None:
    rgb, flow = (str(run / "model.safetensors") for run in (rgb_run, flow_run))
    video = moving / "left" / "0.mp4"
    task = PredictJob(rgb, flow_model=flow, all_scores=True).open()
    (row,) = task(Item(str(video), "left/0.mp4")).rows
    wanted = TwoStreams(load(rgb), load(flow)).predict(video)
    np.testing.assert_allclose(row["scores"], wanted.scores, atol=1e-6)
    alone = PredictJob(rgb, all_scores=True).open().settings
    assert task.settings["weights_sha256"].startswith(f"{alone['weights_sha256']}+")


def test_a_killed_run_on_flow_goes_on_with_the_same_flow(moving: Path, flow_run: Path) -> None:
    run = json.loads((flow_run / "run.json").read_text())
    paths = [video["path"] for part in ("train", "val") for video in run[part]]
    kept = flow_run.with_name("kept")
    assert sorted(paths) == sorted(str(path) for path in kept.rglob("*.mp4"))
    assert all(video["path"].endswith(".flow.mp4") for video in run["train"])


def test_a_folder_of_flow_is_trained_on_as_it_is(flow_run: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "epochs": 1, "flow_side": None}
    kept = flow_run.with_name("kept")
    train(tiny_config(kept, tmp_path / "run", **options), quiet=True)
    spec = load_model(tmp_path / "run" / "model.safetensors").spec
    assert (spec.modality, spec.flow_side_px, spec.channels) == ("flow", 32, 2)
    with pytest.raises(InputError, match=r"is optical flow already\. Leave --flow out"):
        train(tiny_config(kept, tmp_path / "x", flow=str(tmp_path / "f"), **options), quiet=True)


def test_a_model_of_frames_starts_one_of_flow(
    moving: Path, flow_run: Path, rgb_run: Path, tmp_path: Path
) -> None:
    start = {"network": None, "width": None, "init": str(rgb_run / "model.safetensors")}
    flow = {"flow": str(flow_run.with_name("kept")), "lr": 1e-9, "epochs": 1, "ema": 0.0}
    options = {**OPTIONS, **start, **flow, "norm_decay": 0.999999, "weight_decay": 0.0}
    train(tiny_config(moving, tmp_path / "run", **options), quiet=True)
    found = load_model(tmp_path / "run" / "model.safetensors").network
    rgb = load_model(rgb_run / "model.safetensors").network
    rgb.replace_input(2)
    for name, tensor in rgb.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(found.state_dict()[name], tensor, atol=1e-4, rtol=1e-3)
    options["init"] = str(flow_run / "model.safetensors")
    with pytest.raises(InputError, match=r"takes optical flow\. Name a folder to keep it in"):
        train(tiny_config(moving, tmp_path / "y", **{**options, "flow": None}), quiet=True)


@pytest.mark.parametrize("style", ["paper", "mil_nce"])
def test_a_grey_clip_is_answered_alike_whatever_the_channels(style: str) -> None:
    torch.manual_seed(0)
    network = build("s3d_fast", num_classes=3, width=0.1, style=style).eval()
    grey = torch.randn(1, 1, 8, 32, 32)
    with torch.no_grad():
        wanted = network(grey.expand(-1, 3, -1, -1, -1))
        network.replace_input(2)
        found = network(grey.expand(-1, 2, -1, -1, -1) * 1.5)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_wrong_options_are_one_line(
    moving: Path, rgb_run: Path, flow_run: Path, tmp_path: Path, capsys: Output
) -> None:
    rgb, flow = (str(run / "model.safetensors") for run in (rgb_run, flow_run))
    video = str(moving / "left" / "0.mp4")
    line = refuse(capsys, "predict", video, "--model", rgb, "--flow", str(tmp_path))
    assert line.endswith("and --model takes rgb. Add --flow-model, or leave --flow out.")
    line = refuse(capsys, "predict", video, "--model", flow, "--flow-model", flow)
    assert "the rgb stream is a model that takes flow" in line
    words = tiny_words(flow=tmp_path / "f", flow_side=8)
    assert "flow-side is 8; it needs a number from 16" in refuse(
        capsys, "train", moving, "--out", tmp_path / "r", *words
    )
    kept = flow_run.with_name("kept")
    words = tiny_words(flow=kept, flow_side=40)
    line = refuse(capsys, "train", moving, "--out", tmp_path / "r", *words)
    assert "16 of 16 videos give no flow" in line
    assert "is flow of other settings (short_side_px 32, not 40)" in line
