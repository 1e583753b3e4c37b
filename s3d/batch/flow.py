"""The job of `s3d flow --ray`: a file of flow a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3d.batch.job import Item, Outcome
from s3d.data.find_videos import FLOW_ENDING
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.folder import FlowJob, FlowWorkers, compute_one
from s3d.models.device import choose_device


@dataclass(frozen=True)
class FlowFileJob:
    """Compute flow.

    Attributes:
        out: The folder of the files.
        method: tvl1 or dis.
        short_side_px: Frames are resized to it.
        device: cpu or cuda.
    """

    out: str
    method: str = "tvl1"
    short_side_px: int = 256
    device: str = "cpu"

    def open(self) -> FlowTask:
        """Return the work itself.

        Raises:
            InputError: An option cannot be used.
        """
        recipe = FlowRecipe(self.method, self.short_side_px)
        return FlowTask(self.out, FlowWorkers(recipe, 1, choose_device(self.device)))


class FlowTask:
    """A `FlowFileJob` with the thread that computes."""

    columns: Mapping[str, str] = {}
    settings: Mapping[str, Any] = {}

    def __init__(self, out: str, workers: FlowWorkers) -> None:
        self.out, self.workers = out, workers

    def __call__(self, item: Item) -> Outcome:
        """Write the flow of one video, unless it is there."""
        target = Path(self.out, item.place + FLOW_ENDING)
        found = compute_one(FlowJob(item.path, target), self.workers)
        return Outcome(item.path, error=found.error, is_old=not (found.pairs or found.error))
