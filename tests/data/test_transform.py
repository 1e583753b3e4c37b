"""Sizes, crops and values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.transform import centre_crop, crop_at, resized_px, three_crops, to_clip
from s3d.errors import InputError

KEEP = ClipSpec(resize="keep", resize_px=(256, 256), size_px=(224, 224))


def numbered(height: int, width: int, count: int = 2) -> np.ndarray:
    """Frames whose red is the row and whose green is the column."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0] = np.arange(height)[:, None]
    frames[..., 1] = np.arange(width)
    return frames


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [
        (240, 320, (256, 341)),
        (320, 240, (341, 256)),
        (256, 256, (256, 256)),
        (1080, 1920, (256, 455)),
        (1, 1, (256, 256)),
        (2, 16384, (256, 16384)),
    ],
)
def test_keep_covers_with_the_aspect_kept(height: int, width: int, wanted: tuple[int, int]) -> None:
    assert resized_px(height, width, KEEP) == wanted


def test_keep_covers_sizes_that_are_not_square() -> None:
    spec = ClipSpec(resize="keep", resize_px=(128, 170), size_px=(112, 112))
    assert resized_px(240, 320, spec) == (128, 171)
    assert resized_px(320, 240, spec) == (227, 170)


def test_squash_ignores_the_aspect() -> None:
    spec = ClipSpec(resize="squash", resize_px=(128, 170), size_px=(112, 112))
    assert resized_px(1080, 1920, spec) == (128, 170)


def test_crops_lie_where_they_should() -> None:
    frames = numbered(10, 21)
    assert crop_at(frames, 2, 5, (4, 6))[0, 0, 0].tolist() == [2, 5, 0]
    assert crop_at(frames, 2, 5, (4, 6)).shape == (2, 4, 6, 3)
    assert centre_crop(frames, (4, 5))[0, 0, 0].tolist() == [3, 8, 0]
    assert np.shares_memory(centre_crop(frames, (4, 5)), frames)


@pytest.mark.parametrize(("top", "left"), [(-1, 0), (0, -1), (7, 0), (0, 16)])
def test_a_crop_outside_is_refused(top: int, left: int) -> None:
    with pytest.raises(InputError, match=r"crop of 4 x 6 px at .* frames of 10 x 21 px"):
        crop_at(numbered(10, 21), top, left, (4, 6))


def test_three_crops_cover_the_longer_side() -> None:
    wide = [crop[0, 0, 0, :2].tolist() for crop in three_crops(numbered(10, 20), (8, 8))]
    assert wide == [[1, 0], [1, 6], [1, 12]]
    tall = [crop[0, 0, 0, :2].tolist() for crop in three_crops(numbered(20, 10), (8, 8))]
    assert tall == [[0, 1], [6, 1], [12, 1]]


def test_to_clip_normalises_each_channel() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3)).astype(np.uint8)
    spec = ClipSpec(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    wanted = (frames / 255 - np.array(spec.mean)) / np.array(spec.std)
    clip = to_clip(frames, spec)
    assert clip.shape == (3, 3, 4, 5) and clip.dtype == torch.float32
    np.testing.assert_allclose(clip.numpy(), wanted.transpose(3, 0, 1, 2), atol=1e-5)


def test_to_clip_spans_the_value_range() -> None:
    frames = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(3, axis=3)
    clip = to_clip(frames, ClipSpec())
    assert (clip.min().item(), clip.max().item()) == pytest.approx(ClipSpec().value_range)


def test_to_clip_is_laid_out_channels_last() -> None:
    clip = to_clip(numbered(4, 5), ClipSpec())
    assert clip.permute(1, 2, 3, 0).is_contiguous()


def test_to_clip_takes_views_and_leaves_its_input() -> None:
    frames = numbered(8, 8)
    frames.flags.writeable = False
    before = frames.copy()
    flipped = to_clip(frames[:, ::-1, 2:6], ClipSpec())
    plain = to_clip(np.ascontiguousarray(frames[:, ::-1, 2:6]), ClipSpec())
    assert torch.equal(flipped, plain)
    assert to_clip(frames, ClipSpec()).shape == (3, 2, 8, 8)
    assert np.array_equal(frames, before)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 2), np.uint8),
    ],
)
def test_to_clip_refuses_other_arrays(frames: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"rgb needs uint8 of shape \(T, H, W, 3\)"):
        to_clip(frames, ClipSpec())
