"""A run that starts from a model takes its network, clip and weights, and says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.models.model_file import ModelFile, load_model, save_model, weights_of
from s3d.models.network import build
from s3d.models.published.places import Place, collect_state
from s3d.models.published.torch_names import name_in_ibm
from s3d.models.style import STYLES
from s3d.train.begin import fingerprint
from s3d.train.config import TrainConfig
from s3d.train.display import Display
from s3d.train.loop import Trainer
from s3d.train.plan import Machine, Plan
from s3d.train.prepare import prepare_run
from s3d.train.run import Run, find_run, start_run
from s3d.train.train import open_trainer
from tests.tiny import TINY

# What a model brings with it is not asked for again.
FREE = {
    k: v for k, v in TINY.items() if k not in ("network", "width", "frames", "rate_fps", "size")
}
MakeRun = Callable[..., Run]


@pytest.fixture
def other_model(tiny_model: Path, tmp_path: Path) -> Path:
    """Return a model of three other classes."""
    model, path = load_model(tiny_model), tmp_path / "other.safetensors"
    model.network.replace_head(3)
    save_model(
        path, replace(model, labels=("a", "b", "c"), source="by hand", licence="CC-BY-NC-4.0")
    )
    return path


@pytest.fixture
def make_run(colours: Path, tmp_path: Path) -> MakeRun:
    def make(init: Path, **options: Any) -> Run:
        values = {**FREE, "data": str(colours), "out": str(tmp_path / "run"), "init": str(init)}
        config = TrainConfig(**{**values, **options})
        return prepare_run(config, Machine("cpu", 2), Display(quiet=True).stage)

    return make


def open_run(run: Run) -> Trainer:
    start_run(run)
    return open_trainer(run, Machine("cpu", 2), Display(quiet=True))


def assert_start(trainer: Trainer, wanted: dict[str, Tensor], without: str = "-") -> None:
    found = weights_of(trainer.network)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        if without not in name:
            assert torch.equal(found[name], tensor), name


def test_network_clip_and_weights_are_the_model_s(make_run: MakeRun, other_model: Path) -> None:
    run, model = make_run(other_model), load_model(other_model)
    assert (run.plan.word, run.plan.width) == (model.network.word, 0.1)
    assert run.plan.spec == model.spec
    trainer = open_run(run)
    assert_start(trainer, weights_of(model.network), without="head.classifier")
    assert trainer.network.head.classifier.weight.shape[0] == 2
    text = "\n".join(run.plan.reasons)
    assert f"starts from {other_model}: s3d_fast x 0.1 (style paper), by hand (--init)" in text
    assert "its head of 3 classes gives way to one of 2" in text
    frozen = make_run(other_model, freeze_until="mixed4f").plan.reasons
    assert "blocks up to and with mixed4f stay as they are" in frozen
    assert "clips as it was trained on: 4 frames at 8 fps" in text


def test_the_head_stays_where_the_classes_are_the_same(make_run: MakeRun, tiny_model: Path) -> None:
    run = make_run(tiny_model)
    assert_start(open_run(run), weights_of(load_model(tiny_model).network))
    assert "its head is kept, since its 2 classes are these" in "\n".join(run.plan.reasons)


def test_classes_in_another_order_get_a_new_head(
    make_run: MakeRun, tiny_model: Path, tmp_path: Path
) -> None:
    model, path = load_model(tiny_model), tmp_path / "turned.safetensors"
    save_model(path, replace(model, labels=("red", "blue")))
    trainer = open_run(make_run(path))
    old = model.network.head.classifier.weight
    assert not torch.allclose(trainer.network.head.classifier.weight, old)


def test_parts_of_the_clip_can_be_asked_for(make_run: MakeRun, tiny_model: Path) -> None:
    spec = make_run(tiny_model, frames=6, rate_fps=4.0, size=40, resize="keep").plan.spec
    assert (spec.frames, spec.rate_fps, spec.size_px, spec.resize_px, spec.resize) == (
        6, 4.0, (40, 40), (46, 46), "keep",
    )  # fmt: skip
    assert make_run(tiny_model, frames=6).plan.spec.size_px == (32, 32)


@pytest.mark.parametrize(("name", "value"), [("network", "s3d"), ("width", 0.2), ("style", "slim")])
def test_another_network_than_the_model_s_is_refused(
    make_run: MakeRun, tiny_model: Path, name: str, value: Any
) -> None:
    said = rf"--{name} {value} does not fit --init .*, which is s3d_fast x 0.1 \(style paper\)\."
    with pytest.raises(InputError, match=said):
        make_run(tiny_model, **{name: value})


def test_the_model_s_own_network_may_be_named(make_run: MakeRun, tiny_model: Path) -> None:
    run = make_run(tiny_model, network="s3d_fast", width=0.1, style="paper", dropout=0.7)
    trainer = open_run(run)
    assert trainer.network.style.dropout == trainer.network.head.dropout.p == 0.7
    path = Path(run.config.out).parent / "dropped.safetensors"
    save_model(path, replace(load_model(tiny_model), network=trainer.network))
    assert make_run(path, style="paper").plan.style.dropout == 0.7  # no other convention by that


def test_trained_weights_get_smaller_steps_and_fewer_of_them(
    make_run: MakeRun, tiny_model: Path
) -> None:
    plan = make_run(tiny_model, lr=None, epochs=None).plan
    assert (plan.lr, plan.epochs) == (1e-3, 40)
    assert "peak learning rate 0.001: trained weights need smaller steps (--lr)" in plan.reasons
    assert make_run(tiny_model, lr=None, optimizer="sgd").plan.lr == 0.05
    assert make_run(tiny_model, lr=0.3).plan.lr == 0.3


def test_a_model_of_flow_needs_a_folder_of_flow(make_run: MakeRun, tmp_path: Path) -> None:
    spec = ClipSpec(4, 8, (36, 36), (32, 32), mean=(0.5,) * 2, std=(0.5,) * 2, modality="flow")
    network = build("s3d_fast", num_classes=2, width=0.1, channels=2)
    path = tmp_path / "flow.safetensors"
    save_model(path, ModelFile(network, ("a", "b"), spec))
    with pytest.raises(InputError, match=r"takes optical flow\. Name a folder to keep it in"):
        make_run(path)


@pytest.mark.parametrize("block", ["mixed4g", "head", ""])
def test_unknown_blocks_are_refused_before_anything_is_read(make_run: MakeRun, block: str) -> None:
    with pytest.raises(InputError, match=f"unknown block '{block}'"):
        make_run(Path("missing"), data="missing", freeze_until=block)


def test_a_missing_model_is_refused_before_videos_are_opened(make_run: MakeRun) -> None:
    with pytest.raises(InputError, match=r"gone\.safetensors: no such model file"):
        make_run(Path("gone.safetensors"), data="missing")


def test_freezing_fresh_weights_is_refused() -> None:
    with pytest.raises(InputError, match="--freeze-until mixed4f keeps weights that nothing has"):
        TrainConfig(init="none", freeze_until="mixed4f")


def test_a_killed_run_needs_the_very_model_until_its_first_state(
    make_run: MakeRun, other_model: Path
) -> None:
    run = make_run(other_model)
    start_run(run)
    taken_up = find_run(run.config)
    assert taken_up == run
    whole = other_model.read_bytes()
    model = load_model(other_model)
    with torch.no_grad():
        model.network.head.classifier.bias[0] += 1
    save_model(other_model, model)
    machine, display = Machine("cpu", 2), Display(quiet=True)
    said = r"other\.safetensors: is not the model any more that the run in .* began with"
    with pytest.raises(InputError, match=said):
        open_trainer(run, machine, display)
    other_model.unlink()
    with pytest.raises(InputError, match=r"no such model file.* The run in .* starts from it"):
        open_trainer(run, machine, display)
    other_model.write_bytes(whole)
    trainer = open_trainer(run, machine, display)
    trainer._save()
    other_model.unlink()
    again = open_trainer(run, machine, display)
    assert_start(again, weights_of(trainer.network))


def test_what_is_trained_keeps_origin_and_licence(make_run: MakeRun, other_model: Path) -> None:
    trainer = open_run(make_run(other_model, epochs=1))
    trainer.train()
    model = load_model(trainer.run.model_path)
    assert model.source == "s3d train, epoch 1, from by hand"
    assert model.licence == "CC-BY-NC-4.0"


def test_the_fingerprint_sees_weights_labels_and_clip(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    others = [
        replace(model, labels=("x", "y")),
        replace(model, spec=replace(model.spec, frames=5)),
        replace(model, network=build("s3d_fast", num_classes=2, width=0.1)),
    ]
    assert len({fingerprint(m) for m in (model, *others)}) == 4
    assert fingerprint(load_model(tiny_model)) == fingerprint(model)


def test_a_plan_with_a_start_comes_back_and_a_damaged_one_does_not(
    make_run: MakeRun, tiny_model: Path
) -> None:
    plan = make_run(tiny_model, views=3).plan
    assert plan.views == 3
    assert Plan.from_json(plan.to_json()) == plan
    with pytest.raises(InputError, match="plan is damaged"):
        Plan.from_json({**plan.to_json(), "start": {"init": "x"}})


# Weights of images


@pytest.fixture
def googlenet(tmp_path: Path) -> Path:
    """Return a file of image weights: an I2D's kernels without time, under GoogLeNet's names."""
    torch.manual_seed(1)
    i2d, tensors = build("i2d", num_classes=1000, style="googlenet"), dict[str, Tensor]()

    def write(place: Place, leaf: str, shape: tuple[int, ...]) -> Tensor:
        value = torch.randn(shape) * (2 / max(1, math.prod(shape[1:]))) ** 0.5
        tensors[name_in_ibm(place, leaf)] = value[:, :, 0] if value.ndim == 5 else value.abs()
        return value

    collect_state(i2d, write)
    torch.save(tensors, tmp_path / "googlenet.pth")
    return tmp_path / "googlenet.pth"


def test_weights_of_images_are_inflated_into_the_network_asked_for(
    make_run: MakeRun, googlenet: Path
) -> None:
    run = make_run(googlenet, network="s3d_top_9", size=32, frames=4)
    plan = run.plan
    assert (plan.word, plan.width) == ("222222222ss", 1.0)
    assert plan.style == STYLES["googlenet"]
    assert plan.spec.size_px == (32, 32)
    assert "inflated from GoogLeNet" in plan.reasons[0]
    assert plan.reasons[1] == "a fresh head for 2 classes"
    found = open_run(run).network.state_dict()["conv1a.0.weight"][:, :, 0]
    wanted = torch.load(googlenet, weights_only=True)["conv1.conv.weight"]
    assert torch.equal(found, wanted)


def test_clips_for_weights_of_images_are_chosen_from_the_videos(
    make_run: MakeRun, googlenet: Path
) -> None:
    spec = make_run(googlenet).plan.spec
    # As large as the videos of the fixture, not the 224 px of a clip that nothing was trained on.
    assert (spec.frames, spec.size_px) == (16, (40, 40))


def test_an_interrupted_run_from_images_begins_with_the_same_gates(
    make_run: MakeRun, googlenet: Path, tmp_path: Path
) -> None:
    run = make_run(googlenet, network="s3d_g", size=32, frames=4)
    first = open_run(run).network.state_dict()
    torch.manual_seed(99)
    again = open_trainer(find_run(run.config) or run, Machine("cpu", 2), Display(quiet=True))
    for name, tensor in again.network.state_dict().items():
        assert torch.equal(tensor, first[name]), name


def test_weights_of_images_have_one_width(make_run: MakeRun, googlenet: Path) -> None:
    with pytest.raises(InputError, match="Inflate into a network of width 1"):
        make_run(googlenet, width=0.5)
