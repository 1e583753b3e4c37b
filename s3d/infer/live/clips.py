"""A clip around each event: what was seen before it, during it and after it, as an MP4 file.

    frames   - - - - - - - - - - - - - - - - - - - - - - - - -
    event              |=== begin ======== end ===|
    clip     |- before -                          - after -|

Recent frames are kept as JPEG of at most 640 px and 15 a second, for as long as it takes to know of
an event: about 0.6 MB a second of a plain scene, never over 64 MB. Each clip has a thread of its
own, which writes it as its frames come; so a long event needs no more memory than a short one.
"""

from __future__ import annotations

import contextlib
import queue
import re
import time as time_module
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import chain
from pathlib import Path
from threading import Lock, Thread

import av
from av.error import FFmpegError
from av.video.frame import VideoFrame

from s3d.errors import InputError
from s3d.files import make_folder, show_path, write_atomically
from s3d.infer.live.events import LiveEvent
from s3d.infer.live.jpeg import JpegReader, JpegWriter
from s3d.infer.live.picture import Converter

LONGEST_PX = 640
MOST_FPS = 15.0
MOST_BYTES = 64 << 20
"""Of the frames kept before an event is known."""
MOST_WAITING = 300
"""Frames of a clip that wait to be written; more are dropped."""
MOST_OPEN = 4
"""Clips written at a time; an event beyond gets none."""
MOST_SECONDS = 600.0
"""Longer events are cut off."""
CLOSE_SECONDS = 10.0
LOOK_SECONDS = 1.0
"""How often a clip that gets no frames looks whether it is over."""

Kept = tuple[float, bytes]


@dataclass(frozen=True)
class ClipRule:
    """Say what is saved of an event.

    Attributes:
        folder: Where clips are to be.
        before_seconds: How much of what was before it.
        after_seconds: How much of what follows.
        known_after_seconds: How long after its begin an event may be told.
    """

    folder: Path
    before_seconds: float = 3.0
    after_seconds: float = 3.0
    known_after_seconds: float = 5.0

    def __post_init__(self) -> None:
        for name in ("before", "after"):
            seconds = getattr(self, f"{name}_seconds")
            if not 0 <= seconds <= MOST_SECONDS:
                raise InputError(
                    f"--{name} is {seconds:g} s; it needs seconds from 0 to {MOST_SECONDS:g}."
                )


class Recorder:
    """Keep recent frames, and write a clip around each event.

    Attributes:
        saved: Clips that are there.
    """

    def __init__(
        self, rule: ClipRule, tell: Callable[[str], None], origin: Callable[[], float | None]
    ) -> None:
        """Set up.

        Args:
            rule: What is saved, and where.
            tell: Told in a line what could not be.
            origin: Gives the time of the stream's first frame, on the clock of `show`.

        Raises:
            InputError: The folder cannot be made.
        """
        make_folder(rule.folder)
        self.rule, self.tell, self.origin = rule, tell, origin
        self.saved = 0
        self._recent: deque[Kept] = deque()
        self._bytes = 0
        self._writer, self._lock = JpegWriter(), Lock()
        self._open: dict[int, _Clip] = {}
        self._all: list[_Clip] = []

    def show(self, frame: VideoFrame, converter: Converter, time: float) -> None:
        """Keep a frame, and give it to the clips that are open."""
        if self._recent and time - self._recent[-1][0] < 0.9 / MOST_FPS:
            return
        with contextlib.suppress(FFmpegError, ValueError):
            kept = time, self._writer.encode(converter.preview(frame, LONGEST_PX))
            with self._lock:
                self._keep(kept)
                for clip in list(self._open.values()):
                    clip.put(kept)

    def take(self, event: LiveEvent) -> None:
        """Begin or end a clip."""
        origin = self.origin() or 0.0
        with self._lock:
            if event.event == "begin":
                self._begin(event, origin + event.start_seconds - self.rule.before_seconds)
            elif clip := self._open.get(event.number):
                clip.end = origin + event.end_seconds + self.rule.after_seconds
            self._drop_finished()

    def close(self) -> None:
        """Write what is open to its end."""
        with self._lock:
            clips = list(self._all)
            for clip in clips:
                clip.finish()
        end = time_module.monotonic() + CLOSE_SECONDS
        for clip in clips:
            clip.thread.join(max(0.0, end - time_module.monotonic()))
        with self._lock:
            self._drop_finished()

    def _keep(self, kept: Kept) -> None:
        self._recent.append(kept)
        self._bytes += len(kept[1])
        oldest = kept[0] - self.rule.before_seconds - self.rule.known_after_seconds
        while self._recent and (self._recent[0][0] < oldest or self._bytes > MOST_BYTES):
            self._bytes -= len(self._recent.popleft()[1])

    def _begin(self, event: LiveEvent, begin: float) -> None:
        self._drop_finished()
        if len(self._all) >= MOST_OPEN:
            self.tell(f"no clip of {show_path(event.label)}: {MOST_OPEN} are being written")
            return
        kept = [frame for frame in self._recent if frame[0] >= begin]
        taken = {clip.path for clip in self._all}
        clip = _Clip(_free_path(self.rule.folder, event, taken), kept, self.tell)
        self._open[event.number] = clip
        self._all.append(clip)

    def _drop_finished(self) -> None:
        for number, clip in list(self._open.items()):
            if clip.is_finished:
                del self._open[number]
        for clip in list(self._all):
            if not clip.thread.is_alive():
                self.saved += clip.is_saved
                self._all.remove(clip)


class _Clip:
    """One file, written by a thread of its own as frames come."""

    def __init__(self, path: Path, frames: list[Kept], tell: Callable[[str], None]) -> None:
        self.path, self.tell, self.end = path, tell, float("inf")
        self.begin = frames[0][0] if frames else None
        self.is_finished = self.is_saved = False
        self._waiting: queue.Queue[Kept | None] = queue.Queue()
        for frame in frames:
            self._waiting.put(frame)
        self.thread = Thread(target=self._run, name="s3d-watch-clip", daemon=True)
        self.thread.start()

    def put(self, kept: Kept) -> None:
        """Take a frame, or see that the clip is whole."""
        if self.is_finished:
            return
        if self.begin is None:
            self.begin = kept[0]
        if kept[0] > self.end or kept[0] - self.begin > MOST_SECONDS:
            self.finish()
        elif self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(kept)

    def finish(self) -> None:
        """Let the file be closed."""
        if not self.is_finished:
            self.is_finished = True
            self._waiting.put(None)

    def _run(self) -> None:
        try:
            write_atomically(self.path, self._write)
            self.is_saved = True
        except (InputError, FFmpegError, OSError, ValueError) as error:
            self.is_finished = True
            self.tell(f"no clip: {error}")

    def _write(self, beside: Path) -> None:
        frames = self._frames()
        first = next(frames, None)
        if first is None:
            raise InputError(f"{show_path(self.path)}: no frame of it was kept.")
        with av.open(str(beside), "w", format="mp4") as container:
            options = {"preset": "veryfast", "crf": "26", "threads": "1"}
            stream = container.add_stream("libx264", rate=Fraction(MOST_FPS), options=options)
            stream.height, stream.width = first[1].height, first[1].width
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            for time, frame in chain([first], frames):
                frame.pts, frame.time_base = round((time - first[0]) * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    def _frames(self) -> Iterator[tuple[float, VideoFrame]]:
        reader = JpegReader()
        while (kept := self._next()) is not None:
            # The encoder brings it to the size of the first, where the stream's has changed.
            yield kept[0], VideoFrame.from_ndarray(reader.decode(kept[1]), format="rgb24")

    def _next(self) -> Kept | None:
        """Return the next frame; None at the end, which comes without one where the source left."""
        while True:
            try:
                return self._waiting.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if time_module.monotonic() > self.end + LOOK_SECONDS:
                    self.is_finished = True
                    return None


def _free_path(folder: Path, event: LiveEvent, taken: set[Path]) -> Path:
    """Return a file of that time and label that is neither there nor being written."""
    moment = datetime.fromisoformat(event.time.replace("Z", "+00:00"))
    label = re.sub(r"[^\w-]+", "_", event.label).strip("_")[:60] or "event"
    name = f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z_{label}"
    path, number = folder / f"{name}.mp4", 1
    while path in taken or path.exists():
        number += 1
        path = folder / f"{name}_{number}.mp4"
    return path
