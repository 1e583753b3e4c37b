"""The training loop, and the state that survives a kill."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from s3d.data.clips import Augmentation
from s3d.data.feature_store import FeatureStore
from s3d.data.loader import Batch, ClipLoader, FeatureBatch, FeatureLoader, Share
from s3d.data.store import FrameStore
from s3d.errors import InputError
from s3d.files import write_text
from s3d.models.device import choose_device
from s3d.models.model_file import ModelFile, load_model, save_model
from s3d.models.network import Network, build
from s3d.models.processes import ALONE, Processes
from s3d.models.sync_norm import synchronise_norms
from s3d.train.begin import Start, load_weights
from s3d.train.display import Display
from s3d.train.distributed import add_gradients, hold_back, seed_dropout
from s3d.train.head import fit_head
from s3d.train.optimise import compute_loss, learning_rate, make_optimizer, mixed_precision
from s3d.train.plan import count_cores
from s3d.train.report import Epoch
from s3d.train.run import Run
from s3d.train.state import AveragedWeights, load_state, save_state
from s3d.train.trunk import Trunk
from s3d.train.validate import Kept, Validation, validate

MOST_VALIDATIONS = 40


class Trainer:
    """Train one run from where it stands to its end."""

    def __init__(
        self,
        run: Run,
        store: FrameStore,
        numbers: list[int],
        display: Display,
        processes: Processes = ALONE,
    ) -> None:
        """Build network, optimizer and loader, and take up the state, or the start, there is.

        Args:
            run: What to do.
            store: The training videos, then the validation videos.
            numbers: Class number of each; -1 for one that must not be used.
            display: Shows how it goes.
            processes: That train it together; the first one writes what is kept.

        Raises:
            InputError: The state, or the model to start from, does not fit the run.
        """
        config, plan = run.config, run.plan
        self.run, self.store, self.display, self.processes = run, store, display, processes
        self.device = choose_device(config.device)
        torch.manual_seed(config.seed)
        self.network = _build_network(run).to(self.device).train()
        self.trunk = Trunk(self.network, plan.freeze_until) if plan.freeze_until else None
        self.trained: nn.Module = self.trunk.tail if self.trunk else self.network
        self.kept: Kept | None = None
        state = processes.first(lambda: load_state(run.state_path))
        if state is None and plan.start and processes.is_first:
            self._take_start(plan.start, numbers)
        processes.copy_first(self.network)
        if self.trunk:
            self.trunk.train()
        if config.sync_norms:  # In one process too: what rounds alike goes on alike.
            synchronise_norms(self.trained)
        self.optimizer = make_optimizer(self.trained, config, plan.lr)
        self.average = AveragedWeights(self.trained, config.ema) if config.ema else None
        split = len(run.train)
        self.val = [i for i in range(split, len(numbers)) if numbers[i] >= 0]
        self.val_labels = [numbers[i] for i in self.val]
        self.labels = [*numbers[:split], *[-1] * (len(numbers) - split)]
        self.loader: ClipLoader | FeatureLoader = self._load_clips()
        self.steps = config.steps or plan.epochs * self.loader.steps
        self.epochs = math.ceil(self.steps / self.loader.steps)
        self.every = max(1, self.epochs // MOST_VALIDATIONS)
        self.step = 0
        self.sums = [0.0, 0.0, 0.0, 0.0]  # loss, right, clips, seconds of the epoch so far
        self.history: list[Epoch] = []
        self.best: dict[str, float] = {}
        self.failures: dict[str, str] = {}
        self.saved = time.monotonic()
        if state is not None:
            self._take_up(state)
        self.classify = add_gradients(self.network, self.trunk, processes)

    def _take_start(self, start: Start, numbers: Sequence[int]) -> None:
        run, config = self.run, self.run.config
        load_weights(start, config, self.network, str(run.folder))
        if start.fits_head:
            stage = self.display.stage("fitting the head")
            threads = config.threads or self._share_cores()
            own = numbers[: len(run.train)]
            fit_head(self.network, self.store, run.train, own, config.seed, threads, stage)

    def _load_clips(self) -> ClipLoader:
        config, store = self.run.config, self.store
        loader = ClipLoader(
            store,
            self.labels,
            config.batch,
            config.seed,
            Augmentation(config.jitter, config.flip),
            views=self.run.plan.views,
            balance=config.balance,
            # Frames at hand are copied faster by one thread; decoding is what takes many.
            threads=1 if store.is_kept else config.threads or self._share_cores(),
        )
        self._divide(loader)
        return loader

    def use(self, features: FeatureStore) -> None:
        """Take the features of the frozen blocks from where they are kept, from now on."""
        assert self.trunk is not None
        config = self.run.config
        self.kept = Kept(features, self.trunk)
        self.loader = FeatureLoader(
            features, self.labels, config.batch, config.seed, balance=config.balance
        )
        self._divide(self.loader)

    def train(self) -> None:
        """Train to the end; a state is saved at least every `checkpoint_seconds`.

        Raises:
            InputError: Too many files fail, or the disk will not take the state.
        """
        self.display.start(self.steps, self.step)
        try:
            for epoch in range(self.step // self.loader.steps, self.epochs):
                self._train_epoch(epoch)
        finally:
            self.display.stop()

    def best_scores(self) -> Validation | None:
        """Return the validation of the model that was kept; None without validation."""
        if not self.val:
            return None
        first = self.processes.is_first
        network = load_model(self.run.model_path).network if first else _build_network(self.run)
        self.processes.copy_first(network.to(self.device))
        return validate(network, self.store, self.val, self.val_labels, processes=self.processes)

    def _divide(self, loader: ClipLoader | FeatureLoader) -> None:
        processes = self.processes
        loader.share = Share(processes.rank, processes.world, self.run.config.accumulate)
        loader.pins = self.device == "cuda"

    def _share_cores(self) -> int:
        return max(1, count_cores() // self.processes.local_world)

    def _train_epoch(self, epoch: int) -> None:
        parts = self.loader.batches(epoch, self.step % self.loader.steps)
        end = min((epoch + 1) * self.loader.steps, self.steps)
        while self.step < end:
            self._take_step(islice(parts, self.run.config.accumulate))
            last = self.step == end
            if last:
                self._end_epoch(epoch)
            if last or time.monotonic() - self.saved > self.run.config.checkpoint_seconds:
                self._save()
                self.saved = time.monotonic()

    def _take_step(self, parts: Iterable[Batch | FeatureBatch]) -> None:
        begin = time.perf_counter()
        rate = learning_rate(self.run.config, self.run.plan.lr, self.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        sums, failures = [0.0] * 3, list[tuple[str, str]]()
        for number, part in enumerate(parts):
            sums = [a + b for a, b in zip(sums, self._add_gradient(part, number), strict=True)]
            failures += part.failures
        self.optimizer.step()
        if self.average:
            self.average.update(self.trained, self.step)
        loss, right, clips, failed = self.processes.add_up([*sums, len(failures)])
        if failed:
            self._note_failures(self.processes.collect(failures))
        self.step += 1
        self._count(loss, right, clips, time.perf_counter() - begin)
        self.display.step(self.sums[0] / self.sums[2], self.sums[1] / self.sums[2])

    def _add_gradient(self, part: Batch | FeatureBatch, number: int) -> tuple[float, float, float]:
        """Add the gradient of a part's share of the batch; return its loss, right ones, clips."""
        config, processes, clips = self.run.config, self.processes, len(part.labels)
        seed = seed_dropout(config.seed, self.step, processes.rank, number)
        inputs = self._inputs(part)
        labels = part.labels.to(self.device, non_blocking=True)
        with hold_back(self.classify, number + 1 < config.accumulate):
            with mixed_precision(self.device):
                loss, logits = compute_loss(self.classify, inputs, labels, config, seed)
            # Gradients become their mean over the processes, which may have unequal shares.
            share = clips * processes.world / config.batch
            (loss * share).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()) * clips, float((logits.argmax(1) == labels).sum()), clips

    def _inputs(self, batch: Batch | FeatureBatch) -> Tensor:
        """Return clips, or features where blocks are frozen, on the device."""
        if isinstance(batch, FeatureBatch):
            return batch.features.to(self.device, non_blocking=True)
        clips = batch.clips(self.run.plan.spec, self.device)
        return self.trunk.features(clips) if self.trunk else clips

    def _count(self, loss: float, right: float, clips: float, seconds: float) -> None:
        if not loss < float("inf"):
            raise InputError(
                f"the loss is {loss / clips} at step {self.step}: training diverged. "
                "Try again with a smaller --lr in another --out."
            )
        for i, value in enumerate((loss, right, clips, seconds)):
            self.sums[i] += value

    def _note_failures(self, failures: Iterable[tuple[str, str]]) -> None:
        self.failures.update(failures)
        share = len(self.failures) / len(self.store.infos)
        if share > self.run.config.max_failed:
            reason = next(iter(self.failures.values()))
            raise InputError(
                f"{len(self.failures)} of {len(self.store.infos)} videos failed while training, "
                f"more than --max-failed {self.run.config.max_failed:g} allows; first: {reason}"
            )

    def _end_epoch(self, epoch: int) -> None:
        loss, right, clips, seconds = self.sums
        self.sums = [0.0] * 4
        outcome = None
        is_last = self.step == self.steps
        if self.val and ((epoch + 1) % self.every == 0 or is_last):
            outcome = self._validate()
        record = Epoch(
            epoch + 1,
            self.step,
            seconds,
            learning_rate(self.run.config, self.run.plan.lr, self.step - 1, self.steps),
            loss / clips,
            right / clips,
            outcome.loss if outcome else None,
            outcome.top1 if outcome else None,
            clips / max(seconds, 1e-9),
        )
        self.history.append(record)
        if outcome:
            self._keep_if_better(record, outcome)
        elif is_last:
            self.best = {"epoch": record.epoch}
            self._keep(record, [])
        self._write_history()
        self.display.epoch(record)

    def _validate(self) -> Validation:
        with self._averaged():
            self.processes.copy_first(self.network)
            outcome = validate(
                self.network, self.store, self.val, self.val_labels, self.kept, self.processes
            )
        self._note_failures(outcome.failures)
        return outcome

    def _keep_if_better(self, record: Epoch, outcome: Validation) -> None:
        best = self.best.get("top1", -1.0), -self.best.get("loss", 0.0)
        if self.run.config.keep == "last" or (outcome.top1, -outcome.loss) > best:
            self.best = {"top1": outcome.top1, "loss": outcome.loss, "epoch": record.epoch}
            clip = self.run.plan.spec.describe()
            protocol = f"clip (middle, {clip}), {len(outcome.truth)} held-out videos"
            protocol += f"; {self.run.coverage}" if self.run.coverage else ""
            self._keep(record, [{"metric": "top1", "value": outcome.top1, "protocol": protocol}])

    def _keep(self, record: Epoch, metrics: list[dict[str, Any]]) -> None:
        if not self.processes.is_first:
            return
        plan, source, licence = self.run.plan, f"s3d train, epoch {record.epoch}", ""
        if plan.start:
            source += f", from {plan.start.source or plan.start.init}"
            licence = plan.start.licence
        with self._averaged():
            model = ModelFile(
                self.network, self.run.labels, plan.spec, tuple(metrics), source, licence
            )
            save_model(self.run.model_path, model)

    def _averaged(self) -> AbstractContextManager[None]:
        return _Swapped(self.average, self.trained) if self.average else nullcontext()

    def _write_history(self) -> None:
        if not self.processes.is_first:
            return
        lines = [json.dumps(asdict(epoch)) for epoch in self.history]
        write_text(self.run.folder / "history.jsonl", "\n".join(lines) + "\n")

    def _save(self) -> None:
        if not self.processes.is_first:
            return
        state: dict[str, Any] = {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.average if self.average else [],
            "sums": self.sums,
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
            "failures": self.failures,
        }
        save_state(self.run.state_path, state)

    def _take_up(self, state: dict[str, Any]) -> None:
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average:
                self.average.load(state["average"])
            self.step, self.sums, self.best = state["step"], state["sums"], state["best"]
            self.history = [Epoch(**epoch) for epoch in state["history"]]
            self.failures = dict(state["failures"])
            if not 0 <= self.step <= self.steps:
                raise ValueError(f"step {self.step} of {self.steps}")
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError):
            raise InputError(
                f"{self.run.state_path}: does not fit this run. Delete it to train from the start."
            ) from None


class _Swapped(AbstractContextManager[None]):
    """Let the network hold the averaged weights for a while."""

    def __init__(self, average: AveragedWeights, network: nn.Module) -> None:
        self.average, self.network = average, network

    def __enter__(self) -> None:
        self.average.swap(self.network)

    def __exit__(self, *error: object) -> None:
        self.average.swap(self.network)


def _build_network(run: Run) -> Network:
    config, plan = run.config, run.plan
    style = plan.style
    if config.dropout is not None:
        style = replace(style, dropout=float(config.dropout))
    network = build(
        plan.word,
        num_classes=len(run.labels),
        style=style,
        width=plan.width,
        channels=plan.spec.channels,
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1 - config.norm_decay
    return network
