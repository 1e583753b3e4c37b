"""The charts as one picture, for a paper or a message. matplotlib loads when it is drawn."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s3d.explore.report.cost_chart import draw_cost_chart
from s3d.explore.report.curve_chart import draw_curve_charts
from s3d.explore.report.data import ExploreReport, list_facts
from s3d.explore.report.drawing import (
    RADIUS_PX,
    RING_PX,
    Area,
    Drawing,
    Line,
    Mark,
    Part,
    Spot,
    Words,
    outline,
)
from s3d.explore.report.families import Family, families_in
from s3d.explore.report.naming import common_setting, say_setting
from s3d.train.report.plots import INK, SETTINGS, SOFT, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PX_AN_INCH = 80
PICK, WARM = "#2563eb", "#d95f0e"
LETTERS_A_LINE = 180
MOST_LINES = 4
FACT_LETTERS, MOST_FACTS = 72, 20
ROW_INCHES = 5.75
LINES: dict[str, dict[str, Any]] = {
    "grid": {"color": "#e6eaf0", "lw": 0.9},
    "base": {"color": "#8b95a3", "lw": 0.9},
    "budget": {"color": WARM, "lw": 1.4, "ls": (0, (4, 3))},
    "chance": {"color": SOFT, "lw": 1.0, "ls": (0, (2, 3))},
    "front": {"color": INK, "lw": 1.3, "alpha": 0.55},
    "curve": {"lw": 1.6, "alpha": 0.55},
    "bar": {"lw": 1.0, "alpha": 0.5},
    "leader": {"color": SOFT, "lw": 0.7},
}
TEXTS: dict[str, dict[str, Any]] = {
    "tick": {"color": INK, "fontsize": 8.5},
    "axis": {"color": SOFT, "fontsize": 9},
    "note": {"color": SOFT, "fontsize": 8.5},
    "label": {"color": INK, "fontsize": 8.5},
    "strong": {"color": INK, "fontsize": 8.5, "fontweight": "bold"},
}


@dataclass(frozen=True)
class _Sheet:
    """Hold the figure and where things go on it, in inches from the top left."""

    figure: Any
    head: float
    foot: float

    def text(self, left: float, top: float, text: str, **looks: Any) -> None:
        wide, high = self.figure.get_size_inches()
        self.figure.text(left / wide, 1 - top / high, text, va="top", **looks)

    def axes(self, left: float, top: float, size_px: Spot) -> Axes:
        """Return axes that count pixels from the top left, as a drawing does."""
        wide, high = self.figure.get_size_inches()
        width, height = size_px[0] / PX_AN_INCH, size_px[1] / PX_AN_INCH
        box = left / wide, 1 - (top + height) / high, width / wide, height / high
        axes: Axes = self.figure.add_axes(box)
        axes.set(xlim=(0, size_px[0]), ylim=(size_px[1], 0))
        axes.set_axis_off()
        return axes

    def corner(self, place: int) -> Spot:
        """Return where a chart goes: two in a row, from the top."""
        row, column = divmod(place, 2)
        return 0.25 + 7.4 * column, self.head + 0.35 + ROW_INCHES * row


def draw_figure(report: ExploreReport) -> bytes:
    """Return a PNG: accuracy against multiply-adds, against milliseconds, and against k."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawings = [draw_cost_chart(report, "gmacs"), draw_cost_chart(report, "ms")]
    shown = [*filter(None, drawings), *draw_curve_charts(report)]
    with matplotlib.rc_context(SETTINGS):
        lines = _wrap_recommendation(report)
        head = 1.2 + 0.24 * len(lines)
        foot = head + ROW_INCHES * max(1, (len(shown) + 1) // 2)
        figure = Figure(figsize=(15, foot + 0.6), dpi=120, facecolor="white")
        FigureCanvasAgg(figure)
        _draw_all(_Sheet(figure, head, foot), report, lines, shown)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def _draw_all(
    sheet: _Sheet, report: ExploreReport, lines: Sequence[str], shown: Sequence[Drawing]
) -> None:
    sheet.text(0.3, 0.25, drawable(report.title, 90), fontsize=17, fontweight="bold")
    sheet.text(0.3, 0.65, "\n".join(lines), fontsize=11, linespacing=1.45)
    _draw_key(sheet, report)
    for place, drawing in enumerate(shown):
        axes = sheet.axes(*sheet.corner(place), (drawing.width, drawing.height))
        axes.set_title(drawable(drawing.title, 90), fontsize=12, pad=10)
        for part in drawing.parts:
            _draw_part(axes, part)
    if len(shown) % 2 or not shown:
        _write_facts(sheet, report, sheet.corner(len(shown)))
    sheet.text(0.3, sheet.foot + 0.15, _say_reading(report), fontsize=9, color=SOFT)


def _wrap_recommendation(report: ExploreReport) -> list[str]:
    text = drawable(report.recommendation, LETTERS_A_LINE * MOST_LINES)
    text = re.sub(r"(?<=\d) (?=%|ms|G)", "\N{NO-BREAK SPACE}", text)
    return textwrap.wrap(text, LETTERS_A_LINE)


def _say_reading(report: ExploreReport) -> str:
    common = common_setting([p for p in report.points if p.accuracy is not None])
    told = f"Where a name says no more: {say_setting(common)}. " if common else ""
    return (
        f"{told}Bars: 95 % intervals. Dark steps: the best that each cost bought. "
        "Ring: recommended. Hollow: dropped early.\n"
        "Multiply-adds are what the paper (arXiv 1712.04851) calls FLOPs."
    )


def _draw_part(axes: Axes, part: Part) -> None:
    from matplotlib.patches import Rectangle

    if isinstance(part, Area):
        corner = part.left, part.top
        axes.add_patch(Rectangle(corner, part.width, part.height, fc=WARM, alpha=0.07, lw=0))
    elif isinstance(part, Line):
        color = {"color": part.family.light} if part.family else {}
        across, down = zip(*part.spots, strict=True)
        axes.plot(across, down, **{**LINES[part.kind], **color}, solid_capstyle="butt")
    elif isinstance(part, Words):
        anchor = {"start": "left", "middle": "center", "end": "right"}[part.anchor]
        axes.text(*part.spot, drawable(part.text, 120), ha=anchor, **_text_look(part))
    else:
        _draw_mark(axes, part)


def _text_look(words: Words) -> dict[str, Any]:
    """Return a text's looks; names stand on a white rim, so that lines do not cross them."""
    from matplotlib.patheffects import withStroke

    rim = [withStroke(linewidth=2.5, foreground="white")]
    color = {"color": words.family.light} if words.family else {}
    has_rim = words.kind in ("label", "strong", "note")
    return {**TEXTS[words.kind], **color, "path_effects": rim if has_rim else None, "zorder": 6}


def _draw_mark(axes: Axes, mark: Mark) -> None:
    from matplotlib.patches import Circle

    if mark.is_ringed:
        axes.add_patch(Circle(mark.spot, RING_PX, fill=False, ec=PICK, lw=2, zorder=5))
    face = "white" if mark.is_hollow else mark.family.light
    _draw_shape(axes, mark.family, mark.spot, face)


def _draw_shape(axes: Axes, family: Family, spot: Spot, face: str) -> None:
    from matplotlib.patches import Circle, Polygon

    looks: dict[str, Any] = {"fc": face, "ec": family.light, "lw": 1.5, "zorder": 4}
    if family.shape == "circle":
        axes.add_patch(Circle(spot, RADIUS_PX, **looks))
    else:
        axes.add_patch(Polygon(outline(family.shape, spot), **looks))


def _draw_key(sheet: _Sheet, report: ExploreReport) -> None:
    """Draw the families that are shown, below the head."""
    families = families_in([p for p in report.points if p.accuracy is not None])
    axes = sheet.axes(0.2, sheet.head - 0.42, (14.6 * PX_AN_INCH, 20))
    left = 14.0
    for family in families:
        _draw_shape(axes, family, (left, 10), family.light)
        axes.text(left + 11, 10, family.name, va="center", fontsize=9, color=INK)
        left += 40 + 7.2 * len(family.name)


def _write_facts(sheet: _Sheet, report: ExploreReport, corner: Spot) -> None:
    """Write what was done into the place that a last, single chart leaves free."""
    left, top = corner[0] + 0.5, corner[1]
    lines: list[tuple[str, str]] = []
    for name, value in list_facts(report):
        first, *others = textwrap.wrap(drawable(value, 400), FACT_LETTERS) or [""]
        lines += [(drawable(name), first), *(("", more) for more in others)]
    sheet.text(left, top - 0.25, "What was done", fontsize=12, fontweight="bold")
    for row, (name, value) in enumerate(lines[:MOST_FACTS]):
        sheet.text(left, top + 0.15 + 0.23 * row, name, fontsize=9, color=SOFT)
        sheet.text(left + 1.4, top + 0.15 + 0.23 * row, value, fontsize=9)
