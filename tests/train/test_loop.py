"""The loop learns, keeps the best, survives broken files and says what went wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from s3d.data.decode import Frames, Indices
from s3d.data.store import FrameStore
from s3d.data.videos import list_videos
from s3d.errors import InputError
from s3d.evaluate.evaluation import evaluate
from s3d.infer.recognizer import load
from s3d.models.model_file import load_model, weights_of
from s3d.train import loop
from s3d.train.display import Display
from s3d.train.loop import Trainer
from s3d.train.optimise import compute_loss
from s3d.train.plan import Machine
from s3d.train.prepare import prepare_run
from s3d.train.run import start_run
from s3d.train.state import load_state
from s3d.train.train import open_trainer, train
from s3d.train.validate import Validation, validate
from tests.tiny import tiny_config

MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(colours: Path, tmp_path: Path) -> MakeTrainer:
    def make(**options: Any) -> Trainer:
        config = tiny_config(colours, tmp_path / "run", **options)
        machine, display = Machine("cpu", 2), Display(quiet=True)
        run = prepare_run(config, machine, display.stage)
        start_run(run)
        return open_trainer(run, machine, display)

    return make


def make_outcome(top1: float, loss: float) -> Validation:
    scores = np.full((1, 2), 0.5, np.float32)
    return Validation(loss, top1, scores, np.zeros(1, np.int64), (0,), ())


def weights(network: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in weights_of(network).items()}


def assert_weights(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name


def test_a_batch_of_any_labels_is_learnt_by_heart(make_trainer: MakeTrainer) -> None:
    # Long enough on any processor: after 40 steps one had come to 0.09 only.
    trainer = make_trainer(epochs=80, label_smoothing=0, warmup=0.1, network="s3d")
    batch = next(trainer.loader.batches(0))
    batch.labels.copy_(torch.arange(8) % 2)
    losses = []
    for _ in range(80):
        before = trainer.sums[0]
        trainer._take_step([batch])
        losses.append((trainer.sums[0] - before) / 8)
    assert losses[0] > 0.5
    assert losses[-1] < 0.05


def test_a_folder_is_learnt_from_end_to_end(
    tiny_run: Path, tiny_model: Path, colours: Path
) -> None:
    outcome = evaluate(load(tiny_model), list_videos(colours))
    assert outcome.top(1) > 0.9
    epochs = [json.loads(line) for line in (tiny_run / "history.jsonl").read_text().splitlines()]
    assert [e["epoch"] for e in epochs] == list(range(1, 21))
    assert epochs[0]["train_loss"] > epochs[-1]["train_loss"]
    assert epochs[-1]["step"] == 20 * 2


def test_a_finished_run_holds_report_history_and_logs_and_no_frames(tiny_run: Path) -> None:
    names = {p.name for p in tiny_run.iterdir()}
    assert names == {
        "history.jsonl", "model.safetensors", "report.html", "report.png", "run.json",
        "state.ckpt", "tensorboard",
    }  # fmt: skip
    page = (tiny_run / "report.html").read_text()
    assert "red" in page
    assert "<svg" in page
    assert (tiny_run / "report.png").read_bytes().startswith(b"\x89PNG")


def test_tensorboard_shows_every_epoch_once(tiny_run: Path) -> None:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = module.EventAccumulator(str(tiny_run / "tensorboard")).Reload()
    for name in ("loss/train", "loss/validation", "top1/train", "top1/validation", "rate"):
        assert [event.step for event in events.Scalars(name)] == list(range(2, 41, 2))


def test_the_best_validation_is_kept_and_equal_ones_go_by_loss(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(epochs=5)
    outcomes = [(0.5, 1.0), (0.9, 1.0), (0.9, 0.8), (0.9, 0.8), (0.7, 0.1)]
    kept: list[dict[str, Tensor]] = []

    def validate_as_told() -> Validation:
        with trainer._averaged():
            kept.append(weights(trainer.network))
        return make_outcome(*outcomes[len(kept) - 1])

    monkeypatch.setattr(trainer, "_validate", validate_as_told)
    trainer.train()
    assert trainer.best == {"top1": 0.9, "loss": 0.8, "epoch": 3}
    assert_weights(load_file(trainer.run.model_path), kept[2])
    (metric,) = load(trainer.run.model_path).metrics
    assert (metric["metric"], metric["value"]) == ("top1", 0.9)
    assert metric["protocol"].startswith("clip (middle, 4 frames at 8 fps")


def test_the_averaged_weights_are_kept_or_the_last_where_it_is_off(
    make_trainer: MakeTrainer,
) -> None:
    trainer = make_trainer(epochs=2, val_share=0)
    trainer.train()
    last = weights(trainer.network)
    found = load_file(trainer.run.model_path)
    assert not torch.equal(found["head.classifier.weight"], last["head.classifier.weight"])
    with trainer._averaged():
        assert_weights(found, weights(trainer.network))
    assert_weights(weights(trainer.network), last)


def test_without_average_and_validation_the_last_weights_are_kept(
    make_trainer: MakeTrainer,
) -> None:
    trainer = make_trainer(epochs=2, val_share=0, ema=0)
    trainer.train()
    assert_weights(load_file(trainer.run.model_path), weights(trainer.network))
    assert trainer.best == {"epoch": 2}
    assert load(trainer.run.model_path).metrics == ()
    assert trainer.best_scores() is None


@pytest.mark.parametrize(("seconds", "saves"), [(0.0, 4), (1e5, 2)])
def test_states_are_saved_at_epochs_and_as_often_as_asked(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, seconds: float, saves: int
) -> None:
    trainer = make_trainer(epochs=2, checkpoint_seconds=seconds)
    steps: list[int] = []
    monkeypatch.setattr(trainer, "_save", lambda: steps.append(trainer.step))
    trainer.train()
    assert len(steps) == saves
    assert steps[-1] == trainer.steps == 4


def test_every_step_has_the_rate_of_the_schedule(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(epochs=4, schedule="step", warmup=0, optimizer="sgd", lr=0.01)
    rates: list[float] = []

    def note(*arguments: Any, **options: Any) -> None:
        rates.append(trainer.optimizer.param_groups[1]["lr"])
        step(*arguments, **options)

    step = trainer.optimizer.step
    monkeypatch.setattr(trainer.optimizer, "step", note)
    trainer.train()
    assert rates == [pytest.approx(r) for r in [0.01] * 6 + [0.001, 0.0001]]
    assert isinstance(trainer.optimizer, torch.optim.SGD)


def test_options_reach_the_network(make_trainer: MakeTrainer) -> None:
    network = make_trainer(dropout=0.75, norm_decay=0.99, style="torchvision").network
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.momentum == pytest.approx(0.01) for m in norms)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.75]


def test_mixup_trains(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(epochs=2, mixup=0.4)
    trainer.train()
    assert all(np.isfinite(e.train_loss) for e in trainer.history)


def test_a_loss_that_is_not_a_number_ends_the_run_and_its_state_stays(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(network: nn.Module, *rest: Any) -> tuple[Tensor, Tensor]:
        loss, logits = compute(network, *rest)
        return (loss * float("nan") if trainer.step == 3 else loss), logits

    compute = compute_loss
    monkeypatch.setattr(loop, "compute_loss", diverge)
    trainer = make_trainer(epochs=5)
    with pytest.raises(InputError, match=r"the loss is nan at step 4: training diverged.*--lr"):
        trainer.train()
    state = load_state(trainer.run.state_path)
    assert state is not None
    assert state["step"] == 2


def break_videos(monkeypatch: pytest.MonkeyPatch, broken: set[int]) -> None:
    def read(self: FrameStore, video: int, indices: Indices) -> Frames:
        if video in broken:
            raise InputError(f"{self.infos[video].path}: has gone.")
        return whole(self, video, indices)

    whole = FrameStore.read
    monkeypatch.setattr(FrameStore, "read", read)


def test_a_file_that_breaks_while_training_is_named_and_passed_over(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(epochs=2, max_failed=0.2, cache_gb=0)
    lost = {0, len(trainer.run.train)}  # one to train, one to validate
    break_videos(monkeypatch, lost)
    trainer.train()
    assert set(trainer.failures) == {trainer.store.infos[n].path for n in lost}
    assert trainer.history[-1].val_top1 is not None
    state = load_state(trainer.run.state_path)
    assert state is not None
    assert state["failures"] == trainer.failures


def test_too_many_broken_files_end_training(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(epochs=3, max_failed=0.1, cache_gb=0)
    break_videos(monkeypatch, {0, 1, 2})
    with pytest.raises(InputError, match=r"[23] of 16 videos failed while training, more than"):
        trainer.train()


def test_validation_says_which_videos_it_scored(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(cache_gb=0)
    whole = validate(trainer.network, trainer.store, trainer.val, trainer.val_labels)
    assert whole.videos == tuple(trainer.val)
    assert trainer.network.training
    break_videos(monkeypatch, {trainer.val[1]})
    part = validate(trainer.network, trainer.store, trainer.val, trainer.val_labels)
    kept = [n for n in range(len(trainer.val)) if n != 1]
    assert part.videos == tuple(trainer.val[n] for n in kept)
    np.testing.assert_array_equal(part.truth, np.array(trainer.val_labels)[kept])
    np.testing.assert_allclose(part.scores, whole.scores[kept], atol=1e-5)
    assert part.top1 == np.mean(part.scores.argmax(1) == part.truth)
    assert part.loss == pytest.approx(
        -np.log(part.scores[np.arange(len(kept)), part.truth]).mean(), abs=1e-5
    )
    ((path, reason),) = part.failures
    assert path in reason
    break_videos(monkeypatch, set(trainer.val))
    with pytest.raises(InputError, match="not one video to validate can be read"):
        validate(trainer.network, trainer.store, trainer.val, trainer.val_labels)


def test_frames_that_do_not_fit_the_budget_are_decoded_when_needed(
    make_trainer: MakeTrainer,
) -> None:
    kept, decoded = make_trainer(), make_trainer(cache_gb=1e-6)
    assert kept.store.is_kept
    assert not decoded.store.is_kept
    assert decoded.loader.threads == 2
    one, other = next(kept.loader.batches(0)), next(decoded.loader.batches(0))
    assert torch.equal(one.frames, other.frames)


@pytest.mark.parametrize("damage", ["network", "average", "optimizer", "history", "step"])
def test_a_state_of_another_run_is_refused(make_trainer: MakeTrainer, damage: str) -> None:
    trainer = make_trainer(epochs=1)
    trainer.train()
    path = trainer.run.state_path
    state = load_state(path)
    assert state is not None
    state[damage] = {"history": [{"x": 1}], "step": "x"}.get(damage, [torch.zeros(3)])
    torch.save(state, path)
    with pytest.raises(InputError, match=r"state\.ckpt: does not fit this run. Delete it"):
        make_trainer(epochs=1)


def test_the_display_shows_bar_and_lines(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    train(tiny_config(colours, tmp_path / "run", epochs=2))
    shown = capsys.readouterr().err
    for part in ("training", "loss", "top-1", "opening videos", "decoding", "epoch    2", "model "):
        assert part in shown
    assert "step/s" in shown or "s/step" in shown  # and with it the time left


@pytest.mark.parametrize(("keep", "epoch"), [("best", 1), ("last", 3)])
def test_the_best_or_the_last_weights_are_kept(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, epoch: int
) -> None:
    calls: list[int] = []

    def worsen(*arguments: Any, **options: Any) -> Validation:
        calls.append(1)
        return replace(validate(*arguments, **options), top1=1 / len(calls))

    monkeypatch.setattr(loop, "validate", worsen)
    model = train(tiny_config(colours, tmp_path / "run", keep=keep), quiet=True)
    assert load_model(model).source == f"s3d train, epoch {epoch}"
