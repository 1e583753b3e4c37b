"""Key frames of a video and what is found in each: in a row at a stride, or wherever asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.ahead import iterate_ahead
from s3d.data.decode import probe_video
from s3d.data.frame_source import FrameSource, open_source
from s3d.data.paths import AnyPath
from s3d.data.ticks import Piece, TickWish, count_ticks, read_pieces, tick_indices
from s3d.data.video_info import EndsEarlyError, Frames
from s3d.detect.network.detector import RGB
from s3d.detect.run.finder import BoxFinder, FrameBoxes
from s3d.detect.run.key_frames import KeyFrameFeatures, Looking, features_of_window
from s3d.detect.train.windows import window_indices
from s3d.infer.reuse.stages import Sharing

PIECE_TICKS = 8
PIECES_AHEAD = 2
TOGETHER = 32
"""Key frames whose windows are read in one go, a frame once."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Hold what is found in a key frame.

    Attributes:
        frame: Its index in the file.
        found: The boxes, in px of the picture that was asked for.
    """

    frame: int
    found: FrameBoxes


class VideoLook:
    """Look at the key frames of a video.

    Attributes:
        sources: The frames of the video, and their flow, as the detector's streams take them.
        video: What the file is. Flow that is computed of it has a frame less.
        picture_px: (height, width) of the picture in which boxes are given.
        frames: Those that all streams have.
        indices: (ticks,) the frame of each tick of the detector's rate.
    """

    def __init__(
        self, finder: BoxFinder, path: AnyPath, picture_px: tuple[int, int] | None = None
    ) -> None:
        """Open a video.

        Args:
            finder: What looks at it.
            path: The video.
            picture_px: (height, width) of the picture in which boxes are wanted; the displayed one
                if None.

        Raises:
            InputError: The video cannot be read.
        """
        self.finder = finder
        self.specs = finder.detector.specs
        self.sources: dict[str, FrameSource] = {
            name: open_source(path, spec, finder.device) for name, spec in self.specs.items()
        }
        info = next(iter(self.sources.values())).info
        self.video = self.sources[RGB].info if RGB in self.sources else probe_video(path)
        self.picture_px = picture_px or (info.height_px, info.width_px)
        self.frames = min(source.info.frames for source in self.sources.values())
        spec = finder.detector.spec
        counts = [count_ticks(source.info, spec) for source in self.sources.values()]
        self.ticks = min(counts)
        self.indices = tick_indices(info, spec)[: self.ticks]
        self.sharing: Sharing | None = None

    @property
    def is_at_rate(self) -> bool:
        """Return whether the ticks of the detector's rate are just the frames of the file."""
        return len(self.indices) == self.frames and bool(
            (self.indices == np.arange(self.frames)).all()
        )

    def in_a_row(
        self, stride: int, shares: bool = True, wanted: Collection[int] | None = None
    ) -> Iterator[Seen]:
        """Yield every `stride`-th tick, what neighbours share computed once, in flat memory.

        A frame on which several of them fall, in a file that is slower than the detector's rate, is
        looked at once.

        Args:
            stride: Ticks from one key frame to the next.
            shares: Whether neighbours may share.
            wanted: The frames that are looked at; all if None.

        Raises:
            InputError: The video cannot be read.
        """
        last = max(wanted, default=-1) if wanted is not None else self.frames
        before = -1
        with closing(iterate_ahead(self._pieces, PIECES_AHEAD)) as pieces:
            for tick, features, picture in self._features(pieces, stride, shares):
                frame = int(self.indices[tick])
                if frame > last:
                    return
                if frame > before and (wanted is None or frame in wanted):
                    yield Seen(frame, self.finder.find(features, picture, self.picture_px))
                before = frame

    def at(self, frames: Sequence[int]) -> Iterator[Seen]:
        """Yield some frames, each with a window of its own.

        Args:
            frames: Indices of the file, rising.

        Raises:
            InputError: The video cannot be read.
        """
        for start in range(0, len(frames), TOGETHER):
            some = list(frames[start : start + TOGETHER])
            windows = {name: self._read(name, some) for name in self.sources}
            for place, frame in enumerate(some):
                yield self._see(frame, {name: read(place) for name, read in windows.items()})

    def _read(self, name: str, frames: list[int]) -> Callable[[int], Frames]:
        """Read the windows around frames in one go; return what gives that of each."""
        source, spec = self.sources[name], self.specs[name]
        last, place = source.info.frames - 1, self.finder.detector.key_place
        indices = [window_indices(source.info, min(f, last), spec, place) for f in frames]
        wanted = np.unique(np.concatenate(indices))
        pictures = source.read(wanted, spec.size_px)
        return lambda number: pictures[np.searchsorted(wanted, indices[number])]

    def _see(self, frame: int, windows: dict[str, Frames]) -> Seen:
        detector = self.finder.detector
        features = {
            name: features_of_window(self.finder.engines[name], window, detector.shape.at)
            for name, window in windows.items()
        }
        picture = windows[RGB][detector.key_place] if RGB in windows else None
        return Seen(frame, self.finder.find(features, picture, self.picture_px))

    def _pieces(self) -> Iterator[dict[str, Piece]]:
        """Yield the same ticks of every stream."""
        looked = np.ones(self.ticks, np.bool_)
        edges = range(0, self.ticks, PIECE_TICKS)
        wish = TickWish(looked, [(a, min(a + PIECE_TICKS, self.ticks)) for a in edges])
        streams = [
            read_pieces(source, self.specs[name], _fit(wish, source, self.specs[name]))
            for name, source in self.sources.items()
        ]
        for pieces in zip(*streams, strict=False):
            yield dict(zip(self.sources, pieces, strict=True))

    def _features(
        self, pieces: Iterator[dict[str, Piece]], stride: int, shares: bool
    ) -> Iterator[tuple[int, dict[str, Tensor], Frames | None]]:
        """Yield each key frame's tick, its features of every stream, and its picture."""
        detector = self.finder.detector
        looking = Looking(detector.shape.at, detector.key_place, detector.apart, stride, shares)
        lanes = {
            name: KeyFrameFeatures(self.finder.engines[name], spec, looking)
            for name, spec in self.specs.items()
        }
        self.sharing = next(iter(lanes.values())).sharing
        pictures: dict[int, Frames] = {}
        ended = False
        while not ended:
            try:
                piece = next(pieces, None)
            except EndsEarlyError:
                piece = None  # What came before is good.
            ended = piece is None
            found = [
                lane.finish() if piece is None else lane.add(piece[name].frames)
                for name, lane in lanes.items()
            ]
            if piece is not None and RGB in piece:
                _hold(pictures, piece[RGB], stride)
            for together in zip(*found, strict=True):
                tick = together[0][0]
                features = {name: x for name, (_, x) in zip(lanes, together, strict=True)}
                yield tick, features, pictures.pop(tick, None)


def _fit(wish: TickWish, source: FrameSource, spec: ClipSpec) -> TickWish:
    """Return a wish for a stream that has a tick more than the others."""
    spare = count_ticks(source.info, spec) - len(wish.is_looked_at)
    looked: npt.NDArray[np.bool_] = np.concatenate([wish.is_looked_at, np.zeros(spare, np.bool_)])
    return TickWish(looked, wish.pieces)


def _hold(pictures: dict[int, Frames], piece: Piece, stride: int) -> None:
    """Keep the key frames of a piece until they are looked at."""
    first = -(-piece.first // stride) * stride
    for tick in range(first, piece.first + len(piece.frames), stride):
        pictures[tick] = piece.frames[tick - piece.first].copy()


def look_at_all(
    finder: BoxFinder, look: VideoLook, frames: npt.NDArray[np.int64], stride: int = 1
) -> Iterator[Seen]:
    """Yield what is found in frames of a video, the quicker way.

    Where key frames lie close and the file has the detector's rate, neighbours share; otherwise
    each has a window of its own.

    Args:
        finder: What looks.
        look: The video.
        frames: Indices, rising.
        stride: Every so many of them are looked at.
    """
    wanted = frames[frames < look.video.frames][::stride]
    in_all = wanted[wanted < look.frames]
    # In a row means from the video's first frame to the last that is wanted.
    spans = int(in_all[-1]) + 1 if len(in_all) else 0
    is_dense = len(in_all) * finder.detector.spec.frames > 2 * spans
    if not (look.is_at_rate and is_dense and stride == 1):
        yield from look.at(wanted.tolist())
        return
    yield from look.in_a_row(1, wanted=set(in_all.tolist()))
    yield from look.at(wanted[len(in_all) :].tolist())
