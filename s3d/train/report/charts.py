"""Line charts as SVG text: sharp at any size, in the page's own colours, light or dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from s3d.page.text import escape

WIDTH, HEIGHT = 380, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 22, 36
MAX_DOTS = 30  # more would run into one another

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Hold one line of a chart; None and nan are left out, the line goes on past them."""

    name: str
    kind: str  # a class of the style sheet: train, val or rate
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Chart:
    """Describe a line chart over epochs.

    Attributes:
        title: What it shows.
        x: Epoch numbers.
        series: Lines, each as long as `x`.
        best: The epoch to mark, None for none.
        top: Upper end of the vertical axis; None takes it from the values.
        form: Writes a tick of the vertical axis.
    """

    title: str
    x: tuple[int, ...]
    series: tuple[Series, ...]
    best: int | None
    top: float | None = None
    form: Callable[[float], str] = "{:g}".format


def draw_chart(chart: Chart) -> str:
    """Return the chart as an <svg> element with a title and a description for those who hear."""
    frame = _Frame.fit(chart)
    label = escape(f"{chart.title}: {_describe(chart)}")
    parts = [_grid(chart, frame), _best_line(chart, frame)]
    parts += [_line(series, chart.x, frame) for series in chart.series]
    parts.append(_best_points(chart, frame))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def pick_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers, about `count` of them, that lie in [low, high]."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


@dataclass(frozen=True)
class _Frame:
    """Map data to the picture."""

    x_low: float
    x_high: float
    y_high: float

    @classmethod
    def fit(cls, chart: Chart) -> _Frame:
        low, high = (min(chart.x), max(chart.x)) if chart.x else (0, 1)
        if low == high:
            low, high = low - 1, high + 1
        values = [y for series in chart.series for _, y in _points(series, chart.x)]
        top = chart.top or max(values, default=0.0) * 1.05
        return cls(low, high, top if top > 0 else 1.0)

    def place(self, point: Point) -> Point:
        across = (point[0] - self.x_low) / (self.x_high - self.x_low)
        # a negative value has no place on an axis from zero; it sits on the axis
        up = min(max(point[1] / self.y_high, 0.0), 1.0)
        x = LEFT + across * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)


def _points(series: Series, x: Sequence[int]) -> list[Point]:
    pairs = zip(x, series.values, strict=True)
    return [(float(a), b) for a, b in pairs if b is not None and math.isfinite(b)]


def _grid(chart: Chart, frame: _Frame) -> str:
    parts = []
    for value in pick_ticks(0, frame.y_high, 4):
        x, y = frame.place((frame.x_low, value))
        parts.append(f'<path class="grid" d="M{x} {y}H{WIDTH - RIGHT}"/>')
        text = escape(chart.form(value))
        parts.append(f'<text x="{x - 6}" y="{y + 4}" text-anchor="end">{text}</text>')
    for value in pick_ticks(frame.x_low, frame.x_high, 6):
        if value == int(value) and (len(chart.x) > 1 or value in chart.x):
            x, y = frame.place((value, 0))
            parts.append(f'<text x="{x}" y="{y + 16}" text-anchor="middle">{int(value)}</text>')
    middle = (LEFT + WIDTH - RIGHT) // 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">epoch</text>')
    return "".join(parts)


def _best_line(chart: Chart, frame: _Frame) -> str:
    if chart.best is None:
        return ""
    x, bottom = frame.place((chart.best, 0))
    anchor = "start" if x < 90 else "end" if x > WIDTH - 50 else "middle"
    return (
        f'<path class="best" d="M{x} {bottom}V{TOP}"/>'
        f'<text class="best" x="{x}" y="{TOP - 8}" text-anchor="{anchor}">best: {chart.best}</text>'
    )


def _line(series: Series, x: Sequence[int], frame: _Frame) -> str:
    placed = [frame.place(point) for point in _points(series, x)]
    path = " ".join(f"{a},{b}" for a, b in placed)
    dots = placed if len(placed) <= MAX_DOTS else []
    circles = "".join(f'<circle cx="{a}" cy="{b}" r="2.2"/>' for a, b in dots)
    return f'<g class="{series.kind}"><polyline points="{path}"/>{circles}</g>'


def _best_points(chart: Chart, frame: _Frame) -> str:
    rings = []
    for series in chart.series:
        at_best = [p for p in _points(series, chart.x) if p[0] == chart.best]
        for x, y in map(frame.place, at_best):
            rings.append(
                f'<g class="{series.kind}"><circle class="ring" cx="{x}" cy="{y}" r="4.5"/></g>'
            )
    return "".join(rings)


def _describe(chart: Chart) -> str:
    said = []
    for series in chart.series:
        points = _points(series, chart.x)
        if points:
            first, last = chart.form(points[0][1]), chart.form(points[-1][1])
            said.append(f"{series.name} from {first} to {last}")
    if chart.best is not None:
        said.append(f"best epoch {chart.best}")
    return ", ".join(said) or "no values"
