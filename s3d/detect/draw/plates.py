"""Label plates: text on a filled ground, rendered once, and a place for each where it hides least.

A box has its plate above it; where there is no room, or another plate, below it, inside it or on a
pile of plates.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from s3d.detect.draw.colours import Colour, ink_on

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Picture = npt.NDArray[np.uint8]
Area = tuple[int, int, int, int]
"""x1, y1, x2, y2 in px of the picture that is drawn on."""

LEAST_TEXT_PX = 12
TEXT_SHARE = 30
"""Text has this part of the picture's height."""
WIDEST_SHARE, WIDEST_PX = 0.6, 200
"""A plate has at most this part of the picture's width, or this many px."""
STEP = 1.2
"""From line to line, as a multiple of the text's height."""
HIGH = 0.95
"""From the top of its capitals to the foot of its longest letters, as part of the text's height."""
ABOVE = 0.25
"""What a font leaves empty above its capitals, as part of the text's height."""
ELLIPSIS = "..."


def text_px(height_px: int) -> int:
    """Return how high text is in a picture of that height."""
    return max(LEAST_TEXT_PX, round(height_px / TEXT_SHARE))


def most_plate_px(width_px: int) -> int:
    """Return how wide a plate may be in a picture of that width."""
    return min(width_px, max(WIDEST_PX, round(WIDEST_SHARE * width_px)))


@lru_cache(maxsize=1024)
def render_plate(lines: tuple[str, ...], colour: Colour, size_px: int, most_px: int) -> Picture:
    """Return a plate (h, w, 3) uint8; not to be written to, since it is kept for the next frame.

    Args:
        lines: What it says; what cannot be printed is shown as escapes.
        colour: Of its ground; the text is black or white.
        size_px: Height of the text.
        most_px: Widest that it may be; longer lines are cut.
    """
    from PIL import Image, ImageDraw

    font, pad = load_font(size_px), max(2, size_px // 5)
    shown = [_shorten(_printable(line), font, most_px - 2 * pad) for line in lines]
    step, above = round(size_px * STEP), round(size_px * ABOVE)
    width = min(most_px, 2 * pad + max(1, *(round(font.getlength(line)) for line in shown), 1))
    height = step * (len(shown) - 1) + round(size_px * HIGH) + 2 * pad
    plate = Image.new("RGB", (max(1, width), height), colour)
    pen = ImageDraw.Draw(plate)
    for number, line in enumerate(shown):
        pen.text((pad, pad - above + number * step), line, fill=ink_on(colour), font=font)
    picture = np.array(plate, np.uint8)
    picture.setflags(write=False)
    return picture


@lru_cache(maxsize=16)
def load_font(size_px: int) -> FreeTypeFont | ImageFont:
    """Return DejaVu Sans, which comes with matplotlib; Pillow's own where it is not there."""
    from PIL import ImageFont

    try:
        from matplotlib import get_data_path

        path = Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
        return ImageFont.truetype(str(path), size_px)
    except (ImportError, OSError):
        return ImageFont.load_default(size_px)


def place_plate(
    plate_px: tuple[int, int], box: Area, size_px: tuple[int, int], taken: list[Area]
) -> Area:
    """Return where a plate goes: inside the picture, and where it covers other plates least.

    Args:
        plate_px: (height, width) of the plate, no more than the picture's.
        box: What it tells of.
        size_px: (height, width) of the picture.
        taken: Where plates are already.
    """
    corners = _corners(plate_px, box, taken)
    places = [_move_in(corner, plate_px, size_px) for corner in corners]
    covers = [sum(_overlap(place, other) for other in taken) for place in places]
    # One that had to move up or down may lie on what is in the box: only if nothing else goes.
    moved = [place[1] != y for place, (_, y) in zip(places, corners, strict=True)]
    return places[min(range(len(places)), key=lambda place: (covers[place], moved[place]))]


def _corners(plate_px: tuple[int, int], box: Area, taken: list[Area]) -> list[tuple[int, int]]:
    """Return where the upper left corner of a plate may go, the best first."""
    (height, width), (x1, y1, x2, y2) = plate_px, box
    beside_box = [(x, y) for y in (y1 - height, y2, y1, y2 - height) for x in (x1, x2 - width)]
    # Then in a pile with other plates, near the upper edge first.
    piles = [y for other in taken for y in (other[1] - height, other[3])]
    return beside_box + [(x1, y) for y in sorted(piles, key=lambda y: abs(y + height - y1))]


def _move_in(corner: tuple[int, int], plate_px: tuple[int, int], size_px: tuple[int, int]) -> Area:
    """Return the place of a plate, moved as far as it must be to lie in the picture."""
    (x, y), (height, width) = corner, plate_px
    x, y = min(max(x, 0), size_px[1] - width), min(max(y, 0), size_px[0] - height)
    return x, y, x + width, y + height


def _overlap(one: Area, other: Area) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


def _shorten(line: str, font: FreeTypeFont | ImageFont, most_px: int) -> str:
    if font.getlength(line) <= most_px:
        return line
    while line and font.getlength(line + ELLIPSIS) > most_px:
        line = line[:-1]
    return line + ELLIPSIS


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
