"""One connection to a source: packets become frames, each at its time, and some of them ticks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Event
from typing import Protocol

from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from s3d.clip import ClipSpec
from s3d.data.container import decode_packet, sane_rate
from s3d.errors import InputError
from s3d.infer.live.clock import Clock, LiveClock, PacedClock
from s3d.infer.live.connect import Connection
from s3d.infer.live.feed import LostError
from s3d.infer.live.picture import Converter
from s3d.infer.live.ticks import TickRing

LATE_SECONDS = 1.0
"""Further behind than this, packets are dropped."""
MOST_DROPPING_SECONDS = 10.0
"""After so long without a picture that needs no other, decoding begins with any."""
QUEUED_SHARE = 0.3
"""Of the time between frames: what comes sooner than that after it was asked for was waiting."""
LEAST_QUEUED_SECONDS = 0.005
MOST_INTERVAL_SECONDS = 1.0
SMOOTHING_SHARE = 0.1
"""How much of each interval between frames goes into their mean."""


class Tap(Protocol):
    """Be shown every frame that arrives, in the thread that reads."""

    def show(self, frame: VideoFrame, converter: Converter, time: float) -> None:
        """Take a frame; what takes long is somebody else's work."""


@dataclass
class Counts:
    """Count what became of a source.

    Attributes:
        arrived: Frames that were decoded, or dropped since they came too late.
        dropped: Those dropped.
        reconnects: How often it came again after it was lost.
    """

    arrived: int = 0
    dropped: int = 0
    reconnects: int = 0


@dataclass
class Intake:
    """Say where frames go, over all connections to a source.

    Attributes:
        spec: How a network sees them.
        ring: Takes those it needs.
        taps: Are shown all.
        counts: Of what came.
        stop: Ends reading.
        stall_seconds: For how long no picture may come.
        on_frame: Called after each.
        next_due: When the next frame of a file that plays again is due.
    """

    spec: ClipSpec
    ring: TickRing
    taps: Sequence[Tap]
    counts: Counts
    stop: Event
    stall_seconds: float
    on_frame: Callable[[], None]
    next_due: float = field(default=-math.inf)


class Reading:
    """Read one connection from its first packet to its last."""

    def __init__(self, connection: Connection, intake: Intake, shown: str) -> None:
        self.connection, self.intake = connection, intake
        self.converter = Converter(connection.stream, shown)
        self.interval = 1 / sane_rate(connection.stream)
        self.last_picture = time.monotonic()
        begin = max(self.last_picture, intake.next_due)
        self.clock: Clock = PacedClock(begin, self.interval) if connection.is_paced else LiveClock()
        self.last_time = -math.inf
        self.dropping_since: float | None = None
        self.has_dropped = False

    def read(self) -> None:
        """Read until the end, or until reading is to stop.

        Raises:
            LostError: Packets come, but no pictures.
            FFmpegError: What comes is no longer a video.
            InputError: A picture is too large to be held.
        """
        packets = self.connection.container.demux(self.connection.stream)
        while not self.intake.stop.is_set():
            asked = time.monotonic()
            self.connection.beat()
            packet = self._next(packets)
            if packet is None:
                return
            arrival = time.monotonic()
            waited = arrival - asked
            is_queued = waited < max(LEAST_QUEUED_SECONDS, QUEUED_SHARE * self.interval)
            self._take_packet(packet, arrival, is_queued or self.connection.is_paced)
            if arrival - self.last_picture > self.intake.stall_seconds:
                raise LostError(f"no picture for {self.intake.stall_seconds:g} s")

    def _next(self, packets: Iterator[Packet[VideoStream]]) -> Packet[VideoStream] | None:
        try:
            return next(packets, None)
        except FFmpegError:
            if self.connection.is_paced:
                return None  # A damaged tail ends a file. What came before it is good.
            raise

    def _take_packet(self, packet: Packet[VideoStream], arrival: float, is_queued: bool) -> None:
        if packet.size and self._is_to_drop(packet, arrival, is_queued):
            self.intake.counts.arrived += 1
            self.intake.counts.dropped += 1
            self.has_dropped = True
            self.last_picture = arrival  # It is we who do not look.
            return
        for frame in decode_packet(packet):
            self._take_frame(frame, arrival, is_queued)

    def _is_to_drop(self, packet: Packet[VideoStream], arrival: float, is_queued: bool) -> bool:
        """Say whether reading is so far behind that this packet is passed over."""
        late = self.clock.late(self._stamp(packet.pts or packet.dts, packet.time_base), arrival)
        if self.dropping_since is None:
            if not is_queued or late < LATE_SECONDS:
                return False
            self.dropping_since = arrival
        has_caught_up = not is_queued or late < LATE_SECONDS / 2
        waits_for_key = arrival - self.dropping_since < MOST_DROPPING_SECONDS
        if has_caught_up and (packet.is_keyframe or not waits_for_key):
            self.dropping_since = None
        return self.dropping_since is not None

    def _take_frame(self, frame: VideoFrame, arrival: float, is_queued: bool) -> None:
        taken = self.clock.read(self._stamp(frame.pts, frame.time_base), arrival, is_queued)
        if self.connection.is_paced:
            self.intake.stop.wait(max(0.0, taken - time.monotonic()))
            self.intake.next_due = taken + self.interval
        taken = max(taken, self.last_time)
        if 0 < taken - self.last_time < MOST_INTERVAL_SECONDS:
            self.interval += SMOOTHING_SHARE * (taken - self.last_time - self.interval)
        self.last_time, self.last_picture = taken, time.monotonic()
        self.intake.counts.arrived += 1
        try:
            self._hand_on(frame, taken)
        except InputError:
            raise
        except (ValueError, FFmpegError):
            return  # A picture that cannot be converted is a damaged one.
        self.intake.on_frame()

    def _hand_on(self, frame: VideoFrame, taken: float) -> None:
        ring = self.intake.ring
        ticks = ring.ticks_of(taken, self.interval, self.has_dropped)
        self.has_dropped = False
        if ticks:
            ring.put(ticks, self.converter.clip_frame(frame, self.intake.spec), taken)
        for tap in self.intake.taps:
            tap.show(frame, self.converter, taken)

    def _stamp(self, stamp: int | None, base: Fraction | None) -> float | None:
        if stamp is None or base is None or not self.connection.has_stamps:
            return None
        return float(stamp * base)
