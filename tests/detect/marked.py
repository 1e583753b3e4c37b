"""Hand-made truth and detections, as short as tests need them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.tube import Detections, FoundTube, TrueTube

Box = Sequence[float]


def square(x: float, y: float = 0, side: float = 10) -> tuple[float, float, float, float]:
    """Return a square box whose left upper corner is (x, y)."""
    return x, y, x + side, y + side


def _boxes(boxes: Sequence[Box], count: int) -> np.ndarray:
    table = np.array(boxes, np.float32).reshape(-1, 4)
    return np.repeat(table, count, 0) if len(table) == 1 else table


def true_tube(
    frames: Sequence[int], boxes: Sequence[Box], label: int = 0, track: str = "a"
) -> TrueTube:
    """Return a tube; one box stands for all frames."""
    return TrueTube(label, np.array(frames, np.int64), _boxes(boxes, len(frames)), track)


def found_tube(
    frames: Sequence[int], boxes: Sequence[Box], score: float = 0.9, label: int = 0
) -> FoundTube:
    """Return a tube each of whose boxes has its score; one box stands for all frames."""
    scores = np.full(len(frames), score, np.float32)
    table = _boxes(boxes, len(frames))
    return FoundTube(label, np.array(frames, np.int64), table, scores, score)


def marked(tubes: Sequence[TrueTube], frames: Sequence[int], name: str = "v") -> AnnotatedVideo:
    """Return a video in which everything is marked in some frames."""
    return AnnotatedVideo(
        f"{name}.mp4", name, (100, 200), tuple(tubes), np.array(frames, np.int64), "test"
    )


def rows(*given: tuple[int, Box, int, float]) -> Detections:
    """Return detections of (frame, box, label, score)."""
    return Detections(
        np.array([row[0] for row in given], np.int64),
        np.array([row[1] for row in given], np.float32).reshape(-1, 4),
        np.array([row[2] for row in given], np.int64),
        np.array([row[3] for row in given], np.float32),
    )
