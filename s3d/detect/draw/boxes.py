"""Boxes drawn on a frame: a line around each, and a plate that says what is done and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from s3d.detect.draw.colours import BLACK, Colour, colour_of
from s3d.detect.draw.plates import Area, Picture, most_plate_px, place_plate, render_plate, text_px

LEGIBLE_PX = 480
"""Shorter side at which labels are read well."""
MOST_SCALE = 8
LINE_SHARE = 180
"""Lines have this part of the picture's shorter side."""


@dataclass(frozen=True)
class DrawnBox:
    """Hold a box as it is to be seen.

    Attributes:
        box: x1, y1, x2, y2 in px of the frame.
        lines: Text of its plate, as in ("#3 jump 0.93",); () for no plate.
        number: Of the tube: gives the colour.
    """

    box: tuple[float, float, float, float]
    lines: tuple[str, ...]
    number: int = 0


def output_scale(size_px: tuple[int, int]) -> int:
    """Return how many times a picture is to be enlarged for its labels to be legible: 1 .. 8.

    Args:
        size_px: (height, width) of the frames.
    """
    return min(MOST_SCALE, max(1, round(LEGIBLE_PX / max(1, min(size_px)))))


def draw_boxes(frame: Picture, drawn: Sequence[DrawnBox], scale: int = 1) -> Picture:
    """Return a frame with boxes on it.

    Args:
        frame: (H, W, 3) uint8 RGB; it stays as it is.
        drawn: The boxes, in px of the frame; later ones lie above. What is outside the frame is not
            seen, and a box that is wholly outside, or not of numbers, has no plate either.
        scale: How many times the picture is enlarged; see `output_scale`.

    Returns:
        (H * scale, W * scale, 3) uint8 RGB.
    """
    picture = _enlarge(frame, scale)
    height, width = picture.shape[:2]
    seen = [(one, area) for one in drawn if (area := _area_of(one, scale, (height, width)))]
    for one, area in seen:
        _draw_line(picture, area, colour_of(one.number))
    taken: list[Area] = []
    for one, area in seen:
        if one.lines:
            taken.append(_lay_plate(picture, one, area, taken))
    return picture


def _lay_plate(picture: Picture, one: DrawnBox, area: Area, taken: list[Area]) -> Area:
    """Lay the plate of a box on a picture, and return where it is."""
    height, width = picture.shape[:2]
    colour, most_px = colour_of(one.number), most_plate_px(width)
    plate = render_plate(one.lines, colour, text_px(height), most_px)[:height]
    place = place_plate((len(plate), plate.shape[1]), area, (height, width), taken)
    x1, y1, x2, y2 = place
    picture[y1:y2, x1:x2] = plate
    return place


def _enlarge(frame: Picture, scale: int) -> Picture:
    if scale == 1:
        return frame.copy()
    # By libav, which takes a third of Pillow's time.
    image = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    larger = image.reformat(
        image.width * scale, image.height * scale, "rgb24", interpolation=Interpolation.BILINEAR
    )
    return np.asarray(larger.to_ndarray(), np.uint8)


def _area_of(one: DrawnBox, scale: int, size_px: tuple[int, int]) -> Area | None:
    """Return the part of a box that is in the picture; None where there is none."""
    box = np.asarray(one.box, np.float64) * scale
    if not np.isfinite(box).all():
        return None
    height, width = size_px
    x1, y1, x2, y2 = np.clip(np.round(box), 0, (width, height, width, height)).astype(int).tolist()
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def _draw_line(picture: Picture, area: Area, colour: Colour) -> None:
    """Draw a line along the inner side of a box, and a thin dark one around it."""
    line = max(2, round(min(picture.shape[:2]) / LINE_SHARE))
    x1, y1, x2, y2 = area
    # Dark outside, so that no ground hides the colour.
    _fill_frame(picture, (max(0, x1 - 1), max(0, y1 - 1), x2 + 1, y2 + 1), 1, BLACK)
    _fill_frame(picture, area, line, colour)


def _fill_frame(picture: Picture, area: Area, line: int, colour: Colour) -> None:
    x1, y1, x2, y2 = area
    picture[y1 : min(y1 + line, y2), x1:x2] = colour
    picture[max(y2 - line, y1) : y2, x1:x2] = colour
    picture[y1:y2, x1 : min(x1 + line, x2)] = colour
    picture[y1:y2, max(x2 - line, x1) : x2] = colour
