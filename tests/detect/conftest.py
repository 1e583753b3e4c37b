"""What tests of detection share: the files of untrained detectors, and a video to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3d.detect.network.detector_file import save_detector
from tests.conftest import WriteVideo
from tests.detect.tiny_detector import make_detector


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a detector of "left" and "right" that was never trained."""
    path = tmp_path_factory.mktemp("detector") / "model.safetensors"
    save_detector(path, make_detector())
    return path


@pytest.fixture(scope="session")
def drifting(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a video of 30 frames at 25 fps, 96 x 72 px, in which a bright square drifts."""
    path = tmp_path_factory.mktemp("drifting") / "v.mp4"
    return write_video(path, drift(30), 25, options={"crf": "10"})


def drift(count: int, height: int = 72, width: int = 96) -> np.ndarray:
    """Return frames (T, H, W, 3) in which a square of 24 px goes to the right, 2 px a frame."""
    ground = np.random.default_rng(0).integers(0, 90, (height // 6, width // 6))
    frames = np.repeat(np.repeat(ground, 6, 0), 6, 1)[None, :, :, None]
    frames = np.broadcast_to(frames, (count, height, width, 3)).astype(np.uint8)
    frames = frames.copy()
    for place in range(count):
        left = 2 * place % (width - 24)
        frames[place, 20:44, left : left + 24] = (230, 200, 40)
    return frames
