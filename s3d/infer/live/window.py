"""The optional window: the newest picture with what is seen in it written on it."""

from __future__ import annotations

import time as time_module
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from s3d.data.video_info import Frames
from s3d.errors import InputError
from s3d.files import show_path
from s3d.infer.live.picture import Converter

TITLE = "s3d watch"
LONGEST_PX = 960
MOST_FPS = 30.0
TEXT_SHARE = 1 / 18
"""Height of a letter, as a share of the picture's."""
LEAST_TEXT_PX = 12
SHADE = 0.35
"""What is left of the picture behind the text."""


def draw_label(picture: Frames, text: str) -> Frames:
    """Return a picture with a line of text on a darkened strip at its foot.

    Args:
        picture: (H, W, 3) uint8.
        text: Cut off where it is wider than the picture.

    Returns:
        (H, W, 3) uint8, another array.
    """
    height, width = picture.shape[:2]
    ink = _ink(show_path(text), max(LEAST_TEXT_PX, round(height * TEXT_SHARE)))
    pad = max(1, ink.shape[0] // 3)
    strip = min(height, ink.shape[0] + 2 * pad)
    drawn = picture.copy()
    area = drawn[height - strip :].astype(np.float32) * SHADE
    rows, columns = min(ink.shape[0], max(0, strip - pad)), min(ink.shape[1], max(0, width - pad))
    cover = (ink[:rows, :columns] / np.float32(255))[..., None]
    part = area[pad : pad + rows, pad : pad + columns]
    area[pad : pad + rows, pad : pad + columns] = part * (1 - cover) + 255 * cover
    drawn[height - strip :] = np.rint(area).astype(np.uint8)
    return drawn


@lru_cache(maxsize=64)
def _ink(text: str, height_px: int) -> npt.NDArray[np.uint8]:
    """Return how much of each pixel letters cover, (h, w), 0..255."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    font = FT2Font(findfont("DejaVu Sans"))
    font.set_size(height_px * 0.75, 96)  # Points at 96 to the inch: height_px is one em.
    known = font.get_charmap()
    font.set_text("".join(c if ord(c) in known else "?" for c in text) or " ", 0.0)
    font.draw_glyphs_to_bitmap(antialiased=True)
    ink: npt.NDArray[np.uint8] = np.array(font.get_image(), np.uint8)
    return ink


class Window:
    """Show the newest picture on the screen; drawn by the thread that scores."""

    def __init__(self) -> None:
        """Open the window.

        Raises:
            InputError: There is no OpenCV with windows, or no screen.
        """
        self._cv2 = _open_window()
        self.text = ""
        self._newest: tuple[float, Frames] | None = None
        self._drawn_at = 0.0

    def show(self, frame: VideoFrame, converter: Converter, time: float) -> None:
        """Keep a frame to be drawn."""
        if self._newest is None or time - self._newest[0] > 0.9 / MOST_FPS:
            self._newest = time, converter.preview(frame, LONGEST_PX)

    def draw(self) -> bool:
        """Draw the newest frame; return whether the person still wants the window."""
        newest = self._newest
        if newest and time_module.monotonic() - self._drawn_at > 0.5 / MOST_FPS:
            self._drawn_at = time_module.monotonic()
            self._cv2.imshow(
                TITLE, np.ascontiguousarray(draw_label(newest[1], self.text)[..., ::-1])
            )
        key = self._cv2.waitKey(1)
        return key not in (ord("q"), 27)

    def close(self) -> None:
        """Close the window."""
        self._cv2.destroyAllWindows()


def _open_window() -> Any:
    try:
        import cv2

        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL)
    except ImportError:
        raise InputError(f"--show needs OpenCV with windows. {INSTALL}") from None
    except Exception as error:  # cv2.error, which has no base but Exception
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"--show: OpenCV opens no window ({reason}). {INSTALL}") from None
    return cv2


INSTALL = (
    "On a machine with a screen: pip uninstall opencv-contrib-python-headless, then "
    "pip install opencv-contrib-python."
)
