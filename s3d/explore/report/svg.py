"""A drawing as SVG text, in the page's own colours, light or dark."""

from __future__ import annotations

from collections.abc import Iterable

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
from s3d.explore.report.families import Family
from s3d.page.text import escape


def write_svg(drawing: Drawing) -> str:
    """Return the drawing as an <svg> element; its marks lead to their rows in the table."""
    label = escape(f"{drawing.title}: {drawing.described}")
    return (
        f'<svg class="chart" viewBox="0 0 {drawing.width} {drawing.height}" role="img" '
        f'aria-label="{label}">{"".join(map(_write, drawing.parts))}</svg>'
    )


def write_key(family: Family) -> str:
    """Return a family's mark and name, for the key of a chart."""
    return (
        '<span class="fam"><svg viewBox="0 0 16 16" aria-hidden="true">'
        f'<g class="f-{family.kind}">{_shape(family, (8, 8))}</g></svg>{escape(family.name)}</span>'
    )


def write_hollow_key(text: str) -> str:
    """Return a hollow mark and what it means."""
    return (
        '<span class="fam"><svg viewBox="0 0 16 16" aria-hidden="true"><g class="hollow">'
        f'<circle cx="8" cy="8" r="{RADIUS_PX}"/></g></svg>{escape(text)}</span>'
    )


def _write(part: Part) -> str:
    if isinstance(part, Line):
        return _line(part)
    if isinstance(part, Area):
        return (
            f'<rect class="beyond" x="{part.left}" y="{part.top}" width="{part.width}" '
            f'height="{part.height}"/>'
        )
    return _mark(part) if isinstance(part, Mark) else _words(part)


def _line(line: Line) -> str:
    if not line.spots:
        return ""
    family = f" f-{line.family.kind}" if line.family else ""
    return f'<path class="l-{line.kind}{family}" d="M{_join(line.spots, "L")}"/>'


def _words(words: Words) -> str:
    x, y = words.spot
    family = f" f-{words.family.kind}" if words.family else ""
    return (
        f'<text class="t-{words.kind}{family}" x="{x:g}" y="{y:g}" text-anchor="{words.anchor}">'
        f"{escape(words.text)}</text>"
    )


def _mark(mark: Mark) -> str:
    x, y = mark.spot
    ring = f'<circle class="pick" cx="{x}" cy="{y}" r="{RING_PX}"/>' if mark.is_ringed else ""
    title = "\n".join(map(escape, mark.title.split("\n")))
    hollow = " hollow" if mark.is_hollow else ""
    return (
        f'<a href="#{mark.row}"><g class="mark f-{mark.family.kind}{hollow}"><title>{title}</title>'
        f"{ring}{_shape(mark.family, mark.spot)}</g></a>"
    )


def _shape(family: Family, spot: Spot) -> str:
    if family.shape == "circle":
        return f'<circle cx="{spot[0]}" cy="{spot[1]}" r="{RADIUS_PX}"/>'
    return f'<path d="M{_join(outline(family.shape, spot), "L")}Z"/>'


def _join(spots: Iterable[Spot], between: str) -> str:
    return between.join(f"{x:g} {y:g}" for x, y in spots)
