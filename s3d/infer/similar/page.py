"""What a search found as one page: the query and each hit play side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from s3d.infer.similar.film import Film, make_film
from s3d.infer.similar.rank import Hit
from s3d.infer.similar.similar import Found
from s3d.infer.timeline_axis import clock
from s3d.infer.timeline_files import find_url
from s3d.page import style
from s3d.page.text import escape, isolate, plural

MOST_NAMED = 200
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""A page of other people's names: even if an escape were missed, nothing runs or is fetched."""

_STRIPS = {
    ".film": "width: 100%; height: auto; background-size: 100% 100%; animation: none; "
    "aspect-ratio: calc(var(--n) * var(--w)) / var(--h)",
    ".cards": "grid-template-columns: 1fr",
    ".stage": "display: block; aspect-ratio: auto",
    ".query .card": "max-width: none",
}
"""Frames side by side: where the switch is set, on paper, and for who wants nothing to move."""
STYLE = """
.cards {
  display: grid; gap: 1rem; margin: 1rem 0 0; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill,minmax(min(100%,15rem),1fr));
}
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .6rem;
  min-width: 0; break-inside: avoid;
}
.card p { margin: .35rem 0 0; overflow-wrap: anywhere; line-height: 1.35 }
.card .name { font-weight: 600; font-size: .92rem }
.card .bar { width: 5rem }
.card .rank { float: right; color: var(--soft) }
.stage { aspect-ratio: 16 / 9; display: grid; place-items: center; background: #000;
  border-radius: 8px; overflow: hidden }
.film {
  aspect-ratio: var(--w) / var(--h); background-size: calc(100% * var(--n)) 100%;
  background-repeat: no-repeat; animation: play var(--s) steps(var(--n), jump-none) infinite;
}
.film.tall { height: 100% }
.film.wide { width: 100% }
.film.one { animation: none }
.none { color: #bbb; font-size: .88rem }
.query .card { max-width: 24rem; margin-top: .5rem }
@keyframes play { from { background-position: 0 0 } to { background-position: 100% 0 } }
.switch { margin: 1.2rem .4rem 0 0 }
"""


def _lay_flat(before: str) -> str:
    return "\n".join(f"{before}{name} {{ {body} }}" for name, body in _STRIPS.items())


STYLE += f"""
{_lay_flat(".switch:checked ~ ")}
{_lay_flat(".switch:checked ~ * ")}
@media print, (prefers-reduced-motion: reduce) {{
{_lay_flat("main ")}
}}
@media print {{ .switch, .switch + label {{ display: none }} }}
"""


def build_page(found: Found, model: str, folder: str, page: Path) -> str:
    """Return what was found as an HTML document.

    Args:
        found: What was found.
        model: The name or path of the model.
        folder: That was searched.
        page: Where the document is to lie: it leads to videos that were named by relative paths.
    """
    name = _file_name(found.query.path)
    title = f"Moves like {name}"
    cards = [_card(hit, str(rank), page) for rank, hit in enumerate(found.hits, 1)]
    query = _card(found.query, "", page)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{style.STYLE}{STYLE}</style></head>\n"
        f"<body><main>\n<header><h1>Moves like {isolate(name)}</h1>"
        f'<p class="lead">{_lead(found, folder)}</p></header>\n'
        '<input type="checkbox" id="strips" class="switch"><label for="strips">frames side by side '
        f'instead of playing</label>\n<div class="query"><ul class="cards">{query}</ul></div>\n'
        f'<ol class="cards">{chr(10).join(cards)}</ol>\n'
        f"{_facts(found, model, folder)}{_failures(found.failures)}</main></body></html>\n"
    )


def _lead(found: Found, folder: str) -> str:
    count, videos = plural(len(found.hits), "moment"), plural(found.videos, "video")
    return f"The {count} most alike in motion, of {videos} in {isolate(folder)}."


def _card(hit: Hit, rank: str, page: Path) -> str:
    span = f"{clock(hit.start_seconds)} to {clock(hit.end_seconds)}"
    said = '<p class="soft">what was looked for</p>'
    if rank:
        width = f"{100 * hit.likeness:.0f}"
        said = (
            f'<p><span class="rank">{rank}</span><span class="bar"><i style="width:{width}%"></i>'
            f"</span>{hit.likeness:.2f}</p>"
        )
    return (
        f'<li class="card"><div class="stage">{_film(make_film(hit), span)}</div>{said}'
        f'<p class="name">{_link(hit, page)}</p><p class="soft">{span}</p></li>'
    )


def _film(film: Film, span: str) -> str:
    if not film.url:
        return '<p class="none">no picture can be read</p>'
    height, width = film.size_px
    kind = "wide" if 9 * width >= 16 * height else "tall"
    one = " one" if film.frames == 1 else ""
    return (
        f'<div class="film {kind}{one}" role="img" aria-label="frames of {span}" '
        f'style="--n:{film.frames};--w:{width};--h:{height};--s:{film.seconds:.2f}s;'
        f'background-image:url({film.url})"></div>'
    )


def _link(hit: Hit, page: Path) -> str:
    shown, url = isolate(_file_name(hit.path), 200), find_url(hit.path, page.parent)
    if url is None:
        return f'<span title="{escape(hit.path)}">{shown}</span>'
    # "./": a name with a colon must not be taken for an address elsewhere.
    place = quote(f"./{url}", errors="surrogateescape")
    moment = f"#t={hit.start_seconds:.2f},{hit.end_seconds:.2f}"
    return f'<a href="{escape(place)}{moment}" title="{escape(hit.path)}">{shown}</a>'


def _facts(found: Found, model: str, folder: str) -> str:
    spec, recipe = found.recipe.spec, found.recipe
    facts = [
        ("model", f"{model}, {recipe.at}"),
        ("windows", f"{spec.describe()}; one every {recipe.stride:.3g} s"),
        ("folder", folder),
        (
            "likeness",
            "1 is the same motion; 0 is no more alike than any two of this folder, or less",
        ),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{isolate(text)}</dd>" for name, text in facts)
    return f'<section><h2>How it was found</h2><dl class="facts">{rows}</dl></section>'


def _failures(failures: Sequence[tuple[str, str]]) -> str:
    if not failures:
        return ""
    rows = "".join(f"<li>{isolate(error)}</li>" for _, error in failures[:MOST_NAMED])
    more = len(failures) - MOST_NAMED
    rows += f"<li>and {more:,} more</li>" if more > 0 else ""
    return (
        f"<section><details><summary>{plural(len(failures), 'video')} that cannot be read"
        f'</summary><ul class="notes">{rows}</ul></details></section>'
    )


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2] or path
