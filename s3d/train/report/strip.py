"""A film strip: some frames of a clip side by side, as one small picture inside the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

MAX_FRAMES = 6
HEIGHT_PX = 112
MAX_WIDTH_PX = 240  # of one frame: a very wide one must not fill the page
GAP_PX = 4
JPEG_QUALITY = 82


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
    data = io.BytesIO()
    strip.save(data, "JPEG", quality=JPEG_QUALITY)
    url = f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
    return url, strip.width, strip.height
