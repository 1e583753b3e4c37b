"""What the tests of annotations share: small videos, pictures, and how to look at what was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo
from tests.conftest import WriteVideo

HEIGHT, WIDTH, FRAMES = 48, 64, 12


def noise(frames: int = FRAMES) -> npt.NDArray[np.uint8]:
    """Return pictures (T, 48, 64, 3)."""
    return np.random.default_rng(0).integers(0, 255, (frames, HEIGHT, WIDTH, 3), np.uint8)


def put_video(write_video: WriteVideo, path: Path, frames: int = FRAMES, rate: float = 4) -> Path:
    """Write a video of 64 x 48 px, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, noise(frames), rate, codec="mpeg4")


def put_pictures(folder: Path, count: int = 4) -> Path:
    """Write a folder of pictures 00001.png and so on."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(noise(count), start=1):
        Image.fromarray(picture).save(folder / f"{number:05d}.png")
    return folder


def put_text(path: Path, text: str) -> Path:
    """Write text, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def only(annotated: Annotated) -> AnnotatedVideo:
    """Return the only video."""
    assert len(annotated.videos) == 1
    return annotated.videos[0]


def boxes_of(annotated: Annotated, place: int = 0) -> dict[tuple[str, str, int], list[float]]:
    """Return the boxes of a video by label, track and frame; without tracks the last of a frame."""
    return {
        (annotated.labels[tube.label], tube.track, int(frame)): box.tolist()
        for tube in annotated.videos[place].tubes
        for frame, box in zip(tube.frames, tube.boxes, strict=True)
    }


def counts(annotated: Annotated) -> dict[str, int]:
    """Return how many of each kind of problem there are."""
    return dict(annotated.problems.counts)
