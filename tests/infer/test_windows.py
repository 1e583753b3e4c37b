"""Windows over a video: where they lie, which frames they hold, and that few are in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data.decode import Frames, VideoInfo, iterate_frames, probe_video
from s3d.errors import InputError
from s3d.infer import windows as windows_module
from s3d.infer.windows import plan_windows, read_windows, with_true_length
from tests.conftest import WriteVideo

SPEC = ClipSpec(8, 10.0, (36, 36), (32, 32))


def video_of(seconds: float, rate_fps: float = 10.0) -> VideoInfo:
    count = round(seconds * rate_fps)
    times = np.arange(count) / rate_fps
    return VideoInfo("v.mp4", 48, 72, count, rate_fps, count / rate_fps, times)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return 40 frames at 10 fps whose grey tells the index."""
    frames = np.empty((40, 48, 72, 3), np.uint8)
    frames[:] = (20 + 5 * np.arange(40))[:, None, None, None]
    path = tmp_path_factory.mktemp("windows") / "v.mp4"
    return write_video(path, frames, 10, options={"crf": "1"})


def number(clip: Frames) -> list[int]:
    """Return the index of each frame of a clip, read off its grey."""
    return [round((value - 20) / 5) for value in clip[:, 16, 16].astype(float).mean(-1)]


@pytest.mark.parametrize(
    ("seconds", "stride", "starts"),
    [
        (2.4, 0.8, [0, 0.8, 1.6]),  # an exact multiple: no window twice
        (2.5, 0.8, [0, 0.8, 1.6, 1.7]),  # the last one ends where the video ends
        (0.8, 0.8, [0]),
        (0.5, 0.8, [0]),  # shorter than a window
        (1.6, 0.4, [0, 0.4, 0.8]),  # overlap
        (3.0, 2.0, [0, 2.0, 2.2]),  # gaps
        (1.0, 9.0, [0, 0.2]),
    ],
)
def test_windows_begin_every_stride_and_the_last_ends_with_the_video(
    seconds: float, stride: float, starts: list[float]
) -> None:
    info = video_of(seconds)
    windows = plan_windows(info, SPEC, stride)
    np.testing.assert_allclose(windows.start_seconds, starts, atol=1e-9)
    ends = np.minimum(np.array(starts) + 0.8, seconds)
    np.testing.assert_allclose(windows.end_seconds, ends, atol=1e-9)
    assert windows.end_seconds[-1] == pytest.approx(seconds)


@pytest.mark.parametrize("stride", [0.0, -1.0, float("nan"), float("inf")])
def test_a_stride_is_a_time_above_0(stride: float) -> None:
    with pytest.raises(InputError, match=r"stride is .* s; it needs seconds above 0\."):
        plan_windows(video_of(2), SPEC, stride)


def test_a_stride_that_makes_millions_is_refused() -> None:
    with pytest.raises(InputError, match=r"v\.mp4: a window every 1e-06 s makes 1,2.*longer"):
        plan_windows(video_of(2), SPEC, 1e-6)


@pytest.mark.parametrize("stride", [0.8, 0.3, 1.5])
def test_windows_hold_the_frames_of_their_time(video: Path, stride: float) -> None:
    windows = plan_windows(probe_video(video), SPEC, stride)
    found = [number(clip) for clip in read_windows(windows)]
    first = [round(10 * start) for start in windows.start_seconds]
    assert found == [list(range(n, n + 8)) for n in first]


def test_a_video_shorter_than_a_window_goes_on_from_its_beginning(video: Path) -> None:
    windows = plan_windows(probe_video(video), replace(SPEC, frames=50), 1.0)
    (clip,) = read_windows(windows)
    assert number(clip) == [*range(40), *range(10)]
    assert windows.end_seconds == pytest.approx([4.0])


def test_frames_are_read_once_and_only_those_of_a_window_held(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def iterate(path: object, size: tuple[int, int]) -> Iterator[Frames]:
        for index, frame in enumerate(iterate_frames(video, size)):
            read.append(index)
            yield frame

    monkeypatch.setattr(windows_module, "iterate_frames", iterate)
    clips = read_windows(plan_windows(probe_video(video), SPEC, 0.2))
    for done, _ in enumerate(clips):
        assert len(read) == 2 * done + 8  # nothing ahead of the window that is given
    assert read == list(range(40))


def test_a_file_that_ends_early_has_the_windows_of_what_is_there(video: Path) -> None:
    # 40 of 60 frames are there.
    promised = replace(video_of(6.0), path=str(video), rate_fps=11.0)

    def work(info: VideoInfo) -> tuple[VideoInfo, list[list[int]]]:
        return info, [number(clip) for clip in read_windows(plan_windows(info, SPEC, 0.8))]

    info, found = with_true_length(promised, work)
    assert (info.frames, info.duration_seconds, info.rate_fps) == pytest.approx((40, 4.0, 10.0))
    assert found == [list(range(n, n + 8)) for n in (0, 8, 16, 24, 32)]
