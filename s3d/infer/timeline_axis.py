"""The time axis of a timeline's page: small pictures, coloured segments, curves of scores."""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.infer.segments import Segment
from s3d.infer.timeline import Timeline
from s3d.page.picture import encode_jpeg, jpeg_url
from s3d.page.text import escape, isolate, percent, shorten

HUES = (215, 28, 145, 340, 265, 180, 50, 0, 100, 300)
"""Of the labels with the most time; further ones are spread by the golden angle."""
MOST_POINTS = 600
MOST_CURVES = len(HUES)
LEAST_CURVES = 3
MOST_DRAWN = 3000
MOST_ZOOM = 64
LEAST_SHOWN_SECONDS = 4.0
SHOT_COLUMNS = 10
MOST_SHOT_PX = 512

STEPS_SECONDS = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800,
)  # fmt: skip
TICKS = (8, 32, 128)
"""About how many there are at each level of zoom."""


def clock(seconds: float, tenths: bool = True) -> str:
    """Return seconds as h:mm:ss.s, or h:mm:ss."""
    whole, rest = divmod(round(10 * seconds), 10)
    text = f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{text}.{rest}" if tenths else text


def sum_times(segments: Sequence[Segment]) -> dict[str, float]:
    """Return the seconds of each label, the longest first."""
    found: dict[str, float] = defaultdict(float)
    for segment in segments:
        found[segment.label] += segment.end_seconds - segment.start_seconds
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def choose_hues(labels: Sequence[str]) -> dict[str, int]:
    """Return a hue in degrees for each label, far apart for the first ones."""
    extra = (round(137.5 * number) % 360 for number in range(len(labels)))
    hues = [*HUES, *extra]
    return {label: hues[place] for place, label in enumerate(labels)}


@dataclass(frozen=True)
class Shots:
    """Hold all small pictures of a video in one, so that each may be shown many times.

    Attributes:
        url: Of the one picture, in columns and rows; "" where there are none.
        seconds: When each is.
        size_px: (height, width) of each.
    """

    url: str
    seconds: tuple[float, ...]
    size_px: tuple[int, int]

    @property
    def style(self) -> str:
        """Return what the style sheet needs to know."""
        if not self.url:
            return ""
        rows = -(-len(self.seconds) // SHOT_COLUMNS)
        height, width = self.size_px
        return (
            f":root {{ --aspect: {width}/{height} }}\n.shot {{ background-image: url({self.url}); "
            f"background-size: {100 * SHOT_COLUMNS}% {100 * rows}% }}"
        )

    def draw(self, number: int, kind: str = "", extra: str = "") -> str:
        """Return one of them as an element."""
        rows = -(-len(self.seconds) // SHOT_COLUMNS)
        row, column = divmod(number, SHOT_COLUMNS)
        x = 100 * column / (SHOT_COLUMNS - 1)
        y = 100 * row / (rows - 1) if rows > 1 else 0
        place = f"background-position:{x:.3f}% {y:.3f}%"
        return (
            f'<i class="shot{kind}" data-at="{self.seconds[number]:.3f}" '
            f'style="{place}{extra}"></i>'
        )

    def nearest(self, seconds: float) -> int:
        """Return the number of the one that is nearest to a time."""
        return int(np.argmin(np.abs(np.array(self.seconds) - seconds)))


def collect_shots(glances: Sequence[tuple[float, bytes]]) -> Shots:
    """Return small pictures in one; those that cannot be read are left out.

    Args:
        glances: (seconds, JPEG).
    """
    from PIL import Image, UnidentifiedImageError

    pictures = []
    for seconds, jpeg in glances:
        try:
            opened = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
            if max(opened.size) <= MOST_SHOT_PX:
                pictures.append((seconds, opened.convert("RGB")))
        except (UnidentifiedImageError, OSError):
            continue
    if not pictures:
        return Shots("", (), (1, 1))
    width, height = pictures[0][1].size
    rows = -(-len(pictures) // SHOT_COLUMNS)
    whole = Image.new("RGB", (SHOT_COLUMNS * width, rows * height))
    for number, (_, picture) in enumerate(pictures):
        row, column = divmod(number, SHOT_COLUMNS)
        whole.paste(picture.resize((width, height)), (column * width, row * height))
    seconds_of = tuple(seconds for seconds, _ in pictures)
    return Shots(jpeg_url(encode_jpeg(whole)), seconds_of, (height, width))


@dataclass(frozen=True, eq=False)
class Curves:
    """Hold scores of windows as so many points as can be seen.

    Attributes:
        seconds: (P,) middles of the windows.
        scores: (P, K) the highest of the windows that share a point.
    """

    seconds: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float32]


def collect_curves(timeline: Timeline) -> Curves:
    """Return the scores of all windows in at most `MOST_POINTS` points, in flat memory."""
    count = min(MOST_POINTS, timeline.windows)
    scores = np.zeros((count, len(timeline.labels)), np.float32)
    totals, counts = np.zeros(count), np.zeros(count)
    for number, (start, end, row) in enumerate(timeline.iterate_windows()):
        place = min(count - 1, number * count // timeline.windows)
        np.maximum(scores[place], row, out=scores[place])
        totals[place] += (start + end) / 2
        counts[place] += 1
    return Curves(totals / np.maximum(counts, 1), scores)


def choose_curves(timeline: Timeline, curves: Curves, times: Mapping[str, float]) -> list[str]:
    """Return the labels whose scores are drawn: those with most time, or the likeliest."""
    if times:
        return list(times)[:MOST_CURVES]
    best = np.argsort(-curves.scores.max(0), kind="stable")[:LEAST_CURVES]
    return [timeline.labels[int(place)] for place in best]


def draw_track(timeline: Timeline, shots: Shots, curves: Curves, hues: Mapping[str, int]) -> str:
    """Return the axis with everything on it.

    Args:
        timeline: What happens.
        shots: Its small pictures.
        curves: Its scores.
        hues: Of the labels whose scores are drawn, first, and of all that have segments.
    """
    total = timeline.duration_seconds
    zoom = min(MOST_ZOOM, 2 ** max(0, math.floor(math.log2(total / LEAST_SHOWN_SECONDS))))
    parts = [
        _draw_shots(shots, total),
        _draw_band(timeline, hues),
        _draw_curves(timeline, curves, hues),
    ]
    return (
        f'<div class="axis" tabindex="0"><div class="track" data-seconds="{total:.3f}" '
        f'data-zoom="{zoom}">{"".join(parts)}<div class="ticks">{"".join(_draw_ticks(total))}</div>'
        '<div class="hover off"></div><div class="cursor"></div></div></div>'
    )


def _draw_shots(shots: Shots, total: float) -> str:
    if not shots.url:
        return ""
    drawn = []
    for number, seconds in enumerate(shots.seconds):
        level = "" if number % 6 == 3 or len(shots.seconds) < 10 else " l2" if number % 2 else " l3"
        drawn.append(shots.draw(number, level, f";left:{100 * seconds / total:.3f}%"))
    return f'<div class="shots" aria-hidden="true">{"".join(drawn)}</div>'


def _draw_band(timeline: Timeline, hues: Mapping[str, int]) -> str:
    total = timeline.duration_seconds
    drawn = []
    for segment in timeline.segments[:MOST_DRAWN]:
        start, end = segment.start_seconds, segment.end_seconds
        label = escape(shorten(segment.label, 200))
        title = f"{label}, {clock(start)} to {clock(end)}, {percent(segment.score)}"
        drawn.append(
            f'<button type="button" class="seg" data-start="{start:.3f}" data-end="{end:.3f}" '
            f'data-label="{label}" title="{title}" style="left:{100 * start / total:.4f}%;'
            f'width:{100 * (end - start) / total:.4f}%;--h:{hues[segment.label]}">{label}</button>'
        )
    return f'<div class="band">{"".join(drawn)}</div>'


def _draw_curves(timeline: Timeline, curves: Curves, hues: Mapping[str, int]) -> str:
    x = 1000 * curves.seconds / timeline.duration_seconds
    level = 100 * (1 - timeline.rule.enter)
    paths = ['<path class="base" d="M0 0H1000M0 100H1000"/>']
    paths.append(f'<path class="threshold" d="M0 {level:.1f}H1000"/>')
    for label in list(hues)[:MOST_CURVES]:
        row = curves.scores[:, timeline.labels.index(label)]
        points = " ".join(f"{a:.1f} {100 - 100 * b:.1f}" for a, b in zip(x, row, strict=True))
        lone = "h1" if len(x) == 1 else ""
        paths.append(f'<path style="--h:{hues[label]}" d="M{points}{lone}"/>')
    said = f"threshold {percent(timeline.rule.enter, 0)}"
    return (
        '<div class="curves" role="img" aria-label="score of each label over time">'
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none">{"".join(paths)}</svg>'
        f'<div class="rule"><span style="top:{1.2 * level - 17:.1f}px">{said}</span></div></div>'
    )


def _draw_ticks(total: float) -> Iterator[str]:
    seen = set[int]()
    for level, count in enumerate(TICKS, 1):
        step = next((s for s in STEPS_SECONDS if s >= total / count), STEPS_SECONDS[-1])
        for number in range(int(0.97 * total / step) + 1):
            milliseconds = round(1000 * number * step)
            if milliseconds not in seen:
                seen.add(milliseconds)
                kind = " first" if not milliseconds else ""
                text = clock(number * step, tenths=step < 1)
                place = 100 * number * step / total
                yield f'<span class="l{level}{kind}" style="left:{place:.4f}%">{text}</span>'


def draw_key(labels: Sequence[str], hues: Mapping[str, int]) -> str:
    """Return which colour is which label."""
    parts = (
        f'<span class="keyed"><i class="dot" style="--h:{hues[label]}"></i>'
        f"{isolate(label, 80)}</span>"
        for label in labels
    )
    return f'<p class="soft keys">{"".join(parts)}</p>'
