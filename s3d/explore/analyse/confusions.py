"""Which confusions of a model the order of frames explains.

Let d(x) be the log-odds of class a against class b that a model gives video x, and d(x') those it
gives the same video played backwards. They have two halves, each of which is one number a video:

    looks (x)   (d(x) + d(x')) / 2     what stays when the video is reversed
    order (x)   (d(x) - d(x')) / 2     what changes sign with it; 0 for a network blind to order

How well a half parts the videos of a from those of b is the share of pairs (a video of each) that
it ranks right: the area under the ROC curve, 0.5 for a coin. If b is a played backwards, videos of
a and of b have the same looks, in distribution, whatever the model: this half is a coin. That is
what is tested (Mann-Whitney, one-sided, at `LEVEL`), and so no verdict needs to be told which
classes belong together:

    ORDER_TELLS  looks are a coin, order is not, and within the two classes at least `FEW` are right
    ORDER_WOULD  looks are a coin, and the two are confused: the model does not see what parts them.
                 Settled where they are known to be each other's reverse (`pairs`, or found in the
                 model's own answers), or where order is no coin; otherwise it is only not refuted:
                 two classes that look quite alike to the model are the same to it, reversed or not.
    LOOKS        looks part them, though not well enough: they are not each other's reverse. So too
                 all confusions outside of `pairs` where these are given.
    UNSURE       so few videos that a share below `VISIBLE` cannot be told from a coin

Pairs of classes that are never taken for each other, played either way, are not listed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.data.video_list import VideoList
from s3d.evaluate.metrics import confusion_matrix
from s3d.explore.analyse.both_ways import BothWays, Tell, play_both_ways
from s3d.explore.analyse.partners import Pair, find_partners, number_pairs
from s3d.infer.recognizer import Recognizer

Values = npt.NDArray[np.float64]

ORDER_TELLS = "order tells them apart"
ORDER_WOULD = "confused, and order would explain it"
LOOKS = "confused by looks"
UNSURE = "too few videos to say"
VERDICTS = (ORDER_WOULD, LOOKS, ORDER_TELLS, UNSURE)

LEVEL = 0.01
VISIBLE = 0.85
FEW = 0.75
LEAST_SCORE = 1e-12
LOG_ODDS_DIGITS = 3
"""Rounding of a network blind to order, played both ways, must not count as order."""


@dataclass(frozen=True)
class Half:
    """Say how well one half of the log-odds parts two classes.

    Attributes:
        share: Of the pairs of videos, one of each class, that are ranked right; ties count half.
        chance: How likely a coin does so well, or better.
    """

    share: float
    chance: float

    @property
    def is_seen(self) -> bool:
        """Return whether it is no coin."""
        return self.chance <= LEVEL


@dataclass(frozen=True)
class Confusion:
    """Say how two classes are confused, and what parts them.

    Attributes:
        a: A class.
        b: Another.
        videos: Of each.
        mistaken: Videos of a named b, and of b named a.
        mistaken_reversed: The same of videos played backwards.
        within: Share of videos whose class scores above the other one, both classes weighing alike.
        looks: What the half that reversing leaves tells.
        order: What the half that reversing turns tells.
        verdict: One of `VERDICTS`.
        is_settled: Whether anything but the lack of a difference speaks for it.
    """

    a: str
    b: str
    videos: tuple[int, int]
    mistaken: tuple[int, int]
    mistaken_reversed: tuple[int, int]
    within: float
    looks: Half
    order: Half
    verdict: str
    is_settled: bool

    @property
    def share(self) -> float:
        """Return the share of the videos of both that are named as the other."""
        return sum(self.mistaken) / sum(self.videos)

    @property
    def reversed_share(self) -> float:
        """Return the same of videos played backwards."""
        return sum(self.mistaken_reversed) / sum(self.videos)

    def to_row(self) -> dict[str, Any]:
        """Return every figure as a flat row."""
        return {
            "a": self.a,
            "b": self.b,
            "verdict": self.verdict,
            "settled": self.is_settled,
            "videos_a": self.videos[0],
            "videos_b": self.videos[1],
            "a_named_b": self.mistaken[0],
            "b_named_a": self.mistaken[1],
            "share": round(self.share, 4),
            "reversed_a_named_b": self.mistaken_reversed[0],
            "reversed_b_named_a": self.mistaken_reversed[1],
            "reversed_share": round(self.reversed_share, 4),
            "within_pair": round(self.within, 4),
            **{
                f"{name}_{key}": float(f"{value:.4g}")
                for name, half in (("looks", self.looks), ("order", self.order))
                for key, value in asdict(half).items()
            },
        }


@dataclass(frozen=True, eq=False)
class ConfusionAnalysis:
    """Hold the confusions of a model, the most frequent first; those that order tells apart last.

    Attributes:
        both: The scores they were counted in.
        confusions: Of pairs of classes that are taken for each other, normal or reversed.
        pairs: Classes known to be each other's reverse.
        pairs_are_found: Whether they were found, not given.
    """

    both: BothWays
    confusions: tuple[Confusion, ...]
    pairs: tuple[Pair, ...]
    pairs_are_found: bool

    def count(self, verdict: str) -> int:
        """Return how many videos are mistaken under a verdict."""
        return sum(sum(one.mistaken) for one in self.confusions if one.verdict == verdict)

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain JSON values."""
        forward = self.both.forward
        return {
            "data": forward.data,
            "part": forward.part,
            "protocol": forward.protocol,
            "videos": len(self.both.truth),
            "failures": [list(failure) for failure in forward.failures],
            "top1": round(forward.top(1), 4),
            "pairs": [list(pair) for pair in self.pairs],
            "pairs_are_found": self.pairs_are_found,
            "mistaken": {verdict: self.count(verdict) for verdict in VERDICTS},
            "confusions": [one.to_row() for one in self.confusions],
        }


def analyse_confusions(
    recognizer: Recognizer,
    videos: VideoList,
    pairs: Sequence[Pair] | None = None,
    protocol: str = "clip",
    progress: Tell | None = None,
) -> ConfusionAnalysis:
    """Score videos normal and reversed, and say of each confusion whether order explains it.

    Args:
        recognizer: The model.
        videos: Labelled ones that it was not trained on.
        pairs: All classes that are each other backwards; None judges by the model's answers alone.
        protocol: One of `s3d.infer.views.PROTOCOLS`.
        progress: Told after each video.

    Raises:
        InputError: A label or a pair is unknown to the model, or not one video can be read.
    """
    number_pairs(pairs or (), recognizer.labels)
    return confusions_of(play_both_ways(recognizer, videos, protocol, progress), pairs)


def confusions_of(both: BothWays, pairs: Sequence[Pair] | None = None) -> ConfusionAnalysis:
    """Say of each confusion whether order explains it, from scores; see `analyse_confusions`."""
    known = find_partners(both) if pairs is None else tuple(pairs)
    partners = {frozenset(pair) for pair in number_pairs(known, both.labels)}
    counts = [
        confusion_matrix(named, both.truth, len(both.labels))
        for named in (both.named_forward, both.named_backward)
    ]
    classes = set(both.truth.tolist())
    listed = {frozenset(pair) for pair in np.argwhere(counts[0] + counts[1] > 0).tolist()}
    found = []
    for a, b in sorted(tuple(sorted(pair)) for pair in listed | partners if len(pair) == 2):
        if {a, b} <= classes:
            is_partner = True if frozenset((a, b)) in partners else None if pairs is None else False
            found.append(_compare(both, (a, b), counts, is_partner))
    shown = [one for one in found if sum(one.mistaken) or one.verdict == ORDER_TELLS]
    order = sorted(shown, key=lambda one: (one.verdict == ORDER_TELLS, -one.share))
    return ConfusionAnalysis(both, tuple(order), known, pairs is None)


def _compare(
    both: BothWays,
    pair: tuple[int, int],
    counts: Sequence[npt.NDArray[np.int64]],
    is_partner: bool | None,
) -> Confusion:
    a, b = pair
    is_a, is_b = both.truth == a, both.truth == b
    videos = int(is_a.sum()), int(is_b.sum())
    forward = _log_odds(both.forward.scores, a, b)
    backward = _log_odds(both.backward.scores, a, b)
    within = float((_share_above(forward[is_a]) + _share_above(-forward[is_b])) / 2)
    looks = compare_ranks((forward + backward)[is_a], (forward + backward)[is_b])
    order = compare_ranks((forward - backward)[is_a], (forward - backward)[is_b])
    verdict, is_settled = _judge(looks, order, within, videos, is_partner)
    mistaken, mistaken_reversed = ((int(table[a, b]), int(table[b, a])) for table in counts)
    labels = both.labels[a], both.labels[b]
    return Confusion(
        *labels, videos, mistaken, mistaken_reversed, within, looks, order, verdict, is_settled
    )


def _judge(
    looks: Half, order: Half, within: float, videos: tuple[int, int], is_partner: bool | None
) -> tuple[str, bool]:
    """Return the verdict, and whether it is settled."""
    if is_partner is False:
        return LOOKS, True
    if is_partner is None and looks.is_seen:
        return LOOKS, True
    if is_partner is None and not can_be_seen(*videos):
        return UNSURE, False
    if within >= FEW and order.is_seen:
        return ORDER_TELLS, True
    return ORDER_WOULD, bool(is_partner) or order.is_seen


def can_be_seen(count_a: int, count_b: int) -> bool:
    """Return whether so many videos tell a share of `VISIBLE` from a coin."""
    spread = math.sqrt((count_a + count_b + 1) / (12 * count_a * count_b))
    return 0.5 * math.erfc((VISIBLE - 0.5) / spread / math.sqrt(2)) <= LEVEL


def compare_ranks(a: Values, b: Values) -> Half:
    """Return how well values rank those of a class above those of another.

    Args:
        a: (n,) of the one that should have the higher values.
        b: (m,) of the other.

    Source: Mann and Whitney 1947, normal approximation, corrected for ties.
    """
    joined = np.concatenate([a, b])
    _, places, times = np.unique(joined, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[places]
    n, m = len(a), len(b)
    share = float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
    total = n + m
    tied = float((times**3 - times).sum()) / (total * (total - 1))
    variance = (total + 1 - tied) / (12 * n * m)
    if variance <= 0:
        return Half(share, 1.0)
    return Half(share, 0.5 * math.erfc((share - 0.5) / math.sqrt(2 * variance)))


def _log_odds(scores: npt.NDArray[np.float32], a: int, b: int) -> Values:
    logs = np.log(np.maximum(scores[:, [a, b]].astype(np.float64), LEAST_SCORE))
    return np.asarray(np.round(logs[:, 0] - logs[:, 1], LOG_ODDS_DIGITS))


def _share_above(values: Values) -> float:
    return float(np.where(values == 0, 0.5, values > 0).mean())
