"""Which videos were cut from one source: what must not part in a split, where nobody said so.

Two videos are taken to share a source if their bytes are equal, if their names say so (UCF-101,
HMDB-51 and Kinetics have such names), or if the still part of their pictures agrees.

Measured on 241 surveillance clips cut from 35 videos, most of them compilations of many cameras
(fights/clips.csv, truth = the video): at the threshold below, 96 % of the grouped pairs are of one
video, and 28 % of the pairs of one video are grouped, in 104 groups of at most 10; names and order
were not looked at. Any descriptor and linkage tried levels off at 30 %: the rest are other cameras
of the same compilation, which show other scenes. Most of the 4 % are one scene in two compilations.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s3d.data.decode import Frames
from s3d.data.shards.members import content_size, read_content
from s3d.data.videos import Video
from s3d.errors import InputError

Signature = npt.NDArray[np.float32]

SIDE = 16
SIGNATURE_FRAMES = 5
LENGTH = SIDE * SIDE + 2 * (SIDE - 1) ** 2
# Mean similarity between two groups that are joined. Joining by the nearest pair alone (single
# linkage) is as good at 0.60 but chains 217 of 241 clips into one group at 0.30; by the mean, the
# largest group still has 10 clips at 0.40, so the choice is not on an edge.
LEAST_SIMILARITY = 0.5
NEIGHBOURS = 50
BLOCK = 512

_UCF = re.compile(r"(.+_g\d+)_c\d+", re.IGNORECASE)
_HMDB = re.compile(r"(.+)_[a-z]_(?:cm|nm)_np\d+_(?:fr|ba|le|ri)_(?:bad|med|goo)_\d+", re.IGNORECASE)
_KINETICS = re.compile(r"([\w-]{11})_\d{6}_\d{6}")


def signature(frames: Frames) -> Signature:
    """Describe the still part of a video: what its camera sees when nothing moves.

    Args:
        frames: (T, H, W, 3) uint8, about 5 spread over the video, all videos at one size: 32 x 32
            squashed is enough.

    Returns:
        (706,) of length 1: the temporal median, grey, 16 x 16, without its mean, and its gradients;
        all zero for a picture without content, which is like no other.
    """
    grey = frames.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    still = _shrink(_shrink(np.median(grey, axis=0), 0), 1)
    down, right = np.diff(still, axis=0)[:, :-1], np.diff(still, axis=1)[:-1]
    picture = _unit((still - still.mean()).ravel())
    gradients = _unit(np.concatenate([down.ravel(), right.ravel()]))
    return np.asarray(np.concatenate([picture, gradients]) / np.sqrt(2), np.float32)


def group_by_source(videos: Sequence[Video], signatures: Sequence[Signature | None]) -> list[str]:
    """Return for each video the name of its source.

    Args:
        videos: Where a group is given it is kept; two given groups are joined only where they share
            equal bytes, not by likeness.
        signatures: One a video, from `signature`; None for a video that cannot be decoded.

    Returns:
        One name a video: the given group, otherwise "source 1", "source 2" and so on in order.
    """
    groups = _Groups(stack_signatures(signatures))
    for key_of in (_given_key, _name_key):
        _join_equal(groups, [key_of(video) for video in videos])
    _join_equal(groups, content_keys(videos))
    given = [video.group is not None for video in videos]
    for left, right in near_pairs(groups.vectors):
        if not (given[left] and given[right]):
            groups.join_if_near(left, right)
    return _name_groups(videos, [groups.root(i) for i in range(len(videos))])


class _Groups:
    """Join videos into groups, keeping the sum of each group's vectors.

    Vectors have length 1, so the mean similarity of two groups is the product of their sums over
    the product of their sizes: average linkage without a table of all pairs.
    """

    def __init__(self, vectors: npt.NDArray[np.float32]) -> None:
        self.vectors = vectors
        self.sums = vectors.astype(np.float64)
        self.sizes = np.ones(len(vectors))
        self.parents = list(range(len(vectors)))

    def root(self, item: int) -> int:
        while self.parents[item] != item:
            self.parents[item] = self.parents[self.parents[item]]
            item = self.parents[item]
        return item

    def join(self, left: int, right: int) -> None:
        first, second = sorted((self.root(left), self.root(right)))
        if first != second:
            self.parents[second] = first
            self.sums[first] += self.sums[second]
            self.sizes[first] += self.sizes[second]

    def join_if_near(self, left: int, right: int) -> None:
        first, second = self.root(left), self.root(right)
        if first == second:
            return
        pairs = self.sizes[first] * self.sizes[second]
        if self.sums[first] @ self.sums[second] >= LEAST_SIMILARITY * pairs:
            self.join(first, second)


def _join_equal(groups: _Groups, keys: Iterable[Hashable | None]) -> None:
    firsts: dict[Hashable, int] = {}
    for item, key in enumerate(keys):
        if key is not None:
            groups.join(firsts.setdefault(key, item), item)


def _given_key(video: Video) -> str | None:
    return video.group


def _name_key(video: Video) -> str | None:
    if video.group is not None:
        return None
    stem = Path(video.path).stem
    for pattern in (_UCF, _HMDB, _KINETICS):
        match = pattern.fullmatch(stem)
        if match:
            return match[1].lower()
    return None


def content_keys(videos: Sequence[Video]) -> list[bytes | None]:
    """Return a hash of the bytes where another file has as many; reading all would take long."""
    by_size: dict[int, list[int]] = defaultdict(list)
    for item, video in enumerate(videos):
        size = content_size(video.path)
        if size is not None:
            by_size[size].append(item)
    keys: list[bytes | None] = [None] * len(videos)
    for alike in by_size.values():
        if len(alike) > 1:
            for item in alike:
                keys[item] = _content_hash(videos[item].path)
    return keys


def _content_hash(path: str) -> bytes | None:
    try:
        digest = hashlib.blake2b()
        for chunk in read_content(path):
            digest.update(chunk)
        return digest.digest()
    except (OSError, InputError):
        return None


def near_pairs(
    vectors: npt.NDArray[np.float32], least: float = LEAST_SIMILARITY
) -> list[tuple[int, int]]:
    """Return pairs of near neighbours, nearest first.

    Args:
        vectors: (N, 706), of length 1 or 0.
        least: Smallest similarity of a pair, up to 1.
    """
    rows, columns, values = [], [], []
    keep = min(NEIGHBOURS + 1, len(vectors))
    for start in range(0, len(vectors), BLOCK):
        likeness = vectors[start : start + BLOCK] @ vectors.T
        nearest = np.argpartition(-likeness, keep - 1, axis=1)[:, :keep]
        value = np.take_along_axis(likeness, nearest, axis=1)
        row = np.broadcast_to(start + np.arange(len(likeness))[:, None], nearest.shape)
        wanted = (value >= least) & (row != nearest)
        rows.append(row[wanted])
        columns.append(nearest[wanted])
        values.append(value[wanted])
    if not rows:
        return []
    left, right = np.concatenate(rows), np.concatenate(columns)
    order = np.argsort(-np.concatenate(values), kind="stable")
    return list(zip(left[order].tolist(), right[order].tolist(), strict=True))


def _name_groups(videos: Sequence[Video], roots: Sequence[int]) -> list[str]:
    names: dict[int, str] = {}
    for video, root in zip(videos, roots, strict=True):
        if video.group is not None:
            names.setdefault(root, video.group)
    made = 0
    taken = set(names.values())
    for root in dict.fromkeys(roots):
        while root not in names:
            made += 1
            if f"source {made}" not in taken:
                names[root] = f"source {made}"
    return [names[root] for root in roots]


def stack_signatures(signatures: Sequence[Signature | None]) -> npt.NDArray[np.float32]:
    """Return (N, 706): a row a video, zero where it has no signature."""
    empty = np.zeros(LENGTH, np.float32)
    rows = [empty if one is None else one for one in signatures]
    return np.stack(rows) if rows else np.zeros((0, LENGTH), np.float32)


def _shrink(picture: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    """Average a picture to SIDE rows or columns; one of fewer repeats them."""
    size = picture.shape[axis]
    starts = np.arange(SIDE) * size // SIDE
    widths = np.maximum(1, np.diff(np.append(starts, size)))
    summed = np.add.reduceat(picture, starts, axis=axis)
    return np.asarray(summed / np.expand_dims(widths, 1 - axis), np.float32)


def _unit(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length > 1e-3 else 0 * vector, np.float32)
