"""What the order of frames is worth to a model: videos as they are against the same reversed.

A class that is another one played backwards (its partner) tells most. A network that sees order
names its reversed videos as the partner; one that is blind to order names them as before, and tells
the two apart no better than a coin.

Source: paper section 4.3, trained in normal order and tested in both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from s3d.data.video_list import VideoList
from s3d.evaluate.metrics import accuracy_interval
from s3d.explore.analyse.both_ways import BothWays, Tell, play_both_ways
from s3d.explore.analyse.partners import Pair, find_partners, number_pairs, partner_numbers
from s3d.infer.recognizer import Recognizer


@dataclass(frozen=True)
class PaperFigure:
    """Hold a figure that the paper printed, never one of ours."""

    data: str
    network: str
    forward: float
    backward: float


PAPER_FIGURES = (
    PaperFigure("Something-Something", "I3D", 0.458, 0.152),
    PaperFigure("Something-Something", "I2D", 0.344, 0.352),
    PaperFigure("Kinetics", "I3D", 0.711, 0.711),
)
"""Top-1, trained in normal order. Source: arXiv 1712.04851, section 4.3."""


@dataclass(frozen=True)
class ClassOrder:
    """Say what reversing does to the videos of one class; shares are of its videos.

    Attributes:
        label: The class.
        videos: How many of it were scored.
        forward: Share named right, normal.
        backward: Share still named so when played backwards.
        named: What reversed videos are named most often.
        named_share: Share of them that are.
        partner: The class that it is backwards; None where there is none.
        partner_share: Share of reversed videos named as the partner; nan without one.
        within_forward: Share of videos whose class scores above the partner, normal: 0.5 is a coin.
        within_backward: The same of reversed videos: 0 where order alone tells.
    """

    label: str
    videos: int
    forward: float
    backward: float
    named: str
    named_share: float
    partner: str | None = None
    partner_share: float = math.nan
    within_forward: float = math.nan
    within_backward: float = math.nan

    @property
    def drop(self) -> float:
        """Return what reversing costs, from -1 to 1."""
        return self.forward - self.backward


@dataclass(frozen=True, eq=False)
class OrderAnalysis:
    """Hold what the order of frames is worth to a model.

    Attributes:
        both: The scores it is made of.
        classes: Of each class that has videos, in the model's order.
        pairs: Partner classes.
        pairs_are_found: Whether they were found, not named.
    """

    both: BothWays
    classes: tuple[ClassOrder, ...]
    pairs: tuple[Pair, ...]
    pairs_are_found: bool

    @property
    def forward(self) -> float:
        """Return the share of videos named right, normal."""
        return self.both.forward.top(1)

    @property
    def backward(self) -> float:
        """Return the share of videos still named so, reversed."""
        return self.both.backward.top(1)

    @property
    def within_forward(self) -> float:
        """Return the accuracy within the pairs, normal: 0.5 is a coin; nan without pairs."""
        return self._over_pairs("within_forward")

    @property
    def within_backward(self) -> float:
        """Return the accuracy within the pairs, reversed; nan without pairs."""
        return self._over_pairs("within_backward")

    @property
    def partner_share(self) -> float:
        """Return the share of reversed videos of paired classes named as the partner."""
        return self._over_pairs("partner_share")

    def _over_pairs(self, name: str) -> float:
        paired = [one for one in self.classes if one.partner is not None]
        videos = sum(one.videos for one in paired)
        total = sum(one.videos * getattr(one, name) for one in paired)
        return float(total / videos) if videos else math.nan

    def grouped(self) -> tuple[tuple[ClassOrder, ...], ...]:
        """Return the classes by pairs, single ones after them, each sorted by the drop."""
        by_label = {one.label: one for one in self.classes}
        groups = [[by_label[label] for label in pair if label in by_label] for pair in self.pairs]
        paired = {label for pair in self.pairs for label in pair}
        single = [[one] for one in self.classes if one.label not in paired]
        return (*_by_drop([g for g in groups if g]), *_by_drop(single))

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain JSON values."""
        count = len(self.both.truth)
        return {
            "data": self.both.forward.data,
            "part": self.both.forward.part,
            "protocol": self.both.forward.protocol,
            "videos": count,
            "failures": [list(failure) for failure in self.both.forward.failures],
            "top1_forward": _round(self.forward),
            "top1_forward_interval": [_round(v) for v in accuracy_interval(self.forward, count)],
            "top1_reversed": _round(self.backward),
            "top1_reversed_interval": [_round(v) for v in accuracy_interval(self.backward, count)],
            "pairs": [list(pair) for pair in self.pairs],
            "pairs_are_found": self.pairs_are_found,
            "within_pair_forward": _round(self.within_forward),
            "within_pair_reversed": _round(self.within_backward),
            "reversed_named_as_partner": _round(self.partner_share),
            "per_class": [
                {key: _round(value) for key, value in asdict(one).items()} for one in self.classes
            ],
            "the_papers_figures": [asdict(figure) for figure in PAPER_FIGURES],
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a row for each class, as in the plot, for a CSV."""
        return [
            {
                key: "" if _round(value) is None else _round(value)
                for key, value in asdict(one).items()
            }
            for group in self.grouped()
            for one in group
        ]


def analyse_order(
    recognizer: Recognizer,
    videos: VideoList,
    pairs: Sequence[Pair] | None = None,
    protocol: str = "clip",
    progress: Tell | None = None,
) -> OrderAnalysis:
    """Score videos normal and reversed, and say what reversing does to each class.

    Args:
        recognizer: The model.
        videos: Labelled ones that it was not trained on.
        pairs: Classes that are each other backwards; None finds them
            (`s3d.explore.analyse.partners`).
        protocol: One of `s3d.infer.views.PROTOCOLS`.
        progress: Told after each video.

    Raises:
        InputError: A label or a pair is unknown to the model, or not one video can be read.

    Source: paper section 4.3.
    """
    number_pairs(pairs or (), recognizer.labels)  # before hours of scoring, not after
    return order_of(play_both_ways(recognizer, videos, protocol, progress), pairs)


def order_of(both: BothWays, pairs: Sequence[Pair] | None = None) -> OrderAnalysis:
    """Say what reversing does to each class, from scores; see `analyse_order`."""
    known = find_partners(both) if pairs is None else tuple(pairs)
    partners = partner_numbers(number_pairs(known, both.labels), len(both.labels))
    classes = [_look_at(both, number, partners[number]) for number in np.unique(both.truth)]
    return OrderAnalysis(both, tuple(classes), known, pairs is None)


def _look_at(both: BothWays, number: int, partner: int) -> ClassOrder:
    is_own = both.truth == number
    named = both.named_backward[is_own]
    counts = np.bincount(named, minlength=len(both.labels))
    most = int(counts.argmax())
    plain = ClassOrder(
        both.labels[number],
        int(is_own.sum()),
        float((both.named_forward[is_own] == number).mean()),
        float((named == number).mean()),
        both.labels[most],
        float(counts[most] / len(named)),
    )
    if partner < 0:
        return plain
    return ClassOrder(
        plain.label, plain.videos, plain.forward, plain.backward, plain.named, plain.named_share,
        both.labels[partner],
        float((named == partner).mean()),
        _share_above(both.forward.scores[is_own], number, partner),
        _share_above(both.backward.scores[is_own], number, partner),
    )  # fmt: skip


def _share_above(scores: npt.NDArray[np.float32], number: int, partner: int) -> float:
    """Return the share of rows where one class scores above another; equal counts half."""
    own, other = scores[:, number], scores[:, partner]
    return float(np.where(own == other, 0.5, own > other).mean())


def _by_drop(groups: Sequence[Sequence[ClassOrder]]) -> list[tuple[ClassOrder, ...]]:
    each = [tuple(sorted(group, key=lambda one: -one.drop)) for group in groups]
    return sorted(each, key=lambda group: -sum(one.drop for one in group) / len(group))


def _round(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 4) if math.isfinite(value) else None
