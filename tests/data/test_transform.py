"""Sizes, crops and values."""

from __future__ import annotations

import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data.transform import centre_crop, crop_at, resized_px, three_crops
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
