"""The picture of a roofline: where dots stand, and that names cover nothing."""

from __future__ import annotations

import io
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from s3d.explore import roofline_plot as module
from s3d.explore.roofline import EngineTimes, Peaks, Roofline
from s3d.explore.roofline_plot import draw_roofline, place_dots
from s3d.models.cost import BlockCost, Cost


def make(macs: tuple[int, ...], ms: tuple[float, ...], engines: int = 2) -> Roofline:
    blocks = tuple(
        BlockCost(f"mixed{i}b", (1, 1, 1, 1), 0, count, 0, 1000) for i, count in enumerate(macs)
    )
    times = tuple(
        EngineTimes(name, tuple(v * (1 + i) for v in ms), sum(ms))
        for i, name in enumerate(("native", "eager")[:engines])
    )
    return Roofline(Cost(blocks), Peaks(1e9, 1e8), times, 3)


def test_dots_stand_at_macs_per_byte_and_macs_per_second() -> None:
    found = make((50_000, 0, 2_000), (0.1, 3.0, 0.5))
    # 50,000 / 1000 bytes, in 0.1 ms 0.5e9 a second; a block without multiply-adds has no place.
    assert place_dots(found, found.times[0]) == [
        ("mixed0b", 50.0, pytest.approx(0.5)),
        ("mixed2b", 2.0, pytest.approx(0.004)),
    ]


@pytest.mark.parametrize("engines", [1, 2])
def test_it_draws_bars_dots_and_a_roof(engines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    place = module._place

    def keep(axes: Any, names: Any) -> None:
        place(axes, names)
        kept["axes"], kept["names"] = axes, names

    monkeypatch.setattr(module, "_place", keep)
    found = make((50_000, 0, 2_000, 51_000), (0.01, 3.0, 0.5, 0.01), engines)
    picture = draw_roofline(found, "s3d $x$ 動", "a machine, 2 threads")
    pixels = imread(io.BytesIO(picture), format="png")
    assert pixels.shape[:2] == (912, 1800)
    axes = kept["axes"]
    roof = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert roof.get_xdata()[1] == pytest.approx(10)
    assert roof.get_ydata()[1:] == pytest.approx([1, 1])
    assert roof.get_ydata()[0] / roof.get_xdata()[0] == pytest.approx(0.1)
    shown = {text.get_text() for text in axes.get_legend().get_texts()}
    assert shown == {"native", "eager"} if engines == 2 else {"native"}
    bars = axes.figure.axes[1]
    assert len(bars.patches) == 4 * (1 + engines)
    assert [bar.get_width() for bar in bars.patches[:4]] == pytest.approx(found.predicted_ms)
    assert any("above the roof" in text.get_text() for text in axes.texts)


def test_names_cover_neither_dots_nor_names(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    place = module._place

    def keep(axes: Any, names: Any) -> None:
        place(axes, names)
        kept["boxes"] = [Text.get_window_extent(name) for name in names]
        kept["dots"] = [axes.transData.transform(name.xy) for name in names]

    monkeypatch.setattr(module, "_place", keep)
    # A crowd of eight within a few px, in the middle of a wide picture.
    macs = (1_000, *(50_000 + 300 * i for i in range(8)), 900_000)
    draw_roofline(make(macs, (3.0, *(0.1 - 0.0005 * i for i in range(8)), 1.0)), "t", "m")
    boxes = kept["boxes"]
    assert len(boxes) == 10
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    inside = [box.contains(*dot) for box in boxes for dot in kept["dots"]]
    assert not np.any(inside)


def test_no_dot_above_the_roof_and_nothing_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[int] = []
    monkeypatch.setattr(module, "_say_why_above", lambda axes: said.append(1))
    draw_roofline(make((50_000, 0), (1.0, 0.001)), "t", "m")
    assert not said
    draw_roofline(make((50_000, 0), (0.001, 1.0)), "t", "m")
    assert said
