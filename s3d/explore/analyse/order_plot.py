"""What reversing does to each class, as one picture: a line from normal to reversed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3d.explore.analyse.order import PAPER_FIGURES, ClassOrder, OrderAnalysis
from s3d.page.text import percent, plural
from s3d.train.report.plots import INK, RIGHT, SETTINGS, SOFT, WRONG, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 40
"""Classes that are drawn; of more, those that reversing costs most."""
GROUP_GAP = 0.55
LINE = "#c5ccd6"
ROW_INCHES = 0.31

Place = tuple[float, ClassOrder]


def draw_order(found: OrderAnalysis, name: str) -> bytes:
    """Return a PNG: accuracy of each class, normal and reversed, and overall beside the paper's.

    Args:
        found: What is drawn.
        name: What the model is called.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places = place_rows(found.grouped())
    with matplotlib.rc_context(SETTINGS):
        heights = (places[-1][0] + 2.6) * ROW_INCHES, 2.25
        size = (12.5, 1.15 + sum(heights))
        figure = Figure(figsize=size, dpi=120, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        title = drawable(f"{name}: normal against reversed", 80)
        figure.suptitle(f"{title}\n", x=0.015, ha="left", fontsize=16, fontweight="bold")
        figure.text(0.016, 1 - 0.62 / size[1], _headline(found), fontsize=10.5, color=SOFT)
        axes = figure.subplots(2, 2, height_ratios=heights, width_ratios=(1.7, 1), sharey="row")
        _draw_classes(axes[0, 0], places, found)
        _tell_classes(axes[0, 1], places, bool(found.pairs))
        _draw_overall(axes[1, 0], axes[1, 1], found, name)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def place_rows(groups: Sequence[Sequence[ClassOrder]]) -> list[Place]:
    """Return rows from the top with their height, pairs set apart from what is around them."""
    places: list[Place] = []
    at, size = 0.0, 0
    for group in groups:
        if len(places) + len(group) > MOST_ROWS:
            break
        at += GROUP_GAP if places and max(size, len(group)) > 1 else 0.0
        for one in group:
            places.append((at, one))
            at += 1.0
        size = len(group)
    return places


def _headline(found: OrderAnalysis) -> str:
    count = plural(len(found.both.truth), "video")
    text = f"top-1 {percent(found.forward)} normal, {percent(found.backward)} reversed, of {count}"
    if not found.pairs:
        return f"{text}; no classes are each other backwards for this model"
    how = "found" if found.pairs_are_found else "given"
    pairs = f"{plural(len(found.pairs), 'pair')} ({how})"
    return f"{text}; within {pairs} {percent(found.within_forward)}, chance 50\u202f%"


def _draw_classes(axes: Axes, places: Sequence[Place], found: OrderAnalysis) -> None:
    heights = [at for at, _ in places]
    forward, backward = [one.forward for _, one in places], [one.backward for _, one in places]
    _draw_dumbbells(axes, heights, forward, backward)
    axes.set_yticks(heights, [drawable(one.label, 28) for _, one in places])
    axes.set_ylim(heights[-1] + 0.7, -1.0)
    left_out = len(found.classes) - len(places)
    title = "Accuracy of each class" + (
        f", the {len(places)} that reversing costs most; {left_out} more are in the CSV"
        if left_out
        else ""
    )
    axes.set_title(title, pad=22)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.012, 0.985), ncols=2, frameon=False, fontsize=9,
        borderaxespad=0, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip


def _tell_classes(axes: Axes, places: Sequence[Place], has_pairs: bool) -> None:
    axes.set_axis_off()
    axes.text(0, -0.95, "reversed, most often named", va="center", fontsize=9, color=SOFT)
    if has_pairs:
        text = "within the pair"
        axes.text(1, -0.95, text, va="center", ha="right", fontsize=9, color=SOFT)
    for at, one in places:
        axes.text(0, at, _told_instead(one), va="center", fontsize=9)
        if one.partner is not None:
            shares = f"{percent(one.within_forward, 0)} → {percent(one.within_backward, 0)}"
            axes.text(1, at, shares, va="center", ha="right", fontsize=9)


def _told_instead(one: ClassOrder) -> str:
    if one.named == one.label:
        return f"the same  {percent(one.named_share, 0)}"
    mark = "↔ " if one.named == one.partner else ""
    return f"{mark}{drawable(one.named, 24)}  {percent(one.named_share, 0)}"


def _draw_overall(axes: Axes, beside: Axes, found: OrderAnalysis, name: str) -> None:
    beside.set_axis_off()
    rows = [(drawable(name, 24), found.forward, found.backward)]
    rows += [(f"{one.network}, {one.data}", one.forward, one.backward) for one in PAPER_FIGURES]
    heights = [0.0, *(1.5 + place for place in range(len(PAPER_FIGURES)))]
    forward, backward = [row[1] for row in rows], [row[2] for row in rows]
    _draw_dumbbells(axes, heights, forward, backward)
    axes.set_yticks(heights, [row[0] for row in rows])
    axes.set_ylim(heights[-1] + 0.6, -0.6)
    axes.set_title("All videos, top-1; below the line the paper's figures, not ours")
    axes.axhline(0.75, color=LINE, linewidth=0.8)
    for at, (_, normal, reverse) in zip(heights, rows, strict=True):
        text = f"{percent(normal)} → {percent(reverse)}"
        beside.text(0, at, text, va="center", fontsize=9, color=SOFT if at else INK)


def _draw_dumbbells(
    axes: Axes, heights: Sequence[float], forward: Sequence[float], backward: Sequence[float]
) -> None:
    axes.hlines(heights, forward, backward, color=LINE, linewidth=3, zorder=1)
    axes.scatter(backward, heights, 62, "white", edgecolors=WRONG, linewidths=2.2, zorder=2,
                 label="reversed", clip_on=False)  # fmt: skip
    axes.scatter(forward, heights, 30, RIGHT, zorder=3, label="normal", clip_on=False)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(lambda value, _: percent(value, 0))
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
