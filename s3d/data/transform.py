"""Frames resized and cropped to what a network sees.

frames  (T, H, W, 3) uint8 RGB
"""

from __future__ import annotations

from s3d.clip import ClipSpec
from s3d.data.container import MAX_SIDE_PX, check_size
from s3d.data.video_info import Frames, VideoInfo
from s3d.errors import InputError


def resized_px(info_height: int, info_width: int, spec: ClipSpec) -> tuple[int, int]:
    """Return the (height, width) to which a video's frames are resized before cropping.

    Args:
        info_height: Displayed height in px.
        info_width: Displayed width in px.
        spec: "squash" gives spec.resize_px, "keep" the smallest size of the video's aspect that
            covers it.
    """
    height, width = spec.resize_px
    if spec.resize == "squash":
        return height, width
    scale = max(height / info_height, width / info_width)
    # The cap squashes a video of a few px in one direction, instead of asking for gigabytes.
    grown = (round(info_height * scale), round(info_width * scale))
    return min(max(height, grown[0]), MAX_SIDE_PX), min(max(width, grown[1]), MAX_SIDE_PX)


def resize_short_side(info: VideoInfo, short_side_px: int) -> tuple[int, int]:
    """Return the (height, width) of a video's frames whose shorter side is resized to a length.

    Raises:
        InputError: The longer one would be of more px than can be held.
    """
    scale = short_side_px / min(info.height_px, info.width_px)
    size = round(info.height_px * scale), round(info.width_px * scale)
    check_size(*size, info.path)
    return size


def crop_at(frames: Frames, top: int, left: int, size_px: tuple[int, int]) -> Frames:
    """Return the (T, h, w, 3) view of the frames whose upper left corner is (top, left).

    Raises:
        InputError: The crop does not lie within the frames.
    """
    height, width = size_px
    if not (0 <= top <= frames.shape[1] - height and 0 <= left <= frames.shape[2] - width):
        raise InputError(
            f"a crop of {height} x {width} px at ({top}, {left}) does not lie within frames of "
            f"{frames.shape[1]} x {frames.shape[2]} px. Resize them to at least the crop's size."
        )
    return frames[:, top : top + height, left : left + width]


def centre_crop(frames: Frames, size_px: tuple[int, int]) -> Frames:
    """Return the (T, h, w, 3) view of the middle of the frames."""
    spare_height, spare_width = frames.shape[1] - size_px[0], frames.shape[2] - size_px[1]
    return crop_at(frames, spare_height // 2, spare_width // 2, size_px)


def three_crops(frames: Frames, size_px: tuple[int, int]) -> list[Frames]:
    """Return the crops at start, centre and end of the direction with more to spare.

    That is the longer side for square crops; across it the crops are centred.
    """
    down, right = frames.shape[1] - size_px[0], frames.shape[2] - size_px[1]
    if right >= down:
        return [crop_at(frames, down // 2, left, size_px) for left in (0, right // 2, right)]
    return [crop_at(frames, top, right // 2, size_px) for top in (0, down // 2, down)]
