"""Beginning to decode late in a file, only where the frames are the same as from its start.

A frame is known by its stamp. After a seek every frame that comes out must bear the stamp that is
due, and a packet that cannot be decoded ends the attempt: whoever reads starts at the beginning
then. Where decoding may begin is stricter than a container's mark of a keyframe, which also stands
on pictures whose followers look back past them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from s3d.data.container import decode_packet, read_packets, try_packet
from s3d.data.video_info import SeekPoints, Times

LEAST_SKIP_FRAMES = 8
"""Frames that a seek must save: it empties the decoder, which costs about as much as these."""

_REORDERED = 16  # The most frames by which a codec lets decoding run ahead of display.
_SEEKABLE = {
    "mov,mp4,m4a,3gp,3g2,mj2": {"h264", "hevc", "vp9", "libdav1d", "av1", "mpeg4", "mjpeg"},
    "matroska,webm": {"h264", "hevc", "vp9", "libdav1d", "av1", "mjpeg"},
    "avi": {"mpeg4", "mjpeg"},
    "mpegts": {"h264", "hevc"},
}
_FIRST_SLICES = {"h264": range(1, 6), "hevc": range(32)}
_CLEAN_SLICES = {"h264": range(5, 6), "hevc": range(16, 24)}
"""H.264: pictures that clear all references. HEVC: any from which the standard lets one begin."""


class AstrayError(Exception):
    """Say that what came after a seek is not what was due."""


class PacketFacts(NamedTuple):
    """Hold what a packet tells without being decoded.

    Attributes:
        stamp: Its pts in ticks of the stream.
        size_bytes: Its length.
        is_hidden: It is decoded but not shown: an edit list begins later.
        is_start: Decoding may begin here.
        is_spare: No other picture is decoded from its picture.
        is_odd: A file that has such a packet is read from the beginning alone.
    """

    stamp: int | None
    size_bytes: int
    is_hidden: bool
    is_start: bool
    is_spare: bool
    is_odd: bool


def describe_packet(packet: Packet[VideoStream], stream: VideoStream) -> PacketFacts:
    """Return what a packet tells."""
    codec = stream.codec_context.name
    is_odd = packet.is_discard or packet.is_corrupt or packet.pts is None
    if codec == "mpeg4" and not is_odd:
        # In AVI, B-frames bear the stamps of the order in which they are stored.
        is_odd = _coding_type(packet) not in (0, 1, 3)
    is_start = packet.is_keyframe and not is_odd and _is_clean(packet, stream)
    is_spare = _is_spare(packet, stream)
    return PacketFacts(packet.pts, packet.size, packet.is_discard, is_start, is_spare, is_odd)


def find_seek_points(
    container: InputContainer, stream: VideoStream, packets: Sequence[PacketFacts], times: Times
) -> SeekPoints | None:
    """Return where decoding may begin; None if nothing can be saved, or stamps be trusted.

    Args:
        container: The file.
        stream: Its video.
        packets: All of them, in the order of the file; one frame to each.
        times: (frames,) seconds in display order.
    """
    codecs = _SEEKABLE.get(container.format.name, set())
    if stream.codec_context.name not in codecs or any(packet.is_odd for packet in packets):
        return None
    stamps = np.array([packet.stamp for packet in packets], np.int64)
    order = np.sort(stamps)
    begins = len(order) > 1 and packets[0].is_start and stamps[0] == order[0]
    if not begins or stream.time_base is None:
        return None
    starts = stamps[[packet.is_start for packet in packets]]
    keys = np.searchsorted(order, np.sort(starts))
    spares = np.array([packet.is_spare for packet in packets], np.bool_)[np.argsort(stamps)]
    points = SeekPoints(keys, int(order[0]), stream.time_base, spares)
    # Times that are not the stamps (made uniform, ties parted) lead nowhere.
    is_true = (np.diff(order) > 0).all() and np.array_equal(points.stamps(times), order)
    return points if is_true and (len(keys) > 1 or spares.any()) else None


def plan_seeks(points: SeekPoints, wanted: npt.NDArray[np.int64]) -> dict[int, int]:
    """Return {wanted frame: frame to seek to} wherever that saves decoding.

    Args:
        points: Where decoding may begin.
        wanted: Frames, rising.
    """
    if not wanted.size:
        return {}
    keys = points.keys[np.searchsorted(points.keys, wanted, side="right") - 1]
    passed = np.concatenate([[0], wanted[:-1] + 1])
    worth = keys - passed >= LEAST_SKIP_FRAMES
    return dict(zip(wanted[worth].tolist(), keys[worth].tolist(), strict=True))


class SpareStamps:
    """Tell by their stamps the pictures that are not wanted, and that no other picture needs."""

    def __init__(
        self, points: SeekPoints, stamps: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]
    ) -> None:
        """Set up.

        Args:
            points: Says which pictures no other needs.
            stamps: (frames,) in display order; fewer than `points` knows where a file is cut short.
            wanted: Frames, rising.
        """
        is_spare = points.is_spare[: len(stamps)].copy()
        is_spare[wanted] = False
        # An array: those of hours would be megabytes in a set. Not numpy's: each packet is asked
        # about by itself, and readers in other threads wait meanwhile.
        self.stamps = array("q", stamps[is_spare].astype(np.int64).tobytes())

    def __contains__(self, stamp: int) -> bool:
        place = bisect_left(self.stamps, stamp)
        return place < len(self.stamps) and self.stamps[place] == stamp


def frames_by_seeking(
    container: InputContainer,
    stream: VideoStream,
    stamps: npt.NDArray[np.int64],
    passed: SpareStamps,
    seeks: dict[int, int],
    wanted: npt.NDArray[np.int64],
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (index, frame) of the wanted frames.

    Args:
        container: Just opened.
        stream: Its video.
        stamps: (frames,) in display order.
        passed: Those of pictures that need not be decoded.
        seeks: From `plan_seeks`.
        wanted: Frames, rising.

    Raises:
        AstrayError: A frame is not the one that was due, or is damaged.
    """
    # A damaged packet must not pass for a frame: what hides the damage depends on frames before.
    stream.codec_context.options = {"err_detect": "explode"}
    frames = _frames_from(container, stream, None, passed)
    for index in map(int, wanted):
        if index in seeks:
            _seek(container, stream, stamps, seeks[index])
            frames = _frames_from(container, stream, int(stamps[seeks[index]]), passed)
        yield index, _take(frames, int(stamps[index]))


def _take(frames: Iterator[VideoFrame], stamp: int) -> VideoFrame:
    for frame in frames:
        if frame.pts == stamp:
            return frame
        if frame.pts is None or frame.pts > stamp:
            break
    raise AstrayError


def _seek(
    container: InputContainer, stream: VideoStream, stamps: npt.NDArray[np.int64], key: int
) -> None:
    if not stream.codec_context.is_open:
        # The first packet says who encoded, by which decoders choose their rounding (Xvid, x264).
        decode_packet(next(read_packets(container, stream)))
    # An MPEG transport stream has no index: what is found is the packet, not its keyframe.
    early = _REORDERED if container.format.name == "mpegts" else 0
    container.seek(int(stamps[max(0, key - early)]), stream=stream)


def _frames_from(
    container: InputContainer, stream: VideoStream, stamp: int | None, passed: SpareStamps
) -> Iterator[VideoFrame]:
    """Yield frames from the packet of a stamp on; from here on if it is None.

    Of all packets but those that are passed over, every frame must come out, in the order of their
    stamps.
    """
    is_begun, due = stamp is None, list[int]()
    for packet in read_packets(container, stream):
        is_begun = is_begun or packet.pts == stamp
        if not is_begun:
            if not packet.size or (packet.is_keyframe and (packet.pts or 0) > (stamp or 0)):
                raise AstrayError
            continue
        if packet.size and packet.pts is not None:
            if packet.pts in passed:
                continue
            # HEVC leaves out pictures that are stored after where it begins and shown before.
            if stamp is None or packet.pts >= stamp:
                heappush(due, packet.pts)
        frames = try_packet(packet)
        if frames is None:  # At once: what is decoded from it comes out before it is missed.
            raise AstrayError
        for frame in frames:
            if not due or heappop(due) != frame.pts or frame.is_corrupt:
                raise AstrayError
            yield frame


def _is_spare(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    """Return whether no other picture is decoded from this one, as H.264 says of each."""
    codec = stream.codec_context.name
    if codec != "h264":
        return False
    for unit in _units(bytes(packet), stream.codec_context.extradata or b"", codec):
        if unit & 31 in _FIRST_SLICES[codec]:
            return unit >> 5 & 3 == 0
    return False


def _is_clean(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    codec = stream.codec_context.name
    if codec == "mpeg4":
        return _coding_type(packet) == 0
    if codec not in _CLEAN_SLICES:
        return True
    for unit in _units(bytes(packet), stream.codec_context.extradata or b"", codec):
        kind = unit & 31 if codec == "h264" else unit >> 1 & 63
        if kind in _FIRST_SLICES[codec]:
            return kind in _CLEAN_SLICES[codec]
    return False


def _units(data: bytes, extradata: bytes, codec: str) -> Iterator[int]:
    """Yield the first byte of each unit of an H.264 or HEVC packet, in either way to part them."""
    if extradata[:1] != b"\x01":
        place = data.find(b"\0\0\1")
        while 0 <= place < len(data) - 3:
            yield data[place + 3]
            place = data.find(b"\0\0\1", place + 3)
        return
    place_of_length = 4 if codec == "h264" else 21
    if len(extradata) <= place_of_length:
        return
    length, place = (extradata[place_of_length] & 3) + 1, 0
    while place + length < len(data):
        yield data[place + length]
        place += length + int.from_bytes(data[place : place + length], "big")


def _coding_type(packet: Packet[VideoStream]) -> int:
    """Return 0 to 3 for an MPEG-4 picture of type I, P, B, S; -1 if there is none."""
    data = bytes(packet)
    place = data.find(b"\0\0\1\xb6")
    return data[place + 4] >> 6 if 0 <= place < len(data) - 4 else -1
