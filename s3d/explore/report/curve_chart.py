"""Accuracy against k: how much is lost where fewer layers see time, and which ones matter."""

from __future__ import annotations

from collections.abc import Sequence

from s3d.explore.report.data import ExploreReport, Point
from s3d.explore.report.drawing import Drawing, Line, Spot
from s3d.explore.report.families import Curve, find_curves
from s3d.explore.report.frame import (
    HEIGHT_PX,
    LEFT,
    RIGHT,
    TOP,
    WIDTH_PX,
    Frame,
    draw_axes,
    draw_bar,
    draw_chance,
    draw_marks,
    fit_accuracies,
    place_names,
)
from s3d.explore.report.labels import Label
from s3d.explore.report.naming import say_setting
from s3d.explore.report.scale import Scale
from s3d.models.family import LAYERS
from s3d.page.text import percent

MOST_CHARTS = 6
SIDE_STEP = 0.12  # of k, between curves: their bars would hide one another
BOTTOM = 58  # px below: two lines of ticks
AXIS = "k: bottom-heavy nets see time in layers up to k, top-heavy ones from k on"


def draw_curve_charts(report: ExploreReport) -> list[Drawing]:
    """Return accuracy against k, a chart for each width and clip with which a curve was trained."""
    curves = find_curves(report.points)
    settings = list(dict.fromkeys(curve.setting for curve in curves))[:MOST_CHARTS]
    return [_draw(report, [c for c in curves if c.setting == setting]) for setting in settings]


def explain_no_curves() -> str:
    """Return why there is no chart against k."""
    return (
        "Not drawn: it takes two networks of one curve (i3d_bottom_K, i3d_top_K, s3d_bottom_K or "
        "s3d_top_K, at their ends i2d, i3d or s3d), trained in full with the same width and clip."
    )


def _draw(report: ExploreReport, curves: Sequence[Curve]) -> Drawing:
    frame = _fit(report, curves)
    placed = [
        [(point, frame.spot(k + side, point.accuracy or 0.0)) for k, point in curve.places]
        for curve, side in zip(curves, _sides(len(curves)), strict=True)
    ]
    behind = [*draw_axes(frame, AXIS, _ticks(frame)), *draw_chance(frame, report.chance)]
    lines = []
    for curve, pairs in zip(curves, placed, strict=True):
        lines.append(Line(tuple(spot for _, spot in pairs), "curve", curve.family))
        lines += [bar for point, spot in pairs for bar in draw_bar(point, frame, spot)]
    marks = draw_marks(report, [pair for pairs in placed for pair in pairs])
    wanted = [_name(curve, pairs) for curve, pairs in zip(curves, placed, strict=True)]
    names = place_names(wanted, [*behind, *lines, *marks], frame.room)
    title = f"Accuracy against k: {say_setting(curves[0].setting)}"
    parts = (*behind, *lines, *names, *marks)
    return Drawing(title, WIDTH_PX, HEIGHT_PX, parts, "; ".join(map(_describe, curves)))


def _fit(report: ExploreReport, curves: Sequence[Curve]) -> Frame:
    places = [k for curve in curves for k, _ in curve.places]
    points = [point for curve in curves for _, point in curve.places]
    x = Scale(min(0, *places) - 0.6, max(len(LAYERS) - 1, *places) + 0.6, LEFT, WIDTH_PX - RIGHT)
    return Frame(x, fit_accuracies(points, report.chance, (HEIGHT_PX - BOTTOM, TOP)))


def _sides(count: int) -> list[float]:
    return [SIDE_STEP * (i - (count - 1) / 2) for i in range(count)]


def _ticks(frame: Frame) -> list[tuple[float, str]]:
    ticks = [(float(k), f"{k}\n{layer[-2:]}") for k, layer in enumerate(LAYERS)]
    ends = [(float(k), "I2D") for k in (-1, len(LAYERS)) if frame.x.low < k < frame.x.high]
    return [*ticks, *ends]


def _name(curve: Curve, pairs: Sequence[tuple[Point, Spot]]) -> Label:
    """Return the curve's name beside its most telling point: the first that is no end."""
    inner = [spot for (k, _), (_, spot) in zip(curve.places, pairs, strict=True) if 0 < k < 10]
    return Label((inner or [pairs[0][1]])[0], curve.family.name, True, curve.family)


def _describe(curve: Curve) -> str:
    told = [
        f"{'I2D' if k in (-1, len(LAYERS)) else f'k={k}'} {percent(p.accuracy)}"
        for k, p in curve.places
    ]
    return f"{curve.family.name}: {', '.join(told)}"
