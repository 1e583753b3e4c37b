"""Training a detector: killed and gone on with, from weights, on flow, by two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from s3d.clip import ClipSpec
from s3d.data import store as store_module
from s3d.data.decode import probe_video
from s3d.data.flow.file import probe_flow
from s3d.data.flow.videos import FlowTaken, take_flow
from s3d.data.loader import normalise
from s3d.data.store import FrameStore, open_videos
from s3d.data.video_list import Video
from s3d.detect.annotations.read import read_annotated
from s3d.detect.figures import BoxSampleConfig, write_box_sample
from s3d.detect.geometry.boxes import STRONG, box_iou, decode_boxes
from s3d.detect.network.anchors import make_anchors
from s3d.detect.network.detector import Detector
from s3d.detect.network.detector_file import load_detector
from s3d.detect.network.proposals import propose
from s3d.detect.network.resnet import build_resnet
from s3d.detect.network.settings import proposal_settings
from s3d.detect.network.shape import STRIDE_PX, count_places
from s3d.detect.train import material as material_module
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.display import DetectorDisplay
from s3d.detect.train.loop import DetectorTrainer
from s3d.detect.train.step import DetectorLoss, key_pictures
from s3d.detect.train.train import train_detector
from s3d.detect.train.truths import read_truths
from s3d.detect.train.window_batch import WindowBatch
from s3d.detect.train.windows import window_indices
from s3d.errors import InputError
from s3d.models.layers import Conv
from s3d.models.model_file import ModelFile, save_model
from s3d.models.network import build
from s3d.train.state import load_state
from tests.detect.detecting import RGB_CLIP, SIZE_PX, detect_config, make_clips, make_detector

# Everything that draws at random or keeps something from step to step.
OPTIONS: dict[str, Any] = {"flip": True, "empty_share": 0.2, "checkpoint_seconds": 0.0}
SAMPLE = BoxSampleConfig(4, 0, height_px=48, width_px=64, seconds=0.6, difficulty=0.0)


class Killed(BaseException):
    """Stand for a kill, which nothing catches."""


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the table of four made-up videos."""
    return write_box_sample(tmp_path_factory.mktemp("sample") / "boxes", SAMPLE).train_csv


@pytest.fixture(scope="module")
def whole(boxes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train_detector(detect_config(boxes, out, **OPTIONS), quiet=True)
    return out


def train_until(config: DetectorConfig, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train, and be killed when so many steps are taken, before their state is saved."""

    def take_step(self: DetectorTrainer, batch: WindowBatch) -> None:
        whole_step(self, batch)
        if self.step >= steps:
            raise Killed

    whole_step = DetectorTrainer._take_step
    with monkeypatch.context() as patch:
        patch.setattr(DetectorTrainer, "_take_step", take_step)
        with pytest.raises(Killed):
            train_detector(config, quiet=True)


def history_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [
        {k: v for k, v in json.loads(line).items() if k != "frames_per_second"} for line in lines
    ]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


# A run


def test_a_run_ends_with_a_detector_and_tidies_up(whole: Path, boxes: Path) -> None:
    found = load_detector(whole / "model.safetensors")
    assert set(found.labels) <= set(SAMPLE.actions)
    assert len(found.labels) == found.detector.num_classes > 3
    assert found.source == "s3d train-detector, step 6"
    assert found.detector.spec.size_px == SIZE_PX
    assert sorted(path.name for path in whole.iterdir()) == [
        "history.jsonl", "model.safetensors", "run.json", "state.ckpt"
    ]  # fmt: skip
    (record,) = history_of(whole)
    assert record["step"] == 6
    assert record["loss"] == pytest.approx(sum(record["parts"].values()), abs=1e-4)
    assert set(record["parts"]) == {"objects", "object_boxes", "classes", "boxes"}
    assert record["parts"]["classes"] > 0


@pytest.mark.parametrize("kills", [[1], [2, 4, 5], [6]])
def test_a_resumed_run_ends_with_the_same_bytes(
    boxes: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, kills: list[int]
) -> None:
    config = detect_config(boxes, tmp_path / "run", **OPTIONS)
    for steps in kills:
        train_until(config, steps, monkeypatch)
        assert not (tmp_path / "run" / "model.safetensors").exists()
    state = load_state(tmp_path / "run" / "state.ckpt")
    assert (state["step"] if state else 0) == kills[-1] - 1
    model = train_detector(config, quiet=True)
    assert model.read_bytes() == (whole / "model.safetensors").read_bytes()
    assert history_of(tmp_path / "run") == history_of(whole)


def test_threads_cache_and_times_of_saving_change_nothing(
    boxes: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = detect_config(boxes, tmp_path / "run", **OPTIONS)
    train_until(replace(config, cache_gb=0.0), 3, monkeypatch)
    model = train_detector(replace(config, threads=3, checkpoint_seconds=1e6), quiet=True)
    assert model.read_bytes() == (whole / "model.safetensors").read_bytes()


def test_another_seed_ends_elsewhere(boxes: Path, tmp_path: Path, whole: Path) -> None:
    config = detect_config(boxes, tmp_path / "run", seed=1, **OPTIONS)
    assert (
        train_detector(config, quiet=True).read_bytes()
        != (whole / "model.safetensors").read_bytes()
    )


def test_it_goes_on_where_it_was_and_says_so(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config = detect_config(boxes, tmp_path / "run", **OPTIONS)
    train_until(config, 4, monkeypatch)
    (tmp_path / "run" / ".model.safetensors.1.part").write_bytes(b"half")
    train_detector(config)
    said = capsys.readouterr().err
    assert "goes on at step 3 of 6" in said
    assert "4 videos, " in said
    assert not list((tmp_path / "run").glob(".*.part"))
    train_detector(config)
    assert "this run is finished; its detector is" in capsys.readouterr().err


def test_other_options_and_other_data_are_refused(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = boxes.with_name("changing.csv")
    table.write_text(boxes.read_text())
    config = detect_config(table, tmp_path / "run", **OPTIONS)
    train_until(config, 2, monkeypatch)
    with pytest.raises(InputError, match=r"holds a run with batch 2, not 3\. Give the same"):
        train_detector(replace(config, batch=3), quiet=True)
    table.write_text("\n".join(boxes.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(InputError, match="its run began with other boxes, videos or models"):
        train_detector(config, quiet=True)


def test_a_state_that_does_not_fit_is_refused(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = detect_config(boxes, tmp_path / "run", **OPTIONS)
    train_until(config, 2, monkeypatch)
    path = tmp_path / "run" / "state.ckpt"
    state = load_state(path)
    assert state is not None
    changes: list[dict[str, Any]] = [
        {"step": 7}, {"step": "x"}, {"digest": "other"}, {"detector": {}}, {"average": []},
        {"history": [{"step": 1}]}, {"optimizer": {}}, {"sums": None},
    ]  # fmt: skip
    for change in changes:
        torch.save({**state, **change}, path)
        with pytest.raises(InputError, match=r"does not fit this run\. Delete it to train from"):
            train_detector(config, quiet=True)
    path.write_bytes(b"damaged")
    with pytest.raises(InputError, match="the run's state is damaged"):
        train_detector(config, quiet=True)


def test_a_run_needs_boxes_and_a_folder(tmp_path: Path) -> None:
    for config in (DetectorConfig(out=str(tmp_path)), DetectorConfig(data="x.csv")):
        with pytest.raises(InputError, match="name boxes to learn from, and a folder"):
            train_detector(config)


def test_a_loss_that_is_no_number_ends_the_run(boxes: Path, tmp_path: Path) -> None:
    config = detect_config(boxes, tmp_path / "run", lr=1e3, optimizer="sgd", steps=60, warmup=0.0)
    with pytest.raises(InputError, match=r"the loss is (nan|inf) at step \d+: training diverged"):
        train_detector(config, quiet=True)


# Videos that cannot be read


def test_a_video_that_does_not_open_is_left_out_where_that_is_allowed(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole_probe = probe_video

    def probe(path: str) -> Any:
        if path.endswith("00001.mp4"):
            raise InputError("00001.mp4: no video.")
        return whole_probe(path)

    monkeypatch.setattr(store_module, "probe_video", probe)
    config = detect_config(boxes, tmp_path / "run", steps=2)
    with pytest.raises(InputError, match=r"1 of 4 videos cannot be read, more than --max-failed 0"):
        train_detector(config, quiet=True)
    train_detector(replace(config, max_failed=0.3))
    said = capsys.readouterr().err
    assert "1 videos that cannot be read left out; first: " in said
    assert "train.csv: 3 videos, " in said


def test_a_video_of_which_nothing_decodes_is_never_drawn(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole_decode = FrameStore._decode

    def decode(self: FrameStore, video: int) -> Any:
        frames = whole_decode(self, video)
        return frames[:0] if video == 2 else frames

    drawn: set[int] = set()
    whole_read = FrameStore.read

    def read(self: FrameStore, video: int, indices: Any) -> Any:
        drawn.add(video)
        return whole_read(self, video, indices)

    monkeypatch.setattr(FrameStore, "_decode", decode)
    monkeypatch.setattr(FrameStore, "read", read)
    config = detect_config(boxes, tmp_path / "run", batch=12, steps=2, empty_share=0.5)
    with pytest.raises(InputError, match=r"1 of 4 videos cannot be read.*not one frame decodes"):
        train_detector(config, quiet=True)
    train_detector(replace(config, max_failed=0.3))
    assert drawn == {0, 1, 3}
    assert "1 videos do not decode, left out; first: " in capsys.readouterr().err


def test_too_many_videos_that_fail_on_the_way_end_the_run(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_read = FrameStore.read

    def read(self: FrameStore, video: int, indices: Any) -> Any:
        if video == 1:
            raise InputError("00001.mp4: gone.")
        return whole_read(self, video, indices)

    monkeypatch.setattr(FrameStore, "read", read)
    config = detect_config(boxes, tmp_path / "run", batch=8)
    with pytest.raises(InputError, match=r"1 of 4 videos failed while training, .*first: 00001"):
        train_detector(config, quiet=True)
    train_detector(replace(config, max_failed=0.3), quiet=True)
    state = load_state(tmp_path / "run" / "state.ckpt")
    assert state is not None
    assert list(state["failures"].values()) == ["00001.mp4: gone."]


# What it starts from


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model file to start from."""
    torch.manual_seed(7)
    network = build("s3d_fast", num_classes=5, width=0.05, style="torchvision").eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.1, 0.1)
    spec = ClipSpec(mean=(0.4,) * 3, std=(0.2,) * 3)
    path = tmp_path_factory.mktemp("start") / "m.safetensors"
    save_model(path, ModelFile(network, tuple("abcde"), spec, (), "made", "CC-BY-4.0"))
    return path


# Too slow to move anything: what is left is what it started from.
STILL = {"lr": 1e-9, "weight_decay": 0.0, "ema": 0.0, "steps": 2}


def test_a_run_takes_the_trunk_the_norms_and_the_licence_of_its_start(
    boxes: Path, start: Path, tmp_path: Path
) -> None:
    config = detect_config(boxes, tmp_path / "run", init=str(start), **STILL)
    model = load_detector(train_detector(config, quiet=True))
    assert (model.detector.network.width, model.licence) == (0.05, "CC-BY-4.0")
    assert model.detector.spec.mean == (0.4,) * 3
    assert model.source.endswith(f"step 2, from {start}")
    found, wanted = weights_of(tmp_path / "run"), load_file(start)
    trunk = [name for name in wanted if not name.startswith("head.")]
    assert len(trunk) > 100
    for name in trunk:
        close = {"atol": 0, "rtol": 0} if "running" in name else {"atol": 1e-6, "rtol": 1e-5}
        torch.testing.assert_close(found[f"streams.rgb.{name}"], wanted[name], **close)


def test_norms_learn_where_they_are_told_to(boxes: Path, start: Path, tmp_path: Path) -> None:
    options = {**STILL, "freeze_norms": False, "init": str(start)}
    train_detector(detect_config(boxes, tmp_path / "run", **options), quiet=True)
    found, wanted = weights_of(tmp_path / "run"), load_file(start)
    name = "conv1a.0.norm.running_mean"
    assert (found[f"streams.rgb.{name}"] - wanted[name]).abs().max() > 1e-3


def test_only_norms_that_were_loaded_stay(boxes: Path, start: Path, tmp_path: Path) -> None:
    options = {**STILL, "init": str(start), "image_net": "resnet18", "image_width": 0.1}
    train_detector(detect_config(boxes, tmp_path / "run", **options), quiet=True)
    found = weights_of(tmp_path / "run")
    assert found["image.stem.norm.running_mean"].abs().max() > 1e-3


def test_frozen_norms_are_frozen_in_the_whole_stream(
    boxes: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    whole_step = DetectorTrainer._take_step

    def take_step(self: DetectorTrainer, batch: WindowBatch) -> None:
        convolutions = [m for m in self.detector.streams.modules() if isinstance(m, Conv)]
        seen.extend(m.training or (m.norm is not None and m.norm.training) for m in convolutions)
        seen.append(not self.detector.dropout.training)
        whole_step(self, batch)

    monkeypatch.setattr(DetectorTrainer, "_take_step", take_step)
    train_detector(detect_config(boxes, tmp_path / "r", init=str(start), **STILL), quiet=True)
    assert len(seen) > 50
    assert not any(seen)


def test_an_image_net_starts_from_weights_in_torchvision_s_names(
    boxes: Path, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    resnet = build_resnet("resnet18")
    tensors = {}
    for name, tensor in resnet.state_dict().items():
        name = name.replace("stem.norm", "bn1").replace("stem", "conv1")
        name = name.replace("shortcut.norm", "downsample.1").replace("shortcut", "downsample.0")
        for ours, number in (("first", 1), ("second", 2)):
            name = name.replace(f"{ours}.norm", f"bn{number}").replace(ours, f"conv{number}")
        tensors[name] = tensor
    torch.save(tensors, tmp_path / "resnet18.pth")
    options = {**STILL, "image_net": "resnet18", "image_init": str(tmp_path / "resnet18.pth")}
    train_detector(detect_config(boxes, tmp_path / "run", **options), quiet=True)
    found = weights_of(tmp_path / "run")
    torch.testing.assert_close(found["image.stem.weight"], resnet.stem.weight.detach())
    assert found["image.stem.norm.running_mean"].abs().max() == 0, "its norms stay too"
    wrong = detect_config(boxes, tmp_path / "x", image_init=str(tmp_path / "resnet18.pth"))
    with pytest.raises(InputError, match="Use --image-net resnet18"):
        train_detector(wrong, quiet=True)


# Flow


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["flow", "both"])
def test_flow_is_computed_kept_and_learnt_from(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modality: str
) -> None:
    place = tmp_path / "kept"
    named = {"flow": str(place)} if modality == "both" else {}
    config = detect_config(
        boxes, tmp_path / "run", modality=modality, steps=2, checkpoint_seconds=0.0, **named
    )
    train_until(config, 1, monkeypatch)
    folder = place if named else tmp_path / "run" / "flow"
    kept = sorted(folder.rglob("*.flow.mp4"))
    assert [path.name for path in kept] == [f"0000{i}.mp4.flow.mp4" for i in range(4)]
    before = [path.stat().st_mtime_ns for path in kept]
    model = load_detector(train_detector(config, quiet=True))
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert set(model.detector.specs) == ({"flow"} if modality == "flow" else {"rgb", "flow"})
    spec = model.detector.specs["flow"]
    assert probe_flow(kept[0]).frames > 4
    assert 0 < spec.std[0] < 0.3, "in a unit that fits what moves"
    assert spec.std[0] == spec.std[1]


@pytest.mark.slow
def test_a_killed_computation_of_flow_goes_on(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = detect_config(boxes, tmp_path / "run", modality="flow", steps=1)

    def take(videos: Any, *rest: Any) -> Any:
        take_flow(videos[:1], *rest)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(material_module, "take_flow", take)
        train_detector(config, quiet=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["flow"]
    assert train_detector(config, quiet=True).exists()


def test_a_video_without_flow_is_named(
    boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(videos: Any, *rest: Any) -> FlowTaken:
        return FlowTaken({}, {videos[0]: "00000.mp4: has 1 frame."}, 0)

    monkeypatch.setattr(material_module, "take_flow", take)
    config = detect_config(boxes, tmp_path / "run", modality="flow")
    with pytest.raises(InputError, match=r"1 of 4 videos give no flow; first: 00000.mp4: has 1"):
        train_detector(config, quiet=True)


# A step


def test_key_pictures_are_the_key_frames_from_0_to_1() -> None:
    frames = torch.randint(0, 256, (2, 8, *SIZE_PX, 3), dtype=torch.uint8)
    spec = replace(RGB_CLIP, mean=(0.1, 0.4, 0.5), std=(0.2, 0.3, 0.5))
    found = key_pictures(normalise(frames, spec), 4, spec.mean, spec.std)
    torch.testing.assert_close(found, frames[:, 4].permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_step_costs_the_same_each_time_and_gives_every_part_a_gradient(multi_label: bool) -> None:
    detector = make_detector(multi_label=multi_label)
    loss = DetectorLoss(detector, 8)
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0]]) if multi_label else torch.eye(3)[:2]
    truths = [(torch.tensor([[3.0, 4, 30, 40], [30, 8, 60, 47]]), labels)]
    truths += [(torch.zeros(0, 4), torch.zeros(0, 3))]
    parts = [
        loss(make_clips(detector), None, truths, torch.Generator().manual_seed(1)) for _ in range(2)
    ]
    assert torch.equal(*parts)
    assert parts[0].shape == (4,)
    assert bool((parts[0] > 0).all())
    parts[0].sum().backward()
    for part in (detector.classes, detector.mending, detector.proposing.deltas):
        assert part.weight.grad is not None
        assert part.weight.grad.abs().sum() > 0


def test_a_batch_without_anybody_teaches_that_nobody_is_there() -> None:
    detector = make_detector()
    truths = [(torch.zeros(0, 4), torch.zeros(0, 3))] * 2
    loss = DetectorLoss(detector, 8)
    parts = loss(make_clips(detector), None, truths, torch.Generator().manual_seed(1))
    assert (parts[1], parts[3]) == (0, 0)
    assert min(parts[0], parts[2]) > 0
    parts.sum().backward()
    assert detector.classes.bias.grad is not None
    assert detector.classes.bias.grad.argmin() == 3


def test_what_the_head_is_asked_is_what_the_boxes_do() -> None:
    detector = make_detector()
    loss = DetectorLoss(detector, 16)
    truth = torch.tensor([[3.0, 4, 30, 40], [30, 8, 60, 47]])
    proposed = torch.tensor([[4.0, 4, 30, 40], [0, 0, 8, 8], [40, 0, 60, 10]])
    labels = torch.tensor([[0.0, 0, 1], [0, 1, 0]])
    generator = torch.Generator().manual_seed(0)
    boxes, asked, wanted, positive = loss._draw(proposed, (truth, labels), generator)
    answer = {tuple(b): a for b, a in zip(boxes.tolist(), asked.tolist(), strict=True)}
    assert answer == {
        (4, 4, 30, 40): 2, (3, 4, 30, 40): 2, (30, 8, 60, 47): 1,
        (0, 0, 8, 8): 3, (40, 0, 60, 10): 3,
    }  # fmt: skip
    mended = decode_boxes(wanted[positive], boxes[positive], STRONG)
    for box in mended:
        assert (truth - box).abs().sum(1).min() < 1e-3


# Two processes


def launch(processes: int, *words: str | Path, **environ: str) -> Any:
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, "-m", *start, "-m", "tests.detect.in_two", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environ},
        timeout=200,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_processes_share_a_batch_and_end_with_the_same_weights(
    boxes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = {**OPTIONS, "batch": 3, "steps": 3}
    done = launch(2, boxes, out, json.dumps(options))
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"run.{rank}.json").read_text()) for rank in (0, 1))
    assert first["weights"] == second["weights"]
    assert [len(step) for step in first["drawn"]] == [2] * 3
    assert [len(step) for step in second["drawn"]] == [1] * 3
    assert first["loss"] == second["loss"]
    assert load_detector(out / "model.safetensors").detector.spec.size_px == SIZE_PX
    drawn = []

    def take_step(self: DetectorTrainer, batch: WindowBatch) -> None:
        drawn.append([window.truth.boxes.tolist() for window in batch.windows])
        self.step += 1
        if self.step == 3:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(DetectorTrainer, "_take_step", take_step)
        train_detector(detect_config(boxes, tmp_path / "one", **options), quiet=True)
    together = [[a[0], b[0], a[1]] for a, b in zip(first["drawn"], second["drawn"], strict=True)]
    assert together == drawn, "the same key frames as one process draws"


# That it learns


@pytest.mark.slow
def test_a_video_is_learnt_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[float] = []
    monkeypatch.setattr(DetectorDisplay, "step", lambda self, loss: losses.append(loss))
    sample = BoxSampleConfig(1, 0, height_px=48, width_px=64, seconds=0.8, difficulty=0.0)
    table = write_box_sample(tmp_path / "boxes", sample).train_csv
    config = detect_config(
        table, tmp_path / "run", steps=60, batch=4, network="i2d", width=0.1, lr=4e-3, zoom=0.0,
        jitter=0.0, ema=0.9, empty_share=0.0, proposals=16, sampled=16,
    )  # fmt: skip
    model = load_detector(train_detector(config, quiet=True))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    (video,) = read_annotated(str(table)).videos
    found = [
        overlap for frame, truth in read_truths(video, 6).items()
        for overlap in best_overlaps(model.detector, video.path, frame, truth)
    ]  # fmt: skip
    assert np.mean([overlap >= 0.5 for overlap in found]) > 0.8


def best_overlaps(detector: Detector, path: str, frame: int, truth: Any) -> list[float]:
    """Return how well the box with the highest score of each true class lies on its truth."""
    spec, shape = detector.spec, detector.shape
    store = FrameStore(open_videos([Video(path, "", None)], 1).infos, spec)
    indices = window_indices(store.infos[0], frame, spec, detector.key_place)
    clips = {"rgb": normalise(torch.from_numpy(store.read(0, indices))[None], spec)}
    size = spec.size_px
    anchors = make_anchors(count_places(size), STRIDE_PX, shape.anchor_px, shape.anchor_ratios)
    with torch.no_grad():
        features = detector.features(clips)
        objects = detector.propose_from(features, None)
        boxes = propose(*objects, anchors, size, proposal_settings(shape))[0].boxes
        logits, shifts = detector.name_volumes(detector.cut(features, [boxes]))
    mended, scores = decode_boxes(shifts, boxes, STRONG), detector.scores(logits)
    scale = np.array([size[1], size[0]] * 2, np.float32)
    overlaps = box_iou(mended, torch.from_numpy(truth.boxes * scale))
    return [
        float(overlaps[scores[:, label].argmax(), row])
        for row, label in np.argwhere(truth.labels).tolist()
    ]
