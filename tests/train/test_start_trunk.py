"""A run starts from the trunk that comes with s3d where it fits, says so, and goes on the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.models.model_file import ModelFile, load_model, save_model, weights_of
from s3d.models.network import build
from s3d.models.open import InitModel
from s3d.models.shipped.table import SHIPPED, Shipped
from s3d.models.shipped.trunks import load_shipped
from s3d.train import origin as origin_module
from s3d.train import train as train_module
from s3d.train.begin import make_start
from s3d.train.config import TrainConfig
from s3d.train.display import Display
from s3d.train.loop import Trainer
from s3d.train.origin import choose_trunk, find_origin
from s3d.train.pace import TRUNK_EPOCHS_RANGE, TRUNK_LR_SHARE
from s3d.train.plan import Machine, make_plan
from s3d.train.prepare import prepare_run
from s3d.train.run import Run, find_run, start_run
from s3d.train.train import open_trainer, train
from s3d.train.validate import validate
from tests.tiny import TINY, tiny_config
from tests.train.test_plan import make_info

CPU = Machine("cpu", 2)
NAME = "motion-wide"
TWO = {
    "small": Shipped("narrow", "small.safetensors", "", "s3d", 0.25),
    "wide": Shipped("wide", "wide.safetensors", "", "s3d_g", 0.5),
}
SHORT: dict[str, Any] = {**TINY, "network": None, "width": None, "epochs": 2}
MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(colours: Path, tmp_path: Path) -> MakeRun:
    def make(**options: Any) -> Run:
        config = tiny_config(colours, tmp_path / "run", **{**SHORT, **options})
        return prepare_run(config, CPU, Display(quiet=True).stage)

    return make


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, "wide"),
        ({"network": "s3d"}, "small"),
        ({"network": "s" * 11}, "small"),  # the same network by its word
        ({"network": "s3d_g"}, "wide"),
        ({"width": 0.5}, "wide"),
        ({"width": 0.25}, "small"),
        ({"style": "paper"}, "wide"),
        ({"network": "s3d", "width": 0.5}, None),
        ({"network": "i2d"}, None),
        ({"width": 1.0}, None),
        ({"style": "torchvision"}, None),
        ({"flow": "folder"}, None),
    ],
)
def test_the_trunk_that_fits_what_was_asked_for_is_chosen(
    options: dict[str, Any], wanted: str | None
) -> None:
    assert choose_trunk(TrainConfig(**options), TWO)[0] == wanted


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"network": "i2d"}, "nothing that comes with s3d is i2d"),
        ({"width": 0.7}, "nothing that comes with s3d is of width 0.7"),
        (
            {"network": "s3d_g", "width": 0.7, "style": "slim"},
            "nothing that comes with s3d is s3d_g, of width 0.7, of style slim",
        ),
        ({"flow": "folder"}, "what comes with s3d has seen RGB alone"),
    ],
)
def test_it_is_said_why_weights_are_random(options: dict[str, Any], said: str) -> None:
    found = find_origin(TrainConfig(**options))
    assert found.model is None
    assert found.reason == f"starts from random weights: {said} (--init)"
    block = TrainConfig(**options, freeze_until="mixed4f")
    with pytest.raises(InputError, match="--freeze-until mixed4f keeps weights that nothing has"):
        find_origin(block)


def test_random_weights_that_were_asked_for_need_no_reason() -> None:
    found = find_origin(TrainConfig(init="none"))
    assert (found.init, found.model, found.reason) == (None, None, None)


@pytest.mark.parametrize("option", [{"network": "s4d"}, {"style": "cubist"}])
def test_unknown_names_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="unknown"):
        find_origin(TrainConfig(**option))


def test_auto_and_nothing_are_one() -> None:
    assert TrainConfig(init="auto", freeze_until="auto") == TrainConfig()
    assert find_origin(TrainConfig(init="auto")).init == NAME


def test_a_file_in_the_way_is_not_the_trunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ClipSpec(4, 8.0, (36, 36), (32, 32))
    monkeypatch.chdir(tmp_path)
    save_model(NAME, ModelFile(build("i2d", num_classes=2, width=0.02), (), spec))
    assert find_origin(TrainConfig()).is_shipped
    assert not find_origin(TrainConfig(init=NAME)).is_shipped


@pytest.mark.parametrize(("init", "is_fitted"), [(None, True), ("none", False)])
def test_its_head_is_fitted_before_the_first_step(
    make_run: MakeRun, init: str | None, is_fitted: bool
) -> None:
    torch.set_num_threads(1)
    run = make_run(init=init, freeze_until="none")
    assert (run.plan.start is not None and run.plan.start.fits_head) == is_fitted
    trainer = open_trainer(run, CPU, Display(quiet=True))
    videos = list(range(len(run.train)))
    found = validate(trainer.network, trainer.store, videos, trainer.labels[: len(videos)])
    assert (found.loss < 0.6) == is_fitted


def test_of_many_clips_the_head_learns_with_the_rest() -> None:
    origin = find_origin(TrainConfig())
    for clips, is_fitted in ((999, True), (1000, False)):  # two classes: a bit a clip
        start, lines = make_start(origin, ("a", "b"), clips)
        assert start is not None
        assert start.fits_head == is_fitted
        assert ("first fitted to what it gives" in lines[1]) == is_fitted


def test_a_run_starts_from_it_and_says_so(make_run: MakeRun) -> None:
    run = make_run(freeze_until="mixed3c")
    plan, shipped = run.plan, SHIPPED[NAME]
    assert (plan.word, plan.width) == (shipped.network, 0.5)
    assert plan.start is not None
    assert (plan.start.init, plan.start.licence) == (NAME, "Apache-2.0")
    assert (plan.freeze_until, plan.also_until) == ("mixed3c", None)
    assert plan.views > 0
    assert plan.reasons[0] == (
        f"starts from {NAME}: {shipped.network} x 0.5 (style paper), {shipped.title}, shipped "
        "with s3d (--init none to start at random)"
    )
    assert plan.reasons[1] == "a fresh head for 2 classes, first fitted to what it gives"
    assert plan.reasons[2].startswith("blocks up to and with mixed3c stay as they are")
    start_run(run)
    trainer = open_trainer(run, CPU, Display(quiet=True))
    assert trainer.trunk is not None
    assert trainer.trunk.at == "pool4a"
    assert trainer.kept is not None  # its features
    found, wanted = weights_of(trainer.network), weights_of(load_shipped(NAME).network)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor) or "classifier" in name, name


def test_nothing_is_frozen_where_that_was_asked_for(make_run: MakeRun) -> None:
    plan = make_run(freeze_until="none").plan
    assert (plan.freeze_until, plan.also_until, plan.views) == (None, None, 0)
    assert not any("stay as they are" in reason for reason in plan.reasons)
    assert make_run(freeze_until="mixed4f").plan.freeze_until == "mixed4f"


@pytest.mark.parametrize("options", [{"init": "none"}, {"network": "i2d", "width": 0.1}])
def test_from_random_weights_nothing_is_frozen(make_run: MakeRun, options: dict[str, Any]) -> None:
    plan = make_run(**options).plan
    assert (plan.start, plan.freeze_until, plan.also_until) == (None, None, None)
    assert plan.reasons[0].startswith("starts from random weights") == ("network" in options)


def test_its_name_does_what_was_chosen_and_takes_other_networks_no_more(make_run: MakeRun) -> None:
    assert make_run(init=NAME).plan == make_run().plan
    with pytest.raises(InputError, match=r"--network i2d does not fit --init motion-wide, which"):
        make_run(init=NAME, network="i2d")


def test_the_clip_is_chosen_from_the_videos_but_for_its_range() -> None:
    network = build("s3d", num_classes=1, width=0.1)
    own = ClipSpec(64, 3.0, (256, 256), (224, 224), "keep", (0.4,) * 3, (0.2,) * 3)
    trunk = InitModel(ModelFile(network, (), own), is_of_images=False, is_shipped=True)
    infos = [make_info()] * 100
    spec = make_plan(TrainConfig(), infos, CPU, trunk).spec
    scratch = make_plan(TrainConfig(init="none"), infos, CPU).spec
    assert spec == replace(scratch, rate_fps=12.0, mean=own.mean, std=own.std)
    assert spec.size_px == (64, 64)
    gpu = make_plan(TrainConfig(), infos, Machine("cuda", 8), trunk).spec
    assert (gpu.frames, gpu.size_px) == (32, (112, 112))


@pytest.mark.parametrize(("clips", "epochs"), [(10, 60), (200, 30), (10_000, 6)])
def test_its_pace_is_its_own(clips: int, epochs: int) -> None:
    trunk = InitModel(load_shipped(NAME), is_of_images=False, is_shipped=True)
    plan = make_plan(TrainConfig(), [make_info()] * clips, CPU, trunk)
    low, high = TRUNK_EPOCHS_RANGE
    assert (plan.epochs, plan.lr) == (min(max(epochs, low), high), 2e-3 * TRUNK_LR_SHARE)


def test_videos_of_flow_start_at_random(
    colours: Path, tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3d.train import prepare

    find = prepare.fit_videos

    def fit_flow(origin: Any, config: TrainConfig, infos: Any) -> Any:
        return find(origin, config, [replace(infos[0], channels=2)])

    monkeypatch.setattr(prepare, "fit_videos", fit_flow)
    plan = make_run().plan
    assert plan.start is None
    assert "starts from random weights: what comes with s3d has seen RGB alone" in plan.reasons[0]
    assert make_run(init=NAME).plan.start is not None  # what was asked for is done
    with pytest.raises(InputError, match="keeps weights that nothing has trained"):
        make_run(freeze_until="mixed3c")


class Killed(BaseException):
    """What a kill is in these tests."""


def test_a_killed_run_ends_with_the_same_bytes(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "_report", lambda *parts: None)
    options = {**SHORT, "checkpoint_seconds": 0, "freeze_until": "mixed3c"}
    whole = train(tiny_config(colours, tmp_path / "whole", **options), quiet=True)
    model = load_model(whole)
    trunk = load_shipped(NAME)
    assert model.licence == "Apache-2.0"
    assert model.source == f"s3d train, epoch {model.source.split()[3][:-1]}, from {trunk.source}"
    kept, tail = (
        torch.equal(weights_of(model.network)[name], weights_of(trunk.network)[name])
        for name in ("mixed3c.entry.weight", "mixed4b.entry.weight")
    )
    assert (kept, tail) == (True, False)

    config = tiny_config(colours, tmp_path / "run", **options)
    save, saves = Trainer._save, list[int]()

    def kill(self: Trainer, parts: Any) -> None:
        raise Killed

    def save_and_kill(self: Trainer) -> None:
        save(self)
        saves.append(self.step)
        raise Killed

    # Killed before its first state, and after it.
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Trainer, "_take_step", kill)
        train(config, quiet=True)
    # A wider trunk that came with a later s3d changes nothing for a run that has begun.
    monkeypatch.setattr(origin_module, "choose_trunk", lambda *parts: ("other", ""))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Trainer, "_save", save_and_kill)
        train(config, quiet=True)
    assert saves == [1]
    assert train(config, quiet=True).read_bytes() == whole.read_bytes()


def test_a_run_that_began_needs_the_very_trunk_until_its_first_state(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(cache_gb=0, freeze_until="mixed3c")
    start_run(run)
    assert find_run(run.config) == run
    other = load_shipped(NAME)
    with torch.no_grad():
        other.network.conv1a[0].weight[0] += 1
    with monkeypatch.context() as patch:
        patch.setattr(origin_module, "load_shipped", lambda name: other)
        with pytest.raises(InputError, match=r"motion-wide: is not the model any more that the"):
            open_trainer(run, CPU, Display(quiet=True))
    gone = replace(run.plan, start=replace(run.plan.start, init="motion-gone"))
    with pytest.raises(InputError, match=r"'motion-gone' does not come .* run in .* starts from"):
        open_trainer(replace(run, plan=gone), CPU, Display(quiet=True))
    assert open_trainer(run, CPU, Display(quiet=True)).step == 0
