"""Features of videos, kept on disk so that a second question is answered at once.

    <folder>/<key>/part-<when>-<process>.db      records, one a video

    record  magic, sizes of head and body, their checksum; head (JSON); body:
            start_seconds (W,) float64, end_seconds (W,) float64, features (W, C) float32

The key is a hash of all that features depend on but the video; a record names its video by path,
size and time of change. Each process appends to a part of its own, so that many may work at a
time; what a killed one left half-written ends that part. A later record of a video counts.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from s3d.data.paths import absolute_name
from s3d.data.shards.members import split_member
from s3d.errors import InputError
from s3d.files import make_folder, show_path
from s3d.infer.similar.scale import Features

FORMAT = 1
MAGIC = b"S3Dw"
ENDING = ".db"
_FRONT = struct.Struct("<4sIQI")
"""Of a record: magic, bytes of its head, bytes of its body, checksum of both."""
MOST_HEAD_BYTES = 1 << 20

Name = tuple[str, int, int]
"""Of a video as it is now: absolute path, bytes, time of change in nanoseconds."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Hold the windows of one video.

    Attributes:
        start_seconds: (W,) when each begins.
        end_seconds: (W,) when it ends.
        features: (W, C).
    """

    start_seconds: npt.NDArray[np.float64]
    end_seconds: npt.NDArray[np.float64]
    features: Features


class Index:
    """Keep windows of videos in a folder; close it, or use it in a `with` statement."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Take up what is there for these settings.

        Args:
            folder: Where indexes are kept.
            settings: All that features depend on but the video, as JSON values.

        Raises:
            InputError: The folder cannot be made or read.
        """
        text = json.dumps({"format": FORMAT, **settings}, sort_keys=True)
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        make_folder(self.folder)
        self._known: dict[Name, Windows] = {}
        self._part: BinaryIO | None = None
        for part in sorted(self.folder.glob(f"part-*{ENDING}")):
            with contextlib.suppress(FileNotFoundError):
                self._known.update(_read_part(part))

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, name: Name) -> Windows | None:
        """Return the windows of a video; None where they are not known."""
        return self._known.get(name)

    def add(self, name: Name, windows: Windows) -> None:
        """Keep the windows of a video; a kill after this does not lose them.

        Raises:
            InputError: The disk will not take them.
        """
        self._known[name] = windows
        try:
            self._part = self._part or self._open_part()
            self._part.write(_pack(name, windows))
            self._part.flush()
        except OSError as error:
            raise InputError(
                f"{show_path(self.folder)}: cannot be written ({error.strerror}). Free some room "
                "or choose another place (--index)."
            ) from None

    def close(self) -> None:
        """Close the part that was written."""
        if self._part is not None:
            self._part.close()
            self._part = None

    def _open_part(self) -> BinaryIO:
        place = self.folder / f"part-{time.time_ns():020}-{os.getpid()}{ENDING}"
        return place.open("xb")


def name_video(path: str) -> Name:
    """Return the name of a video as it is now; of a folder of pictures or a tar, as that is."""
    member = split_member(path)
    place = member[0] if member else path.rpartition("?rate=")[0] or path
    size, changed = 0, 0
    for one in (path, place):
        with contextlib.suppress(OSError, ValueError):
            state = os.stat(one)  # noqa: PTH116 - of a name that no file may have
            size, changed = state.st_size, state.st_mtime_ns
            break
    return absolute_name(path), size, changed


def _pack(name: Name, windows: Windows) -> bytes:
    count, channels = windows.features.shape
    head = json.dumps({"name": name, "windows": count, "channels": channels}).encode()
    parts = (
        windows.start_seconds.astype("<f8"),
        windows.end_seconds.astype("<f8"),
        windows.features.astype("<f4"),
    )
    body = b"".join(part.tobytes() for part in parts)
    check = zlib.crc32(body, zlib.crc32(head))
    return _FRONT.pack(MAGIC, len(head), len(body), check) + head + body


def _read_part(path: Path) -> Iterator[tuple[Name, Windows]]:
    """Yield the whole records of a part; its arrays lie in the file and are read as needed."""
    size = path.stat().st_size
    if size < _FRONT.size:
        return
    data = np.memmap(path, np.uint8, "r")
    at = 0
    while at + _FRONT.size <= size:
        magic, head_bytes, body_bytes, check = _FRONT.unpack(data[at : at + _FRONT.size].tobytes())
        begin = at + _FRONT.size
        at = begin + head_bytes + body_bytes
        if magic != MAGIC or head_bytes > MOST_HEAD_BYTES or at > size:
            return
        head, body = data[begin : begin + head_bytes], data[begin + head_bytes : at]
        if zlib.crc32(body.data, zlib.crc32(head.data)) != check:
            return
        found = _unpack(head.tobytes(), body)
        if found is not None:
            yield found


def _unpack(head: bytes, body: npt.NDArray[np.uint8]) -> tuple[Name, Windows] | None:
    try:
        values = json.loads(head)
        path, size, changed = values["name"]
        count, channels = int(values["windows"]), int(values["channels"])
    except (ValueError, KeyError, TypeError):
        return None
    if count < 1 or channels < 1 or body.size != count * (16 + 4 * channels):
        return None
    starts, ends = body[: 8 * count].view("<f8"), body[8 * count : 16 * count].view("<f8")
    features = body[16 * count :].view("<f4").reshape(count, channels)
    return (str(path), int(size), int(changed)), Windows(starts, ends, features)
