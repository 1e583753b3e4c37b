"""What all tests share: where the real clips lie, and a way to make clips of one's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parents[1]
WriteVideo = Callable[..., Path]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Return the folder of real clips and papers; skip where it is missing."""
    path = Path(os.environ.get("S3D_SHARED", ROOT.parent / "shared"))
    if not (path / "videos").is_dir():
        pytest.skip(f"no real clips at {path}; set S3D_SHARED to their folder")
    return path


@pytest.fixture
def weights_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let weights lie in a folder of this test, and no test touch the network."""
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("S3D_OFFLINE", "1")
    monkeypatch.delenv("S3D_MIRROR", raising=False)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    """Return `write(path, frames, rate_fps, **options)`, which gives the path back."""
    return _write_video


def _write_video(
    path: Path,
    frames: npt.NDArray[np.uint8],
    rate_fps: float = 25,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    times_seconds: list[float] | None = None,
    pixel_format: str = "yuv420p",
    aspect: Fraction | None = None,
    rotation: int | None = None,
) -> Path:
    """Encode frames (T, H, W, 3) uint8 RGB; times_seconds makes the frame rate variable."""
    rate = Fraction(rate_fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.codec_context.thread_count = 1
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            stream.set_display_rotation(rotation)
        ticks = Fraction(1, 1000) if times_seconds is not None else 1 / rate
        stream.codec_context.time_base = ticks
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = ticks
            frame.pts = round(times_seconds[index] / ticks) if times_seconds else index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


# For nets this small a second thread is no gain, and on a busy machine a loss of 5 times.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test measures engines, or writes what it found into the cache of whoever runs it.
os.environ.setdefault("S3D_ENGINE", "torch")


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return a folder of 2 classes, told apart by colour: a net learns it in seconds."""
    folder = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for channel, label in ((0, "red"), (2, "blue")):
        (folder / label).mkdir()
        for number in range(8):
            texture = rng.integers(0, 60, (5, 6)).repeat(8, 0).repeat(8, 1)
            frames = np.stack([np.stack([np.roll(texture, 2 * t, 1)] * 3, -1) for t in range(8)])
            frames[..., channel] += 190
            # Not H.264: x264 does not give the same bytes every time.
            path = folder / label / f"{number}.mp4"
            write_video(path, frames.astype(np.uint8), 8, codec="mpeg4", options={"qscale": "2"})
    return folder


@pytest.fixture(scope="session")
def tiny_run(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run that learnt `colours`."""
    from s3d.train.train import train
    from tests.tiny import tiny_config

    out = tmp_path_factory.mktemp("run") / "run"
    train(tiny_config(colours, out, epochs=20), quiet=True)
    return out


@pytest.fixture(scope="session")
def tiny_model(tiny_run: Path) -> Path:
    """Return the model file of `tiny_run`."""
    return tiny_run / "model.safetensors"
