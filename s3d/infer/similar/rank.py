"""Which moments of videos are alike to a query, from features that are there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from s3d.infer.similar.align import choose_moments, lay_over, place_spans
from s3d.infer.similar.index import Windows
from s3d.infer.similar.query import Query
from s3d.infer.similar.scale import Features, Scale, measure_scale


@dataclass(frozen=True)
class Hit:
    """Say which moment is alike.

    Attributes:
        likeness: 1 is the same motion; 0 is no more alike than any two of the folder, or less.
        path: The video.
        start_seconds: When the moment begins.
        end_seconds: When it ends.
    """

    likeness: float
    path: str
    start_seconds: float
    end_seconds: float


def rank(
    query: Query, sought: Windows, videos: Mapping[str, Windows], top: int, each_moment: bool
) -> list[Hit]:
    """Return the moments that are alike, best first.

    Args:
        query: Whose own moment is left out.
        sought: Its windows.
        videos: The windows of each.
        top: How many hits at the most.
        each_moment: Whether every moment may be a hit, or of each video its best alone.
    """
    channels = sought.features.shape[1]
    scale = measure_scale((windows.features for windows in videos.values()), channels)
    wanted, own = scale.units(sought.features), find_span(query, sought)
    most = top if each_moment else 1
    found: list[tuple[float, Hit]] = []
    for path, windows in videos.items():
        skipped = own if _is_same(path, query.path) else None
        found += _find_moments(path, windows, wanted, scale, skipped, most)
    found.sort(key=lambda pair: -pair[0])  # Stable: equal ones stay in the folder's order.
    return [hit for _, hit in found[:top]]


def find_span(query: Query, sought: Windows) -> tuple[float, float]:
    """Return when a query begins and ends, in seconds; its windows may reach further."""
    start, end = query.start_seconds or 0.0, float(sought.end_seconds[-1])
    return start, end if query.end_seconds is None else min(end, query.end_seconds)


def _find_moments(
    path: str,
    windows: Windows,
    wanted: Features,
    scale: Scale,
    skipped: tuple[float, float] | None,
    most: int,
) -> list[tuple[float, Hit]]:
    """Return the best moments of a video with their cosines, which tell apart what is far off."""
    cosines = lay_over(wanted, scale.units(windows.features))
    starts, ends = place_spans(windows.start_seconds, windows.end_seconds, len(wanted))
    if skipped is not None:
        cosines[(starts < skipped[1]) & (ends > skipped[0])] = np.nan
    found = []
    for place in choose_moments(cosines, starts, ends, most):
        cosine = float(cosines[place])
        hit = Hit(min(1.0, max(0.0, cosine)), path, float(starts[place]), float(ends[place]))
        found.append((cosine, hit))
    return found


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - of names that no file may have
    except (OSError, ValueError):
        return one == other
