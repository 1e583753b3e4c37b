"""The clip that is looked for: a video, or a moment of one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from s3d.clip import ClipSpec
from s3d.data.frame_source import FrameSource, open_source
from s3d.data.sample import clip_indices, latest_start
from s3d.data.transform import centre_crop, resized_px
from s3d.data.video_info import Frames, VideoInfo
from s3d.errors import InputError
from s3d.files import show_path
from s3d.infer.engines.engine import Engine
from s3d.infer.features import WINDOWS_AT_ONCE_PIXELS, FeatureRecipe, Features
from s3d.infer.similar.index import Windows
from s3d.infer.windows import plan_windows


@dataclass(frozen=True)
class Query:
    """Name what is looked for.

    Attributes:
        path: The video.
        start_seconds: When it begins; None is the video's beginning.
        end_seconds: When it ends; None is the video's end.
    """

    path: str
    start_seconds: float | None = None
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        start = 0.0 if self.start_seconds is None else self.start_seconds
        end = math.inf if self.end_seconds is None else self.end_seconds
        if not (math.isfinite(start) and start >= 0):
            raise InputError(f"start is {start:g} s; it needs seconds from 0.")
        if not end > start:
            raise InputError(f"end is {end:g} s; it needs seconds after the start, {start:g} s.")

    @property
    def is_whole(self) -> bool:
        """Return whether it is all of its video."""
        return self.start_seconds is None and self.end_seconds is None


def compute_query(engine: Engine, query: Query, recipe: FeatureRecipe) -> Windows:
    """Return the features of a moment; of a long video only the moment is read.

    Args:
        engine: Runs the network.
        query: Which moment.
        recipe: Which windows, which block; pooled.

    Raises:
        InputError: The video cannot be read, or ends before the moment.
    """
    source = open_source(query.path, recipe.spec, engine.device)
    starts = lay_windows(source.info, recipe.spec, recipe.stride, query)
    ends = np.minimum(starts + recipe.spec.span_seconds, source.info.duration_seconds)
    clips = _read_clips(source, recipe.spec, starts)
    return Windows(starts, ends, np.concatenate(list(_run(engine, clips, recipe))))


def lay_windows(
    info: VideoInfo, spec: ClipSpec, stride_seconds: float, query: Query
) -> npt.NDArray[np.float64]:
    """Return when the windows of a moment begin, in seconds.

    One begins every stride, and one ends where the moment does. A moment shorter than a window has
    one, with the moment in its middle as far as the video reaches.

    Raises:
        InputError: The video ends before the moment begins, or the stride is too short.
    """
    start = query.start_seconds or 0.0
    if start >= info.duration_seconds:
        raise InputError(
            f"{show_path(info.path)}: lasts {info.duration_seconds:.3g} s; the moment would begin "
            f"at {start:g} s. Choose an earlier start."
        )
    end = info.duration_seconds
    if query.end_seconds is not None:
        end = min(end, query.end_seconds)
    moment = replace(info, duration_seconds=end - start)
    starts = start + plan_windows(moment, spec, stride_seconds).start_seconds
    spare = end - start - spec.span_seconds
    if spare < 0:
        starts = np.array([min(max(0.0, start + spare / 2), latest_start(info, spec))])
    return starts


def _read_clips(
    source: FrameSource, spec: ClipSpec, starts: npt.NDArray[np.float64]
) -> Iterator[Frames]:
    size = resized_px(source.info.height_px, source.info.width_px, spec)
    for start in starts:
        frames = source.read(clip_indices(source.info, spec, float(start)), size)
        yield np.ascontiguousarray(centre_crop(frames, spec.size_px))


def _run(engine: Engine, clips: Iterator[Frames], recipe: FeatureRecipe) -> Iterator[Features]:
    height, width = recipe.spec.size_px
    most = max(1, WINDOWS_AT_ONCE_PIXELS // (recipe.spec.frames * height * width))
    while group := list(islice(clips, most)):
        found = engine.run(torch.from_numpy(np.stack(group)), until=recipe.at)
        yield found.mean((2, 3, 4)).numpy()
