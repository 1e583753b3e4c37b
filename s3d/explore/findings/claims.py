"""The paper's claims, each with its figure, ours with its spread, and a verdict.

Differences in accuracy are paired: the same test videos, the same seeds (`s3d.explore.compare`).
Numbers of whole networks, such as a ratio of kernels, are compared over seeds by Student's t.
Whatever comes out is what is written: a verdict is a function of the rows, and of nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from s3d.data.synthetic import ACTIONS, SampleConfig
from s3d.explore.compare import FREEDOM, STUDENT, Bools, Difference, compare
from s3d.explore.findings.study import Row, scored_scenes, unpack

HOLDS, FAILS, OPEN = "holds here", "does not hold here", "not decided"
FEWEST_SEEDS = 2
NEAR = 0.05
"""A difference that is surely smaller than this is none."""
NEAR_ZERO = 0.5
"""Outer taps of half the centre's size or more are not near zero."""
BOTTOM = ("conv1a", "conv2c", "mixed3b")
TOP = ("mixed4f", "mixed5b", "mixed5c")


@dataclass(frozen=True)
class Claim:
    """Hold one claim and what became of it.

    Attributes:
        title: What is claimed.
        paper: The paper's figure, and where it is from.
        ours: Ours, with its spread.
        verdict: One of HOLDS, FAILS, OPEN.
        seeds: How many each of our figures rests on.
    """

    title: str
    paper: str
    ours: str
    verdict: str
    seeds: str


@dataclass(frozen=True)
class Spread:
    """Hold a mean over seeds.

    Attributes:
        mean: Of the values.
        low: Of the 95 % interval; -inf for one seed.
        high: Of the 95 % interval; inf for one seed.
        count: Seeds.
    """

    mean: float
    low: float
    high: float
    count: int

    def points(self) -> str:
        """Return it in points of a hundred."""
        return f"{100 * self.mean:+.1f} points{self._interval(100, 1)}"

    def plain(self, digits: int = 2) -> str:
        """Return it as a number."""
        return f"{self.mean:+.{digits}f}{self._interval(1, digits)}"

    def _interval(self, scale: float, digits: int) -> str:
        if self.count < FEWEST_SEEDS:
            return " (one seed)"
        return f" ({scale * self.low:+.{digits}f} to {scale * self.high:+.{digits}f})"


@dataclass(frozen=True)
class Findings:
    """Hold all rows, and ask them.

    Attributes:
        rows: Of all networks and seeds.
        sample: The videos.
    """

    rows: Sequence[Row]
    sample: SampleConfig

    def of(self, network: str) -> list[Row]:
        """Return the rows of a network, by seed."""
        return sorted((r for r in self.rows if r.network == network), key=lambda r: r.seed)

    def pair(self, first: str, second: str) -> tuple[list[Row], list[Row]]:
        """Return the rows of two networks at the seeds that both have."""
        one, other = ({r.seed: r for r in self.of(n)} for n in (first, second))
        seeds = sorted(one.keys() & other.keys())
        return [one[s] for s in seeds], [other[s] for s in seeds]

    def compare(self, first: str, second: str, part: str = "all") -> Difference | None:
        """Return how much more often the first is right; None where they share no seed.

        Args:
            first: A network.
            second: Another.
            part: Of the test videos: all, order or look.
        """
        rows = self.pair(first, second)
        if not rows[0]:
            return None
        labels, scenes = scored_scenes(self.sample)
        kept = _choose_part(labels, part)
        one, other = (np.stack([unpack(r.right, len(labels)) for r in side]) for side in rows)
        return compare(_at(one, kept), _at(other, kept), scenes[kept].astype(np.int64))

    def spread(self, values: Sequence[float]) -> Spread:
        """Return the mean of a value of each seed, with its 95 % interval."""
        return spread_of(values)


def spread_of(values: Sequence[float]) -> Spread:
    """Return a mean over seeds with its 95 % interval by Student's t.

    Raises:
        ValueError: There are none.
    """
    if not values:
        raise ValueError("no values; at least one is needed.")
    mean, count = float(np.mean(values)), len(values)
    if count < FEWEST_SEEDS:
        return Spread(mean, -math.inf, math.inf, count)
    reach = float(np.interp(count - 1, FREEDOM, STUDENT)) * float(np.std(values, ddof=1))
    reach /= math.sqrt(count)
    return Spread(mean, mean - reach, mean + reach, count)


def judge(low: float, high: float) -> str:
    """Return the verdict on a claim that a difference is above 0, from its interval."""
    if low > 0:
        return HOLDS
    return FAILS if high < 0 else OPEN


def judge_difference(difference: Difference | None) -> str:
    """Return the verdict on a claim that the first is right more often."""
    if difference is None or difference.seeds < FEWEST_SEEDS or difference.interval is None:
        return OPEN
    if not difference.is_seen:
        return OPEN
    return judge(*difference.interval)


def judge_all(verdicts: Sequence[str]) -> str:
    """Return the verdict on a claim of many parts: it holds where all do, one refutes it."""
    if FAILS in verdicts:
        return FAILS
    return HOLDS if verdicts and all(v == HOLDS for v in verdicts) else OPEN


def make_claims(findings: Findings) -> list[Claim]:
    """Return every claim of the paper that the rows speak to."""
    return [claim for make in _CLAIMS for claim in [make(findings)] if claim is not None]


def _claim_order(findings: Findings) -> Claim | None:
    found = {n: findings.compare(n, "i2d", "order") for n in ("i3d", "s3d")}
    return _compared(
        "Where order is the class, networks that see time beat one that does not",
        "Something-Something v1, top-1: I3D 45.8, S3D 47.3, I2D 34.4",
        {f"{n.upper()} over I2D": one for n, one in found.items()},
    )


def _claim_reversal(findings: Findings) -> Claim | None:
    seeing = {n: findings.of(n) for n in ("i3d", "s3d") if findings.of(n)}
    blind = findings.of("i2d")
    if not seeing or not blind:
        return None
    verdicts, words = [], []
    for name, rows in seeing.items():
        drop = spread_of([r.within - r.reversed_within for r in rows])
        verdicts.append(judge(drop.low, drop.high) if drop.count >= FEWEST_SEEDS else OPEN)
        words.append(
            f"{name.upper()} {_shares(rows, 'within')} → {_shares(rows, 'reversed_within')}"
        )
    change = spread_of([r.reversed_order_top1 - r.order_top1 for r in blind])
    verdicts.append(_judge_near(change))
    words.append(f"I2D {_shares(blind, 'within')} → {_shares(blind, 'reversed_within')}")
    return Claim(
        "Played backwards, what was learnt from order collapses; an I2D does not notice",
        "Something-Something v1, top-1: I3D 45.8 → 15.2, I2D 34.4 → 35.2",
        "share of videos whose class scores above its reverse (chance 50 %): " + "; ".join(words),
        judge_all(verdicts),
        _count_seeds([*seeing.values(), blind]),
    )


def _claim_looks(findings: Findings) -> Claim | None:
    rows = {n: findings.of(n) for n in ("i3d", "s3d") if findings.of(n)}
    if not rows:
        return None
    verdicts, words = [], []
    for name, some in rows.items():
        change = spread_of([r.reversed_look_top1 - r.look_top1 for r in some])
        verdicts.append(_judge_near(change))
        before, after = _shares(some, "look_top1"), _shares(some, "reversed_look_top1")
        words.append(f"{name.upper()} {before} → {after}, {change.points()}")
    return Claim(
        "Where the look is the class, playing backwards changes nothing",
        "Kinetics-400, top-1: I3D 71.1 → 71.1, I2D 67.0 → 67.2",
        "; ".join(words),
        judge_all(verdicts),
        _count_seeds(list(rows.values())),
    )


def _claim_heavy(findings: Findings) -> Claim | None:
    pairs = (("s3d_top_1", "s3d_bottom_0"), ("i3d_top_1", "i3d_bottom_0"),
             ("s3d_top_4", "s3d_bottom_4"), ("i3d_top_4", "i3d_bottom_4"))  # fmt: skip
    found = {f"{a} over {b} ({_costs(findings, a, b)})": findings.compare(a, b) for a, b in pairs}
    return _compared(
        "Time at the top beats time at the bottom, at no more cost",
        "Mini-Kinetics, read off the figure: Top-Heavy-S3D 78.0 at 43 G, Bottom-Heavy-S3D 76.5 at "
        "60 G; Top-Heavy-I3D 78.05 at 57 G, Bottom-Heavy-I3D 76.5 at 86 G",
        found,
    )


def _claim_separable(findings: Findings) -> Claim | None:
    return _compared(
        "Separable layers beat full ones, at less cost",
        "Kinetics-400 top-1 72.2 against 71.1, Something-Something v1 47.3 against 45.8, at 66.4 "
        "against 107.9 G",
        {f"S3D over I3D ({_costs(findings, 's3d', 'i3d')})": findings.compare("s3d", "i3d")},
    )


def _claim_gates(findings: Findings) -> Claim | None:
    return _compared(
        "Gates help",
        "Kinetics-400 top-1 74.7 against 72.2, Something-Something v1 48.2 against 47.3",
        {"S3D-G over S3D": findings.compare("s3d_g", "s3d")},
    )


def _claim_taps(findings: Findings) -> Claim | None:
    rows = findings.of("i3d")
    if not rows:
        return None
    bottom, top = ([_mean(r.kernels, layers) for r in rows] for layers in (BOTTOM, TOP))
    gap = spread_of([t - b for t, b in zip(top, bottom, strict=True)])
    low = spread_of([NEAR_ZERO - b for b in bottom])
    verdicts = [judge(s.low, s.high) if s.count >= FEWEST_SEEDS else OPEN for s in (gap, low)]
    layers = ", ".join(
        f"{layer} {np.mean([r.kernels[layer] for r in rows]):.2f}" for layer in rows[0].kernels
    )
    return Claim(
        "I3D's outer temporal taps stay near zero at the bottom, and not at the top",
        "a figure without numbers, of I3D trained on Kinetics from inflated image weights",
        f"outer over centre taps, root mean square, 1 where training begins: {layers}; "
        f"{_range(TOP)} less {_range(BOTTOM)} {gap.plain()}; near zero: below {NEAR_ZERO:g}",
        judge_all(verdicts),
        _count_seeds([rows]),
    )


def _claim_depth(findings: Findings) -> Claim | None:
    rows = findings.of("s3d")
    if not rows:
        return None
    blocks = list(rows[0].neighbours)
    rise = spread_of([r.neighbours[blocks[-1]] - r.neighbours[blocks[0]] for r in rows])
    curve = ", ".join(
        f"{block} {100 * np.mean([r.neighbours[block] for r in rows]):.0f} %" for block in blocks
    )
    return Claim(
        "Features separate the classes the more, the later the block",
        "tSNE pictures of ten groups of Something-Something, Max3a to Max5c",
        f"S3D, classes named right by the five nearest videos of other scenes: {curve}; "
        f"{rise.points()} from first to last",
        judge(rise.low, rise.high) if rise.count >= FEWEST_SEEDS else OPEN,
        _count_seeds([rows]),
    )


def _claim_separates(findings: Findings) -> Claim | None:
    top, bottom = findings.pair("s3d_top_1", "s3d_bottom_0")
    if not top:
        return None
    block = "pool5a"
    gap = spread_of(
        [t.neighbours[block] - b.neighbours[block] for t, b in zip(top, bottom, strict=True)]
    )
    means = [100 * np.mean([r.neighbours[block] for r in rows]) for rows in (top, bottom)]
    return Claim(
        "Top-Heavy-S3D separates the classes better than Bottom-Heavy-S3D at Max5a",
        "tSNE pictures of ten groups of Something-Something",
        "classes named right by the five nearest videos of other scenes: "
        f"s3d_top_1 {means[0]:.0f} %, s3d_bottom_0 {means[1]:.0f} %; {gap.points()}",
        judge(gap.low, gap.high) if gap.count >= FEWEST_SEEDS else OPEN,
        _count_seeds([top, bottom]),
    )


_CLAIMS: tuple[Callable[[Findings], Claim | None], ...] = (
    _claim_order, _claim_reversal, _claim_looks, _claim_heavy, _claim_separable, _claim_gates,
    _claim_taps, _claim_depth, _claim_separates,
)  # fmt: skip


def _compared(title: str, paper: str, found: Mapping[str, Difference | None]) -> Claim | None:
    known = {name: one for name, one in found.items() if one is not None}
    if not known:
        return None
    words = [f"{name}: {one.short()}" for name, one in known.items()]
    verdicts = [judge_difference(one) for one in known.values()]
    seeds = sorted({one.seeds for one in known.values()})
    return Claim(title, paper, "; ".join(words), judge_all(verdicts), _range_of(seeds))


def _judge_near(change: Spread) -> str:
    """Return the verdict on a claim that nothing changes."""
    if change.count < FEWEST_SEEDS:
        return OPEN
    if change.low > -NEAR and change.high < NEAR:
        return HOLDS
    return FAILS if change.low > 0 or change.high < 0 else OPEN


def _choose_part(labels: Sequence[str], part: str) -> Bools:
    is_order = np.isin(np.array(labels), ACTIONS)
    return {"all": np.ones(len(labels), np.bool_), "order": is_order, "look": ~is_order}[part]


def _at(right: Bools, kept: Bools) -> Bools:
    return right[:, kept]


def _costs(findings: Findings, *networks: str) -> str:
    """Return the multiply-adds of networks, as "38 and 36 M"."""
    macs = [f"{rows[0].macs / 1e6:.0f}" for n in networks if (rows := findings.of(n))]
    return f"{' and '.join(macs)} M multiply-adds"


def _shares(rows: Sequence[Row], name: str) -> str:
    values = [100 * float(getattr(row, name)) for row in rows]
    low, high = min(values), max(values)
    spread = f" ({low:.1f} to {high:.1f})" if len(values) > 1 else ""
    return f"{np.mean(values):.1f} %{spread}"


def _mean(values: Mapping[str, float], names: Sequence[str]) -> float:
    return float(np.mean([values[name] for name in names]))


def _range(layers: Sequence[str]) -> str:
    return f"{layers[0]} to {layers[-1]}"


def _count_seeds(groups: Sequence[Sequence[Row]]) -> str:
    return _range_of(sorted({len(rows) for rows in groups}))


def _range_of(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
