"""What a network looks at: frames, flow from a file, or flow computed as it is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data import frame_source
from s3d.data.decode import read_frames, read_what_decodes
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.folder import FlowJob, FlowWorkers, compute_all
from s3d.data.frame_source import FrameSource, open_source
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.data.moving import slide

SIZE = (48, 60)
HALF = (0.5, 0.5)
RGB = ClipSpec(4, 25.0, (32, 32), (32, 32))
FLOW = ClipSpec(
    4, 25.0, (32, 32), (32, 32), mean=HALF, std=HALF, modality="flow", flow_side_px=SIZE[0]
)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Return 12 frames that move 2 px to the right and 1 up, nearly without loss."""
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    return write_video(path, slide(12, SIZE, (2, -1)), 25, options={"crf": "5"})


@pytest.fixture(scope="module")
def kept(video: Path) -> Path:
    """Return the flow of the video in a file."""
    target = video.with_name("v.mp4.flow.mp4")
    with FlowWorkers(FlowRecipe(short_side_px=SIZE[0])) as workers:
        (result,) = compute_all([FlowJob(str(video), target)], workers)
    assert result.error is None
    return target


def every(source: FrameSource, size: tuple[int, int]) -> np.ndarray:
    return np.stack(list(source.iterate(size)))


def test_frames_are_those_of_the_file(video: Path) -> None:
    source = open_source(video, RGB)
    wanted = np.array([3, 0, 3])
    np.testing.assert_array_equal(source.read(wanted, SIZE), read_frames(video, wanted, SIZE))
    assert every(source, (20, 30)).shape == (12, 20, 30, 3)


def test_computed_flow_is_that_of_the_file(video: Path, kept: Path) -> None:
    computed, read = open_source(video, FLOW), open_source(kept, FLOW)
    assert computed.info.frames == read.info.frames == 11
    assert computed.info.channels == read.info.channels == 2
    np.testing.assert_allclose(
        computed.info.times_seconds, read.info.times_seconds, atol=1e-3, rtol=0
    )
    assert computed.info.duration_seconds == pytest.approx(read.info.duration_seconds, abs=1e-3)
    one, other = every(computed, (32, 40)), every(read, (32, 40))
    difference = np.abs(one.astype(int) - other)[:, 8:-8, 8:-8]
    assert difference.mean() < 1  # a level is 0.16 px
    assert one[:, 8:-8, 8:-8, 0].mean() == pytest.approx(127.5 + 2 * 6.375, abs=1)
    assert one[:, 8:-8, 8:-8, 1].mean() == pytest.approx(127.5 - 6.375, abs=1)


@pytest.mark.parametrize("wanted", [[0], [10], [4, 5, 6], [9, 2, 2, 7], list(range(11))])
def test_flow_of_some_frames_is_that_of_all(video: Path, wanted: list[int]) -> None:
    source = open_source(video, FLOW)
    whole = every(source, (32, 32))
    found = source.read(np.array(wanted), (32, 32))
    assert np.abs(found.astype(int) - whole[wanted]).mean() < 0.5


def test_a_file_that_ends_early_gives_flow_of_what_is_there(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.stack([slide(2, SIZE, (t * t / 6, 0))[1] for t in range(12)])  # ever faster
    video = write_video(tmp_path / "v.mp4", frames, 25, options={"crf": "5"})
    source = open_source(video, FLOW)
    whole = every(source, (32, 32))

    def read(path: object, indices: np.ndarray, size: object) -> object:
        reading = read_what_decodes(video, np.asarray(indices) % 7, SIZE)
        short = int(np.max(indices)) >= 7  # as if 7 of the 12 frames decoded
        return type(reading)(reading.frames, 7 if short else None)

    monkeypatch.setattr(frame_source, "read_what_decodes", read)
    found = source.read(np.array([4, 8]), (32, 32))  # of 6 flow frames, the 8th is number 2
    assert np.abs(found.astype(int) - whole[[4, 2]]).mean() < 0.5


def test_what_does_not_fit_is_refused(
    video: Path, kept: Path, tmp_path: Path, write_video: WriteVideo
) -> None:
    with pytest.raises(InputError, match=r"flow\.mp4: holds optical flow; the model takes rgb"):
        open_source(kept, RGB)
    still = write_video(tmp_path / "still.mp4", slide(1, SIZE, (0, 0)))
    with pytest.raises(InputError, match=r"still\.mp4: has 1 frame; flow needs at least 2"):
        open_source(still, FLOW)
