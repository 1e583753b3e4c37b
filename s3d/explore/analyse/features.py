"""What blocks make of labelled videos: pooled features, of all blocks in one pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from s3d.data.loader import run_ahead
from s3d.data.sources import group_by_source
from s3d.data.video_list import Skipped, Video
from s3d.errors import InputError
from s3d.infer.engines.engine import Engine
from s3d.infer.recognizer import VIEWS_AT_ONCE_PIXELS, Recognizer
from s3d.infer.views import Views, read_views
from s3d.models.blocks import BLOCKS
from s3d.models.network import block_number

DEFAULT_BLOCKS = ("pool3a", "pool4a", "pool5a", "mixed5c")
"""Those of the paper's figure, Max3a to Max5a, and the last."""
PROTOCOLS = ("clip", "cover", "10x3")
"""Protocols of `s3d.infer.views` whose clips all have one length."""

Features = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class BlockFeatures:
    """Hold the features of videos at some blocks.

    Attributes:
        videos: Those that could be read.
        groups: What each was cut from: its group where one is given, else by names and bytes.
        features: (N, C) of each block, averaged over time, space and views, in order of depth.
        failures: (path, reason) of the others.
    """

    videos: tuple[Video, ...]
    groups: tuple[str, ...]
    features: Mapping[str, Features]
    failures: tuple[Skipped, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the class of each video."""
        return tuple(video.label for video in self.videos)


def choose_videos(videos: Sequence[Video], most: int) -> tuple[Video, ...]:
    """Return at most so many videos a class, spread evenly over its list.

    Args:
        videos: All there are.
        most: Of a class, at least 1.

    Raises:
        InputError: most is below 1.
    """
    if most < 1:
        raise InputError(f"{most} videos a class are asked for; at least 1 is needed.")
    by_label: dict[str, list[int]] = defaultdict(list)
    for place, video in enumerate(videos):
        by_label[video.label].append(place)
    chosen = set[int]()
    for places in by_label.values():
        few = min(most, len(places))
        # The middle of each of as many equal parts, so that no end counts more.
        chosen |= {places[int((i + 0.5) * len(places) / few)] for i in range(few)}
    return tuple(videos[place] for place in sorted(chosen))


def check_blocks(blocks: Sequence[str]) -> tuple[str, ...]:
    """Return blocks once each, in order of depth.

    Raises:
        InputError: There is no such block, or none is named.
    """
    if not blocks:
        raise InputError(f"no block is named. Known: {', '.join(BLOCKS)}.")
    return tuple(sorted(set(blocks), key=block_number))


def check_protocol(protocol: str) -> None:
    """Check that features can be averaged over the clips of a protocol.

    Raises:
        InputError: They cannot.
    """
    if protocol not in PROTOCOLS:
        raise InputError(
            f"features are not taken under protocol {protocol!r}. Known: {', '.join(PROTOCOLS)}."
        )


def compute_block_features(
    recognizer: Recognizer,
    videos: Sequence[Video],
    blocks: Sequence[str] = DEFAULT_BLOCKS,
    protocol: str = "clip",
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> BlockFeatures:
    """Return what blocks give for videos; the network runs once over each.

    Args:
        recognizer: The model; its labels do not matter.
        videos: What to look at. One that cannot be read is named, not fatal.
        blocks: Of `s3d.models.blocks.BLOCKS`.
        protocol: "clip" (the middle of a video), "cover" or "10x3", over which is averaged.
        threads: Videos read at a time.
        progress: Told after each video.

    Raises:
        InputError: There is no such block or protocol, or not one video can be read.
    """
    blocks = check_blocks(blocks)
    check_protocol(protocol)
    read = partial(_read, recognizer, protocol)
    kept, rows, failures = list[Video](), list[tuple[Features, ...]](), list[Skipped]()
    viewed = run_ahead(read, videos, threads, ahead=threads)
    for done, (video, views) in enumerate(zip(videos, viewed, strict=True), start=1):
        if isinstance(views, InputError):
            failures.append((video.path, str(views)))
        else:
            kept.append(video)
            rows.append(_average(recognizer.engine, views, blocks))
        if progress:
            progress(done, len(videos))
    if not kept:
        reason = failures[0][1] if failures else "the list is empty."
        raise InputError(f"not one of {len(videos)} videos can be read; first: {reason}")
    columns = zip(*rows, strict=True)
    stacked = {block: np.stack(column) for block, column in zip(blocks, columns, strict=True)}
    groups = group_by_source(kept, [None] * len(kept))
    return BlockFeatures(tuple(kept), tuple(groups), stacked, tuple(failures))


def _read(recognizer: Recognizer, protocol: str, video: Video) -> Views | InputError:
    device = next(recognizer.network.parameters()).device.type
    try:
        return read_views(video.path, recognizer.spec, protocol, device=device)
    except InputError as error:
        return error


def _average(engine: Engine, views: Views, blocks: Sequence[str]) -> tuple[Features, ...]:
    """Return the features (C,) of a video at each block."""
    parts = [list(_run_through(engine, part, blocks)) for part in _parts(views)]
    return tuple(torch.cat(column).mean(0).numpy() for column in zip(*parts, strict=True))


def _run_through(engine: Engine, frames: Tensor, blocks: Sequence[str]) -> Iterator[Tensor]:
    """Yield (V, C) of each block, each going on from what the one before gave."""
    x, before = frames, None
    for block in blocks:
        x = engine.run(x, after=before, until=block)
        before = block
        yield x.mean((2, 3, 4))


def _parts(views: Views) -> Iterator[Tensor]:
    for piece in views.pieces:
        most = max(1, VIEWS_AT_ONCE_PIXELS // int(np.prod(piece.shape[1:4])))
        yield from (torch.from_numpy(piece[i : i + most]) for i in range(0, len(piece), most))
