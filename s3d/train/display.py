"""What a person sees while a run goes on: a bar with the time left, a line an epoch."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from s3d.train.logs import ScalarLog
from s3d.train.report import Epoch


class Display:
    """Show a run's progress on stderr, and in TensorBoard where that is installed."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.is_terminal = sys.stderr.isatty()
        self.bar: Any = None
        self.log: ScalarLog | None = None

    def log_to(self, folder: Path, step: int) -> None:
        """Log for TensorBoard, where it is installed, from `step` on."""
        with contextlib.suppress(ImportError, OSError):
            self.log = ScalarLog(folder, step)

    def say(self, text: str) -> None:
        """Print one line, above the bar if there is one."""
        if not self.quiet:
            tqdm.write(text, file=sys.stderr)

    def stage(self, what: str) -> Callable[[int, int], None]:
        """Begin a stage of the preparation; return what is told of its progress."""
        bar: Any = None

        def tell(done: int, total: int) -> None:
            nonlocal bar
            if self.quiet or not self.is_terminal:
                return
            bar = bar or tqdm(total=total, desc=what, leave=False, dynamic_ncols=True)
            bar.update(done - bar.n)
            if done >= total:
                bar.close()

        return tell

    def start(self, steps: int, step: int) -> None:
        """Begin the bar at a step."""
        shown = not self.quiet and self.is_terminal
        self.bar = tqdm(
            total=steps, initial=step, desc="training", unit="step", disable=not shown,
            dynamic_ncols=True,
        )  # fmt: skip

    def step(self, loss: float, top1: float) -> None:
        """Show a step and the epoch's figures so far."""
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {loss:.3f} top-1 {top1:.1%}", refresh=False)
            self.bar.update()

    def epoch(self, record: Epoch) -> None:
        """Show and log an epoch."""
        if self.log is not None:
            self._log(record, self.log)
        if record.val_top1 is None:
            return
        self.say(
            f"epoch {record.epoch:4d}  loss {record.train_loss:.3f}  "
            f"top-1 {record.train_top1:6.1%}  validation: loss {record.val_loss:.3f}  "
            f"top-1 {record.val_top1:6.1%}  {record.clips_per_second:5.0f} clips/s"
        )

    def stop(self) -> None:
        """End the bar."""
        if self.bar is not None:
            self.bar.close()
        if self.log is not None:
            self.log.close()

    def _log(self, record: Epoch, log: ScalarLog) -> None:
        values = {
            "loss/train": record.train_loss,
            "loss/validation": record.val_loss,
            "top1/train": record.train_top1,
            "top1/validation": record.val_top1,
            "rate": record.rate,
            "clips_per_second": record.clips_per_second,
        }
        known = {name: value for name, value in values.items() if value is not None}
        # A curve is not worth a run; what is (model, state) says itself that the disk is full.
        with contextlib.suppress(OSError):
            log.add(record.step, known)
