"""The report as one page: no script, no network, every chart inside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from s3d.explore.budget import short_number
from s3d.explore.report.cost_chart import draw_cost_chart
from s3d.explore.report.curve_chart import draw_curve_charts, explain_no_curves
from s3d.explore.report.data import ExploreReport, Point, list_facts
from s3d.explore.report.drawing import Drawing
from s3d.explore.report.families import families_in
from s3d.explore.report.look import STYLE as OWN_STYLE
from s3d.explore.report.naming import common_setting, say_interval, say_setting
from s3d.explore.report.rows import points_section
from s3d.explore.report.svg import write_hollow_key, write_key, write_svg
from s3d.page.style import STYLE
from s3d.page.text import escape, isolate, percent, plural

# a page of other people's names: even if an escape were missed, nothing runs and nothing is fetched
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def build_page(report: ExploreReport) -> str:
    """Return the report as an HTML document."""
    sections = [
        _header(report),
        _costs(report),
        _curves(report),
        points_section(report),
        _reading(report),
        _done(report),
        _failures(report.failures),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(report.title)}</title><style>{STYLE}{OWN_STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(filter(None, sections))}\n</main></body></html>\n"
    )


def _header(report: ExploreReport) -> str:
    tiles = "".join(_tiles(report))
    return (
        f"<header><h1>{isolate(report.title)}</h1>"
        f'<p class="lead">{isolate(report.recommendation)}</p></header>\n'
        f'<dl class="tiles">{tiles}</dl>'
    )


def _tiles(report: ExploreReport) -> Iterable[str]:
    best = report.best
    if best is None:
        yield _tile("Recommended", "none", f"within {escape(report.budget.say())}", "warn")
    else:
        yield _tile("Recommended", isolate(best.name, 80), _say_size(best), "main", " name")
        yield _accuracy_tile(best, report)
        yield _tile("Multiply-adds of a clip", f"{short_number(best.gmacs)}&nbsp;G", "counted")
    if best is not None and best.latency_ms is not None:
        detail = f"measured{f' with {isolate(best.engine, 60)}' if best.engine else ''}"
        yield _tile("Time of a clip", f"{short_number(best.latency_ms)}&nbsp;ms", detail)
    trained = sum(p.is_scored for p in report.points)
    others = [
        f"{sum(p.state == state for p in report.points)} {state}"
        for state in ("dropped early", "over the budget", "failed")
        if any(p.state == state for p in report.points)
    ]
    detail = f"of {len(report.points):,}{''.join(f', {text}' for text in others)}"
    yield _tile("Trained in full", f"{trained:,}", detail)


def _accuracy_tile(best: Point, report: ExploreReport) -> str:
    interval = say_interval(best.interval)
    sure = f"95&nbsp;% interval {interval}<br>" if interval else ""
    chance = f"the commonest class: {percent(report.chance)}"
    return _tile("Top-1", percent(best.accuracy), sure + chance, "main")


def _say_size(point: Point) -> str:
    return f"{point.parameters:,} parameters"


def _tile(name: str, value: str, detail: str, kind: str = "", look: str = "") -> str:
    return (
        f'<div class="tile {kind}"><dt>{name}</dt><dd class="big{look}">{value}</dd>'
        f'<dd class="soft">{detail}</dd></div>'
    )


def _costs(report: ExploreReport) -> str:
    drawings = [draw_cost_chart(report, "gmacs"), draw_cost_chart(report, "ms")]
    shown = [d for d in drawings if d is not None]
    if not shown:
        why = "No candidate was scored, so there is nothing to draw."
        return f"<section><h2>Accuracy against cost</h2><p>{why}</p></section>"
    missing = (
        ""
        if drawings[1]
        else "<p>No scored candidate was timed, so milliseconds are not drawn.</p>"
    )
    scored = [p for p in report.points if p.accuracy is not None]
    key = "".join(map(write_key, families_in(scored)))
    if any(p.state == "dropped early" for p in scored):
        key += write_hollow_key("dropped early, after a shorter training")
    common = common_setting(scored)
    told = f"Where a name says no more: {escape(say_setting(common))}. " if common else ""
    return (
        '<section><h2>Accuracy against cost</h2><p class="soft">'
        f"{told}Bars are 95&nbsp;% intervals, the dark steps the best that each cost bought, the "
        f'ring the recommendation.</p><div class="fams">{key}</div>'
        f'<div class="charts wide">{"".join(map(_figure, shown))}</div>{missing}</section>'
    )


def _curves(report: ExploreReport) -> str:
    drawings = draw_curve_charts(report)
    if not drawings:
        why = explain_no_curves()
        return f'<section><h2>Accuracy against k</h2><p class="soft">{why}</p></section>'
    return (
        '<section><h2>Accuracy against k</h2><p class="soft">k numbers the eleven layers that may '
        "see time, from conv1a (0) to mixed5c (10). Where a curve is flat, time is cheap to leave "
        'out.</p><div class="charts wide">'
        f"{''.join(map(_figure, drawings))}</div></section>"
    )


def _figure(drawing: Drawing) -> str:
    told = ""
    if drawing.unlabelled:
        told = (
            f"<figcaption>{plural(drawing.unlabelled, 'name')} not written; rest the pointer on "
            "a mark, or follow it to the table.</figcaption>"
        )
    return f"<figure><h3>{escape(drawing.title)}</h3>{write_svg(drawing)}{told}</figure>"


def _reading(report: ExploreReport) -> str:
    seeds = "seeds and sources" if report.seeds > 1 else "sources"
    items = [
        "A mark is a candidate: one network at one width, on clips of one size. Its name stands "
        "beside it, its runs in the table to which it leads.",
        f"An upright bar is the 95 % interval of the accuracy, drawing {seeds} of videos anew. Two "
        "bars that overlap may still differ: candidates are compared on the same videos, so what "
        "is hard for both cancels. The column <b>to the most accurate</b> has that comparison.",
        "A difference is <b>seen</b> where its interval leaves out 0 and at least six sources tell "
        "the two apart. <b>No difference seen</b> is an answer: take the cheaper.",
        "The dark steps are the front: the best accuracy that each cost bought. Coloured lines "
        "join the networks of one curve over k that share width and clip, as in the paper.",
        "The dashed upright line is the budget; what lies in the shade costs more. The ring is the "
        "recommendation.",
        "A hollow mark was dropped early: its accuracy is of a shorter training and stands lower "
        "than the others' for that alone.",
        "Multiply-adds are what the paper calls FLOPs; they are counted and the same everywhere. "
        "Milliseconds are measured, on the machine and with the engine named below.",
    ]
    body = "".join(f"<li>{item}</li>" for item in items)
    return f'<section><h2>How to read it</h2><ul class="plain">{body}</ul></section>'


def _done(report: ExploreReport) -> str:
    facts = list_facts(report)
    listed = "".join(f"<dt>{isolate(a)}</dt><dd>{isolate(b)}</dd>" for a, b in facts)
    notes = "".join(f"<li>{isolate(note)}</li>" for note in report.notes)
    noted = f'<ul class="notes">{notes}</ul>' if notes else ""
    return (
        f'<section><h2>What was done</h2><dl class="facts">{listed}</dl>{noted}'
        f"<h3>The command</h3><pre>{escape(report.command)}</pre></section>"
    )


def _failures(failures: Sequence[tuple[str, str]]) -> str:
    if not failures:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{isolate(name)}</th><td>{isolate(why)}</td></tr>'
        for name, why in failures
    )
    return (
        '<section id="failures"><h2>What failed</h2><p class="soft">It was left out; everything '
        'above is without it.</p><div class="scroll tall" tabindex="0"><table class="list"><thead>'
        '<tr><th scope="col">what</th><th scope="col">reason</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )
