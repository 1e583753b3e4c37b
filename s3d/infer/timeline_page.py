"""A timeline as one page: nothing is fetched but the video that lies beside it."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from urllib.parse import quote

from s3d.infer.segments import Segment
from s3d.infer.timeline import Timeline
from s3d.infer.timeline_axis import (
    MOST_DRAWN,
    Shots,
    choose_curves,
    choose_hues,
    clock,
    collect_curves,
    collect_shots,
    draw_key,
    draw_track,
    sum_times,
)
from s3d.infer.timeline_style import SCRIPT, STYLE
from s3d.page import style
from s3d.page.text import escape, isolate, percent, plural

MOST_NAMED = 3

_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
# A page of other people's names: even if an escape were missed, no other script runs, and nothing
# is fetched but what lies beside the page.
POLICY = (
    f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; media-src 'self' file:; "
    f"script-src 'sha256-{_HASH}'"
)


def build_page(timeline: Timeline, model: str, url: str | None = None) -> str:
    """Return a timeline as an HTML document.

    Args:
        timeline: What happens.
        model: The name or path of the model.
        url: From the page to the video, as parts of a path, where a browser plays it.
    """
    shots, curves = collect_shots(timeline.glances), collect_curves(timeline)
    times = sum_times(timeline.segments)
    drawn = choose_curves(timeline, curves, times)
    hues = choose_hues([*drawn, *(label for label in times if label not in drawn)])
    name = timeline.path.replace("\\", "/").rpartition("/")[2] or timeline.path
    sections = [
        f'<header><h1>{isolate(name)}</h1><p class="lead">{_lead(timeline, times)}</p></header>',
        _stage(draw_track(timeline, shots, curves, hues), draw_key(list(hues), hues), url),
        f'<div class="columns">{_labels(timeline, times, hues)}{_facts(timeline, model)}</div>',
        _segments(timeline, shots, hues),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(name)}</title><style>{style.STYLE}{STYLE}{shots.style}</style></head>\n"
        f"<body><main>\n{chr(10).join(filter(None, sections))}\n</main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _lead(timeline: Timeline, times: Mapping[str, float]) -> str:
    length = f"<b>{clock(timeline.duration_seconds)}</b>"
    if not times:
        return (
            f"In {length} of video no label reaches the threshold of "
            f"{percent(timeline.rule.enter)}."
        )
    named = [f"<b>{isolate(label, 80)}</b> {clock(times[label])}" for label in times][:MOST_NAMED]
    more = len(times) - len(named)
    said = ", ".join(named) + (f" and {plural(more, 'more label')}" if more else "")
    count = plural(len(timeline.segments), "segment")
    return f"In {length} of video there {_is(timeline)} {count}: {said}."


def _is(timeline: Timeline) -> str:
    return "is" if len(timeline.segments) == 1 else "are"


def _stage(track: str, key: str, url: str | None) -> str:
    video = ""
    if url is not None:
        # "./": a name with a colon must not be taken for an address elsewhere.
        place = quote(f"./{url}", errors="surrogateescape")
        video = (
            f'<div class="stage"><video controls preload="metadata" src="{escape(place)}"></video>'
            "</div>"
        )
    return (
        '<section id="timeline" class="still"><h2>What happens when</h2>'
        f'{video}<div class="tools"><span class="now"></span><span class="what"></span>'
        '<span class="zoom"><button type="button" class="out" title="see more time">&minus;'
        '</button><button type="button" class="in" title="see less time, larger">+</button></span>'
        f'</div>{track}{key}<div class="peek off"></div></section>'
    )


def _labels(timeline: Timeline, times: Mapping[str, float], hues: Mapping[str, int]) -> str:
    if not times:
        return ""
    counts = Counter(segment.label for segment in timeline.segments)
    rows = []
    for label, seconds in times.items():
        share, hue = seconds / timeline.duration_seconds, hues[label]
        rows.append(
            f'<tr><th scope="row"><i class="dot" style="--h:{hue}"></i>{isolate(label, 200)}</th>'
            f'<td class="n">{counts[label]:,}</td><td class="n">{clock(seconds)}</td>'
            f'<td class="n"><span class="bar"><i class="hue" style="--h:{hue};'
            f'width:{min(100.0, 100 * share):.1f}%"></i></span></td>'
            f'<td class="n">{percent(share)}</td></tr>'
        )
    head = (
        '<th scope="col">label</th><th scope="col" class="n">segments</th>'
        '<th scope="col" class="n">time</th><th scope="col" colspan="2" class="n">of the video</th>'
    )
    return f'<section class="shares"><h2>How much of it</h2>{_table(head, rows)}</section>'


def _facts(timeline: Timeline, model: str) -> str:
    rule = timeline.rule
    said = f"{percent(rule.enter)} to begin, {percent(rule.leave_score)} to go on"
    facts = [
        ("model", model),
        ("windows", f"{timeline.windows:,} {timeline.protocol}"),
        ("threshold", f"{said}; {timeline.origin}"),
    ]
    if rule.smooth_windows > 1:
        facts.append(("smoothed", f"over {rule.smooth_windows} windows"))
    if rule.least_seconds:
        facts.append(("least length", f"{rule.least_seconds:g} s"))
    if rule.nothing:
        facts.append(("means nothing", ", ".join(rule.nothing)))
    rows = "".join(f"<dt>{name}</dt><dd>{isolate(text)}</dd>" for name, text in facts)
    return f'<section><h2>How it was found</h2><dl class="facts">{rows}</dl></section>'


def _segments(timeline: Timeline, shots: Shots, hues: Mapping[str, int]) -> str:
    if not timeline.segments:
        return ""
    rows = [_segment(segment, shots, hues) for segment in timeline.segments[:MOST_DRAWN]]
    left_out = len(timeline.segments) - len(rows)
    note = f'<p class="soft">The first {len(rows):,}; the CSV beside holds all.</p>'
    picture = '<th scope="col"></th>' if shots.url else ""
    head = (
        f'{picture}<th scope="col">label</th><th scope="col" class="n">start</th>'
        '<th scope="col" class="n">end</th><th scope="col" class="n">seconds</th>'
        '<th scope="col" class="n">score</th>'
    )
    return (
        f"<section><h2>{plural(len(timeline.segments), 'segment')}</h2>"
        f"{note if left_out else ''}{_table(head, rows)}</section>"
    )


def _segment(segment: Segment, shots: Shots, hues: Mapping[str, int]) -> str:
    start, end = segment.start_seconds, segment.end_seconds
    picture = ""
    if shots.url:
        near = shots.nearest((start + end) / 2)
        picture = f'<td class="shotcell">{shots.draw(near)}</td>'
    return (
        f'<tr class="seek" data-start="{start:.3f}">{picture}<th scope="row"><i class="dot" '
        f'style="--h:{hues[segment.label]}"></i>{isolate(segment.label, 200)}</th>'
        f'<td class="n">{clock(start)}</td><td class="n">{clock(end)}</td>'
        f'<td class="n">{end - start:.1f}</td><td class="n">{percent(segment.score)}</td></tr>'
    )


def _table(head: str, rows: list[str]) -> str:
    return (
        '<div class="scroll tall" tabindex="0"><table class="list"><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
