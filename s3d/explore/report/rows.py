"""The table of all points on the page."""

from __future__ import annotations

from urllib.parse import quote

from s3d.explore.budget import short_number
from s3d.explore.report.data import ExploreReport, Point
from s3d.explore.report.naming import row_id, say_interval
from s3d.page.text import NONE, escape, isolate, percent, plural

HEADS = (
    ("candidate", ""),
    ("top-1", "n"),
    ("95 % interval", "n"),
    ("each repeat", "n"),
    ("to the most accurate", ""),
    ("multiply-adds", "n"),
    ("time of a clip", "n"),
    ("parameters", "n"),
    ("training", "n"),
    ("runs", ""),
)
MOST_REPEATS = 5
REPORT = "run/report.html"
"""What `s3d train` leaves in a trial's folder."""


def points_section(report: ExploreReport) -> str:
    """Return the section that lists every point, the most accurate first."""
    if not report.points:
        return ""
    head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in HEADS)
    front = {p.name for p in report.front(report.budget.unit)}
    rows = "".join(_row(report, p, p.name in front) for p in report.ranking)
    return (
        f'<section id="points"><h2>Every candidate</h2><p class="soft">{_note(report)}</p>'
        '<div class="scroll" tabindex="0"><table class="list points"><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _note(report: ExploreReport) -> str:
    unit = "time" if report.budget.unit == "ms" else "multiply-adds"
    return (
        "The most accurate first, then those of a shorter training, then those without a figure. "
        f"<b>Front</b>: none is as accurate for less {unit}, or better for as much. Multiply-adds "
        "and time are of one clip; differences are in points of a hundred, with 95 % intervals."
    )


def _row(report: ExploreReport, point: Point, is_on_front: bool) -> str:
    cells = (
        (percent(point.accuracy), "n"),
        (say_interval(point.interval) or NONE, "n"),
        (_repeats(point), "n"),
        (isolate(point.to_leader) if point.to_leader else "", "said"),
        (f"{short_number(point.gmacs)}&nbsp;G", "n"),
        (_time(point), "n"),
        (f"{point.parameters:,}", "n"),
        (_training(point), "n"),
        (_runs(point), "runs"),
    )
    body = "".join(f'<td class="{kind}">{text}</td>' for text, kind in cells)
    picked = ' class="picked"' if point.name == report.recommended else ""
    return f'<tr id="{row_id(point)}"{picked}>{_name(report, point, is_on_front)}{body}</tr>'


def _name(report: ExploreReport, point: Point, is_on_front: bool) -> str:
    tags = []
    if point.name == report.recommended:
        tags.append('<span class="tag pick">recommended</span>')
    if is_on_front:
        tags.append('<span class="tag front">front</span>')
    if point.state != "trained":
        tags.append(f'<span class="tag warn">{point.state}</span>')
    elif not report.fits(point):
        tags.append('<span class="tag warn">over the budget</span>')
    named = "" if point.network == point.word else f"{escape(point.word)} "
    reason = f'<span class="small">{isolate(point.reason)}</span>' if point.reason else ""
    return (
        f'<th scope="row">{isolate(point.name, 200)}{"".join(tags)}'
        f'<span class="small">{named}</span>{reason}</th>'
    )


def _repeats(point: Point) -> str:
    shown = " ".join(f"{100 * value:.1f}" for value in point.accuracies[:MOST_REPEATS])
    more = len(point.accuracies) - MOST_REPEATS
    spread = "" if point.deviation is None else f"s.d. {100 * point.deviation:.1f}"
    text = f"{shown}{f' and {more} more' if more > 0 else ''}" or NONE
    return f'{text}<span class="small">{spread}</span>'


def _time(point: Point) -> str:
    if point.latency_ms is None:
        return NONE
    small = isolate(point.engine, 60) if point.engine else ""
    if point.latency_range_ms is not None:
        low, high = map(short_number, point.latency_range_ms)
        small = f"{low} to {high}{', ' if small else ''}{small}"
    return f'{short_number(point.latency_ms)}&nbsp;ms<span class="small">{small}</span>'


def _training(point: Point) -> str:
    if not point.minutes and not point.epochs:
        return NONE
    return (
        f"{short_number(point.minutes)}&nbsp;min"
        f'<span class="small">{plural(point.epochs, "epoch")}</span>'
    )


def _runs(point: Point) -> str:
    return "<br>".join(_link(point, run) for run in point.runs) or NONE


def _link(point: Point, run: str) -> str:
    """Return a link to a run's report, without the candidate's name that stands beside it."""
    # "./": a name with a colon must not be taken for an address elsewhere
    report = f"/{REPORT}" if point.accuracies else ""
    place = escape(quote(f"./{run}{report}", errors="surrogateescape"))
    text = run.rpartition("/")[2].removeprefix(f"{point.name}-") or run
    return f'<a href="{place}" title="{escape(run)}">{isolate(text, 80)}</a>'
