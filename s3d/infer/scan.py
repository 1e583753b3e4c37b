"""Score the windows of a video one after the other: a thread decodes while others are scored."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from functools import cached_property

from s3d.clip import ClipSpec
from s3d.data.ahead import iterate_ahead
from s3d.data.container import no_frame
from s3d.data.frame_source import FrameSource, open_source
from s3d.data.paths import AnyPath
from s3d.data.ticks import TickWish, count_ticks, read_pieces
from s3d.data.video_info import EndsEarlyError, Frames, VideoInfo, shorten
from s3d.errors import InputError
from s3d.files import show_path
from s3d.infer.features import window_spec
from s3d.infer.grid import WindowGrid
from s3d.infer.recognizer import Recognizer
from s3d.infer.scorer import ScoredWindow, WindowScorer
from s3d.infer.windows import MOST_WINDOWS, check_stride
from s3d.models.model_file import weights_sha256

PIECES_AHEAD = 4
STRIDES_A_WINDOW = 4
"""Where nobody says another stride."""


@dataclass(frozen=True)
class ScanRecipe:
    """Say which windows are scored.

    Attributes:
        stride_seconds: From one to the next, rounded to the clip's rate; None is a quarter of a
            window.
        frames: Of a window; None is the clip's.
        rate_fps: Of its frames; None is the clip's.
    """

    stride_seconds: float | None = None
    frames: int | None = None
    rate_fps: float | None = None

    def __post_init__(self) -> None:
        if self.stride_seconds is not None:
            check_stride(self.stride_seconds)


@dataclass(frozen=True, eq=False)
class Scanned:
    """Hold what a step of a scan gave.

    Attributes:
        windows: Scored, in order.
        glances: (tick, (h, w, 3) uint8 RGB) small pictures on the way.
        is_counted: Whether frames were counted though the file can be sought.
    """

    windows: tuple[ScoredWindow, ...]
    glances: tuple[tuple[int, Frames], ...] = ()
    is_counted: bool = False


@dataclass(frozen=True)
class ScanStart:
    """Say from where on to scan.

    Attributes:
        done: Windows that were scored before.
        counts: Count frames from the beginning, as was found to be needed before.
        glances: Ticks of which small pictures are wanted.
    """

    done: int = 0
    counts: bool = False
    glances: tuple[int, ...] = ()


class Scan:
    """A model that scores windows of videos.

    Attributes:
        recognizer: Its clip is the window.
        stride_frames: From the start of one window to that of the next.
    """

    def __init__(self, recognizer: Recognizer, recipe: ScanRecipe) -> None:
        recognizer.check_has_classes()
        self.recognizer = copy(recognizer)
        self.recognizer.spec = window_spec(recognizer.spec, recipe.frames, recipe.rate_fps)
        self.stride_frames = _stride_frames(self.recognizer.spec, recipe)
        # Not timed: whoever goes on with a record must come to the same bits.
        self.scorer = WindowScorer(self.recognizer, self.stride_frames, is_timed=False)

    @property
    def device(self) -> str:
        """Return where the network is."""
        return self.recognizer.engine.device

    @cached_property
    def weights_sha256(self) -> str:
        """Return a hash of the weights."""
        return weights_sha256(self.recognizer.network)

    @property
    def stride_seconds(self) -> float:
        """Return the seconds from the start of one window to that of the next."""
        return self.stride_frames / self.recognizer.spec.rate_fps

    def describe(self) -> str:
        """Return the protocol in words."""
        spec = self.recognizer.spec
        return (
            f"windows of {spec.frames} frames at {spec.rate_fps:g} fps, one every "
            f"{self.stride_seconds:.4g} s, centre crop"
        )

    def lay_grid(self, info: VideoInfo) -> WindowGrid:
        """Lay windows over a video.

        Raises:
            InputError: There would be over a million.
        """
        spec = self.recognizer.spec
        every = self.scorer.looks_at_every
        grid = WindowGrid(count_ticks(info, spec), spec.frames, self.stride_frames, every)
        if grid.count > MOST_WINDOWS:
            raise InputError(
                f"{show_path(info.path)}: a window every {self.stride_seconds:g} s makes "
                f"{grid.count:,}; at most {MOST_WINDOWS:,} are taken. Use a longer stride."
            )
        return grid

    def run(
        self, source: FrameSource, start: ScanStart | None = None
    ) -> Generator[Scanned, None, None]:
        """Yield what is found of a video, a few windows at a time; close it to end early.

        Args:
            source: Of the frames, or of their flow.
            start: Where to begin.

        Raises:
            InputError: The video cannot be read.
            EndsEarlyError: It gives fewer frames than it promised; lay a grid over what there is,
                and go on.
        """
        start = start or ScanStart()
        grid = self.lay_grid(source.info)
        if start.done >= grid.count:
            return
        pieces = grid.pieces(grid.resume_at(start.done))
        wish = TickWish(grid.find_looked_at(), pieces, start.glances, start.counts)
        is_counted, due, after = False, grid.start(start.done), None
        spec = self.recognizer.spec
        ahead = iterate_ahead(lambda: read_pieces(source, spec, wish), PIECES_AHEAD)
        with closing(ahead) as read:
            for piece in read:
                if piece.first != after:
                    self.scorer.reset(piece.first)
                after = piece.first + len(piece.frames)
                is_counted |= piece.is_counted
                found = self.scorer.push(piece.frames)
                yield Scanned(_from(found, due), piece.glances, is_counted)
        yield Scanned(_from(self.scorer.finish(), due), (), is_counted)

    def score(self, video: AnyPath) -> Iterator[ScoredWindow]:
        """Yield the windows of a video; of one that ends early, those of what decodes.

        Raises:
            InputError: The video cannot be read.
        """
        source, done, counts = open_source(video, self.recognizer.spec, self.device), 0, False
        while True:
            try:
                with closing(self.run(source, ScanStart(done, counts))) as steps:
                    for step in steps:
                        done, counts = done + len(step.windows), step.is_counted
                        yield from step.windows
                return
            except EndsEarlyError as end:
                source.info = cut_short(source.info, end)


def cut_short(info: VideoInfo, end: EndsEarlyError) -> VideoInfo:
    """Return the description of what decodes of a video.

    Raises:
        InputError: Nothing does.
    """
    if end.decoded < 1:
        raise no_frame(info.path)
    return shorten(info, min(end.decoded, info.frames))


def _from(windows: list[ScoredWindow], due: int) -> tuple[ScoredWindow, ...]:
    """Return those that were not scored before."""
    return tuple(window for window in windows if window.first_frame >= due)


def _stride_frames(spec: ClipSpec, recipe: ScanRecipe) -> int:
    if recipe.stride_seconds is None:
        return max(1, round(spec.frames / STRIDES_A_WINDOW))
    return max(1, math.floor(recipe.stride_seconds * spec.rate_fps + 0.5))
