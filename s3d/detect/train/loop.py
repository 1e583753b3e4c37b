"""The loop: batches in, weights out; killed, it goes on as if nothing had happened."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from s3d.detect.network.detector import RGB, Detector
from s3d.detect.network.detector_file import DetectorFile, save_detector
from s3d.detect.train.run import DetectorRun
from s3d.detect.train.step import DetectorLoss, key_pictures
from s3d.detect.train.window_batch import WindowBatch
from s3d.detect.train.windows import WindowLoader
from s3d.errors import InputError
from s3d.files import write_text
from s3d.models.layers import Conv
from s3d.models.processes import Processes
from s3d.train.distributed import buffer_option
from s3d.train.optimise import learning_rate, make_optimizer, mixed_precision
from s3d.train.state import AveragedWeights, load_state, save_state

MOST_GRADIENT = 10.0
"""Norm beyond which a step's gradient is shortened: one odd box must not undo a day."""
RECORD_STEPS = 50
PARTS = ("objects", "object_boxes", "classes", "boxes")


@dataclass(frozen=True)
class Record:
    """Hold what was seen of some steps.

    Attributes:
        step: The last of them.
        loss: Mean of the sum of the parts.
        parts: Their means: objects, their boxes, classes, mended boxes.
        rate: Learning rate of the last.
        frames_per_second: Key frames learnt from in a second.
    """

    step: int
    loss: float
    parts: dict[str, float]
    rate: float
    frames_per_second: float


class DetectorTrainer:
    """Train a detector.

    Attributes:
        detector: What is trained.
        step: Steps done.
        licence: Of the weights it starts from, and so of what becomes of them.
        history: What was seen on the way.
        failures: Why videos could not be read, by path.
    """

    def __init__(
        self,
        run: DetectorRun,
        detector: Detector,
        loader: WindowLoader,
        device: str,
        processes: Processes,
        display: Any,
    ) -> None:
        self.run, self.loader, self.device = run, loader, device
        self.processes, self.display = processes, display
        self.detector = detector.to(device)
        self.step, self.history, self.licence = 0, list[Record](), ""
        self.failures: dict[str, str] = {}
        self._set_modes()
        self.optimizer = make_optimizer(detector, run.config, run.plan.lr)
        decay = run.config.ema
        self.average = AveragedWeights(detector, decay) if decay else None
        self._sums, self._seconds, self._since = [0.0] * len(PARTS), 0.0, 0.0
        state = processes.first(lambda: load_state(run.state_path))
        if state is not None:
            self._take_up(state)
        loss = DetectorLoss(detector, run.config.sampled).to(device)
        self.loss: nn.Module = loss if processes.is_alone else self._together(loss)

    def train(self) -> None:
        """Take the steps that are left, and write the detector."""
        run, saved = self.run, time.monotonic()
        places = list(self.processes.share(range(run.config.batch)))
        self.display.start(run.plan.steps, self.step)
        self._since = time.perf_counter()
        for batch in self.loader.batches(self.step, run.plan.steps, places):
            self._take_step(batch)
            if self.step % RECORD_STEPS == 0 or self.step == run.plan.steps:
                self._record()
            if time.monotonic() - saved > run.config.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        self._save()
        self._write_model()

    def _set_modes(self) -> None:
        self.detector.train()
        for module in self.detector.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1 - self.run.config.norm_decay
        if self.run.plan.freezes_norms:
            for part in self._loaded():
                _freeze_norms(part)

    def _loaded(self) -> Iterator[nn.Module]:
        """Yield what starts from weights: only norms that were trained can stay as they are."""
        for name in self.run.config.inits:
            yield self.detector.streams[name]
        if self.run.config.image_init and self.detector.image is not None:
            yield self.detector.image

    def _together(self, loss: DetectorLoss) -> nn.Module:
        options: dict[str, Any] = {buffer_option(): False, "find_unused_parameters": True}
        devices = [self.device] if self.device.startswith("cuda") else None
        return DistributedDataParallel(loss, device_ids=devices, **options)

    def _take_step(self, batch: WindowBatch) -> None:
        config, plan = self.run.config, self.run.plan
        rate = learning_rate(config, plan.lr, self.step, plan.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        parts = self._costs(batch)
        parts.sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.detector.parameters(), MOST_GRADIENT)
        self.optimizer.step()
        if self.average:
            self.average.update(self.detector, self.step)
        self.step += 1
        found = self.processes.add_up([*parts.detach().tolist(), len(batch.failures)])
        values = [value / self.processes.world for value in found[: len(PARTS)]]
        if not sum(values) < float("inf"):
            raise InputError(
                f"the loss is {sum(values)} at step {self.step}: training diverged. "
                "Try again with a smaller --lr in another --out."
            )
        self._sums = [a + b for a, b in zip(self._sums, values, strict=True)]
        now = time.perf_counter()
        # With the time in which it waited for the batch: what is told is how fast it goes.
        self._seconds, self._since = self._seconds + now - self._since, now
        self._note(batch, bool(found[-1]))
        self.display.step(sum(values))

    def _costs(self, batch: WindowBatch) -> Tensor:
        """Return what a batch costs, in parts."""
        config, spec = self.run.config, self.detector.spec
        seed = (config.seed * 1_000_003 + self.step) * 4096 + self.processes.rank
        torch.manual_seed(seed)  # of what is dropped out
        generator = torch.Generator().manual_seed(seed)
        clips = batch.clips(self.detector.specs, self.device)
        pictures = None
        if self.detector.image is not None:
            rgb = self.detector.specs[RGB]
            pictures = key_pictures(clips[RGB], self.detector.key_place, rgb.mean, rgb.std)
        truths = batch.truths(spec.size_px, self.device)
        with mixed_precision(self.device):
            found: Tensor = self.loss(clips, pictures, truths, generator)
        return found

    def _note(self, batch: WindowBatch, failed: bool) -> None:
        if not failed:
            return
        self.failures.update(self.processes.collect(list(batch.failures)))
        if len(self.failures) > self.run.config.max_failed * len(self.loader.truths):
            reason = next(iter(self.failures.values()))
            raise InputError(
                f"{len(self.failures)} of {len(self.loader.truths)} videos failed while training, "
                f"more than --max-failed {self.run.config.max_failed:g} allows; first: {reason}"
            )

    def _record(self) -> None:
        count = self.step - (self.history[-1].step if self.history else 0)
        parts = {n: round(s / count, 5) for n, s in zip(PARTS, self._sums, strict=True)}
        config, plan = self.run.config, self.run.plan
        rate = learning_rate(config, plan.lr, self.step - 1, plan.steps)
        speed = count * config.batch / max(self._seconds, 1e-9)
        record = Record(self.step, round(sum(parts.values()), 5), parts, rate, round(speed, 2))
        self.history.append(record)
        self._sums, self._seconds = [0.0] * len(PARTS), 0.0
        if self.processes.is_first:
            lines = [json.dumps(asdict(one)) for one in self.history]
            write_text(self.run.history_path, "\n".join(lines) + "\n")
        self.display.record(record, plan.steps)

    def _write_model(self) -> None:
        if not self.processes.is_first:
            return
        if self.average:
            self.average.swap(self.detector)
        source = f"s3d train-detector, step {self.step}"
        if self.run.config.init:
            source += f", from {self.run.config.init}"
        save_detector(
            self.run.model_path,
            DetectorFile(self.detector, self.run.labels, (), source, self.licence),
        )
        if self.average:
            self.average.swap(self.detector)

    def _save(self) -> None:
        if not self.processes.is_first:
            return
        state = {
            "step": self.step,
            "digest": self.run.digest,
            "detector": self.detector.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.average if self.average else [],
            "sums": self._sums,
            "seconds": self._seconds,
            "history": [asdict(one) for one in self.history],
            "failures": self.failures,
        }
        save_state(self.run.state_path, state)

    def _take_up(self, state: dict[str, Any]) -> None:
        try:
            if state["digest"] != self.run.digest:
                raise ValueError("other data")
            self.detector.load_state_dict(state["detector"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average:
                self.average.load(state["average"])
            self.step, self._sums = int(state["step"]), list(state["sums"])
            self._seconds = float(state["seconds"])
            self.history = [Record(**one) for one in state["history"]]
            self.failures = dict(state["failures"])
            if not 0 <= self.step <= self.run.plan.steps:
                raise ValueError(f"step {self.step}")
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError):
            raise InputError(
                f"{self.run.state_path}: does not fit this run. Delete it to train from the start."
            ) from None


def _freeze_norms(part: nn.Module) -> None:
    for module in part.modules():
        if isinstance(module, (Conv, nn.BatchNorm2d)):
            module.eval()
