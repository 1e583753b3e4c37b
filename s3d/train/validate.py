"""Validation while training: one clip from the middle of each video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from s3d.data.decode import Frames
from s3d.data.loader import normalise
from s3d.data.sample import centre_start, clip_indices
from s3d.data.store import FrameStore
from s3d.data.transform import centre_crop
from s3d.errors import InputError
from s3d.models.network import Network

CLIPS_AT_ONCE_PIXELS = 16 * 16 * 112 * 112


@dataclass(frozen=True, eq=False)
class Validation:
    """Hold the outcome on the validation videos.

    Attributes:
        loss: Mean cross-entropy.
        top1: Share named right.
        scores: (N, K) probabilities.
        truth: (N,) class numbers.
        videos: (N,) which videos were scored.
        failures: (path, reason) of those that could not be read.
    """

    loss: float
    top1: float
    scores: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]
    videos: tuple[int, ...]
    failures: tuple[tuple[str, str], ...]


def read_centre(store: FrameStore, video: int) -> Frames:
    """Return the frames (T, H, W, 3) of the clip in the middle of a video."""
    info = store.infos[video]
    indices = clip_indices(info, store.spec, centre_start(info, store.spec))
    return centre_crop(store.read(video, indices), store.spec.size_px)


def validate(
    network: Network, store: FrameStore, videos: Sequence[int], labels: Sequence[int]
) -> Validation:
    """Score the middle clip of each video.

    Args:
        network: Left in training mode.
        store: The videos.
        videos: Which of them.
        labels: Class number of each of `videos`.

    Raises:
        InputError: Not one of them can be read.
    """
    device = next(network.parameters()).device
    pixels = store.spec.frames * store.spec.size_px[0] * store.spec.size_px[1]
    at_once = max(1, CLIPS_AT_ONCE_PIXELS // pixels)
    network.eval()
    logits, failures = [], dict[int, str]()
    with torch.no_grad():
        for start in range(0, len(videos), at_once):
            frames = _read_each(store, videos[start : start + at_once], failures)
            if frames:
                clips = normalise(torch.from_numpy(np.stack(frames)).to(device), store.spec)
                logits.append(network(clips).float().cpu())
    network.train()
    if not logits:
        reason = next(iter(failures.values()), "there is none")
        raise InputError(f"not one video to validate can be read; first: {reason}")
    kept = [place for place, video in enumerate(videos) if video not in failures]
    every, truth = torch.cat(logits), torch.tensor([labels[place] for place in kept])
    return Validation(
        float(F.cross_entropy(every, truth)),
        float((every.argmax(1) == truth).double().mean()),
        every.softmax(1).numpy(),
        truth.numpy(),
        tuple(videos[place] for place in kept),
        tuple((store.infos[video].path, reason) for video, reason in failures.items()),
    )


def _read_each(store: FrameStore, videos: Sequence[int], failures: dict[int, str]) -> list[Frames]:
    frames = []
    for video in videos:
        try:
            frames.append(read_centre(store, video))
        except InputError as error:
            failures[video] = str(error)
    return frames
