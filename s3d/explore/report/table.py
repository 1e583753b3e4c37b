"""The points as rows: a CSV for a spreadsheet, and a table for a terminal."""

from __future__ import annotations

import csv
import io

from s3d.explore.budget import short_number
from s3d.explore.report.data import ExploreReport, Point
from s3d.files import show_path

COLUMNS = (
    "name",
    "state",
    "reason",
    "network",
    "word",
    "width",
    "frames",
    "size_px",
    "rate_fps",
    "parameters",
    "macs",
    "latency_ms",
    "latency_low_ms",
    "latency_high_ms",
    "engine",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "deviation",
    "accuracies",
    "to_leader",
    "is_on_front",
    "is_within_budget",
    "is_recommended",
    "epochs",
    "minutes",
    "runs",
)
"""Of the CSV. Shares are 0 to 1; what is not known is empty; lists are parted by spaces."""


def write_csv(report: ExploreReport) -> str:
    """Return the points as CSV, the most accurate first."""
    front = {p.name for p in report.front(report.budget.unit)}
    out = io.StringIO()
    rows = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    rows.writeheader()
    for point in report.ranking:
        rows.writerow(_row(report, point, point.name in front))
    return out.getvalue()


def format_table(report: ExploreReport) -> str:
    """Return the points as lines of text, the most accurate first, and the recommendation."""
    front = {p.name for p in report.front(report.budget.unit)}
    wide = max([len("candidate"), *(len(show_path(p.name)) for p in report.points)])
    head = f"    {'candidate':<{wide}}  top-1   95 % interval   multiply-adds      time"
    lines = [head, *(_line(report, p, wide, p.name in front) for p in report.ranking)]
    marks = "* recommended   + beaten by none in both accuracy and cost"
    return "\n".join([*lines, "", marks, "", show_path(report.recommendation)])


def _row(report: ExploreReport, point: Point, is_on_front: bool) -> dict[str, object]:
    low, high = point.interval or (None, None)
    fastest, slowest = point.latency_range_ms or (None, None)
    made = {
        "latency_low_ms": fastest,
        "latency_high_ms": slowest,
        "accuracy_low": low,
        "accuracy_high": high,
        "accuracies": " ".join(f"{value:.6g}" for value in point.accuracies),
        "is_on_front": is_on_front,
        "is_within_budget": report.fits(point),
        "is_recommended": point.name == report.recommended,
        "runs": " ".join(point.runs),
    }
    row = {name: made[name] if name in made else getattr(point, name) for name in COLUMNS}
    return {name: f"{v:.6g}" if isinstance(v, float) else v for name, v in row.items()}


def _line(report: ExploreReport, point: Point, wide: int, is_on_front: bool) -> str:
    mark = "*" if point.name == report.recommended else " "
    mark += "+" if is_on_front else " "
    top1 = "" if point.accuracy is None else f"{point.accuracy:.1%}"
    interval = "" if point.interval is None else "{:.1%} to {:.1%}".format(*point.interval)
    cost = f"{short_number(point.gmacs)} G"
    time = "" if point.latency_ms is None else f"{short_number(point.latency_ms)} ms"
    state = "" if point.state == "trained" else f"  {point.state}"
    return (
        f" {mark} {show_path(point.name):<{wide}}  {top1:>6}  {interval:>15}  {cost:>13}  "
        f"{time:>9}{state}"
    ).rstrip()
