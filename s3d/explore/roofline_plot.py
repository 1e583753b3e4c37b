"""The roofline of a network on this machine as one picture. matplotlib loads when it is drawn."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from s3d.explore.roofline import EngineTimes, Roofline
from s3d.train.report.plots import INK, RIGHT, SETTINGS, SOFT, WRONG, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

COLORS = (RIGHT, WRONG)
"""Of the engine that is asked about, and of the one beside it."""

ROOM = 1.6
"""Factor by which an axis goes beyond what is on it."""

NAME_STEPS_PX = (14, 24, 36, 50, 66, 84, 104)
"""How far from its dot a name may stand."""

NAME_ANGLES = (0, 90, 180, 270, 45, 135, 315, 225, 22, 68, 112, 158, 202, 248, 292, 338)
"""On which side of its dot, in degrees."""

DOT_PX = 9

Dot = tuple[str, float, float]  # block, multiply-adds a byte, G multiply-adds a second


def draw_roofline(found: Roofline, title: str, machine: str) -> bytes:
    """Return a PNG: each block beneath the roof, and its predicted and measured times.

    Args:
        found: What was measured.
        title: Of which network and clip.
        machine: On what.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(15, 7.6), dpi=120, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        head = f"{drawable(title, 90)}\n"
        figure.suptitle(head, x=0.015, ha="left", fontsize=17, fontweight="bold")
        where = drawable(f"{machine}: {_describe(found)}", 180)
        figure.text(0.0155, 0.925, where, fontsize=11, color=SOFT)
        roof, bars = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _draw_bars(bars, found)
        names = _draw_roof(roof, found)
        figure.draw_without_rendering()  # Names find their places once sizes are known.
        _place(roof, names)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def _describe(found: Roofline) -> str:
    peaks = found.peaks
    whole = ", ".join(f"{times.engine} {_show(times.whole_ms)} ms" for times in found.times)
    return (
        f"peaks {_show(peaks.macs_per_second / 1e9)} G multiply-adds/s, "
        f"{_show(peaks.bytes_per_second / 1e9)} GB/s; in one go predicted "
        f"{_show(sum(found.predicted_ms))} ms, {whole} (medians of {found.runs})"
    )


def _show(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def place_dots(found: Roofline, times: EngineTimes) -> list[Dot]:
    """Return where blocks stand beneath the roof; those without multiply-adds stand nowhere.

    Args:
        found: What was measured.
        times: Of one engine.
    """
    return [
        (block.name, block.macs / block.moved_bytes, block.macs / 1e6 / ms)
        for block, ms in zip(found.cost.blocks, times.block_ms, strict=True)
        if block.macs
    ]


def _draw_roof(axes: Axes, found: Roofline) -> list[Annotation]:
    """Draw the roof, and the dots of each engine; return the blocks' names, to be placed."""
    every = [place_dots(found, times) for times in found.times]
    _draw_limits(axes, found, [dot for dots in every for dot in dots])
    marks: Any = {"linestyle": "", "marker": "o", "ms": 6.5, "zorder": 3}
    for times, dots, color in zip(found.times, every, COLORS, strict=False):
        x, y = [dot[1] for dot in dots], [dot[2] for dot in dots]
        axes.plot(x, y, color=color, markeredgecolor="white", label=times.engine, **marks)
    if len(every) > 1:
        for (_, x, y), (_, _, beside) in zip(*every[:2], strict=True):
            axes.plot((x, x), (y, beside), color="#c5ccd6", lw=1, zorder=1)
    axes.legend(frameon=False, loc="lower right")
    axes.set(
        title="Roofline: blocks that multiply",
        xlabel="multiply-adds a byte (pools have none, and no dot)",
        ylabel="G multiply-adds a second",
    )
    if any(share > 1 and b.macs for share, b in zip(found.shares, found.cost.blocks, strict=True)):
        _say_why_above(axes)
    return [_name(axes, *dot) for dot in every[0]]


def _say_why_above(axes: Axes) -> None:
    text = "above the roof: less is multiplied, or moved, than is counted"
    axes.text(0.012, 0.985, text, transform=axes.transAxes, va="top", fontsize=9, color=SOFT)


def _name(axes: Axes, name: str, x: float, y: float) -> Annotation:
    """Write a block's name, as the paper's index alone: mixed4b is 4b."""
    from matplotlib.patheffects import withStroke

    line = {"arrowstyle": "-", "color": INK, "lw": 0.6, "shrinkA": 0, "shrinkB": 3}
    return axes.annotate(
        name.removeprefix("conv").removeprefix("mixed"), (x, y), xytext=(0, 0),
        textcoords="offset pixels", ha="center", va="center", fontsize=9.5, arrowprops=line,
        path_effects=[withStroke(linewidth=2.5, foreground="white")], zorder=2.5,
    )  # fmt: skip


def _draw_limits(axes: Axes, found: Roofline, dots: Sequence[Dot]) -> None:
    """Draw the roof over all dots, and say what it is made of."""
    from matplotlib.ticker import LogLocator

    peaks = found.peaks
    ridge, top = peaks.ridge_macs_per_byte, peaks.macs_per_second / 1e9
    left = min([ridge, *(dot[1] for dot in dots)]) / ROOM
    right = max([ridge, *(dot[1] for dot in dots)]) * ROOM
    slope = peaks.bytes_per_second / 1e9
    low = min([left * slope, *(dot[2] for dot in dots)]) / ROOM
    high = max([top, *(dot[2] for dot in dots)]) * ROOM
    axes.set(xscale="log", yscale="log", xlim=(left, right), ylim=(low, high))
    axes.plot((left, ridge, right), (left * slope, top, top), color=INK, lw=1.6, zorder=2)
    axes.grid(axis="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(lambda value, _: "")
    small: Any = {"textcoords": "offset points", "fontsize": 9, "color": SOFT}
    axes.annotate("arithmetic", (right, top), xytext=(4, 0), va="center", **small)
    axes.annotate("memory", (left, left * slope), xytext=(7, -3), va="top", **small)


def _place(axes: Axes, names: Sequence[Annotation]) -> None:
    """Move names beside their dots: neither they nor their lines cover dots or other names."""
    from matplotlib.text import Text

    marked = [np.asarray(line.get_xydata()) for line in axes.lines if line.get_marker() == "o"]
    homes = [_around(*axes.transData.transform(name.xy)) for name in names]
    taken = [_around(*axes.transData.transform(place)) for places in marked for place in places]
    for name, home in zip(names, homes, strict=True):
        at_home = Text.get_window_extent(name)  # An annotation's own holds its line as well.
        offset = _find_offset(at_home, home, taken)
        name.set_position(offset)
        taken.append(at_home.translated(*offset))


def _find_offset(name: Bbox, home: Bbox, taken: Sequence[Bbox]) -> tuple[float, float]:
    """Return by how far to move a name from its dot: the least that covers least."""
    found, least = (0.0, 0.0), math.inf
    for offset in sorted(_offsets(), key=lambda offset: math.hypot(*offset)):
        moved = name.translated(*offset)
        covered = sum(_is_covered(other, home, moved) for other in taken)
        if covered < least:
            found, least = offset, covered
        if not covered:
            break
    return found


def _is_covered(other: Bbox, home: Bbox, name: Bbox) -> bool:
    """Return whether a name, or the line to it from its dot, covers something."""
    from matplotlib.path import Path

    centers = [(box.p0 + box.p1) / 2 for box in (home, name)]
    if name.overlaps(other) or other.overlaps(home):
        return bool(name.overlaps(other))  # A line cannot but cross a dot that lies on its own.
    return bool(Path(centers).intersects_bbox(other, filled=False))


def _offsets() -> Iterator[tuple[float, float]]:
    for step in NAME_STEPS_PX:
        for angle in NAME_ANGLES:
            turned = math.radians(angle)
            yield 1.5 * step * math.cos(turned), step * math.sin(turned)


def _around(x: float, y: float) -> Bbox:
    """Return the box that a dot fills, in px."""
    from matplotlib.transforms import Bbox

    return Bbox.from_bounds(x - DOT_PX / 2, y - DOT_PX / 2, DOT_PX, DOT_PX)


def _draw_bars(axes: Axes, found: Roofline) -> None:
    """Draw a group of bars for each block, the first on top."""
    series = [("predicted", found.predicted_ms, SOFT)]
    series += [
        (times.engine, times.block_ms, color)
        for times, color in zip(found.times, COLORS, strict=False)
    ]
    height = 0.8 / len(series)
    blocks = found.cost.blocks
    for number, (name, values, color) in enumerate(series):
        places = [row + (number - (len(series) - 1) / 2) * height for row in range(len(blocks))]
        axes.barh(places, values, height=0.9 * height, color=color, label=name)
    axes.set_yticks(range(len(blocks)), [block.name for block in blocks])
    axes.set_ylim(len(blocks) - 0.4, -0.6)
    axes.set(title="Time of each block by itself", xlabel="ms")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, loc="lower right")
