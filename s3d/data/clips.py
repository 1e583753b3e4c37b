"""A training clip: which frames of a video, which part of them, and how they are changed.

What is drawn is drawn before the file is read, so several clips of a video are cut from one
decoding of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.data.decode import Frames, Indices
from s3d.data.flow.levels import mirror_flow
from s3d.data.sample import centre_start, clip_indices, random_start
from s3d.data.store import FrameStore
from s3d.data.transform import centre_crop, crop_at
from s3d.data.video_info import FLOW_CHANNELS

Tone = tuple[float, float]
VIEW = 7
"""Tells the seed of a view, which ends with it, from every other seed, which is shorter."""


@dataclass(frozen=True)
class Augmentation:
    """Say how training clips may be changed; nothing here can change what an action is.

    Attributes:
        jitter: Largest change of brightness and contrast, as a share; the same for all frames.
            Flow is left as it is.
        flip: Mirror half of the clips left to right. Left is not right, so only where asked.
    """

    jitter: float = 0.2
    flip: bool = False


@dataclass(frozen=True, eq=False)
class ClipDraw:
    """Hold what was drawn for one clip.

    Attributes:
        indices: (T,) frames of the video.
        top: Upper edge of the crop in px of the resized frames.
        left: Its left edge.
        is_mirrored: Left becomes right.
        tone: Factor of contrast about mid-grey, and shift of brightness as a share of the range.
    """

    indices: Indices
    top: int
    left: int
    is_mirrored: bool
    tone: Tone


def draw_clip(
    store: FrameStore, video: int, augmentation: Augmentation, rng: np.random.Generator
) -> ClipDraw:
    """Draw a clip of a video; nothing is read."""
    spec, (height, width) = store.spec, store.sizes[video]
    indices = clip_indices(store.infos[video], spec, random_start(store.infos[video], spec, rng))
    top = int(rng.integers(height - spec.size_px[0] + 1))
    left = int(rng.integers(width - spec.size_px[1] + 1))
    is_mirrored = bool(augmentation.flip and rng.random() < 0.5)
    # Of flow, another brightness would be another motion.
    jitter = augmentation.jitter if spec.modality == "rgb" else 0.0
    tone = 1 + rng.uniform(-jitter, jitter), rng.uniform(-jitter, jitter)
    return ClipDraw(indices, top, left, is_mirrored, tone)


def draw_view(
    store: FrameStore, video: int, augmentation: Augmentation, seed: int, view: int
) -> ClipDraw:
    """Draw the clip that is a video's view of a number: always the same one."""
    rng = np.random.default_rng((seed, video, view, 0, VIEW))
    return draw_clip(store, video, augmentation, rng)


def read_clip(store: FrameStore, video: int, draw: ClipDraw) -> Frames:
    """Return the frames (T, H, W, 3) of a clip that was drawn.

    Raises:
        InputError: The file cannot be decoded any more.
    """
    return _cut(store.read(video, draw.indices), draw, store.spec.size_px)


def read_clips(store: FrameStore, video: int, draws: list[ClipDraw]) -> npt.NDArray[np.uint8]:
    """Return the frames (N, T, H, W, 3) of clips of one video, which is decoded once.

    Raises:
        InputError: The file cannot be decoded any more.
    """
    wanted = np.unique(np.concatenate([draw.indices for draw in draws]))
    frames, size_px = store.read(video, wanted), store.spec.size_px
    places = [np.searchsorted(wanted, draw.indices) for draw in draws]
    return np.stack(
        [_cut(frames[place], draw, size_px) for place, draw in zip(places, draws, strict=True)]
    )


def read_centre(store: FrameStore, video: int) -> Frames:
    """Return the frames (T, H, W, 3) of the clip in the middle of a video.

    Raises:
        InputError: The file cannot be decoded any more.
    """
    info = store.infos[video]
    indices = clip_indices(info, store.spec, centre_start(info, store.spec))
    return centre_crop(store.read(video, indices), store.spec.size_px)


def _cut(frames: Frames, draw: ClipDraw, size_px: tuple[int, int]) -> Frames:
    part = crop_at(frames, draw.top, draw.left, size_px)
    if not draw.is_mirrored:
        return part
    return mirror_flow(part) if part.shape[-1] == FLOW_CHANNELS else part[:, :, ::-1]
