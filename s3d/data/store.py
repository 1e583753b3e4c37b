"""Videos opened once: probed, the broken ones named, and their frames kept at hand where they fit.

Training sees each video many times. Where all frames of all videos, resized, fit a budget, they
are decoded once into one file that the system keeps in memory as long as there is room; otherwise
each clip is decoded when it is needed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s3d.clip import ClipSpec
from s3d.data.decode import Frames, Indices, VideoInfo, probe_video, read_frames, read_what_decodes
from s3d.data.frame_folder import split_rate
from s3d.data.paths import absolute_name
from s3d.data.shards.members import find_member
from s3d.data.transform import resized_px
from s3d.data.video_info import shorten
from s3d.data.videos import Video
from s3d.errors import InputError
from s3d.files import make_folder, write_json

Progress = Callable[[int, int], None]
"""Called with how many are done and how many there are."""


@dataclass(frozen=True)
class Opened:
    """Hold what opening a list of videos gave.

    Attributes:
        videos: Those that can be used, in the order they came.
        infos: Their descriptions.
        failures: (path, reason) of the others.
    """

    videos: tuple[Video, ...]
    infos: tuple[VideoInfo, ...]
    failures: tuple[tuple[str, str], ...]


def open_videos(videos: Sequence[Video], threads: int, progress: Progress | None = None) -> Opened:
    """Probe every video; a broken one is named, not fatal.

    Args:
        videos: What to open.
        threads: How many at a time.
        progress: Told after each one.
    """
    good, infos, failures = [], [], []
    with ThreadPoolExecutor(threads) as pool:
        for done, (video, result) in enumerate(
            zip(videos, pool.map(_probe, videos), strict=True), start=1
        ):
            if isinstance(result, VideoInfo):
                good.append(video)
                infos.append(result)
            else:
                failures.append((video.path, result))
            if progress:
                progress(done, len(videos))
    return Opened(tuple(good), tuple(infos), tuple(failures))


class FrameStore:
    """Give frames of opened videos, resized for a clip contract.

    Attributes:
        infos: One description a video; `frames` and times are what really decodes, once kept.
        spec: The contract.
    """

    def __init__(self, infos: Sequence[VideoInfo], spec: ClipSpec) -> None:
        self.infos, self.spec = list(infos), spec
        self.sizes = [resized_px(info.height_px, info.width_px, spec) for info in infos]
        self._kept: np.memmap[tuple[int], np.dtype[np.uint8]] | None = None
        self._offsets: list[int] = []

    @property
    def is_kept(self) -> bool:
        """Return whether all frames are at hand."""
        return self._kept is not None

    @property
    def total_bytes(self) -> int:
        """Return what keeping all frames takes."""
        return sum(self._bytes_of(i) for i in range(len(self.infos)))

    def read(self, video: int, indices: Indices) -> Frames:
        """Return frames (T, H, W, C) of a video, by index: C is 3, or 2 of flow.

        Raises:
            InputError: The file cannot be decoded any more.
        """
        if self._kept is None:
            return read_frames(self.infos[video], indices, self.sizes[video])
        height, width = self.sizes[video]
        info, start = self.infos[video], self._offsets[video]
        shape = (info.frames, height, width, info.channels)
        frames = self._kept[start : start + math.prod(shape)].reshape(shape)
        return np.asarray(frames[np.asarray(indices) % info.frames])

    def keep(self, folder: Path, threads: int, progress: Progress | None = None) -> list[int]:
        """Decode all frames into a file in `folder`, or take up one that is there already.

        Args:
            folder: Where the file is to be.
            threads: How many videos at a time.
            progress: Told after each video.

        Returns:
            The videos of which not one frame decodes: they must not be asked for.

        Raises:
            InputError: The disk will not take it.
        """
        make_folder(folder)
        data, index = folder / "frames.u8", folder / "frames.json"
        counts = self._take_up(data, index)
        if counts is None:
            counts = self._decode_all(data, threads, progress)
            write_json(index, {"key": self.fingerprint(), "frames": counts})
        self._offsets = []
        total = 0
        for video, count in enumerate(counts):
            self._offsets.append(total)
            total += count * self._frame_bytes(video)
            if count:
                self.infos[video] = shorten(self.infos[video], count)
        if total:
            self._kept = np.memmap(data, np.uint8, "r", shape=(total,))
        return [video for video, count in enumerate(counts) if count == 0]

    def fingerprint(self) -> str:
        """Return a name for these very files at these sizes; a changed file changes it."""
        facts = [
            (absolute_name(info.path), _stamp(info.path), info.frames, *size)
            for info, size in zip(self.infos, self.sizes, strict=True)
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _take_up(self, data: Path, index: Path) -> list[int] | None:
        try:
            found = json.loads(index.read_text())
            counts = [int(n) for n in found["frames"]]
            if found["key"] != self.fingerprint() or len(counts) != len(self.infos):
                return None
            sizes = [count * self._frame_bytes(video) for video, count in enumerate(counts)]
            return counts if data.stat().st_size == sum(sizes) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _decode_all(self, data: Path, threads: int, progress: Progress | None) -> list[int]:
        counts = []
        beside = data.with_suffix(".part")
        try:
            with beside.open("wb") as file, ThreadPoolExecutor(threads) as pool:
                # A few at a time: what is decoded and not yet written stays small.
                for start in range(0, len(self.infos), 4 * threads):
                    videos = range(start, min(start + 4 * threads, len(self.infos)))
                    for frames in pool.map(self._decode, videos):
                        file.write(frames.data)
                        counts.append(len(frames))
                        if progress:
                            progress(len(counts), len(self.infos))
            beside.replace(data)
        except OSError as error:
            raise InputError(
                f"{data}: cannot be written ({error.strerror}). Free some room, or decode each "
                "clip when it is needed with --cache-gb 0."
            ) from None
        finally:
            beside.unlink(missing_ok=True)
        return counts

    def _decode(self, video: int) -> Frames:
        info, size = self.infos[video], self.sizes[video]
        try:
            reading = read_what_decodes(info.path, np.arange(info.frames), size)
        except InputError:
            return np.zeros((0, *size, info.channels), np.uint8)
        return reading.frames[: reading.decoded]

    def _bytes_of(self, video: int) -> int:
        return self.infos[video].frames * self._frame_bytes(video)

    def _frame_bytes(self, video: int) -> int:
        return math.prod(self.sizes[video]) * self.infos[video].channels


def _probe(video: Video) -> VideoInfo | str:
    try:
        return probe_video(video.path)
    except InputError as error:
        return str(error)


def _stamp(path: str) -> tuple[int, int]:
    if member := find_member(path):
        return member.stamp()
    state = Path(split_rate(path)[0]).stat()
    return state.st_size, state.st_mtime_ns
