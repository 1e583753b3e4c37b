"""Calling `draw.c`, which a C compiler makes once for this machine."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s3d.compiled import load_library
from s3d.data.world.camera import Film
from s3d.data.world.strokes import FIELDS, Floats
from s3d.data.world.textures import make_bank
from s3d.errors import InputError

SOURCE = Path(__file__).with_name("draw.c")
CELL_PX = 8
"""Side of the squares over which the flow is a mean."""
GRID_CHANNELS = 4
"""Flow right and down in px a frame, speed past the background, share of the actors."""

Bytes = npt.NDArray[np.uint8]


@functools.cache
def _library() -> ctypes.CDLL:
    library = load_library(SOURCE)
    if library is None:
        raise InputError(
            "drawing the world needs a C compiler, and none was found. Install gcc or clang, or "
            "set CC to one."
        )
    return library


def draw(
    shapes: Floats, ground: int, joined: Bytes, film: Film, height: int, width: int
) -> tuple[Bytes, Floats]:
    """Draw a clip.

    Args:
        shapes: (frames + 1, N, FIELDS), places in pixels.
        ground: How many of them, the first, are drawn once for as long as they do not change.
        joined: (frames,), 0 where the next frame is of another shot.
        film: What happens to the light.
        height: In px.
        width: In px.

    Returns:
        Frames (T, H, W, 3), and grids (T, H / 8, W / 8, 4) of `GRID_CHANNELS`.

    Raises:
        InputError: There is no C compiler.
        MemoryError: There is not enough memory.
    """
    frames, bank = len(shapes) - 1, make_bank()
    shapes = np.ascontiguousarray(shapes, np.float32)
    if shapes.shape[2] != FIELDS or joined.shape != (frames,):
        raise ValueError("shapes and joints do not belong together")
    image = np.empty((frames, height, width, 3), np.float32)
    grid = np.empty((frames, height // CELL_PX, width // CELL_PX, GRID_CHANNELS), np.float32)
    found = np.empty((frames, height, width, 3), np.uint8)
    failed = _library().draw_frames(
        _pointer(shapes), frames, shapes.shape[1], ground, _pointer(joined), _pointer(bank),
        height, width, film.parts, ctypes.c_float(film.shutter), CELL_PX,
        _pointer(image), _pointer(grid),
    ) or _library().film_frames(
        _pointer(image), frames, height, width, ctypes.c_float(film.blur), _pointer(film.gains),
        ctypes.c_float(film.noise), ctypes.c_float(film.grey), ctypes.c_float(film.step),
        ctypes.c_uint32(film.seed), _pointer(found),
    )  # fmt: skip
    if failed:
        raise MemoryError("no memory to draw a clip")
    return found, grid


def _pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
