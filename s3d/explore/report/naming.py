"""How a point is called: beside its mark, and where the pointer rests on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from s3d.explore.budget import say_cost
from s3d.explore.report.data import Point
from s3d.explore.report.families import Setting, setting_of
from s3d.page.text import percent, plural

COMMON = 0.6  # share of points from which a setting need not be said with each name


def short_names(points: Sequence[Point]) -> dict[str, str]:
    """Return for each point's name its network, and in what else it differs from most others."""
    common = common_setting(points)
    return {
        point.name: " ".join([point.network, *_parts(point, points, common)]) for point in points
    }


def common_setting(points: Sequence[Point]) -> Setting | None:
    """Return the width and the clip that most points have; None where none is so common."""
    counts = Counter(map(setting_of, points)).most_common(1)
    return counts[0][0] if counts and counts[0][1] > COMMON * len(points) else None


def say_setting(setting: Setting) -> str:
    """Return a width and a clip in words."""
    width, frames, size_px, rate_fps = setting
    return f"width {width:g}, {plural(frames, 'frame')} of {size_px} px at {rate_fps:g} fps"


def describe_point(point: Point) -> str:
    """Return all there is to know of a point, in lines."""
    lines = [point.name, _say_accuracy(point)]
    lines.append(f"{say_cost('gmacs', point.gmacs)} a clip, {point.parameters:,} parameters")
    if point.latency_ms is not None:
        lines.append(f"{say_cost('ms', point.latency_ms)} a clip{_with(point.engine)}")
    if point.to_leader:
        lines.append(f"to the most accurate: {point.to_leader}")
    if point.runs:
        lines.append(f"{'run' if len(point.runs) == 1 else 'runs'}: {', '.join(point.runs)}")
    return "\n".join(lines)


def say_interval(interval: tuple[float, float] | None) -> str:
    """Return a 95 % interval as "70.1 to 78.4"; empty where it is not known."""
    return "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def row_id(point: Point) -> str:
    """Return the id of a point's row in the table, whatever its name holds."""
    return "row-" + point.name.encode("utf-8", "backslashreplace").hex()


def _say_accuracy(point: Point) -> str:
    if point.accuracy is None:
        return point.state
    said = percent(point.accuracy)
    if point.interval is not None:
        said += f" (95 % interval {say_interval(point.interval)})"
    if point.state == "dropped early":
        said += f", after {plural(point.epochs, 'epoch')} only"
    return said


def _with(engine: str) -> str:
    return f" with {engine}" if engine else ""


def _parts(point: Point, points: Sequence[Point], common: Setting | None) -> list[str]:
    """Return the parts of a point's setting that differ from the common one, or that vary."""
    own = setting_of(point)
    others = [common] if common else [setting_of(p) for p in points]
    has_width, has_frames, has_size, has_rate = (
        any(other[i] != own[i] for other in others) for i in range(4)
    )
    parts = [f"w{point.width:g}"] if has_width else []
    if has_frames or has_size:
        parts.append(f"{point.frames}x{point.size_px}")
    return [*parts, f"r{point.rate_fps:g}"] if has_rate else parts
