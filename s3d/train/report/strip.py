"""A film strip: some frames of a clip side by side, as one small picture inside the page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3d.page.picture import encode_jpeg, jpeg_url

MAX_FRAMES = 6
HEIGHT_PX = 112
MAX_WIDTH_PX = 240  # of one frame: a very wide one must not fill the page
GAP_PX = 4


def strip_url(thumbnails: NDArray[np.uint8]) -> tuple[str, int, int]:
    """Return frames side by side as a data: URL, with its width and height in pixels.

    Args:
        thumbnails: (n, H, W, 3) uint8, n at least 1; more than six are thinned evenly.
    """
    from PIL import Image

    picked = np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), MAX_FRAMES)).round()
    height, width = thumbnails.shape[1:3]
    scale = min(HEIGHT_PX / height, MAX_WIDTH_PX / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    strip = Image.new("RGB", (len(picked) * (size[0] + GAP_PX) - GAP_PX, size[1]))
    for place, index in enumerate(picked.astype(int)):
        frame = Image.fromarray(np.ascontiguousarray(thumbnails[index])).resize(size)
        strip.paste(frame, (place * (size[0] + GAP_PX), 0))
    return jpeg_url(encode_jpeg(strip)), strip.width, strip.height
