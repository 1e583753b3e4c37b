"""Pictures inside a page, as data: URLs."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

JPEG_QUALITY = 82


def encode_jpeg(image: Image) -> bytes:
    """Return a picture as the bytes of a JPEG file."""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


def encode_frame(frame: NDArray[np.uint8]) -> bytes:
    """Return a frame (H, W, 3) uint8 RGB as the bytes of a JPEG file."""
    from PIL import Image

    return encode_jpeg(Image.fromarray(frame))


def jpeg_url(jpeg: bytes) -> str:
    """Return the bytes of a JPEG file as a data: URL."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
