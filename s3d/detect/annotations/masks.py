"""Masks of people in MATLAB files, as JHMDB has them, and the boxes around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.detect.annotations.marks import Mark, VideoMarks
from s3d.errors import InputError

EMPTY = "frames with an empty mask left out"
VARIABLE = "part_mask"
MOST_PIXELS = 1 << 29


def read_masks(path: Path) -> npt.NDArray[Any] | str:
    """Read part_mask of a MATLAB 5 file.

    Returns:
        (H, W, T), above 0 where the person is; or why it cannot be read.

    Raises:
        InputError: scipy is missing.
    """
    try:
        from scipy.io import loadmat, whosmat  # type: ignore[import-untyped]
    except ImportError:
        raise InputError(
            "masks of JHMDB are MATLAB files, which need scipy: pip install 'scipy'. "
            "Or take the boxes of JHMDB-GT.pkl."
        ) from None
    if not path.is_file():
        return "no such file"
    try:
        shape = next((shape for name, shape, _ in whosmat(path) if name == VARIABLE), ())
        if len(shape) not in (2, 3) or not 0 < np.prod([float(n) for n in shape]) < MOST_PIXELS:
            return f"no {VARIABLE} of height, width and time"
        masks = np.asarray(loadmat(path, variable_names=[VARIABLE])[VARIABLE])
    except Exception as error:  # Of a damaged file scipy raises whatever it stumbles over.
        return f"{type(error).__name__} in it"
    if masks.dtype.kind not in "biuf":
        return f"{VARIABLE} is no picture"
    return masks.reshape(*masks.shape[:2], -1)


def add_masks(marks: VideoMarks, masks: npt.NDArray[Any], label: int) -> None:
    """Mark the box around the mask of each frame.

    Args:
        marks: Of the video.
        masks: (H, W, T), above 0 where the person is.
        label: What is done.
    """
    for frame in range(masks.shape[2]):
        where = f"{marks.name}, frame {frame}"
        there = masks[:, :, frame] > 0
        rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
        if not rows.size:
            marks.problems.add(EMPTY, where)
            continue
        box = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        marks.add(Mark(frame, [float(place) for place in box], label, "0", where))
