"""The job of `s3d predict --out`: a row of scores a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s3d.batch.job import Item, Outcome
from s3d.errors import InputError
from s3d.infer.recognizer import Recognizer, load
from s3d.infer.streams import TwoStreams
from s3d.infer.views import check_protocol
from s3d.models.device import choose_device
from s3d.models.model_file import weights_sha256

COLUMNS = {
    "path": "string", "label": "string", "score": "float32", "top_labels": "list string",
    "top_scores": "list float32", "views": "int64",
}  # fmt: skip


@dataclass(frozen=True)
class PredictJob:
    """Label videos.

    Attributes:
        model: What names it.
        flow_model: What names the model of flow that it is fused with, if there is one.
        protocol: Which clips are scored.
        reverse: Play videos backwards.
        top: Classes to name.
        all_scores: Keep the scores of all classes too, in the order of the model's labels.
        device: cpu or cuda.
        flow_model: A model of flow that is fused in.
        engine: By which networks are run; None is the fastest.
    """

    model: str
    protocol: str = "cover"
    reverse: bool = False
    top: int = 5
    all_scores: bool = False
    device: str = "cpu"
    flow_model: str | None = None
    engine: str | None = None

    def open(self) -> PredictTask:
        """Return the work itself.

        Raises:
            InputError: The model or an option cannot be used.
        """
        check_protocol(self.protocol)
        if self.top < 1:
            raise InputError(f"--top is {self.top}; at least 1 is needed.")
        device = choose_device(self.device)
        recognizer = load(self.model).to(device).use(self.engine)
        recognizer.check_has_classes()
        if self.flow_model is None:
            return PredictTask(self, recognizer)
        flow = load(self.flow_model).to(device).use(self.engine)
        return PredictTask(self, TwoStreams(recognizer, flow))


class PredictTask:
    """A `PredictJob` with its model."""

    def __init__(self, job: PredictJob, recognizer: Recognizer | TwoStreams) -> None:
        self.job, self.recognizer = job, recognizer
        streams = (
            [recognizer]
            if isinstance(recognizer, Recognizer)
            else [recognizer.rgb, recognizer.flow]
        )
        self.settings: Mapping[str, Any] = {
            "verb": "predict",
            "weights_sha256": "+".join(weights_sha256(one.network) for one in streams),
            "clip": [one.spec.to_json() for one in streams],
            "protocol": job.protocol,
            "reversed": job.reverse,
            "top": job.top,
            "all_scores": job.all_scores,
            "labels": list(recognizer.labels),
        }
        scores = {"scores": "list float32"} if job.all_scores else {}
        self.columns: Mapping[str, str] = {**COLUMNS, **scores}

    def __call__(self, item: Item) -> Outcome:
        """Label one video."""
        found = self.recognizer.predict(item.path, self.job.protocol, self.job.reverse)
        top = found.top(self.job.top)
        row = {
            "label": top[0][0],
            "score": top[0][1],
            "top_labels": [label for label, _ in top],
            "top_scores": [score for _, score in top],
            "views": found.views,
            "scores": found.scores,
        }
        return Outcome(item.path, ({k: v for k, v in row.items() if k in self.columns},))
