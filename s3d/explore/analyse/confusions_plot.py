"""Confusions as one picture: how often, played either way, and what parts the two classes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s3d.explore.analyse.confusions import (
    LOOKS,
    ORDER_TELLS,
    ORDER_WOULD,
    UNSURE,
    Confusion,
    ConfusionAnalysis,
)
from s3d.page.text import percent, plural
from s3d.train.report.plots import INK, RIGHT, SETTINGS, SOFT, WRONG, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 24
COLOURS = {ORDER_WOULD: WRONG, LOOKS: "#6b4fa0", ORDER_TELLS: RIGHT, UNSURE: "#a9b1bd"}
TRACK = "#e6eaf0"
ROW_INCHES = 0.46
UNSETTLED = "      * not settled: name the pairs there are (--pairs)"


def draw_confusions(found: ConfusionAnalysis, name: str) -> bytes:
    """Return a PNG: the most frequent confusions, coloured by verdict.

    Args:
        found: What is drawn.
        name: What the model is called.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = pick_rows(found.confusions)
    with matplotlib.rc_context(SETTINGS):
        height = 2.2 + ROW_INCHES * max(len(rows), 3)
        figure = Figure(figsize=(12, height), dpi=120, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        title = drawable(f"{name}: does order explain its confusions?", 90)
        figure.suptitle(f"{title}\n\n", x=0.015, ha="left", fontsize=16, fontweight="bold")
        figure.text(0.016, 1 - 0.62 / height, _headline(found), fontsize=10.5, color=SOFT)
        bars, halves = figure.subplots(1, 2, width_ratios=(1.25, 1))
        if rows:
            _draw_bars(bars, rows, len(found.confusions))
            _draw_halves(halves, rows)
            _explain(figure, rows, height)
        else:
            for axes in (bars, halves):
                axes.set_axis_off()
            bars.text(0, 0.5, "no video is taken for another class", color=SOFT)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def pick_rows(confusions: Sequence[Confusion]) -> list[Confusion]:
    """Return those that are drawn, all verdicts among them: a third at most that order tells."""
    told = [one for one in confusions if one.verdict == ORDER_TELLS]
    confused = [one for one in confusions if one.verdict != ORDER_TELLS]
    told = told[: max(MOST_ROWS // 3, MOST_ROWS - len(confused))]
    return confused[: MOST_ROWS - len(told)] + told


def _headline(found: ConfusionAnalysis) -> str:
    videos = len(found.both.truth)
    wrong = round(videos * (1 - found.both.forward.top(1)))
    text = f"{wrong:,} of {plural(videos, 'video')} named wrong"
    counts = [
        f"{found.count(verdict):,} {what}"
        for verdict, what in (
            (ORDER_WOULD, "where order would explain it"),
            (LOOKS, "by looks"),
            (ORDER_TELLS, "in classes that order tells apart"),
            (UNSURE, "with too few videos to say"),
        )
        if found.count(verdict)
    ]
    return f"{text}: {', '.join(counts)}" if counts else text


def _explain(figure: Any, rows: Sequence[Confusion], height: float) -> None:
    from matplotlib.lines import Line2D

    used = [verdict for verdict in COLOURS if any(one.verdict == verdict for one in rows)]
    handles = [Line2D([], [], color=COLOURS[verdict], linewidth=8) for verdict in used]
    figure.legend(
        handles, used, loc="upper left", bbox_to_anchor=(0.008, 1 - 0.76 / height),
        ncols=len(used), frameon=False, fontsize=9, handlelength=1.2, columnspacing=1.6,
    )  # fmt: skip


def _draw_bars(axes: Axes, rows: Sequence[Confusion], count: int) -> None:
    heights = range(len(rows))
    colours = [COLOURS[one.verdict] for one in rows]
    axes.barh(heights, [one.share for one in rows], 0.5, color=colours, zorder=2)
    axes.scatter([one.reversed_share for one in rows], heights, 58, "white", edgecolors=INK,
                 linewidths=1.8, zorder=3, clip_on=False)  # fmt: skip
    axes.set_yticks(heights, [_name(one) for one in rows], fontsize=9.5, linespacing=1.15)
    left = "" if len(rows) == count else f", {len(rows)} of {count}"
    axes.set_title(f"Named as the other{left}: bar normal, ring reversed", pad=24)
    unsettled = any(not one.is_settled for one in rows)
    axes.set_xlabel(f"share of the videos of both{UNSETTLED if unsettled else ''}")
    _finish(axes, len(rows), (0, 1))
    for at, one in enumerate(rows):
        clear = max(one.share, one.reversed_share if one.reversed_share - one.share < 0.2 else 0)
        text = f"{sum(one.mistaken)} of {sum(one.videos)}"
        axes.text(clear + 0.025, at, text, va="center", fontsize=9, color=INK)


def _name(one: Confusion) -> str:
    mark = "" if one.is_settled else " *"
    return f"{drawable(one.a, 26)}\n{drawable(one.b, 26)}{mark}"


def _draw_halves(axes: Axes, rows: Sequence[Confusion]) -> None:
    from matplotlib.lines import Line2D

    heights = range(len(rows))
    axes.hlines(heights, 0.5, 1.0, color=TRACK, linewidth=6, zorder=0)
    axes.axvline(0.5, color=SOFT, linestyle=":", zorder=1)
    for half, marker, colour in (("looks", "s", COLOURS[LOOKS]), ("order", "o", RIGHT)):
        each = [getattr(one, half) for one in rows]
        fills = [colour if one.is_seen else "white" for one in each]
        axes.scatter([one.share for one in each], heights, 62, fills, marker=marker, linewidths=2,
                     edgecolors=colour, zorder=3, clip_on=False)  # fmt: skip
    axes.set_yticks([])
    axes.set_title("What parts them; filled: more than a coin", pad=24)
    lowest = min(half.share for one in rows for half in (one.looks, one.order))
    _finish(axes, len(rows), (min(0.3, lowest - 0.05), 1.0))
    axes.set_xlabel("pairs of videos, one of each, ranked right; a coin gives 50\u202f%")
    looks = Line2D([], [], marker="s", ls="", ms=7, color=COLOURS[LOOKS])
    order = Line2D([], [], marker="o", ls="", ms=7.5, color=RIGHT)
    axes.legend(
        [looks, order], ["by looks", "by order"], loc="lower left", ncols=2, frameon=False,
        fontsize=9, bbox_to_anchor=(-0.02, 1.0), borderaxespad=0, handletextpad=0.2,
    )  # fmt: skip


def _finish(axes: Axes, rows: int, across: tuple[float, float]) -> None:
    axes.set_xlim(*across)
    axes.set_ylim(max(rows, 3) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(lambda value, _: percent(value, 0))
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
