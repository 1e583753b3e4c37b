"""What this page has beside the style of all pages: charts, keys and tags."""

from __future__ import annotations

from s3d.explore.report.families import FAMILIES


def _colours(shade: str) -> str:
    return " ".join(
        f".f-{family.kind} {{ color: {getattr(family, shade)} }}" for family in FAMILIES
    )


STYLE = f"""
{_colours("light")}
@media (prefers-color-scheme: dark) {{ {_colours("dark")} }}
.charts.wide {{ grid-template-columns: repeat(auto-fit,minmax(min(100%,30rem),1fr)); gap: 1.2rem }}
svg.chart {{ max-width: 44rem; overflow: visible }}
svg.chart text {{ font-size: 11px; fill: var(--ink) }}
svg.chart text.t-axis, svg.chart text.t-note {{ fill: var(--soft) }}
svg.chart text.t-label, svg.chart text.t-strong, svg.chart text.t-note {{
  font-size: 10.5px; paint-order: stroke; stroke: var(--card); stroke-width: 3px;
  stroke-linejoin: round;
}}
svg.chart text.t-strong {{ font-weight: 650 }}
svg.chart text[class*="f-"] {{ fill: currentColor }}
svg.chart path {{ fill: none; stroke: currentColor; stroke-linejoin: round }}
svg.chart path.l-grid {{ stroke: var(--line) }}
svg.chart path.l-base, svg.chart path.l-leader {{ stroke: var(--soft); stroke-width: .8 }}
svg.chart path.l-chance {{ stroke: var(--soft); stroke-dasharray: 2 3 }}
svg.chart path.l-budget {{
  stroke: rgb(var(--wrong)); stroke-width: 1.5; stroke-dasharray: 5 4;
}}
svg.chart rect.beyond {{ fill: rgb(var(--wrong) / .07) }}
svg.chart path.l-front {{ stroke: var(--ink); stroke-width: 1.4; opacity: .5 }}
svg.chart path.l-curve {{ stroke-width: 1.8; opacity: .55 }}
svg.chart path.l-bar {{ stroke-width: 1.1; opacity: .5 }}
svg.chart .mark path, svg.chart .mark circle {{
  fill: currentColor; stroke: currentColor; stroke-width: 1.6;
}}
svg.chart .mark.hollow path, svg.chart .mark.hollow circle {{ fill: var(--card) }}
svg.chart .mark circle.pick {{ fill: none; stroke: rgb(var(--right)); stroke-width: 2.2 }}
svg.chart a:hover .mark path, svg.chart a:hover .mark circle:not(.pick),
svg.chart a:focus-visible .mark path, svg.chart a:focus-visible .mark circle:not(.pick) {{
  stroke: var(--ink); stroke-width: 2.4;
}}
.fams {{ display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .5rem 0 .2rem }}
.fam {{ display: inline-flex; align-items: center; gap: .35em; font-size: .88rem }}
.fam svg {{ width: 16px; height: 16px; flex: none }}
.fam path, .fam circle {{ fill: currentColor }}
.fam .hollow path, .fam .hollow circle {{
  fill: var(--card); stroke: currentColor; stroke-width: 1.6;
}}
.tile .big.name {{ font-size: 1.25rem; line-height: 1.7; overflow-wrap: anywhere }}
.tag {{
  display: inline-block; font-size: .74rem; font-weight: 600; padding: 0 .5em; margin-left: .4em;
  border-radius: 1em; border: 1px solid currentColor; white-space: nowrap;
}}
.tag.pick {{ color: rgb(var(--right)) }}
.tag.front {{ color: var(--soft) }}
.tag.warn {{ color: var(--warn) }}
table.points {{ font-size: .88rem }}
table.points tbody th {{ min-width: 13rem }}
table.points td.runs {{ min-width: 6rem }}
table.points td.said {{ min-width: 9rem }}
table.points tr.picked > * {{ background: rgb(var(--right) / .08) }}
table.points tr:target > * {{ background: rgb(var(--wrong) / .14) }}
table.points .small {{ display: block; color: var(--soft); font-size: .92em }}
ul.plain {{ margin: .4rem 0 0; padding-left: 1.1rem; max-width: 56rem }}
ul.plain li {{ margin-bottom: .3rem }}
"""
