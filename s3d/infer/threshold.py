"""From which score a label is believed: what `s3d calibrate` found, kept in the model file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

METRIC = "nothing_threshold"
"""Names the entry among the metrics of a model file."""


@dataclass(frozen=True)
class Threshold:
    """Hold the score below which nothing is said to happen, and what it was found on.

    Attributes:
        value: Above 0, up to 1.
        protocol: Which windows were scored.
        data: The labelled videos, as they were named.
        videos: How many of them could be read.
        windows: Of these videos.
        right_share: The share of the windows whose likeliest label is that of their video.
        kept_share: The share of these that reach the threshold; every video counts the same.
        nothing: Where nothing happens, as it was named; "" where there was none.
        nothing_windows: Of that.
        false_share: The share of these that reach the threshold all the same; None without any.
    """

    value: float
    protocol: str
    data: str
    videos: int
    windows: int
    right_share: float
    kept_share: float
    nothing: str = ""
    nothing_windows: int = 0
    false_share: float | None = None

    def to_metric(self) -> dict[str, Any]:
        """Return the entry for a model file's metrics."""
        return {"metric": METRIC, **asdict(self)}

    def describe(self) -> str:
        """Return in a few words where it comes from."""
        quiet = f" and {self.nothing_windows:,} of nothing" if self.nothing_windows else ""
        return f"calibrated on {self.windows:,} windows of {self.videos:,} videos{quiet}"


def find_threshold(metrics: Iterable[Mapping[str, Any]]) -> Threshold | None:
    """Return the threshold among a model's metrics, the last if there are many.

    Args:
        metrics: Of a `Recognizer` or `ModelFile`; whatever stands in a file.

    Returns:
        None where there is none, or none that can be understood.
    """
    found = None
    for entry in metrics:
        if entry.get("metric") == METRIC:
            found = _read(entry) or found
    return found


def _read(entry: Mapping[str, Any]) -> Threshold | None:
    values: dict[str, Any] = {name: entry.get(name) for name in Threshold.__dataclass_fields__}
    value = values["value"]
    texts = (values["protocol"], values["data"], values["nothing"])
    counts = (values["videos"], values["windows"], values["nothing_windows"])
    shares = (values["right_share"], values["kept_share"])
    is_sound = (
        _is_number(value)
        and 0 < value <= 1
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(count, int) and not isinstance(count, bool) for count in counts)
        and all(_is_number(share) for share in shares)
        and (values["false_share"] is None or _is_number(values["false_share"]))
    )
    return Threshold(**values) if is_sound else None


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
