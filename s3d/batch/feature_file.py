"""Features of a video in a file of their own, .npz, which numpy reads without unpickling.

    features       (W, C) float32, or (W, C, T, H, W) where they are not pooled
    start_seconds  (W,) and end_seconds (W,)
    windows, stride_seconds, rate_fps, at, pool, clip      how they were taken; clip is JSON
    model, model_source, settings                          by what; settings is JSON
    video, video_bytes, video_frames, video_rate_fps, duration_seconds

The features are written as they are computed, so that memory stays flat.
"""

from __future__ import annotations

import glob
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.batch.results import differences
from s3d.errors import InputError
from s3d.files import make_folder, show_path, write_atomically
from s3d.infer.features import Features

ENDING = ".npz"

Values = Mapping[str, npt.ArrayLike]


def write_features(path: Path, parts: Iterator[Features], windows: int, values: Values) -> None:
    """Write a file of features, whole or not at all.

    Args:
        path: Where.
        parts: (n, ...) float32 each, of `windows` windows in all.
        windows: How many there are.
        values: The other arrays, by name.

    Raises:
        InputError: The disk will not take it, or the video cannot be read.
    """
    make_folder(path.parent)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)  # What a killed process was writing.

    def write(beside: Path) -> None:
        with zipfile.ZipFile(beside, "w") as archive:
            for name, value in values.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, np.asarray(value), allow_pickle=False)
            with archive.open("features.npy", "w", force_zip64=True) as file:
                first = next(parts)
                shape = (windows, *first.shape[1:])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                file.write(first.astype("<f4", copy=False).data)
                for part in parts:
                    file.write(part.astype("<f4", copy=False).data)

    write_atomically(path, write)


def is_there(path: Path, settings: Mapping[str, Any], video_bytes: int) -> bool:
    """Return whether a file holds the features of this video, taken with these settings.

    Raises:
        InputError: It holds features of other settings, or is none of ours.
    """
    if not path.exists():
        return False
    try:
        with np.load(path, allow_pickle=False) as file:
            found = json.loads(str(file["settings"]))
            same_video = int(file["video_bytes"]) == video_bytes
            count = len(file["start_seconds"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise InputError(
            f"{show_path(path)}: is there and holds no features of s3d. Delete it, or choose "
            "another --out."
        ) from None
    wanted = json.loads(json.dumps(settings))
    if not isinstance(found, dict) or found != wanted:
        told = differences(found, wanted) if isinstance(found, dict) else "unknown"
        raise InputError(
            f"{show_path(path)}: holds features of other settings ({told}). Choose another --out, "
            "or delete it."
        )
    return same_video and count > 0
