"""Train a detector as one of several processes, and write down what this one drew and ended with.

`python -m tests.detect.in_two BOXES OUT OPTIONS` leaves OUT.RANK.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from s3d.detect.train.loop import DetectorTrainer
from s3d.detect.train.train import train_detector
from s3d.detect.train.window_batch import WindowBatch
from tests.detect.detecting import detect_config


def main() -> None:
    """Train, and write."""
    boxes, out, options = sys.argv[1:]
    said: dict[str, Any] = {"drawn": []}
    whole_step, whole_train = DetectorTrainer._take_step, DetectorTrainer.train

    def take_step(self: DetectorTrainer, batch: WindowBatch) -> None:
        said["drawn"].append([window.truth.boxes.tolist() for window in batch.windows])
        whole_step(self, batch)

    def train(self: DetectorTrainer) -> None:
        whole_train(self)
        weights = [p.detach().numpy().tobytes() for p in self.detector.parameters()]
        said["weights"] = hashlib.sha256(b"".join(weights)).hexdigest()
        said["loss"] = self.history[-1].loss

    DetectorTrainer._take_step = take_step  # type: ignore[method-assign]
    DetectorTrainer.train = train  # type: ignore[method-assign]
    train_detector(detect_config(Path(boxes), Path(out), **json.loads(options)), quiet=True)
    Path(f"{out}.{os.environ['RANK']}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
