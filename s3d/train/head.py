"""A fresh head on a trunk that has learnt to see: fitted to what the trunk gives, then trained.

Where clips are few: a head at random would send its noise down into the trunk until it has learnt
itself, and what few clips cannot teach again is then lost. Many clips did better with a fresh one
(docs/trunk.md). Source: Kumar et al., Fine-Tuning can Distort Pretrained Features (2022), where
linear probing comes before fine-tuning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from s3d.data.clips import Augmentation, draw_view, read_clips
from s3d.data.decode import Frames
from s3d.data.loader import normalise, run_ahead
from s3d.data.store import FrameStore, Progress
from s3d.data.video_list import Video
from s3d.errors import InputError
from s3d.models.network import Network
from s3d.train.logistic import Examples, choose_strength, fit_logistic
from s3d.train.validate import evaluating

LAST_BLOCK = "mixed5c"
VIEWS = 4
"""Clips of each video; where heads are fitted there are a thousand videos at the most."""


def fit_head(
    network: Network,
    store: FrameStore,
    videos: Sequence[Video],
    numbers: Sequence[int],
    seed: int,
    threads: int,
    progress: Progress,
) -> bool:
    """Make a network's head the best linear classifier of what its blocks give.

    How strongly it is held back is chosen on sources that are left out in turn.

    Args:
        network: Its head is changed; it is left in the mode it is in.
        store: The videos, these first.
        videos: That are learnt from.
        numbers: The class number of each; -1 for one that must not be used.
        seed: Of the clips that are drawn.
        threads: How many decode.
        progress: Told after each video.

    Returns:
        Whether it was: not where a class has no video that can be read.
    """
    chosen = [video for video, number in enumerate(numbers) if number >= 0]
    rows: list[npt.NDArray[np.float32]] = []
    labels: list[int] = []
    groups: list[int] = []
    names: dict[str, int] = {}
    with evaluating(network), torch.no_grad():
        frames = run_ahead(lambda v: _read(store, v, seed), chosen, threads, threads)
        for count, (video, clips) in enumerate(zip(chosen, frames, strict=True), 1):
            progress(count, len(chosen))
            if clips is None:
                continue
            rows.append(_describe(network, clips, store))
            labels += [numbers[video]] * len(clips)
            source = videos[video].group or videos[video].path
            groups += [names.setdefault(source, len(names))] * len(clips)
    if set(labels) != set(range(network.num_classes)):
        return False
    _fit(network, Examples(np.concatenate(rows), np.array(labels), np.array(groups)))
    return True


def _read(store: FrameStore, video: int, seed: int) -> Frames | None:
    """Return clips (V, T, H, W, C) of a video as it is; None where it cannot be read."""
    draws = [draw_view(store, video, Augmentation(jitter=0.0), seed, view) for view in range(VIEWS)]
    try:
        return read_clips(store, video, draws)
    except InputError:
        return None


def _describe(network: Network, clips: Frames, store: FrameStore) -> npt.NDArray[np.float32]:
    device = network.head.classifier.weight.device
    values = network.features(normalise(torch.from_numpy(clips).to(device), store.spec), LAST_BLOCK)
    described: npt.NDArray[np.float32] = values.float().mean((2, 3, 4)).cpu().numpy()
    return described


def _fit(network: Network, examples: Examples) -> None:
    """Fold the classifier of standardised features into the head's weights."""
    strength, _ = choose_strength(examples, network.num_classes)
    (fitted,) = fit_logistic(examples, network.num_classes, (strength,))
    weight = fitted.weight / fitted.scale
    head = network.head.classifier
    with torch.no_grad():
        head.weight.copy_(weight.reshape(head.weight.shape))
        head.bias.copy_(fitted.bias - weight @ fitted.mean)
