"""Batches of training clips, made by threads ahead of the model that takes them.

Which videos a batch holds, where each clip begins and how it is changed follow from (seed, epoch,
place) alone, not from threads or time: a run that was killed goes on exactly where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.decode import Frames
from s3d.data.sample import clip_indices, random_start
from s3d.data.store import FrameStore
from s3d.data.transform import crop_at
from s3d.errors import InputError

Indices = npt.NDArray[np.int64]
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Augmentation:
    """Say how training clips may be changed; nothing here can change what an action is.

    Attributes:
        jitter: Largest change of brightness and contrast, as a share; the same for all frames.
        flip: Mirror half of the clips left to right. Left is not right, so only where asked.
    """

    jitter: float = 0.2
    flip: bool = False


@dataclass(frozen=True)
class Batch:
    """Hold one batch.

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
        return normalise(self.frames.to(device), spec, self.tones.to(device))


class ClipLoader:
    """Make batches of random clips from a store."""

    def __init__(
        self,
        store: FrameStore,
        labels: Sequence[int],
        batch: int,
        seed: int,
        augmentation: Augmentation,
        *,
        balance: bool = True,
        threads: int = 2,
        ahead: int = 3,
    ) -> None:
        """Set up; nothing is read yet.

        Args:
            store: The videos.
            labels: Class number of each video; -1 keeps one out.
            batch: Clips in a batch.
            seed: Decides everything random.
            augmentation: How clips are changed.
            balance: Draw every class equally often.
            threads: Batches made at a time.
            ahead: Batches kept ready.
        """
        self.store, self.batch, self.seed = store, batch, seed
        self.labels = np.asarray(labels, np.int64)
        self.augmentation, self.balance = augmentation, balance
        self.threads, self.ahead = threads, ahead

    @property
    def steps(self) -> int:
        """Return the batches of one epoch."""
        return max(1, round(int((self.labels >= 0).sum()) / self.batch))

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from step `first` on."""
        order = draw_order(self.labels, (self.seed, epoch), self.balance)
        order = np.resize(order, self.steps * self.batch)
        parts = [order[s * self.batch : (s + 1) * self.batch] for s in range(first, self.steps)]
        places = [(epoch, s) for s in range(first, self.steps)]
        jobs = [(part, *place) for part, place in zip(parts, places, strict=True)]
        yield from run_ahead(self._make, jobs, self.threads, self.ahead)

    def _make(self, job: tuple[Indices, int, int]) -> Batch:
        videos, epoch, step = job
        spec = self.store.spec
        frames = np.empty((len(videos), spec.frames, *spec.size_px, 3), np.uint8)
        labels, failures = [], list[tuple[str, str]]()
        rngs = [np.random.default_rng((self.seed, epoch, step, i)) for i in range(len(videos))]
        for place, (video, rng) in enumerate(zip(videos, rngs, strict=True)):
            used = self._fill(frames[place], int(video), rng, failures)
            labels.append(self.labels[used])
        tones = np.array([self._tone(rng) for rng in rngs], np.float32)
        return Batch(
            torch.from_numpy(frames),
            torch.from_numpy(tones),
            torch.from_numpy(np.array(labels)),
            tuple(failures),
        )

    def _fill(
        self,
        into: Frames,
        video: int,
        rng: np.random.Generator,
        failures: list[tuple[str, str]],
    ) -> int:
        """Read a clip of a video, or of another of its class where the file fails."""
        others = np.flatnonzero(self.labels == self.labels[video])
        others = rng.permutation(others)
        for candidate in (video, *others[others != video]):
            try:
                into[:] = self._read(int(candidate), rng)
                return int(candidate)
            except InputError as error:
                failures.append((self.store.infos[candidate].path, str(error)))
        raise InputError(f"not one video of a class can be read: {failures[-1][1]}")

    def _read(self, video: int, rng: np.random.Generator) -> Frames:
        spec, info = self.store.spec, self.store.infos[video]
        frames = self.store.read(video, clip_indices(info, spec, random_start(info, spec, rng)))
        height, width = spec.size_px
        top = int(rng.integers(frames.shape[1] - height + 1))
        left = int(rng.integers(frames.shape[2] - width + 1))
        frames = crop_at(frames, top, left, spec.size_px)
        return frames[:, :, ::-1] if self.augmentation.flip and rng.random() < 0.5 else frames

    def _tone(self, rng: np.random.Generator) -> tuple[float, float]:
        jitter = self.augmentation.jitter
        return 1 + rng.uniform(-jitter, jitter), rng.uniform(-jitter, jitter)


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
