"""What a person sees while a detector is trained: a bar with the time left, a line now and then."""

from __future__ import annotations

from s3d.detect.train.loop import Record
from s3d.train.display import Display

LINES = 10
"""So many lines of what was seen, over the whole run."""


class DetectorDisplay(Display):
    """Show a run's progress on stderr."""

    def step(self, loss: float, top1: float = 0.0) -> None:
        """Show a step."""
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            self.bar.update()

    def record(self, record: Record, steps: int) -> None:
        """Show what was seen, now and then."""
        every = max(1, steps // LINES // 50) * 50
        if record.step % every and record.step != steps:
            return
        parts = "  ".join(f"{name} {value:.3f}" for name, value in record.parts.items())
        self.say(
            f"step {record.step:6,} of {steps:,}  loss {record.loss:.3f}  ({parts})  "
            f"{record.frames_per_second:.1f} key frames/s"
        )
