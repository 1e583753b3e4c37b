"""Kernel weights per temporal offset as the paper drew them, and over depth in one line."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from s3d.explore.analyse.kernel_report import KernelReport
from s3d.explore.analyse.kernels import KernelSpread, OffsetWeights
from s3d.models.family import LAYERS
from s3d.train.report.plots import INK, RIGHT, SETTINGS, SOFT, WRONG, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 6
PANEL_INCHES = (2.1, 2.3)
DEPTH_INCHES = 3.2
CHANGE = "what training changed"
CAPTION = (
    "Boxes: quartiles of all weights at an offset in steps of time, whiskers within 1.5 "
    "interquartile ranges, the centre dark. Raw kernels; of blocks those of branches 1 and 2."
)
FRESH = "#8a94a3"
OUTER = "#a9c3f7"
"""A box away from the centre; those at the centre are RIGHT."""


def draw_kernels(report: KernelReport, title: str = "") -> bytes:
    """Return a PNG: a box plot a layer, and the outer taps against the centre over depth.

    Args:
        report: What was measured.
        title: The first line; the network's name if empty.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = math.ceil(len(report.layers) / COLUMNS)
    size = PANEL_INCHES[0] * COLUMNS, PANEL_INCHES[1] * rows + DEPTH_INCHES + 0.9
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=size, dpi=120, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        text = f"Kernel weights over time: {drawable(title or report.network, 70)}"
        figure.suptitle(text, x=0.012, ha="left", fontsize=16, fontweight="bold")
        figure.supxlabel(CAPTION, x=0.012, ha="left", fontsize=9, color=SOFT)
        parts: Any = figure.subfigures(2, 1, height_ratios=(PANEL_INCHES[1] * rows, DEPTH_INCHES))
        _draw_boxes(parts[0].subplots(rows, COLUMNS, squeeze=False), report)
        _draw_depth(parts[1].subplots(), report)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def _draw_boxes(panels: Any, report: KernelReport) -> None:
    flat = panels.ravel()
    for axes, (spread, _) in zip(flat, report.layers, strict=False):
        _draw_layer(axes, spread)
    for axes in flat[len(report.layers) :]:
        axes.set_axis_off()
    for row in panels:
        row[0].set_ylabel("weight")


def _draw_layer(axes: Axes, spread: KernelSpread) -> None:
    boxes = axes.bxp(
        [_box(tap) for tap in spread.offsets],
        positions=range(len(spread.offsets)),
        widths=0.62,
        showfliers=False,
        patch_artist=True,
        boxprops={"edgecolor": INK, "linewidth": 0.7},
        medianprops={"color": INK, "linewidth": 1.2},
        whiskerprops={"color": SOFT, "linewidth": 0.8},
        capprops={"color": SOFT, "linewidth": 0.8},
    )
    for box, tap in zip(boxes["boxes"], spread.offsets, strict=True):
        box.set_facecolor(RIGHT if abs(tap.offset) < 1 else OUTER)
    names = [_name_offset(tap.offset) for tap in spread.offsets]
    axes.set_xticks(range(len(names)), names, fontsize=9 if len(names) < 6 else 7)
    axes.set_title(spread.layer, fontsize=11)
    reach = max(max(-tap.lower_whisker, tap.upper_whisker) for tap in spread.offsets)
    axes.set_ylim(-1.12 * reach or -1, 1.12 * reach or 1)
    axes.tick_params(axis="y", labelsize=8)
    axes.locator_params(axis="y", nbins=5)
    axes.grid(axis="y")


def _box(tap: OffsetWeights) -> dict[str, Any]:
    return {
        "whislo": tap.lower_whisker,
        "q1": tap.lower_quartile,
        "med": tap.median,
        "q3": tap.upper_quartile,
        "whishi": tap.upper_whisker,
    }


def _name_offset(offset: float) -> str:
    sign = "+" if offset > 0 else "\N{MINUS SIGN}" if offset < 0 else ""
    return f"{sign}{abs(offset):g}"


def _draw_depth(axes: Axes, report: KernelReport) -> None:
    known = {spread.layer: (spread.outer_ratio, begun) for spread, begun in report.layers}
    nothing = (math.nan, (math.nan,))
    ratios, fresh = zip(*(known.get(layer, nothing) for layer in LAYERS), strict=True)
    places = np.arange(len(LAYERS))
    low, high = [min(begun) for begun in fresh], [max(begun) for begun in fresh]
    axes.fill_between(places, low, high, color=FRESH, alpha=0.3, lw=0)
    middle = [sum(begun) / len(begun) for begun in fresh]
    axes.plot(places, middle, "-", lw=1, color=FRESH, label="fresh networks")
    axes.plot(places, ratios, "-", marker="o", ms=6, lw=2, color=RIGHT, label="this network")
    changed = [_ratio(report.layer_changes.get(layer)) for layer in LAYERS]
    if report.changes:
        axes.plot(places, changed, "-", marker="s", ms=5, lw=2, color=WRONG, label=CHANGE)
    for place, ratio, change in zip(places, ratios, changed, strict=True):
        _write_ratios(axes, int(place), ratio, change)
    top = float(np.nanmax([*ratios, *changed, *high, 1.0]))
    axes.set_xticks(places, LAYERS)
    axes.set(xlim=(-0.5, len(LAYERS) - 0.5), ylim=(0, 1.2 * top), ylabel="outer / centre")
    axes.set_title("Outer taps against the centre (1: all alike)")
    axes.grid(axis="y")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1.0), ncols=3, borderpad=0)


def _ratio(spread: KernelSpread | None) -> float:
    return spread.outer_ratio if spread else math.nan


def _write_ratios(axes: Axes, place: int, ratio: float, change: float) -> None:
    """Write the ratio above both marks, and that of the change below them."""
    if math.isnan(ratio):
        axes.text(place, 0.03, "2D", ha="center", fontsize=9, color=SOFT)
        return
    heights = [ratio if math.isnan(change) else change, ratio]
    rows = [(ratio, max(heights), 8, RIGHT), (change, min(heights), -15, WRONG)]
    for value, height, shift, color in rows:
        if not math.isnan(value):
            axes.annotate(
                f"{value:.2f}", (place, height), xytext=(0, shift), textcoords="offset points",
                ha="center", fontsize=9, color=color,
            )  # fmt: skip
