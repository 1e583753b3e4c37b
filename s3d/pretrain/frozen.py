"""Clips of videos, and what the frozen blocks of a network make of them.

videos --read once--> clips (N, V, T, H, W, C) uint8 --blocks, pooled--> features (N, D)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.frame_source import open_source
from s3d.data.loader import normalise, run_ahead
from s3d.data.paths import absolute_name
from s3d.data.sample import clip_indices, spread_starts
from s3d.data.transform import centre_crop, resized_px
from s3d.data.video_list import Video
from s3d.errors import InputError
from s3d.files import make_folder, write_atomically
from s3d.models.network import Network, block_number
from s3d.train.logistic import Features

PROBE_SPEC = ClipSpec(frames=16, rate_fps=15.0, resize_px=(64, 64), size_px=(64, 64))
"""Two seconds, squashed: what short clips of people show, at what a narrow network takes."""
PROBE_BLOCKS = ("pool4a", "mixed4f", "mixed5c", "mixed4f+mixed5c")
POOLS = ("average", "max", "deviation")
PIECE_PIXELS = 16 * 16 * 64 * 64
"""Of the clips that pass a network at a time: more leave the processor's cache."""

Clips = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ProbeRecipe:
    """Say which features are probed.

    Attributes:
        spec: The clip, at which the network need not have been trained.
        windows: Clips of a video, spread over it; their features are averaged.
        blocks: Of `s3d.models.blocks.BLOCKS`; several joined by + are put behind each other.
        pools: What becomes of a channel over time, once it is averaged over space: one or
            more of `POOLS`, put behind each other.
    """

    spec: ClipSpec = PROBE_SPEC
    windows: int = 3
    blocks: tuple[str, ...] = PROBE_BLOCKS
    pools: tuple[str, ...] = ("average",)

    def __post_init__(self) -> None:
        unknown = [pool for pool in self.pools if pool not in POOLS]
        if unknown or not self.pools:
            shown = repr(unknown[0]) if unknown else "''"
            raise InputError(f"unknown pool {shown}. Known: {', '.join(POOLS)}.")
        if not self.blocks:
            raise InputError("no block is named to probe; name one, as in mixed5c.")
        for block in self.single_blocks:
            block_number(block)

    @property
    def single_blocks(self) -> tuple[str, ...]:
        """Return every block that is needed, once, in order of depth."""
        names = {name for joined in self.blocks for name in joined.split("+")}
        return tuple(sorted(names, key=block_number))


def read_clips(
    videos: Sequence[Video], recipe: ProbeRecipe, cache: Path | None = None, threads: int = 1
) -> Clips:
    """Read the clips of videos, or find them in the cache where they have been read before.

    Args:
        videos: What to read.
        recipe: Which clips.
        cache: A folder for them, one file a list of videos; it is made. None keeps nothing.
        threads: Videos read at a time.

    Returns:
        (N, V, T, H, W, C) uint8; from the cache not in memory, but read as it is used.

    Raises:
        InputError: A video cannot be read, there is none, or the cache cannot be written.
    """
    if not videos:
        raise InputError("the list of videos to probe is empty; name at least one a class.")
    if cache is None:
        return _read_all(videos, recipe, threads)
    path = cache / f"{_name_clips(videos, recipe)}.npy"
    if not path.exists():
        make_folder(cache)
        clips = _read_all(videos, recipe, threads)

        def write(beside: Path) -> None:
            with beside.open("wb") as file:
                np.save(file, clips)

        write_atomically(path, write)
    found: Clips = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


@torch.no_grad()
def pool_features(network: Network, clips: Clips, recipe: ProbeRecipe) -> dict[str, Features]:
    """Return what the frozen blocks of a network make of videos; it runs once over each clip.

    Args:
        network: On any device; it is used in eval mode, and left in the mode it was in.
        clips: (N, V, T, H, W, C), as `read_clips` gives.
        recipe: As clips were read by.

    Returns:
        (N, D) float32 by the name of each of `recipe.blocks`.
    """
    was_training = network.training
    network.eval()
    count, windows = clips.shape[:2]
    flat = clips.reshape(count * windows, *clips.shape[2:])
    at_once = max(1, PIECE_PIXELS // int(np.prod(flat.shape[1:4])))
    pieces = [
        _run_through(network, flat[i : i + at_once], recipe) for i in range(0, len(flat), at_once)
    ]
    network.train(was_training)
    single = {
        block: torch.cat([piece[block] for piece in pieces]).view(count, windows, -1).mean(1)
        for block in recipe.single_blocks
    }
    return {
        joined: torch.cat([single[name] for name in joined.split("+")], 1).numpy()
        for joined in recipe.blocks
    }


def _read_all(videos: Sequence[Video], recipe: ProbeRecipe, threads: int) -> Clips:
    read = partial(_read_windows, recipe)
    return np.stack(list(run_ahead(read, videos, threads, ahead=threads)))


def _read_windows(recipe: ProbeRecipe, video: Video) -> Clips:
    """Return the windows (V, T, H, W, C) of a video."""
    spec, source = recipe.spec, open_source(video.path, recipe.spec)
    info = source.info
    size = resized_px(info.height_px, info.width_px, spec)
    starts = spread_starts(info, spec, recipe.windows)
    indices = np.stack([clip_indices(info, spec, start) for start in starts])
    wanted, places = np.unique(indices, return_inverse=True)
    frames = centre_crop(source.read(wanted, size), spec.size_px)
    return frames[places.reshape(indices.shape)]


def _name_clips(videos: Sequence[Video], recipe: ProbeRecipe) -> str:
    """Name everything that the clips depend on, files that were written anew among it."""
    spec = {**recipe.spec.to_json(), "mean": None, "std": None}
    files = [(absolute_name(video.path), *_stamp(video.path)) for video in videos]
    text = json.dumps([spec, recipe.windows, files], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:24]


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:  # A folder of pictures with its rate, or a member of a shard.
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _run_through(network: Network, clips: Clips, recipe: ProbeRecipe) -> dict[str, Tensor]:
    """Return (B, D) float32 of each single block, each going on from what the one before gave."""
    device = next(network.parameters()).device
    # A copy: what the cache gives may not be written to.
    x = normalise(torch.from_numpy(clips.copy()).to(device), recipe.spec)
    found, before = {}, None
    for block in recipe.single_blocks:
        x = network.features(x, block) if before is None else network.go_on(x, before, block)
        before = block
        found[block] = _pool(x, recipe.pools).float().cpu()
    return found


def _pool(features: Tensor, pools: Sequence[str]) -> Tensor:
    """Return (B, C times the pools) of features (B, C, T, H, W)."""
    over_time = features.mean((3, 4))
    pooled = {
        "average": lambda: over_time.mean(2),
        "max": lambda: over_time.amax(2),
        "deviation": lambda: over_time.std(2, correction=0),
    }
    return torch.cat([pooled[pool]() for pool in pools], 1)
