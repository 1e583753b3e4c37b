"""Features of blocks side by side, coloured by class, and how well neighbours do over depth."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s3d.explore.analyse.neighbours import NeighbourAccuracy
from s3d.explore.analyse.separation import Places, Separation
from s3d.page.text import percent, plural
from s3d.train.report.plots import INK, RIGHT, SETTINGS, SOFT, drawable, name_classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = (
    "#2563eb", "#d95f0e", "#16a34a", "#dc2626", "#7c3aed",
    "#0891b2", "#ca8a04", "#db2777", "#4d7c0f", "#64748b",
)  # fmt: skip
MARKERS = ("o", "^")
"""The second ten classes have the colours of the first and another shape."""
MOST_CLASSES = len(COLORS) * len(MARKERS)
REST = "#d4d9e0"
COLUMNS = 4
PANEL_INCHES = 3.3
LEGEND_INCHES = 0.27
LEGEND_COLUMNS = 5
MOST_UPRIGHT = 10
"""Names of blocks that stand side by side."""


@dataclass(frozen=True)
class _Look:
    """Say how a class is drawn."""

    label: str
    name: str
    color: str
    marker: str


def draw_features(separation: Separation, title: str = "Features by class") -> bytes:
    """Return a PNG: a panel a block, then how often neighbours are right over depth.

    Args:
        separation: What was measured.
        title: The first line.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    looks, rest = choose_looks(separation.found.labels)
    rows = math.ceil(len(separation.places) / COLUMNS)
    columns = math.ceil(len(separation.places) / rows)
    heights = (PANEL_INCHES * rows, LEGEND_INCHES * _legend_rows(looks, rest) + 0.2, 3.0)
    size = max(PANEL_INCHES * columns, 8.0), sum(heights) + 0.8
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=size, dpi=120, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        figure.suptitle(drawable(title, 90), x=0.012, ha="left", fontsize=16, fontweight="bold")
        parts: Any = figure.subfigures(3, 1, height_ratios=heights)
        above, between, below = parts
        _draw_panels(above.subplots(rows, columns, squeeze=False), separation, looks)
        _draw_legend(between, looks, rest)
        _draw_depth(below.subplots(), separation.accuracy)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def choose_looks(labels: Sequence[str]) -> tuple[list[_Look], int]:
    """Return how the classes are drawn, and how many are grey because there are too many.

    Args:
        labels: The class of each video, in the order in which classes are to be named.
    """
    counts = Counter(labels)
    common = {label for label, _ in counts.most_common(MOST_CLASSES)}
    shown = [label for label in counts if label in common]
    looks = [
        _Look(label, name, COLORS[i % len(COLORS)], MARKERS[i // len(COLORS)])
        for i, (label, name) in enumerate(zip(shown, name_classes(shown), strict=True))
    ]
    return looks, len(counts) - len(looks)


def _draw_panels(panels: Any, separation: Separation, looks: Sequence[_Look]) -> None:
    labels = np.array(separation.found.labels)
    for axes, (block, places) in zip(panels.flat, separation.places.items(), strict=False):
        _draw_places(axes, places, labels, looks)
        found = separation.accuracy[block]
        axes.set_title(block)
        axes.set_xlabel(
            f"{percent(found.accuracy)} right by {found.neighbours} neighbours, "
            f"chance {percent(found.chance)}",
            color=INK,
            fontsize=9,
        )
    for axes in panels.flat[len(separation.places) :]:
        axes.set_axis_off()


def _draw_places(axes: Axes, places: Places, labels: Any, looks: Sequence[_Look]) -> None:
    size = float(np.clip(6000 / len(places), 5, 40))
    grey = ~np.isin(labels, [look.label for look in looks])
    axes.scatter(places[grey, 0], places[grey, 1], s=size / 2, c=REST, lw=0)
    for look in looks:
        x, y = places[labels == look.label].T
        axes.scatter(x, y, s=size, c=look.color, marker=look.marker, lw=0.3, ec="white", alpha=0.9)
    axes.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), xticks=[], yticks=[], aspect="equal")
    axes.spines[["top", "right"]].set_visible(True)


def _draw_legend(part: Any, looks: Sequence[_Look], rest: int) -> None:
    from matplotlib.lines import Line2D

    marks = [(look.name, look.color, look.marker) for look in looks]
    if rest:
        marks.append((f"{plural(rest, 'rarer class')}, not told apart", REST, "o"))
    handles = [
        Line2D([], [], color=color, marker=marker, ls="", ms=7, label=name)
        for name, color, marker in marks
    ]
    part.legend(
        handles=handles, loc="center", ncols=min(LEGEND_COLUMNS, len(handles)), frameon=False,
        fontsize=9, columnspacing=1.6, handletextpad=0.2,
    )  # fmt: skip


def _legend_rows(looks: Sequence[_Look], rest: int) -> int:
    return math.ceil((len(looks) + (rest > 0)) / LEGEND_COLUMNS)


def _draw_depth(axes: Axes, accuracy: Mapping[str, NeighbourAccuracy]) -> None:
    found = list(accuracy.values())
    places = np.arange(len(found))
    right, chance = [one.accuracy for one in found], [one.chance for one in found]
    high = [one.chance_high for one in found]
    axes.fill_between(places, 0, high, color=SOFT, alpha=0.15, lw=0)
    axes.plot(places, chance, "--", color=SOFT, label="chance, and what it stays below (97.5 %)")
    axes.plot(places, right, "-", marker="o", ms=6, lw=2, color=RIGHT, label="this network")
    for place, share in zip(places, right, strict=True):
        axes.annotate(
            percent(share), (place, share), xytext=(0, 8), textcoords="offset points", ha="center",
            fontsize=9,
        )  # fmt: skip
    names = list(accuracy)
    turned = 45 if len(names) > MOST_UPRIGHT else 0
    axes.set_xticks(places, names, rotation=turned, ha="right" if turned else "center")
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(0, 1.25 * max(*right, *high, 0.04)))
    axes.yaxis.set_major_formatter(lambda value, _: percent(value, 0))
    axes.set_title("Neighbours that are right")
    axes.grid(axis="y")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1.0), ncols=2, borderpad=0)
