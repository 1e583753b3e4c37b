"""One look at all of a video: every frame is decoded once, and what is odd about it is noted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from s3d.data.container import NoVideoError, open_stream, quarter_turns
from s3d.data.frame_folder import FrameFolder, find_frame_folder, read_picture
from s3d.data.shards.members import content_size
from s3d.data.sources import SIGNATURE_FRAMES, Signature, signature
from s3d.data.video_info import Frames
from s3d.errors import InputError

SIDE_PX = 32
MOST_KEPT = 32
"""Small pictures kept at a time; every second one goes when there are twice as many."""

USUAL_CODECS = frozenset(
    [
        "h264",
        "hevc",
        "vp8",
        "vp9",
        "av1",
        "mpeg4",
        "mpeg2video",
        "mpeg1video",
        "mjpeg",
        "msmpeg4v3",
        "h263",
        "wmv2",
        "gif",
    ]
)
USUAL_PIXELS = frozenset(["yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "bgra"])

# A count that is off by this much is a slip of the muxer (HMDB-51), not a damaged file.
SLIP_FRAMES = 2
SLIP_SHARE = 0.02
# A step in time is another one if it differs by this share; a few of them are lost frames.
STEP_CHANGE = 0.1
CHANGED_STEPS = 0.05
MISSING_SECONDS = 0.5
MISSING_SHARE = 0.05
MICROSECONDS = 1_000_000

Oddity = tuple[str, str]
"""(kind, detail); the kinds are those of `s3d.data.doctor.KINDS`."""


@dataclass(frozen=True, eq=False)
class Examination:
    """Hold what was found in one video.

    Attributes:
        path: Of it.
        oddities: (kind, detail) of what is odd.
        frames: How many decode.
        signature: Of its still part, None where no frame decodes.
    """

    path: str
    oddities: tuple[Oddity, ...]
    frames: int
    signature: Signature | None


def examine(path: str) -> Examination:
    """Decode a video whole and note what is odd about it; nothing is raised.

    Args:
        path: A file, or a folder of pictures with its rate.
    """
    try:
        if folder := find_frame_folder(path):
            return _examine_folder(folder)
        with open_stream(path) as (container, stream):
            look = _Look(stream)
            look.run(container)
            return Examination(path, tuple(look.oddities(container)), look.count, look.sign())
    except NoVideoError as error:
        return _refused(path, "no_video", error)
    except InputError as error:
        return _refused(path, "empty" if content_size(path) == 0 else "unreadable", error)


class _Sampler:
    """Keep small pictures spread over a video whose length is not known before its end."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()
        self.kept: list[Frames] = []
        self.stride = 1
        self.count = 0

    def take(self, frame: VideoFrame) -> None:
        if self.count % self.stride == 0:
            small = self.reformatter.reformat(frame, SIDE_PX, SIDE_PX, "rgb24", threads=1)
            self.kept.append(np.asarray(small.to_ndarray(), np.uint8))
            if len(self.kept) == 2 * MOST_KEPT:
                self.kept = self.kept[::2]
                self.stride *= 2
        self.count += 1

    def sign(self) -> Signature | None:
        if not self.kept:
            return None
        places = np.linspace(0, len(self.kept) - 1, SIGNATURE_FRAMES).round().astype(int)
        return signature(np.stack([self.kept[place] for place in places]))


class _Look:
    """What is learnt of a video file from its first packet to its last."""

    def __init__(self, stream: VideoStream) -> None:
        self.stream, self.sampler = stream, _Sampler()
        self.stamps: list[int | None] = []
        self.damaged = self.hidden = 0
        self.breaks_off = False
        self.turns = 0
        self.end_seconds = 0.0

    @property
    def count(self) -> int:
        """Return how many frames decode."""
        return self.sampler.count

    def run(self, container: InputContainer) -> None:
        """Read every packet of the file, and decode those of the video."""
        try:
            for packet in container.demux():
                self._take_packet(packet)
        except av.error.FFmpegError:
            self.breaks_off = True
            self._decode(None)

    def sign(self) -> Signature | None:
        """Return the signature of what was seen."""
        return self.sampler.sign()

    def oddities(self, container: InputContainer) -> list[Oddity]:
        """Return what is odd about the file."""
        if not self.count:
            return [("unreadable", "no frame decodes")]
        codec = self.stream.codec_context.codec.canonical_name  # av1, not libdav1d
        pixels = self.stream.pix_fmt or "?"
        found = [*self._count_oddities(container), *self._time_oddities()]
        if self.count == 1:
            found.append(("one_frame", "one frame only"))
        if self.turns:
            found.append(("rotated", f"is to be turned by {90 * self.turns} degrees"))
        if codec not in USUAL_CODECS or pixels not in USUAL_PIXELS:
            found.append(("odd_codec", f"{codec}, pixels {pixels}"))
        return found

    def _take_packet(self, packet: Packet[av.stream.Stream]) -> None:
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self.end_seconds = max(self.end_seconds, end)
        if packet.stream.index == self.stream.index:
            self.hidden += bool(packet.size and packet.is_discard)
            self._decode(packet)

    def _decode(self, packet: Packet[av.stream.Stream] | None) -> None:
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            self.damaged += bool(packet and packet.size)
            return
        for frame in frames:
            if not self.count:
                self.turns = quarter_turns(frame)
            self.damaged += frame.is_corrupt
            self.stamps.append(frame.pts)
            self.sampler.take(frame)

    def _count_oddities(self, container: InputContainer) -> list[Oddity]:
        promised = self.stream.frames - self.hidden if self.stream.frames else self.count
        slip = max(SLIP_FRAMES, SLIP_SHARE * promised)
        lost = _lost_seconds(container, self.end_seconds)
        if self.damaged or self.breaks_off or promised - self.count > slip:
            damage = f", {self.damaged} damaged" if self.damaged else ""
            ends = ", the file breaks off" if self.breaks_off else ""
            return [("truncated", f"{self.count} of {promised} frames decode{damage}{ends}")]
        if lost:
            return [("truncated", f"ends {lost:.1f} s before the time it promises")]
        if promised != self.count:
            return [("wrong_count", f"promises {promised} frames, {self.count} decode")]
        return []

    def _time_oddities(self) -> list[Oddity]:
        known = sorted(stamp for stamp in self.stamps if stamp is not None)
        if len(known) < 3 or not self.stream.time_base:
            return []
        steps = np.diff(np.asarray(known, np.float64))
        usual = float(np.median(steps))
        changed = np.abs(steps - usual) > max(1.0, STEP_CHANGE * usual)
        if changed.mean() <= CHANGED_STEPS:
            return []
        tick_ms = 1e3 * float(self.stream.time_base)
        low, high = tick_ms * float(steps.min()), tick_ms * float(steps.max())
        return [("variable_rate", f"frames last {low:.3g} to {high:.3g} ms")]


def _lost_seconds(container: InputContainer, end_seconds: float) -> float:
    """Return by how much a file ends before the time in its header; 0 where that is little."""
    if not container.duration or not end_seconds:
        return 0.0
    promised = int(container.duration) / MICROSECONDS
    start = int(container.start_time or 0) / MICROSECONDS
    lost = promised - (end_seconds - start)
    return lost if lost > max(MISSING_SECONDS, MISSING_SHARE * promised) else 0.0


def _examine_folder(folder: FrameFolder) -> Examination:
    sampler = _Sampler()
    bad: list[Path] = []
    for path in folder.pictures:
        try:
            sampler.take(read_picture(path))
        except InputError:
            bad.append(path)
    found: list[Oddity] = []
    total = len(folder.pictures)
    if bad:
        kind = "truncated" if sampler.count else "unreadable"
        found.append((kind, f"{len(bad)} of {total} pictures do not decode, first {bad[0].name}"))
    if sampler.count == 1:
        found.append(("one_frame", "one picture only"))
    found += _gaps(folder.pictures)
    return Examination(folder.path, tuple(found), sampler.count, sampler.sign())


def _gaps(pictures: Sequence[Path]) -> list[Oddity]:
    """Return whether the numbers in the names leave some out."""
    matches = [re.findall(r"[0-9]+", path.stem) for path in pictures]
    if not all(matches):
        return []
    numbers = sorted(int(match[-1]) for match in matches)
    wanted = numbers[-1] - numbers[0] + 1
    if wanted == len(numbers):
        return []
    return [("wrong_count", f"numbered {numbers[0]} to {numbers[-1]}, {len(numbers)} are there")]


def _refused(path: str, kind: str, error: InputError) -> Examination:
    return Examination(path, ((kind, str(error)),), 0, None)
