"""Videos written frame by frame: what plays back is what was written, whole or not at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.container import OutputContainer

from s3d.data.decode import probe_video
from s3d.detect.draw import AnnotatedWriter
from s3d.errors import InputError

Pictures = npt.NDArray[np.uint8]


def make_frames(count: int, height: int, width: int) -> Pictures:
    """Return a bright square that goes right on a coloured ground."""
    frames = np.full((count, height, width, 3), (30, 60, 120), np.uint8)
    for place, frame in enumerate(frames):
        frame[8:24, 2 * place : 2 * place + 16] = (213, 94, 0)
    return frames


def play(path: Path) -> tuple[Pictures, list[float]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        frames = list(container.decode(stream))
    pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    return pictures, [float(frame.time or 0) for frame in frames]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "OUT.MP4"])
@pytest.mark.parametrize("rate_fps", [25, 30000 / 1001, Fraction(15, 2)])
def test_what_plays_back_is_what_was_written(
    name: str, rate_fps: float | Fraction, tmp_path: Path
) -> None:
    frames = make_frames(20, 48, 64)
    path = tmp_path / name
    with AnnotatedWriter(path, (48, 64), rate_fps) as writer:
        for frame in frames:
            writer.write(frame)
        assert writer.count == 20
        assert not path.exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    pictures, times = play(path)
    assert pictures.shape == frames.shape
    # The first comes at once, the others evenly; Matroska counts in ms.
    np.testing.assert_allclose(times, np.arange(20) / float(rate_fps), atol=6e-4)
    # Each frame is its own, and colours are the ones that were drawn.
    for place, picture in enumerate(pictures):
        assert np.abs(picture[16, 2 * place + 8].astype(int) - (213, 94, 0)).max() < 25
        assert np.abs(picture[40, 60].astype(int) - (30, 60, 120)).max() < 12


def test_we_can_read_it_ourselves(tmp_path: Path) -> None:
    with AnnotatedWriter(tmp_path / "out.mp4", (48, 64), 10) as writer:
        for frame in make_frames(12, 48, 64):
            writer.write(frame)
    info = probe_video(tmp_path / "out.mp4")
    assert (info.frames, info.height_px, info.width_px) == (12, 48, 64)
    assert info.rate_fps == pytest.approx(10)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_frames_keep_their_times(name: str, tmp_path: Path) -> None:
    times = [5.0, 5.04, 5.2, 5.21, 6.0, 6.5]
    with AnnotatedWriter(tmp_path / name, (48, 64), 25) as writer:
        for frame, time in zip(make_frames(6, 48, 64), times, strict=True):
            writer.write(frame, time)
    pictures, played = play(tmp_path / name)
    assert len(pictures) == 6
    np.testing.assert_allclose(played, np.array(times) - 5, atol=6e-4)


def test_times_that_do_not_rise_lose_no_frame(tmp_path: Path) -> None:
    with AnnotatedWriter(tmp_path / "out.mp4", (48, 64), 25) as writer:
        for frame, time in zip(make_frames(4, 48, 64), [0.0, 0.1, 0.1, 0.05], strict=True):
            writer.write(frame, time)
    pictures, times = play(tmp_path / "out.mp4")
    assert len(pictures) == 4
    assert (np.diff(times) > 0).all()


def test_odd_sides_get_a_row_and_a_column_more(tmp_path: Path) -> None:
    frames = make_frames(5, 47, 63)
    with AnnotatedWriter(tmp_path / "out.mp4", (47, 63), 10) as writer:
        for frame in frames:
            writer.write(frame)
    pictures, _ = play(tmp_path / "out.mp4")
    assert pictures.shape == (5, 48, 64, 3)
    assert np.abs(pictures[:, :47, :63].astype(int) - frames).mean() < 8
    assert np.abs(pictures[:, 47, 40].astype(int) - (30, 60, 120)).max() < 12


def test_what_was_there_is_replaced_only_by_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt), AnnotatedWriter(path, (48, 64), 10) as writer:
        writer.write(make_frames(1, 48, 64)[0])
        raise KeyboardInterrupt
    assert path.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    with AnnotatedWriter(path, (48, 64), 10) as writer:
        writer.write(make_frames(1, 48, 64)[0])
    assert len(play(path)[0]) == 1


@pytest.mark.parametrize("name", ["out.gif", "out", "out.avi", "out.mp4.txt"])
def test_other_kinds_of_file_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{name}: an annotated video is written as .mp4 or .mkv"):
        AnnotatedWriter(tmp_path / name, (48, 64), 10)


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    writer = AnnotatedWriter(tmp_path / "nowhere" / "out.mp4", (48, 64), 10)
    with pytest.raises(InputError, match=r"out.mp4: cannot be written \(No such file"), writer:
        pass


def test_a_folder_in_its_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with (
        pytest.raises(InputError, match=r"out.mp4: cannot be written \(Is a directory"),
        AnnotatedWriter(tmp_path / "out.mp4", (48, 64), 10) as writer,
    ):
        writer.write(make_frames(1, 48, 64)[0])
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_no_frame_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"out.mp4: no frame came, so there is no video"),
        AnnotatedWriter(tmp_path / "out.mp4", (48, 64), 10),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    writer = AnnotatedWriter(tmp_path / "out.mkv", (48, 64), 10)
    writer._beside.symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"out.mkv: cannot be written \(No space left"), writer:
        for frame in make_frames(20, 48, 64):
            writer.write(frame)
    assert not list(tmp_path.iterdir())


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"frame is \(32, 32, 3\); the video is of \(48, 64, 3\)"),
        AnnotatedWriter(tmp_path / "out.mp4", (48, 64), 10) as writer,
    ):
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_a_writer_must_be_opened(tmp_path: Path) -> None:
    writer = AnnotatedWriter(tmp_path / "out.mp4", (48, 64), 10)
    with pytest.raises(ValueError, match="the video is not open; use `with AnnotatedWriter"):
        writer.write(np.zeros((48, 64, 3), np.uint8))


def test_frames_leave_memory_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    muxed: list[int] = []
    mux = OutputContainer.mux

    class Container:
        """Count packets as they come."""

        def __init__(self, inner: OutputContainer) -> None:
            self.inner = inner

        def mux(self, packets: list[av.Packet]) -> None:
            muxed.append(len(packets))
            mux(self.inner, packets)

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

    with AnnotatedWriter(tmp_path / "out.mp4", (48, 64), 10) as writer:
        monkeypatch.setattr(writer, "_container", Container(writer._container))  # type: ignore[arg-type]
        for frame in make_frames(24, 48, 64).repeat(10, 0):
            writer.write(frame)
        waiting = writer.count - sum(muxed)
    # What the encoder looks ahead, and no more with a longer video.
    assert waiting < 60
    assert sum(muxed) == writer.count == 240
