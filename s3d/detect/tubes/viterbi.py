"""Boxes become tracks offline: the best path through a video, then the best through what is left.

The energy of a path is the sum of the scores of its boxes, and of the IoU of each box with the one
before, times a weight. A path begins and ends where it likes and steps over frames without a box,
as far as patience allows; two boxes that hardly overlap are never neighbours in a path, so that it
ends where a person leaves and does not jump to another.

Source: Gkioxari & Malik 2015 (arXiv 1411.6031); Saha et al. 2016 (arXiv 1608.01529). There a path
goes through all frames.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from s3d.detect.score.overlap import box_iou
from s3d.detect.tube import Boxes, Frames, Scores
from s3d.detect.tubes.track import Track

Links = list[list[tuple[int, float]]]
"""For each box those it may follow, and what that is worth."""

Counts = npt.NDArray[np.int64]


def link_best_paths(
    frames: Frames,
    boxes: Boxes,
    scores: Scores,
    *,
    iou: float = 0.2,
    patience_frames: int = 25,
    overlap_weight: float = 1.0,
    first_number: int = 1,
) -> list[Track]:
    """Link the boxes of one class in one video.

    Args:
        frames: (n,) in any order, repeated.
        boxes: (n, 4).
        scores: (n,), 0 to 1.
        iou: The least overlap of neighbours.
        patience_frames: A box follows one that is that many frames earlier, or fewer.
        overlap_weight: What an IoU of 1 is worth against a score of 1.
        first_number: The number of the best track; the others follow.

    Returns:
        Tracks in falling energy. Each box is in one.
    """
    order = np.argsort(frames, kind="stable")
    frames, boxes, scores = frames[order], boxes[order], scores[order]
    links = _find_links(frames, boxes, patience_frames, iou, overlap_weight)
    paths = _take_paths(scores.astype(float).tolist(), links)
    return [
        Track(number, frames[path], boxes[path], scores[path])
        for number, path in enumerate(paths, first_number)
    ]


def _find_links(
    frames: Frames, boxes: Boxes, patience_frames: int, iou: float, weight: float
) -> Links:
    links: Links = [[] for _ in frames]
    for frame in np.unique(frames):
        low, begin = np.searchsorted(frames, [frame - patience_frames, frame])
        end = np.searchsorted(frames, frame, "right")
        overlaps = box_iou(boxes[low:begin], boxes[begin:end])
        before, after = np.nonzero(overlaps >= iou)
        gains = (weight * overlaps[before, after]).tolist()
        places = (before + low).tolist(), (after + begin).tolist()
        for one, other, gain in zip(*places, gains, strict=True):
            links[other].append((one, gain))
    return links


def _take_paths(scores: list[float], links: Links) -> list[Counts]:
    """Return the places of boxes of each path, in falling energy.

    Taking a path away changes only what hangs together with it, so the rest is not searched again.
    """
    paths: list[tuple[float, list[int]]] = []
    waiting = _split(range(len(scores)), links)
    while waiting:
        nodes = waiting.pop()
        energy, path = _best_path(nodes, scores, links)
        paths.append((energy, path))
        taken = set(path)
        waiting += _split((node for node in nodes if node not in taken), links)
    paths.sort(key=lambda one: (-one[0], one[1]))
    return [np.array(path, np.int64) for _, path in paths]


def _best_path(nodes: list[int], scores: list[float], links: Links) -> tuple[float, list[int]]:
    """Return the path of the highest energy through some boxes, which come in order of time."""
    energy: dict[int, float] = {}
    back: dict[int, int] = {}
    for node in nodes:
        energy[node] = scores[node]
        for before, gain in links[node]:
            if before in energy and energy[before] + gain + scores[node] > energy[node]:
                energy[node], back[node] = energy[before] + gain + scores[node], before
    end = max(nodes, key=lambda node: energy[node])
    path = [end]
    while path[-1] in back:
        path.append(back[path[-1]])
    return energy[end], path[::-1]


def _split(nodes: Iterable[int], links: Links) -> list[list[int]]:
    """Return the parts of boxes that hang together, each in order of time."""
    parent: dict[int, int] = {}
    for node in nodes:
        parent[node] = node
        for before, _ in links[node]:
            if before in parent:
                parent[_root(parent, before)] = _root(parent, node)
    parts: dict[int, list[int]] = {}
    for node in parent:
        parts.setdefault(_root(parent, node), []).append(node)
    return list(parts.values())


def _root(parent: dict[int, int], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node
