"""The frame of a chart: its axes, and how points, intervals, chance and budget lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s3d.explore.budget import Budget, short_number
from s3d.explore.report.data import ExploreReport, Point
from s3d.explore.report.drawing import RADIUS_PX, RING_PX, Area, Line, Mark, Part, Spot, Words
from s3d.explore.report.families import family_of
from s3d.explore.report.labels import Box, Label, Obstacles, place_labels, spot_box, words_box
from s3d.explore.report.naming import describe_point, row_id
from s3d.explore.report.scale import Scale, fit_shares

WIDTH_PX, HEIGHT_PX = 560, 400
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 46
CHANCE_NEAR = 0.6  # of the accuracies' range: chance further below is told, not drawn
CAP_PX = 3.0
LINE_PX = 13


@dataclass(frozen=True)
class Frame:
    """Map costs, or k, and accuracies to pixels."""

    x: Scale
    y: Scale

    @property
    def room(self) -> Box:
        """Return what lies between the axes."""
        return self.x.start, self.y.end, self.x.end, self.y.start

    def spot(self, x: float, accuracy: float) -> Spot:
        """Return where a value lies."""
        return self.x.place(x), self.y.place(accuracy)


def fit_accuracies(points: Sequence[Point], chance: float, ends: tuple[float, float]) -> Scale:
    """Return the upright axis: on it lie all accuracies, their intervals, and chance if near.

    Args:
        points: With an accuracy.
        chance: 0 to 1.
        ends: Pixels of its lower and its upper end.
    """
    values = [p.accuracy for p in points if p.accuracy is not None]
    values += [end for p in points if p.is_scored for end in p.interval or ()]
    low, high = min(values), max(values)
    if low - CHANCE_NEAR * max(high - low, 0.05) <= chance <= high + 0.02:
        values.append(chance)
    return fit_shares(values, *ends)


def draw_axes(frame: Frame, name: str, ticks: Sequence[tuple[float, str]]) -> list[Part]:
    """Return the grid, the ticks and the names of both axes.

    Args:
        frame: Of the chart.
        name: Of the axis that lies.
        ticks: (value, text) along it; a text may have two lines.
    """
    left, top, right, bottom = frame.room
    parts: list[Part] = []
    for value in frame.y.ticks():
        y = frame.y.place(value)
        parts.append(Line(((left, y), (right, y)), "grid"))
        parts.append(Words((left - 7, y + 3.5), f"{100 * value:.3g} %", "end"))
    parts.append(Line(((left, bottom), (right, bottom)), "base"))
    for value, text in ticks:
        x = frame.x.place(value)
        parts.append(Line(((x, bottom), (x, bottom + 4)), "base"))
        for row, line in enumerate(text.split("\n")):
            parts.append(Words((x, bottom + 17 + row * LINE_PX), line, "middle"))
    parts.append(Words(((left + right) / 2, HEIGHT_PX - 7), name, "middle", "axis"))
    parts.append(Words((left - 44, top - 14), "accuracy (top-1)", "start", "axis"))
    return parts


def draw_chance(frame: Frame, chance: float) -> list[Part]:
    """Return the line that guessing alone would reach; nothing where it lies far off."""
    if not frame.y.low <= chance <= frame.y.high:
        return []
    left, _, right, _ = frame.room
    y = frame.y.place(chance)
    words = Words((right - 4, y - 5), "always the commonest class", "end", "note")
    return [Line(((left, y), (right, y)), "chance"), words]


def draw_budget(frame: Frame, budget: Budget) -> list[Part]:
    """Return the line of the budget and the shade beyond it."""
    left, top, right, bottom = frame.room
    x = frame.x.place(budget.value)
    is_left = x > (left + right) / 2
    unit = "ms" if budget.unit == "ms" else "G"
    spot = (x, top - 14)
    words = Words(
        spot, f"budget {short_number(budget.value)} {unit}", "end" if is_left else "start", "note"
    )
    shade = Area(x, top, round(right - x, 1), bottom - top)
    return [shade, Line(((x, top - 10), (x, bottom)), "budget"), words]


def draw_bar(point: Point, frame: Frame, spot: Spot) -> list[Line]:
    """Return the 95 % interval of a point as a bar; nothing where it is not known."""
    if point.interval is None or not point.is_scored:
        return []
    family, x = family_of(point.word), spot[0]
    low, high = (frame.y.place(end) for end in point.interval)
    caps = [Line(((x - CAP_PX, y), (x + CAP_PX, y)), "bar", family) for y in (low, high)]
    return [Line(((x, low), (x, high)), "bar", family), *caps]


def draw_marks(report: ExploreReport, placed: Sequence[tuple[Point, Spot]]) -> list[Mark]:
    """Return the mark of each point."""
    return [
        Mark(
            spot,
            family_of(point.word),
            describe_point(point),
            row_id(point),
            is_hollow=point.state == "dropped early",
            is_ringed=point.name == report.recommended,
        )
        for point, spot in placed
    ]


def place_names(wanted: Sequence[Label], drawn: Sequence[Part], room: Box) -> list[Words | Line]:
    """Return the names that find a place off what is drawn, the first choosing first."""
    boxes = [_mark_box(p) for p in drawn if isinstance(p, Mark)]
    boxes += [words_box(p) for p in drawn if isinstance(p, Words)]
    lines = [p for p in drawn if isinstance(p, Line) and p.kind not in ("grid", "budget")]
    for line in drawn:
        if isinstance(line, Line) and line.kind == "budget":
            (x, top), (_, bottom) = line.spots
            boxes.append((x - 1, top, x + 1, bottom))
    return place_labels(wanted, Obstacles(room, tuple(boxes), tuple(lines)))


def _mark_box(mark: Mark) -> Box:
    return spot_box(mark.spot, RING_PX if mark.is_ringed else RADIUS_PX + 1)
