"""Flow of frames: grey, methods, grey levels, and the published flow of a clip of UCF-101."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from s3d.data.flow.compute import FlowRecipe, compute_flow, to_grey
from s3d.data.flow.levels import dequantise_flow, quantise_flow
from s3d.errors import InputError
from tests.data.moving import error_px, move, slide

CLIP = "v_CricketShot_g04_c01"


def read_gif(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def correlate(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_published_flow_is_reproduced(shared_dir: Path) -> None:
    rgb, flow = (read_gif(shared_dir / "flow" / f"{CLIP}_{name}.gif") for name in ("rgb", "flow"))
    chosen = np.arange(0, 78, 8)
    ours = np.concatenate([compute_flow(rgb[i : i + 2]) for i in chosen])
    across, down = (correlate(ours[..., k], flow[chosen, ..., k]) for k in (0, 1))
    assert across >= 0.9
    assert down >= 0.8
    assert correlate(ours[..., 0], flow[chosen, ..., 1]) < 0.25
    assert correlate(ours[..., 1], flow[chosen, ..., 0]) < 0.25
    for offset in (-1, 1):
        late = (chosen + offset)[1:]
        assert correlate(ours[1:, ..., 0], flow[late, ..., 0]) < across - 0.05
        assert correlate(ours[1:, ..., 1], flow[late, ..., 1]) < down - 0.1


def test_frames_in_colour_and_grey_give_x_then_y() -> None:
    frames = slide(3, (48, 64), (1.5, -0.5))
    flow = compute_flow(frames)
    assert (flow.shape, flow.dtype, flow.flags["C_CONTIGUOUS"]) == (
        (2, 48, 64, 2),
        np.float32,
        True,
    )
    np.testing.assert_allclose(flow[:, 12:-12, 12:-12].mean((0, 1, 2)), [1.5, -0.5], atol=0.05)
    np.testing.assert_array_equal(compute_flow(frames[..., 0]), flow)
    np.testing.assert_array_equal(compute_flow(frames[..., 0].astype(np.float32)), flow)


def test_torch_keeps_its_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    compute_flow(slide(2, (20, 20), (0, 0)))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_grey_is_luma() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    wanted = np.rint(frames @ np.array([0.299, 0.587, 0.114]))
    grey = to_grey(frames)
    assert grey.dtype == np.uint8
    assert np.abs(grey - wanted).max() <= 1
    assert (grey == wanted).mean() > 0.95
    assert to_grey(np.full((1, 2, 2, 3), 255, np.uint8)).max() == 255


def test_levels_are_128_at_rest_and_clipped_at_20_px() -> None:
    flow = np.array([0, 20, -20, 35, -35, 1, -1], np.float32)
    np.testing.assert_array_equal(quantise_flow(flow), [128, 255, 0, 255, 0, 134, 121])
    many = np.linspace(-20, 20, 4001, dtype=np.float32)
    back = dequantise_flow(quantise_flow(many))
    assert back.dtype == np.float32
    assert np.abs(back - many).max() <= 0.0785


def test_dis_is_there_where_opencv_is() -> None:
    pytest.importorskip("cv2")
    frames, truth = move((96, 128), (2.3, -1.1))
    flow = compute_flow(frames, "dis")
    assert flow.dtype == np.float32
    assert error_px(flow[0], truth) < 0.2


def test_dis_without_opencv_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        InputError, match=r"needs OpenCV, .*pip install 's3d\[flow\]', or take tvl1"
    ):
        compute_flow(slide(2, (20, 20), (0, 0)), "dis")
    with pytest.raises(InputError, match="needs OpenCV"):
        FlowRecipe("dis")


@pytest.mark.parametrize(
    ("frames", "method", "message"),
    [
        (np.zeros((1, 20, 20, 3), np.uint8), "tvl1", "at least 2 frames; 1 came"),
        (np.zeros((2, 20, 20, 4), np.uint8), "tvl1", r"frames are \(2, 20, 20, 4\); flow needs"),
        (np.zeros((20, 20), np.uint8), "tvl1", r"frames are \(20, 20\); flow needs"),
        (
            np.zeros((2, 20, 20), np.uint8),
            "farneback",
            "unknown flow method 'farneback'. Known: tvl1",
        ),
    ],
)
def test_what_cannot_be_is_refused(frames: np.ndarray, method: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compute_flow(frames, method)


def test_recipe_names_all_that_decides_the_values() -> None:
    recipe = FlowRecipe(short_side_px=128)
    assert recipe.parameters() == {
        "method": "tvl1", "short_side_px": 128, "tau": 0.25, "lam": 0.15, "theta": 0.3,
        "scales": 5, "warps": 5, "epsilon": 0.01, "scale_step": 0.8, "steps": [12, 12, 16, 30, 60],
    }  # fmt: skip
    with pytest.raises(InputError, match="short side is 8 px; flow takes 16 to 4096"):
        FlowRecipe(short_side_px=8)
