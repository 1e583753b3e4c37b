"""Accuracy against cost, the paper's figure: points, curves over k, the front, the budget."""

from __future__ import annotations

from collections.abc import Sequence

from s3d.explore.budget import Unit, say_cost, short_number
from s3d.explore.report.data import ExploreReport, Point
from s3d.explore.report.drawing import Drawing, Line, Spot, Words
from s3d.explore.report.families import family_of, find_curves
from s3d.explore.report.frame import (
    BOTTOM,
    HEIGHT_PX,
    LEFT,
    RIGHT,
    TOP,
    WIDTH_PX,
    Frame,
    draw_axes,
    draw_bar,
    draw_budget,
    draw_chance,
    draw_marks,
    fit_accuracies,
    place_names,
)
from s3d.explore.report.labels import Label
from s3d.explore.report.naming import short_names
from s3d.explore.report.scale import fit_costs
from s3d.page.text import percent, plural

MOST_NAMES = 24  # of points; among more, only those on the front are named, and the one recommended
TITLES: dict[Unit, str] = {
    "gmacs": "Accuracy against multiply-adds",
    "ms": "Accuracy against measured time",
}
AXES: dict[Unit, str] = {
    "gmacs": "multiply-adds of one clip, in thousand millions (G)",
    "ms": "milliseconds for one clip, as measured",
}


def draw_cost_chart(report: ExploreReport, unit: Unit) -> Drawing | None:
    """Return accuracy against cost; None where no point has both."""
    shown = [p for p in report.ranking if p.accuracy is not None and p.cost(unit)]
    if not shown:
        return None
    frame = _fit(report, shown, unit)
    spots = {p.name: _spot(p, frame, unit) for p in shown}
    ticks = [(value, short_number(value)) for value in frame.x.ticks()]
    behind = draw_axes(frame, AXES[unit], ticks)
    if report.budget.unit == unit:
        behind += draw_budget(frame, report.budget)
    behind += draw_chance(frame, report.chance)
    lines = [*_front(report, unit, spots), *_curves(report, spots)]
    for point in shown:
        lines += [*draw_bar(point, frame, spots[point.name]), *_range(point, frame, unit)]
    marks = draw_marks(report, [(p, spots[p.name]) for p in reversed(shown)])
    wanted = _wanted(report, shown, unit, spots)
    names = place_names(wanted, [*behind, *lines, *marks], frame.room)
    left_out = len(shown) - sum(isinstance(part, Words) for part in names)
    parts = (*behind, *lines, *names, *marks)
    return Drawing(
        TITLES[unit], WIDTH_PX, HEIGHT_PX, parts, _describe(report, shown, unit), left_out
    )


def _fit(report: ExploreReport, shown: Sequence[Point], unit: Unit) -> Frame:
    costs = [p.cost(unit) or 0.0 for p in shown]
    if unit == "ms":
        costs += [end for p in shown for end in p.latency_range_ms or () if end > 0]
    if report.budget.unit == unit:
        costs.append(report.budget.value)
    x = fit_costs(costs, LEFT, WIDTH_PX - RIGHT)
    return Frame(x, fit_accuracies(shown, report.chance, (HEIGHT_PX - BOTTOM, TOP)))


def _spot(point: Point, frame: Frame, unit: Unit) -> Spot:
    return frame.spot(point.cost(unit) or 0.0, point.accuracy or 0.0)


def _front(report: ExploreReport, unit: Unit, spots: dict[str, Spot]) -> list[Line]:
    """Return what accuracy each cost buys, as steps that go on to the right edge."""
    steps: list[Spot] = []
    for point in report.front(unit):
        if point.name in spots:
            x, y = spots[point.name]
            steps += [(x, steps[-1][1]), (x, y)] if steps else [(x, y)]
    return [Line((*steps, (WIDTH_PX - RIGHT, steps[-1][1])), "front")] if steps else []


def _curves(report: ExploreReport, spots: dict[str, Spot]) -> list[Line]:
    lines = []
    for curve in find_curves(report.points):
        placed = tuple(spots[p.name] for _, p in curve.places if p.name in spots)
        if len(placed) > 1:
            lines.append(Line(placed, "curve", curve.family))
    return lines


def _range(point: Point, frame: Frame, unit: Unit) -> list[Line]:
    """Return from the fastest to the slowest time that was measured."""
    if unit != "ms" or point.latency_range_ms is None or not point.is_scored:
        return []
    low, high = (frame.spot(end, point.accuracy or 0.0) for end in point.latency_range_ms)
    return [Line((low, high), "bar", family_of(point.word))]


def _wanted(
    report: ExploreReport, shown: Sequence[Point], unit: Unit, spots: dict[str, Spot]
) -> list[Label]:
    """Return the names to write, those that matter most first."""
    front = {p.name for p in report.front(unit)}
    names = short_names(shown)

    def rank(point: Point) -> tuple[bool, bool, bool]:
        return point.name != report.recommended, point.name not in front, not point.is_scored

    named = sorted(shown, key=rank)
    if len(shown) > MOST_NAMES:
        named = [p for p in named if not all(rank(p)[:2])]
    return [Label(spots[p.name], names[p.name], p.name == report.recommended) for p in named]


def _describe(report: ExploreReport, shown: Sequence[Point], unit: Unit) -> str:
    front = [
        f"{p.name} {percent(p.accuracy)} at {say_cost(unit, p.cost(unit) or 0.0)}"
        for p in report.front(unit)
    ]
    said = f"{plural(len(shown), 'point')}; not beaten: {', '.join(front) or 'none'}"
    return f"{said}; recommended: {report.recommended or 'none'}"
