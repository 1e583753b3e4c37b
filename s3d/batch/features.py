"""The job of `s3d features`: features of windows, in a file a video or in rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3d.batch.feature_file import ENDING, is_there, write_features
from s3d.batch.job import Item, Outcome
from s3d.data.frame_source import open_source
from s3d.data.video_info import VideoInfo
from s3d.errors import InputError
from s3d.infer.features import (
    FeatureRecipe,
    compute_features,
    iterate_features,
    window_spec,
)
from s3d.infer.recognizer import Recognizer, load
from s3d.infer.windows import plan_windows, with_true_length
from s3d.models.device import choose_device
from s3d.models.model_file import weights_sha256

FORMATS = ("npz", "parquet")
COLUMNS = {
    "path": "string", "window": "int64", "windows": "int64",
    "start_seconds": "float64", "end_seconds": "float64", "features": "list float32",
    "video_frames": "int64", "video_rate_fps": "float64", "duration_seconds": "float64",
}  # fmt: skip


@dataclass(frozen=True)
class FeatureJob:
    """Take features of videos.

    Attributes:
        model: What names it.
        out: The folder of the files, or of the Parquet parts.
        at: The block.
        stride_seconds: From one window to the next; None is the span of one.
        frames: Of a window; None is the model's.
        rate_fps: Of its frames; None is the model's.
        pool: "average" or "none".
        format: "npz" or "parquet".
        device: cpu or cuda.
        engine: By which the network is run; None is the fastest.
    """

    model: str
    out: str
    at: str = "mixed5c"
    stride_seconds: float | None = None
    frames: int | None = None
    rate_fps: float | None = None
    pool: str = "average"
    format: str = "npz"
    device: str = "cpu"
    engine: str | None = None

    def open(self) -> FeatureTask:
        """Return the work itself.

        Raises:
            InputError: The model or an option cannot be used.
        """
        if self.format not in FORMATS:
            raise InputError(f"unknown format {self.format!r}. Known: {', '.join(FORMATS)}.")
        if self.format == "parquet" and self.pool == "none":
            raise InputError("pool 'none' gives arrays, which a table does not hold. Use npz.")
        recognizer = load(self.model).to(choose_device(self.device)).use(self.engine)
        spec = window_spec(recognizer.spec, self.frames, self.rate_fps)
        return FeatureTask(
            self, recognizer, FeatureRecipe(spec, self.at, self.stride_seconds, self.pool)
        )


class FeatureTask:
    """A `FeatureJob` with its model."""

    def __init__(self, job: FeatureJob, recognizer: Recognizer, recipe: FeatureRecipe) -> None:
        self.job, self.recognizer, self.recipe = job, recognizer, recipe
        self.settings: Mapping[str, Any] = {
            "verb": "features",
            "format": job.format,
            "weights_sha256": weights_sha256(recognizer.network),
            **recipe.to_json(),
        }
        self.columns: Mapping[str, str] = COLUMNS if job.format == "parquet" else {}

    def __call__(self, item: Item) -> Outcome:
        """Take the features of one video."""
        return self._write_file(item) if self.job.format == "npz" else self._rows(item)

    def _rows(self, item: Item) -> Outcome:
        found = compute_features(self.recognizer.engine, item.path, self.recipe)
        count = len(found.features)
        rows = tuple(
            {
                "window": number,
                "windows": count,
                "start_seconds": float(found.start_seconds[number]),
                "end_seconds": float(found.end_seconds[number]),
                "features": found.features[number],
                "video_frames": found.video_frames,
                "video_rate_fps": found.video_rate_fps,
                "duration_seconds": found.duration_seconds,
            }
            for number in range(count)
        )
        return Outcome(item.path, rows)

    def _write_file(self, item: Item) -> Outcome:
        target = Path(self.job.out, item.place + ENDING)
        video = Path(item.path)
        size = video.stat().st_size if video.is_file() else 0
        if is_there(target, self.settings, size):
            return Outcome(item.path, is_old=True)

        engine = self.recognizer.engine
        source = open_source(item.path, self.recipe.spec, engine.device)

        def write(info: VideoInfo) -> None:
            windows = plan_windows(info, self.recipe.spec, self.recipe.stride)
            values = {
                "start_seconds": windows.start_seconds,
                "end_seconds": windows.end_seconds,
                "windows": len(windows.start_seconds),
                "video": item.path,
                "video_bytes": size,
                "video_frames": info.frames,
                "video_rate_fps": info.rate_fps,
                "duration_seconds": info.duration_seconds,
                **self._describe(),
            }
            parts = iterate_features(engine, windows, self.recipe, source)
            write_features(target, parts, len(windows.start_seconds), values)

        with_true_length(source.info, write)
        return Outcome(item.path)

    def _describe(self) -> dict[str, Any]:
        return {
            "model": self.job.model,
            "model_source": self.recognizer.source,
            "at": self.recipe.at,
            "pool": self.recipe.pool,
            "stride_seconds": self.recipe.stride,
            "rate_fps": self.recipe.spec.rate_fps,
            "clip": json.dumps(self.recipe.spec.to_json()),
            "settings": json.dumps(self.settings),
        }
