"""Frozen blocks stay as they are, and their features, kept, train as if they were not kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from s3d.data.clips import read_centre
from s3d.data.decode import Frames, Indices
from s3d.data.loader import join_features, normalise
from s3d.data.store import FrameStore
from s3d.errors import InputError
from s3d.models.model_file import load_model, save_model, weights_of
from s3d.models.network import BLOCKS
from s3d.train import features as features_module
from s3d.train import train as train_module
from s3d.train.config import TrainConfig
from s3d.train.display import Display
from s3d.train.effort import Effort
from s3d.train.features import choose_views
from s3d.train.loop import Trainer
from s3d.train.plan import Machine
from s3d.train.prepare import prepare_run
from s3d.train.run import start_run
from s3d.train.train import open_trainer, train
from s3d.train.trunk import Trunk, last_fixed
from s3d.train.validate import validate
from tests.tiny import TINY
from tests.tolerances import FLOAT32, assert_close

FREE = {
    k: v for k, v in TINY.items() if k not in ("network", "width", "frames", "rate_fps", "size")
}
OPTIONS: dict[str, Any] = {
    "freeze_until": "mixed4c", "views": 3, "flip": True, "mixup": 0.3, "dropout": 0.5, "batch": 6,
}  # fmt: skip
FEW_AT_A_TIME = 2 * 3 * 4 * 32 * 32
"""Pixels of the clips of two training videos: features are then computed in several groups."""

MakeConfig = Callable[..., TrainConfig]
MakeTrainer = Callable[..., Trainer]


@pytest.fixture(scope="module")
def init(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of other classes, whose head makes way for a fresh one."""
    model, path = load_model(tiny_model), tmp_path_factory.mktemp("init") / "init.safetensors"
    model.network.replace_head(3)
    save_model(path, replace(model, labels=("a", "b", "c")))
    return path


@pytest.fixture
def make_config(colours: Path, init: Path, tmp_path: Path) -> MakeConfig:
    def make(name: str = "run", **options: Any) -> TrainConfig:
        values = {**FREE, **OPTIONS, "data": str(colours), "init": str(init)}
        return TrainConfig(**{**values, "out": str(tmp_path / name), **options})

    return make


@pytest.fixture
def make_trainer(make_config: MakeConfig) -> MakeTrainer:
    def make(name: str = "run", **options: Any) -> Trainer:
        machine, display = Machine("cpu", 2), Display(quiet=True)
        run = prepare_run(make_config(name, **options), machine, display.stage)
        start_run(run)
        return open_trainer(run, machine, display)

    return make


def frozen_weights(network: Any) -> dict[str, Tensor]:
    frozen = BLOCKS[: BLOCKS.index("mixed4c") + 1]
    every = weights_of(network).items()
    return {name: t.clone() for name, t in every if name.split(".")[0] in frozen}


def losses_of(trainer: Trainer, steps: int) -> list[float]:
    losses = []
    for batch in list(trainer.loader.batches(0))[:steps]:
        before = trainer.sums[0]
        trainer._take_step([batch])
        losses.append((trainer.sums[0] - before) / len(batch.labels))
    return losses


@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
def test_frozen_blocks_stay_and_the_saved_model_is_whole(
    make_trainer: MakeTrainer, init: Path, cache_gb: float
) -> None:
    trainer = make_trainer(cache_gb=cache_gb, epochs=2)
    wanted = frozen_weights(load_model(init).network)
    tail = trainer.network.mixed5b.entry.weight.detach().clone()
    trainer.train()
    saved = load_model(trainer.run.model_path).network
    for network in (trainer.network, saved):
        found = frozen_weights(network)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
        assert not torch.equal(network.mixed5b.entry.weight, tail)


def test_only_the_tail_learns_is_averaged_and_normalises_by_batch(
    make_trainer: MakeTrainer,
) -> None:
    trainer = make_trainer(views=0)
    assert trainer.trunk is not None
    tail = {id(p) for p in trainer.trunk.tail.parameters()}
    held = {id(p) for g in trainer.optimizer.param_groups for p in g["params"]}
    assert held == tail == {id(p) for p in trainer.network.parameters() if p.requires_grad}
    assert trainer.average is not None
    floats = [t for t in trainer.trunk.tail.state_dict().values() if t.is_floating_point()]
    assert len(trainer.average.average) == len(floats) < len(list(trainer.network.state_dict()))
    validate(trainer.network, trainer.store, trainer.val, trainer.val_labels)
    for name, module in trainer.network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            later = BLOCKS.index(name.split(".")[0]) > BLOCKS.index("mixed4c")
            assert module.training == later, name


@pytest.mark.parametrize(
    ("until", "at"),
    [("mixed4f", "pool5a"), ("mixed4c", "mixed4c"), ("conv1a", "pool2a"), ("mixed5c", "mixed5c")],
)
def test_features_are_taken_behind_the_pool_that_follows(until: str, at: str) -> None:
    assert last_fixed(until) == at


def test_features_do_not_depend_on_how_many_clips_pass_at_a_time(
    init: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = Trunk(load_model(init).network, "mixed4f")
    clips = torch.linspace(-1, 1, 5 * 3 * 4 * 32 * 32).view(5, 3, 4, 32, 32)
    whole = trunk.features(clips)
    monkeypatch.setattr("s3d.train.trunk.PIECE_PIXELS", 2 * 4 * 32 * 32)
    assert_close(trunk.features(clips), whole, FLOAT32)
    assert_close(trunk.classify(whole), trunk.network(clips), FLOAT32)


@pytest.mark.parametrize("until", ["conv2c", "mixed4f", "mixed5c"])
def test_kept_features_train_as_those_computed_anew(make_trainer: MakeTrainer, until: str) -> None:
    cached = make_trainer("cached", freeze_until=until)
    anew = make_trainer("anew", freeze_until=until, cache_gb=0.0)
    assert cached.kept is not None
    assert anew.kept is None
    assert not anew.store.is_kept
    np.testing.assert_allclose(losses_of(cached, 2), losses_of(anew, 2), rtol=1e-4)
    clips = torch.linspace(-1, 1, 2 * 3 * 4 * 32 * 32).view(2, 3, 4, 32, 32)
    with torch.no_grad():
        logits = [trainer.network.eval()(clips) for trainer in (cached, anew)]
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-3, atol=1e-3)


def test_logits_of_kept_features_are_those_of_the_clips(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(epochs=1)
    trainer.train()
    assert trainer.kept is not None
    network, spec = trainer.network.eval(), trainer.run.plan.spec
    frames = np.stack([read_centre(trainer.store, video) for video in trainer.val])
    with torch.no_grad():
        wanted = network(normalise(torch.from_numpy(frames), spec))
        kept = [trainer.kept.features.read(video) for video in trainer.val]
        assert_close(trainer.kept.trunk.classify(join_features(kept)), wanted, FLOAT32)
    parts = trainer.network, trainer.store, trainer.val, trainer.val_labels
    whole, cached = validate(*parts), validate(*parts, trainer.kept)
    np.testing.assert_allclose(cached.scores, whole.scores, atol=1e-5)
    assert (cached.videos, cached.top1) == (whole.videos, whole.top1)


def test_features_lie_in_memory_as_the_network_likes_them(make_trainer: MakeTrainer) -> None:
    batch: Any = next(iter(make_trainer().loader.batches(0)))
    assert batch.features.is_contiguous(memory_format=torch.channels_last_3d)
    assert batch.features.dtype == torch.float32


def break_videos(monkeypatch: pytest.MonkeyPatch, broken: set[int]) -> None:
    def read(self: FrameStore, video: int, indices: Indices) -> Frames:
        if video in broken:
            raise InputError(f"{self.infos[video].path}: has gone.")
        return whole(self, video, indices)

    whole = FrameStore.read
    monkeypatch.setattr(FrameStore, "read", read)


def test_a_video_that_fails_is_named_and_replaced_as_without_the_cache(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {1, 12}  # one to train, one to validate
    break_videos(monkeypatch, lost)
    cached = make_trainer("cached", max_failed=0.3, epochs=1)
    anew = make_trainer("anew", max_failed=0.3, epochs=1, cache_gb=0.0)
    assert 12 in cached.val
    for trainer in (cached, anew):
        trainer.train()
        assert set(trainer.failures) == {trainer.store.infos[n].path for n in lost}
    losses = [trainer.history[0].train_loss for trainer in (cached, anew)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    with pytest.raises(InputError, match=r"2 of 16 videos do not decode, more than --max-failed"):
        make_trainer("strict", max_failed=0.1)


@pytest.mark.parametrize(
    ("options", "views"),
    [
        ({"cache_gb": 1.0}, 8),
        ({"cache_gb": 0.0}, 0),
        ({"cache_gb": 0.0, "views": 5}, 5),
        ({"freeze_until": None}, 0),
        ({"freeze_until": None, "views": 2}, 2),
    ],
)
def test_views_are_chosen_where_features_are_kept(
    make_config: MakeConfig, options: dict[str, Any], views: int
) -> None:
    config = make_config(**{"views": None, **options})
    plan = prepare_run(config, Machine("cpu", 2), Display(quiet=True).stage).plan
    assert plan.views == views


def test_little_time_makes_fewer_views_but_never_none(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepare_run(make_config(), Machine("cpu", 2), Display(quiet=True).stage)
    monkeypatch.setattr(features_module, "count_cores", lambda: 1)
    effort = Effort(trunk=25e9, tail=0)  # a second a clip
    monkeypatch.setattr(features_module, "count_effort", lambda *parts: effort)
    config = replace(run.config, views=None)
    for patience, wanted, told in ((85, 8, "85 s"), (84, 7, "75 s"), (1, 1, "15 s")):
        monkeypatch.setattr(features_module, "PATIENCE_SECONDS", patience)
        views, reason = choose_views(config, run.plan, train=10, val=5)
        assert views == wanted
        assert reason is not None
        assert f"computed once in about {told} and kept" in reason


def test_little_room_makes_fewer_views_and_none_none(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepare_run(make_config(), Machine("cpu", 2), Display(quiet=True).stage)
    monkeypatch.setattr(features_module, "_row_bytes", lambda until, plan: 10**6)
    for gigabytes, wanted in ((0.085, 8), (0.084, 7), (0.015, 1), (0.014, 0)):
        config = replace(run.config, views=None, cache_gb=gigabytes)
        views, reason = choose_views(config, run.plan, train=10, val=5)
        assert views == wanted
        assert reason is not None
        assert f"{wanted} clips of each video" in reason or "no features are kept: 14 MB" in reason
    monkeypatch.setattr(features_module, "FREE_SHARE", 0)  # a full disk
    assert choose_views(replace(run.config, views=None), run.plan, 10, 5)[0] == 0


def test_a_run_whose_features_find_no_room_says_so_and_goes_on(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "_report", lambda *parts: None)
    train(make_config(epochs=1, cache_gb=1e-5))
    said = capsys.readouterr().err
    assert "the features of 3 clips a video would take" in said
    assert "more than the 0.01 MB there are: they are computed anew at every step" in said


class Killed(BaseException):
    """Stand for a kill, which nothing catches."""


def train_until(monkeypatch: pytest.MonkeyPatch, config: TrainConfig, **calls: int) -> None:
    """Train, and be killed at the n-th call of a method of the trainer or the feature file."""
    homes: dict[str, Any] = {"_take_step": Trainer, "add": features_module.FeatureStore}
    ((name, number),) = calls.items()
    whole, left = getattr(homes[name], name), [number]

    def strike(self: Any, *parts: Any) -> Any:
        result = whole(self, *parts)
        left[0] -= 1
        if not left[0]:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(homes[name], name, strike)
        with pytest.raises(Killed):
            train(config, quiet=True)


@pytest.fixture
def in_groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Compute few features at a time, record each; return the list of how many videos a time."""
    counts: list[int] = []

    def add(self: Any, videos: int, *parts: Any) -> None:
        counts.append(videos)
        whole(self, videos, *parts)

    whole = features_module.FeatureStore.add
    monkeypatch.setattr(features_module.FeatureStore, "add", add)
    monkeypatch.setattr(features_module, "PIECE_PIXELS", FEW_AT_A_TIME)
    monkeypatch.setattr(features_module, "SECONDS_TO_LOSE", -1.0)
    monkeypatch.setattr(train_module, "_report", lambda *parts: None)
    return counts


def test_a_frozen_run_killed_anywhere_ends_with_the_same_bytes(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, in_groups: list[int]
) -> None:
    wanted = train(make_config("whole"), quiet=True).read_bytes()
    groups = list(in_groups)
    assert len(groups) > 5
    assert not (Path(make_config("whole").out) / "cache").exists()
    config = make_config(checkpoint_seconds=0)
    train_until(monkeypatch, config, add=3)
    in_groups.clear()
    train_until(monkeypatch, config, _take_step=1)  # before the first state
    assert in_groups == groups[2:]  # the third was not recorded yet
    in_groups.clear()
    train_until(monkeypatch, config, _take_step=3)
    assert train(config, quiet=True).read_bytes() == wanted
    assert in_groups == []


def test_features_of_another_trunk_are_computed_anew(
    make_config: MakeConfig, init: Path, monkeypatch: pytest.MonkeyPatch, in_groups: list[int]
) -> None:
    config = make_config(epochs=1)
    train_until(monkeypatch, config, _take_step=1)
    run_json = Path(config.out) / "run.json"
    videos, model = sum(in_groups), load_model(init)
    in_groups.clear()
    values = json.loads(run_json.read_text())
    model.network.conv1a[0].weight.data += 0.1
    changed = Path(config.out).parent / "changed.safetensors"
    save_model(changed, model)
    values["config"]["init"] = str(changed)
    values["plan"]["start"]["sha256"] = features_module_fingerprint(changed)
    run_json.write_text(json.dumps(values))
    train(replace(config, init=str(changed)), quiet=True)
    assert sum(in_groups) == videos == 16


def features_module_fingerprint(path: Path) -> str:
    from s3d.train.begin import fingerprint

    return fingerprint(load_model(path))


KILLED = """
import sys
from s3d.cli import main
from s3d.train import features, train
from tests.killer import die_when_writing

features.PIECE_PIXELS, features.SECONDS_TO_LOSE = int(sys.argv[1]), -1.0
train._report = lambda *parts: None
die_when_writing("features.json", 3)
main(sys.argv[2:])
"""


def words_of(config: TrainConfig) -> list[str]:
    words = ["train", config.data]
    for name, value in config.to_json().items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None and name != "data":
            words.append(f"--{flag}={value}")
    return words


def test_sigkill_while_features_are_computed_loses_only_the_last(
    make_config: MakeConfig, in_groups: list[int]
) -> None:
    config = make_config(epochs=1)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(FEW_AT_A_TIME), *words_of(config)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr[-2000:]
    cache = Path(config.out) / "cache"
    recorded = json.loads((cache / "features.json").read_text())["done"]
    ours = train(config, quiet=True)
    assert 0 < recorded == 16 - sum(in_groups)
    wanted = train(make_config("whole", epochs=1), quiet=True)
    assert ours.read_bytes() == wanted.read_bytes()
