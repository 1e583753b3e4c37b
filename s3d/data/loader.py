"""Batches of training clips, made by threads ahead of the model that takes them.

Which videos a batch holds, where each clip begins and how it is changed follow from (seed, epoch,
place) alone, not from threads, processes or time: a run that was killed goes on exactly where it
was, and many processes make together the very batches that one would make.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.clips import Augmentation, Tone, draw_clip, draw_view, read_clip
from s3d.data.decode import Frames
from s3d.data.feature_store import Features, FeatureStore
from s3d.data.sample import Indices
from s3d.data.store import FrameStore
from s3d.errors import InputError

Job = TypeVar("Job")
Result = TypeVar("Result")
Item = TypeVar("Item")
Made = TypeVar("Made")
BATCHES_AHEAD = 3
Failures = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Share:
    """Say which places of a batch one process makes, and in how many parts.

    Attributes:
        rank: Number of the process.
        world: How many processes share each part.
        parts: Parts of a batch; which places are in one does not depend on the processes.
    """

    rank: int = 0
    world: int = 1
    parts: int = 1

    def places(self, batch: int) -> list[Indices]:
        """Return the places of each part of a batch of so many clips."""
        parts = np.array_split(np.arange(batch), self.parts)
        return [part[self.rank :: self.world] for part in parts]


@dataclass(frozen=True)
class Batch:
    """Hold one batch, or a part of it.

    Its clips are still frames: they are normalised by the thread, or the GPU, that runs the
    network, since a second thread in PyTorch's parallel operations would fight the first for cores.

    Attributes:
        frames: (B, T, H, W, C) uint8.
        tones: (B, 2) float32: a factor of contrast about mid-grey, and a shift of brightness as a
            share of the full range.
        labels: (B,) class numbers.
        failures: (path, reason) of videos that could not be read and were replaced.
    """

    frames: Tensor
    tones: Tensor
    labels: Tensor
    failures: tuple[tuple[str, str], ...]

    def clips(self, spec: ClipSpec, device: str = "cpu") -> Tensor:
        """Return the clips (B, C, T, H, W) float32 on a device, channels-last in memory."""
        frames = self.frames.to(device, non_blocking=True)
        return normalise(frames, spec, self.tones.to(device, non_blocking=True))


@dataclass(frozen=True)
class FeatureBatch:
    """Hold one batch of features in the place of clips.

    Attributes:
        features: (B, C, T, H, W) float32, channels-last in memory.
        labels: (B,) class numbers.
        failures: As in `Batch`.
    """

    features: Tensor
    labels: Tensor
    failures: tuple[tuple[str, str], ...]


class Loader(ABC, Generic[Item, Made]):
    """Draw which videos a batch holds; what is read of each is for others to say.

    Attributes:
        threads: Batches, or parts of them, made at a time.
        ahead: Made before they are asked for.
        share: What is made of each batch.
        pins: Whether they are put where a GPU can fetch them by itself.
    """

    def __init__(
        self, paths: Sequence[str], labels: Sequence[int], batch: int, seed: int, balance: bool
    ) -> None:
        """Set up; nothing is read yet.

        Args:
            paths: Of the videos, to name those that fail.
            labels: Class number of each video; -1 keeps one out.
            batch: Clips in a batch, of all processes together.
            seed: Decides everything random.
            balance: Draw every class equally often.
        """
        self.paths, self.batch, self.seed, self.balance = paths, batch, seed, balance
        self.labels: Indices = np.asarray(labels, np.int64)
        self.threads, self.ahead = 1, BATCHES_AHEAD
        self.share, self.pins = Share(), False

    @property
    def steps(self) -> int:
        """Return the batches of one epoch."""
        return max(1, round(int((self.labels >= 0).sum()) / self.batch))

    def batches(self, epoch: int, first: int = 0) -> Iterator[Made]:
        """Yield the batches of an epoch from step `first` on: of each, the share and its parts."""
        order = draw_order(self.labels, (self.seed, epoch), self.balance)
        whole = np.resize(order, (self.steps, self.batch))
        parts = self.share.places(self.batch)
        jobs = [(whole[s], epoch, s, part) for s in range(first, self.steps) for part in parts]
        yield from run_ahead(self._make, jobs, self.threads, self.ahead)

    @abstractmethod
    def _read(self, video: int, rng: np.random.Generator) -> Item:
        """Return one clip of a video; InputError where it cannot be read."""

    @abstractmethod
    def _join(self, items: list[Item], labels: Tensor, failures: Failures) -> Made:
        """Return the batch of some clips."""

    def _make(self, job: tuple[Indices, int, int, Indices]) -> Made:
        videos, epoch, step, places = job
        items, labels, failures = list[Item](), list[int](), list[tuple[str, str]]()
        for place in places:
            rng = np.random.default_rng((self.seed, epoch, step, int(place)))
            item, used = self._read_some(int(videos[place]), rng, failures)
            items.append(item)
            labels.append(int(self.labels[used]))
        return self._join(items, self._pin(torch.tensor(labels)), tuple(failures))

    def _pin(self, tensor: Tensor) -> Tensor:
        """Return a tensor where a GPU can fetch it by itself, if that was asked for."""
        return tensor.pin_memory() if self.pins else tensor

    def _read_some(
        self, video: int, rng: np.random.Generator, failures: list[tuple[str, str]]
    ) -> tuple[Item, int]:
        """Read a clip of a video, or of another of its class where the file fails."""
        others = np.flatnonzero(self.labels == self.labels[video])
        others = rng.permutation(others)
        for candidate in (video, *others[others != video]):
            try:
                return self._read(int(candidate), rng), int(candidate)
            except InputError as error:
                failures.append((self.paths[candidate], str(error)))
        raise InputError(f"not one video of a class can be read: {failures[-1][1]}")


class ClipLoader(Loader[tuple[Frames, Tone], Batch]):
    """Make batches of random clips from a store."""

    def __init__(
        self,
        store: FrameStore,
        labels: Sequence[int],
        batch: int,
        seed: int,
        augmentation: Augmentation,
        *,
        views: int = 0,
        balance: bool = True,
        threads: int = 1,
    ) -> None:
        """Set up; nothing is read yet.

        Args:
            store: The videos.
            labels: Class number of each video; -1 keeps one out.
            batch: Clips in a batch.
            seed: Decides everything random.
            augmentation: How clips are changed.
            views: Different clips of a video; 0 makes a new one each time.
            balance: Draw every class equally often.
            threads: Batches made at a time.
        """
        paths = [info.path for info in store.infos]
        super().__init__(paths, labels, batch, seed, balance)
        self.store, self.augmentation, self.views = store, augmentation, views
        self.threads = threads

    def _read(self, video: int, rng: np.random.Generator) -> tuple[Frames, Tone]:
        if self.views:
            view = int(rng.integers(self.views))
            draw = draw_view(self.store, video, self.augmentation, self.seed, view)
        else:
            draw = draw_clip(self.store, video, self.augmentation, rng)
        return read_clip(self.store, video, draw), draw.tone

    def _join(self, items: list[tuple[Frames, Tone]], labels: Tensor, failures: Failures) -> Batch:
        frames = np.stack([frames for frames, _ in items])
        tones = np.array([tone for _, tone in items], np.float32)
        parts = self._pin(torch.from_numpy(frames)), self._pin(torch.from_numpy(tones))
        return Batch(*parts, labels, failures)


class FeatureLoader(Loader[Features, FeatureBatch]):
    """Make batches of the features of the very clips that `ClipLoader` would draw."""

    def __init__(
        self,
        store: FeatureStore,
        labels: Sequence[int],
        batch: int,
        seed: int,
        *,
        balance: bool = True,
    ) -> None:
        """Set up; nothing is read yet.

        Args:
            store: The features.
            labels: Class number of each video; -1 keeps one out.
            batch: Clips in a batch.
            seed: Decides everything random.
            balance: Draw every class equally often.
        """
        super().__init__(store.paths, labels, batch, seed, balance)
        self.store = store

    def _read(self, video: int, rng: np.random.Generator) -> Features:
        return self.store.read(video, int(rng.integers(self.store.views)))

    def _join(self, items: list[Features], labels: Tensor, failures: Failures) -> FeatureBatch:
        return FeatureBatch(self._pin(join_features(items)), labels, failures)


def join_features(features: Sequence[Features]) -> Tensor:
    """Return features (T, H, W, C) each as one (B, C, T, H, W), channels-last in memory."""
    return torch.from_numpy(np.stack(features)).permute(0, 4, 1, 2, 3)


def draw_order(labels: Indices, seed: tuple[int, ...], balance: bool) -> Indices:
    """Return the videos of an epoch in random order.

    Args:
        labels: (N,) class numbers; -1 keeps a video out.
        seed: Decides the order.
        balance: Every class appears equally often: small ones repeat, large ones take turns.
    """
    rng = np.random.default_rng(seed)
    used = np.flatnonzero(labels >= 0)
    if not balance:
        return rng.permutation(used)
    classes = np.unique(labels[used])
    share = -(-len(used) // len(classes))
    drawn = []
    for label in classes:
        members = np.flatnonzero(labels == label)
        rounds = [rng.permutation(members) for _ in range(-(-share // len(members)))]
        drawn.append(np.concatenate(rounds)[:share])
    return rng.permutation(np.concatenate(drawn))


def normalise(frames: Tensor, spec: ClipSpec, tones: Tensor | None = None) -> Tensor:
    """Return clips for frames: (frames / 255 - mean) / std.

    Args:
        frames: (B, T, H, W, C) uint8.
        spec: Gives mean and std.
        tones: (B, 2), as in `Batch`; what leaves the range is cut off.

    Returns:
        (B, C, T, H, W) float32, channels-last in memory.
    """
    values = frames.to(torch.float32)
    if tones is not None:
        factor, shift = tones.view(-1, 2, 1, 1, 1, 1).unbind(1)
        values.mul_(factor).add_(127.5 * (1 - factor) + 255 * shift).clamp_(0, 255)
    scale = torch.tensor([1 / (255 * s) for s in spec.std], device=frames.device)
    offset = torch.tensor(
        [m / s for m, s in zip(spec.mean, spec.std, strict=True)], device=frames.device
    )
    return values.mul_(scale).sub_(offset).permute(0, 4, 1, 2, 3)


def run_ahead(
    work: Callable[[Job], Result], jobs: Sequence[Job], threads: int, ahead: int
) -> Iterator[Result]:
    """Yield work(job) for each job in order, a few of them computed ahead by threads."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(work, job))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
