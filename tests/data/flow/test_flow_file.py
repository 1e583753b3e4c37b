"""Flow files: what goes in comes out, as a video that any player shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from s3d.data.decode import iterate_frames, probe_video, read_frames
from s3d.data.flow.compute import FlowRecipe
from s3d.data.flow.file import probe_flow, save_flow, write_levels
from s3d.data.flow.levels import dequantise_flow, quantise_flow
from s3d.errors import InputError
from tests.conftest import WriteVideo

PARAMETERS = FlowRecipe().parameters()


def make_flow(count: int, height: int, width: int) -> np.ndarray:
    """Return waves that differ from frame to frame, x unlike y, on rough ground."""
    t, y, x = np.mgrid[:count, :height, :width].astype(np.float32)
    across = 8 * np.sin(x / 12 + t) + 3
    down = -5 * np.cos(y / 7 - t) - 4
    noise = np.random.default_rng(0).normal(0, 0.1, (count, height, width, 2))
    return (np.stack([across, down], -1) + noise).astype(np.float32)


def times(count: int) -> np.ndarray:
    return np.arange(count) / 25


@pytest.mark.parametrize("size", [(64, 80), (45, 51), (16, 16)])
def test_flow_comes_back(tmp_path: Path, size: tuple[int, int]) -> None:
    flow = make_flow(9, *size)
    path = tmp_path / "a.flow.mp4"
    save_flow(path, flow, times(9), PARAMETERS, {"name": "a.mp4", "frames": 10})
    levels = read_frames(path, range(9))
    assert (levels.shape, levels.dtype) == ((9, *size, 2), np.uint8)
    assert np.abs(dequantise_flow(levels) - flow).mean() < 0.1
    info = probe_flow(path)
    assert (info.frames, info.height_px, info.width_px) == (9, *size)
    assert info.rate_fps == pytest.approx(25, rel=0.01)
    assert (info.bound_px, info.parameters) == (20, PARAMETERS)
    assert info.source == {"name": "a.mp4", "frames": 10}


def test_any_frames_in_any_order(tmp_path: Path) -> None:
    save_flow(tmp_path / "a", make_flow(7, 32, 48), times(7), PARAMETERS)
    whole = read_frames(tmp_path / "a", range(7))
    wanted = [5, 0, 5, 6]
    np.testing.assert_array_equal(read_frames(tmp_path / "a", wanted), whole[wanted])
    assert read_frames(tmp_path / "a", []).shape == (0, 32, 48, 2)


def test_resized_halves_do_not_mix_and_keep_their_values(tmp_path: Path) -> None:
    flow = np.empty((2, 64, 80, 2), np.float32)
    flow[..., 0], flow[..., 1] = 12, -12
    save_flow(tmp_path / "a", flow, times(2), PARAMETERS)
    small = dequantise_flow(read_frames(tmp_path / "a", [1], (24, 50)))
    assert small.shape == (1, 24, 50, 2)
    assert np.abs(small - [12, -12]).max() < 0.5


def test_a_player_sees_x_above_y_at_the_videos_times(tmp_path: Path) -> None:
    uneven = np.array([0, 0.04, 0.2, 0.24, 0.28])
    flow = make_flow(5, 32, 48)
    save_flow(tmp_path / "a.mp4", flow, uneven, PARAMETERS)
    np.testing.assert_allclose(probe_video(tmp_path / "a.mp4").times_seconds, uneven, atol=1e-4)
    with av.open(str(tmp_path / "a.mp4")) as container:
        shown = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
    assert shown.shape == (5, 64, 48)
    levels = quantise_flow(flow)
    picture = np.concatenate([levels[..., 0], levels[..., 1]], 1)
    assert np.corrcoef(shown.ravel(), picture.ravel())[0, 1] > 0.99


def test_more_frames_than_times_and_equal_times_are_taken(tmp_path: Path) -> None:
    save_flow(tmp_path / "a", make_flow(5, 32, 48), np.array([0, 0.1, 0.1]), PARAMETERS)
    found = probe_video(tmp_path / "a").times_seconds
    assert len(found) == 5
    assert (np.diff(found) > 0).all()


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    def parts() -> Iterator[np.ndarray]:
        yield quantise_flow(make_flow(2, 32, 48))
        raise InputError("the video ends badly")

    with pytest.raises(InputError, match="ends badly"):
        write_levels(tmp_path / "a", parts(), times(2), PARAMETERS)
    with pytest.raises(InputError, match="not one flow frame came"):
        write_levels(tmp_path / "a", [], times(2), PARAMETERS)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="cannot be written"):
        save_flow(tmp_path / "no" / "a", make_flow(2, 32, 48), times(2), PARAMETERS)
    with pytest.raises(InputError, match=r"flow is \(2, 32, 48\); \(T, H, W, 2\) is needed"):
        save_flow(tmp_path / "a", make_flow(2, 32, 48)[..., 0], times(2), PARAMETERS)


def test_other_videos_and_formats_are_refused(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "v.mp4", np.zeros((3, 32, 32, 3), np.uint8))
    with pytest.raises(InputError, match=r"v\.mp4: is no flow file. Make one with s3d flow"):
        probe_flow(tmp_path / "v.mp4")
    monkeypatch.setattr("s3d.data.flow.file.VERSION", 2)
    save_flow(tmp_path / "a", make_flow(2, 32, 48), times(2), PARAMETERS)
    monkeypatch.undo()
    with pytest.raises(InputError, match="is of flow format 2; 1 is known"):
        probe_flow(tmp_path / "a")


def test_a_flow_file_is_a_video_of_two_channels(tmp_path: Path) -> None:
    save_flow(tmp_path / "a", make_flow(4, 32, 48), times(4), PARAMETERS)
    info = probe_video(tmp_path / "a")
    assert (info.frames, info.height_px, info.width_px, info.channels) == (4, 32, 48, 2)
    np.testing.assert_allclose(info.times_seconds, times(4), atol=1e-4)
    every = np.stack(list(iterate_frames(tmp_path / "a", (16, 24))))
    np.testing.assert_array_equal(every, read_frames(tmp_path / "a", range(4), (16, 24)))
    assert every.shape == (4, 16, 24, 2)
