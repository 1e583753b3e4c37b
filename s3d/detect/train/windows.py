"""Batches of windows around key frames, with the boxes of the key frames.

Which key frames a batch holds and how each is changed follow from (seed, step, place) alone, so a
run that was killed goes on exactly where it was, and many processes make together the batches that
one would make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from s3d.clip import ClipSpec
from s3d.data.flow.levels import mirror_flow
from s3d.data.loader import run_ahead
from s3d.data.sample import Indices, indices_at
from s3d.data.store import FrameStore
from s3d.data.video_info import FLOW_CHANNELS, Frames, VideoInfo
from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.truths import Cut, Truth, cut_truth, read_truths
from s3d.detect.train.window_batch import Window, WindowBatch
from s3d.errors import InputError

BATCHES_AHEAD = 3


def window_indices(info: VideoInfo, frame: int, spec: ClipSpec, place: int) -> Indices:
    """Return the frames looked at around a key frame, at the clip's rate.

    Beyond the ends of the video its first and last frame stand again.

    Args:
        info: The video.
        frame: The key frame.
        spec: Frames and rate of a window.
        place: Of the key frame in the window.

    Returns:
        (spec.frames,) indices.
    """
    times = info.times_seconds
    seconds = times[frame] + (np.arange(spec.frames) - place) / spec.rate_fps
    found = indices_at(info, np.clip(seconds, times[0], times[-1]))
    found[place] = frame
    return found


class WindowLoader:
    """Draw key frames and read the windows around them.

    Attributes:
        truths: Of each video, the boxes of the frames that have some.
        stores: The frames of each stream.
    """

    def __init__(
        self,
        stores: Mapping[str, FrameStore],
        videos: Sequence[AnnotatedVideo],
        classes: int,
        config: DetectorConfig,
        place: int,
    ) -> None:
        """Set up; nothing is read yet.

        Args:
            stores: The videos' frames and flow, in the order of the videos.
            videos: What was marked.
            classes: How many there are.
            config: How key frames are drawn and changed.
            place: Of the key frame in a window.

        Raises:
            InputError: Not one frame has a box.
        """
        self.stores, self.config, self.place = dict(stores), config, place
        self.threads = 1
        self.truths = [read_truths(video, classes) for video in videos]
        self._paths = [video.path for video in videos]
        nothing = np.zeros((0, 4), np.float32), np.zeros((0, classes), np.float32)
        self._nothing = Truth(*nothing)
        infos = next(iter(stores.values())).infos
        self._full, self._empty = self._list(videos, [info.frames for info in infos])
        if not self._full:
            raise InputError("not one frame of the data has a box to learn from. Check the data.")
        self._classes = sorted(self._full)
        self._every = [rows for videos in self._full.values() for rows in videos]

    def _list(
        self, videos: Sequence[AnnotatedVideo], counts: Sequence[int]
    ) -> tuple[dict[int, list[npt.NDArray[np.int64]]], list[npt.NDArray[np.int64]]]:
        """Return (video, frame) rows: of each class, an array a video; and those without a box."""
        full: dict[int, list[npt.NDArray[np.int64]]] = {}
        empty = []
        for number, (video, truths) in enumerate(zip(videos, self.truths, strict=True)):
            frames = video.frames[video.frames < counts[number]]
            of_class: dict[int, list[int]] = {}
            bare = [f for f in frames.tolist() if f not in truths]
            for frame in frames.tolist():
                if frame in truths:
                    for label in np.flatnonzero(truths[frame].labels.any(0)).tolist():
                        of_class.setdefault(label, []).append(frame)
            for label, chosen in of_class.items():
                full.setdefault(label, []).append(_rows(number, chosen))
            if bare:
                empty.append(_rows(number, bare))
        return full, empty

    def batches(self, first: int, steps: int, places: Sequence[int]) -> Iterator[WindowBatch]:
        """Yield the batches of steps `first` to `steps`, of each the places asked for."""
        jobs = [(step, tuple(places)) for step in range(first, steps)]
        yield from run_ahead(self._make, jobs, self.threads, BATCHES_AHEAD)

    def _make(self, job: tuple[int, tuple[int, ...]]) -> WindowBatch:
        step, places = job
        failures: list[tuple[str, str]] = []
        windows = []
        for place in places:
            rng = np.random.default_rng((self.config.seed, step, place, 11))
            windows.append(self._read_some(rng, failures))
        return WindowBatch(tuple(windows), tuple(failures))

    def _read_some(self, rng: np.random.Generator, failures: list[tuple[str, str]]) -> Window:
        for _ in range(20):
            video, frame = self._draw(rng)
            try:
                return self._read(video, frame, rng)
            except InputError as error:
                failures.append((self._paths[video], str(error)))
        raise InputError(f"20 videos in a row cannot be read: {failures[-1][1]}")

    def _draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """Draw a key frame: a class, a video of it, a frame of that; or one without a box."""
        if self._empty and rng.random() < self.config.empty_share:
            rows = self._empty[int(rng.integers(len(self._empty)))]
        elif self.config.balance:
            videos = self._full[self._classes[int(rng.integers(len(self._classes)))]]
            rows = videos[int(rng.integers(len(videos)))]
        else:
            rows = self._every[int(rng.integers(len(self._every)))]
        video, frame = rows[int(rng.integers(len(rows)))].tolist()
        return video, frame

    def _read(self, video: int, frame: int, rng: np.random.Generator) -> Window:
        cut, tone = self._draw_change(rng)
        frames = {}
        for name, store in self.stores.items():
            info = store.infos[video]
            at = min(frame, info.frames - 1)
            found = store.read(video, window_indices(info, at, store.spec, self.place))
            frames[name] = _mirror(found) if cut.is_mirrored else found
        truth = cut_truth(self.truths[video].get(frame, self._nothing), cut)
        return Window(frames, cut, tone, truth)

    def _draw_change(self, rng: np.random.Generator) -> tuple[Cut, tuple[float, float]]:
        config = self.config
        side = 1 - rng.uniform(0, config.zoom)
        size = next(iter(self.stores.values())).spec.size_px
        (top, height), (left, width) = (
            _whole(start, side, px)
            for start, px in zip(rng.uniform(0, 1 - side, 2), size, strict=True)
        )
        jitter = config.jitter
        tone = float(1 + rng.uniform(-jitter, jitter)), float(rng.uniform(-jitter, jitter) / 2)
        mirrored = bool(config.flip and rng.random() < 0.5)
        return Cut(top, left, height, width, mirrored), tone


def _whole(start: float, length: float, side_px: int) -> tuple[float, float]:
    """Return a part of a side, as shares, from px to px: then boxes lie where the frames show."""
    first, last = round(start * side_px), round((start + length) * side_px)
    return first / side_px, (last - first) / side_px


def _rows(video: int, frames: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.stack([np.full(len(frames), video), np.array(frames)], 1).astype(np.int64)


def _mirror(frames: Frames) -> Frames:
    return mirror_flow(frames) if frames.shape[-1] == FLOW_CHANNELS else frames[:, :, ::-1]
