"""Which detection finds which truth; the same for boxes of a frame and for tubes of a video.

Detections come in falling score, equal ones in the order given. Each truth is found once; whatever
else lies on it is wrong. Two rules are in use for a detection whose best truth is taken:

    voc   it is compared with the truth it overlaps most, and is wrong if that one is taken
    free  it is compared with the best that is still free

They differ where people stand close: under `free` a second box on one of them may count as the
other. Of truths that overlap equally the first is taken. A detection is right from the threshold
on, itself included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from s3d.detect.score.average_precision import RULES, Rule, falling_order

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
MatchRule = Literal["voc", "free"]

MATCH_RULES: dict[MatchRule, str] = {
    "voc": "compared with the truth it overlaps most, wrong if that is taken",
    "free": "compared with the best truth that is still free",
}


@dataclass(frozen=True)
class Protocol:
    """Hold the rules of an evaluation.

    Attributes:
        name: What it is called.
        match: A word of `MATCH_RULES`.
        average: A word of `s3d.detect.score.average_precision.RULES`.
        plus_one: Whether x2 and y2 of boxes are the last pixels inside, so that a box is a pixel
            wider; the ACT-detector's code counts so.
    """

    name: str
    match: MatchRule
    average: Rule
    plus_one: bool = False

    def lines(self) -> list[str]:
        """Return the rules in words, a line each."""
        edges = "x2 - x1 + 1: the last pixel counts" if self.plus_one else "x2 - x1, no +1"
        return [
            f"IoU of boxes whose width is {edges}; right from the threshold on",
            f"a detection is {MATCH_RULES[self.match]}; highest score first",
            f"average precision: {RULES[self.average]}",
            "the mean is over classes that have truth",
        ]


VOC = Protocol("voc", "voc", "area")
ACT = Protocol("act", "free", "act")
COCO = Protocol("coco", "free", "coco")
PROTOCOLS = {protocol.name: protocol for protocol in (VOC, ACT, COCO)}


@dataclass(frozen=True, eq=False)
class Pairs:
    """Hold detections and truths that may belong together.

    Attributes:
        found: (P,) rising places of detections.
        true: (P,) places of truths.
        overlaps: (P,) IoU.
    """

    found: Counts
    true: Counts
    overlaps: Floats

    def of(self, rows: npt.NDArray[np.bool_] | Counts) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.found[rows], self.true[rows], self.overlaps[rows])

    def best(self) -> Pairs:
        """Return for each detection that has a pair the one of the largest overlap."""
        order = np.lexsort((self.true, -self.overlaps, self.found))
        _, first = np.unique(self.found[order], return_index=True)
        return self.of(order[first])


def pair_keys(found: Counts, true: Counts) -> tuple[Counts, Counts]:
    """Return every pair of a detection and a truth of the same key.

    Args:
        found: (N,) keys of detections: frame, video.
        true: (M,) keys of truths.

    Returns:
        (P,) places of detections, rising, and (P,) places of truths.
    """
    order = np.argsort(true, kind="stable")
    begins = np.searchsorted(true[order], found, "left")
    counts = np.searchsorted(true[order], found, "right") - begins
    rows = np.repeat(np.arange(len(found)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, order[np.repeat(begins, counts) + within]


def match(pairs: Pairs, scores: npt.NDArray[np.floating], iou: float, rule: MatchRule) -> Counts:
    """Return which truth each detection finds.

    Args:
        pairs: Of detections and truths of one class.
        scores: (N,) of the detections.
        iou: The least overlap, itself included.
        rule: A word of `MATCH_RULES`.

    Returns:
        (N,) places of truths; -1 where a detection finds none.
    """
    rank = np.empty(len(scores), np.int64)
    rank[falling_order(scores)] = np.arange(len(scores))
    if rule == "voc":
        pairs = pairs.best()
    pairs = pairs.of(pairs.overlaps >= iou)
    pairs = pairs.of(np.lexsort((pairs.true, -pairs.overlaps, rank[pairs.found])))
    claims = np.full(len(scores), -1, np.int64)
    taken: set[int] = set()
    for found, true in zip(pairs.found.tolist(), pairs.true.tolist(), strict=True):
        if claims[found] < 0 and true not in taken:
            claims[found] = true
            taken.add(true)
    return claims
