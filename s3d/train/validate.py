"""Validation while training: one clip from the middle of each video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s3d.data.clips import read_centre
from s3d.data.decode import Frames
from s3d.data.feature_store import Features, FeatureStore
from s3d.data.loader import join_features, normalise
from s3d.data.store import FrameStore
from s3d.errors import InputError
from s3d.models.network import Network
from s3d.models.processes import ALONE, Processes
from s3d.train.trunk import Trunk

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


@dataclass(frozen=True)
class Kept:
    """Hold features that are at hand, and the trunk that made them."""

    features: FeatureStore
    trunk: Trunk


def validate(
    network: Network,
    store: FrameStore,
    videos: Sequence[int],
    labels: Sequence[int],
    kept: Kept | None = None,
    processes: Processes = ALONE,
) -> Validation:
    """Score the middle clip of each video.

    Args:
        network: Left in the mode it is in.
        store: The videos.
        videos: Which of them.
        labels: Class number of each of `videos`.
        kept: The features of these clips, where they are at hand.
        processes: That share the work; each returns the whole. What goes through the network at
            once does not depend on how many there are, so neither does the last bit.

    Raises:
        InputError: Not one of them can be read.
    """
    pixels = store.spec.frames * store.spec.size_px[0] * store.spec.size_px[1]
    at_once = max(1, CLIPS_AT_ONCE_PIXELS // pixels)
    groups = [videos[start : start + at_once] for start in range(0, len(videos), at_once)]
    own, failures = list[Tensor | None](), dict[int, str]()
    with evaluating(network), torch.no_grad():
        for part in processes.share(groups):
            if kept:
                found = _score_features(kept, part, failures)
            else:
                found = _score_frames(network, store, part, failures)
            own.append(None if found is None else found.float().cpu())
    logits = [scored for scored in processes.collect(own) if scored is not None]
    for others in processes.gather(failures):
        failures |= others
    if not logits:
        reason = next(iter(failures.values()), "there is none")
        raise InputError(f"not one video to validate can be read; first: {reason}")
    truth = torch.tensor(
        [n for n, video in zip(labels, videos, strict=True) if video not in failures]
    )
    every = torch.cat(logits)
    return Validation(
        float(F.cross_entropy(every, truth)),
        float((every.argmax(1) == truth).double().mean()),
        every.softmax(1).numpy(),
        truth.numpy(),
        tuple(video for video in videos if video not in failures),
        tuple((store.infos[video].path, failures[video]) for video in sorted(failures)),
    )


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network in eval mode, and each of its parts back into the mode it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _score_frames(
    network: Network, store: FrameStore, videos: Sequence[int], failures: dict[int, str]
) -> Tensor | None:
    frames = list[Frames]()
    for video in videos:
        try:
            frames.append(read_centre(store, video))
        except InputError as error:
            failures[video] = str(error)
    if not frames:
        return None
    device = next(network.parameters()).device
    logits: Tensor = network(normalise(torch.from_numpy(np.stack(frames)).to(device), store.spec))
    return logits


def _score_features(kept: Kept, videos: Sequence[int], failures: dict[int, str]) -> Tensor | None:
    features = list[Features]()
    for video in videos:
        try:
            features.append(kept.features.read(video))
        except InputError as error:
            failures[video] = str(error)
    if not features:
        return None
    device = next(kept.trunk.tail.parameters()).device
    return kept.trunk.classify(join_features(features).to(device))
