"""An activation as one picture: some moments, the heat over each, and the activation over time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from s3d.data.decode import read_what_decodes
from s3d.data.video_info import Frames, Times
from s3d.explore.analyse.activation import Activation
from s3d.explore.analyse.activation_film import describe, draw_curve, heat_at
from s3d.explore.analyse.heat import seen_region
from s3d.page.text import percent
from s3d.train.report.plots import INK, SETTINGS, SOFT, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Places = npt.NDArray[np.int64]

MOST_MOMENTS = 8
COLUMN_INCHES = 1.75
GAP_SHARE = 0.04
"""Of a picture's width, between pictures."""
LONGEST_PX = 320


def draw_strip(found: Activation) -> bytes:
    """Return a PNG: moments of the video, the heat over each, and the activation over time.

    Raises:
        InputError: The video cannot be read.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    times, pictures = pick_moments(found)
    sheet = _lay_out(found, times, pictures)
    with matplotlib.rc_context(SETTINGS):
        width = max(COLUMN_INCHES * len(times), 6.0)
        tall = (width - 0.3) * sheet.shape[0] / sheet.shape[1]
        size = (width, tall + 2.35)
        figure = Figure(figsize=size, dpi=110, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        title = f"{drawable(found.label, 60)}  {percent(found.score)}"
        figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=15, fontweight="bold")
        figure.text(0.0105, 1 - 0.52 / size[1], describe(found), fontsize=9.5, color=SOFT)
        above, curve = figure.subplots(2, 1, height_ratios=(tall, 0.9))
        _draw_sheet(above, sheet, times)
        draw_curve(curve, found)
        curve.plot(times, np.zeros(len(times)), "v", color=INK, ms=6, clip_on=False, zorder=3)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def pick_moments(found: Activation) -> tuple[Times, Frames]:
    """Return the times of some frames, evenly over what was looked at, and the frames."""
    begin, end = found.span
    times = found.info.times_seconds
    inside = np.flatnonzero((times >= begin - 1e-3) & (times <= end))
    height, width = found.info.height_px, found.info.width_px
    scale = LONGEST_PX / max(height, width)
    size = max(2, round(height * scale)), max(2, round(width * scale))
    places = _spread(inside)
    reading = read_what_decodes(found.path, places, size)
    if reading.decoded is not None:  # The file gives fewer frames than it promised.
        places = _spread(inside[inside < max(1, reading.decoded)])
        reading = read_what_decodes(found.path, places, size)
    return times[places], reading.frames


def _spread(places: Places) -> Places:
    count = min(MOST_MOMENTS, len(places))
    return places[np.linspace(0, len(places) - 1, count).round().astype(np.int64)]


def _lay_out(found: Activation, times: Times, pictures: Frames) -> Frames:
    """Return the pictures side by side, those with heat below."""
    peak, region = found.peak, seen_region(found, pictures.shape[1:3])
    count, height, width = pictures.shape[:3]
    gap = max(2, round(GAP_SHARE * width))
    sheet = np.full((2 * height + gap, count * (width + gap) - gap, 3), 255, np.uint8)
    for place, (time, picture) in enumerate(zip(times, pictures, strict=True)):
        columns = slice(place * (width + gap), place * (width + gap) + width)
        sheet[:height, columns] = picture
        sheet[height + gap :, columns] = heat_at(found, picture, float(time), region, peak)
    return sheet


def _draw_sheet(axes: Axes, sheet: Frames, times: Times) -> None:
    axes.imshow(sheet)
    axes.set_axis_off()
    step = sheet.shape[1] / len(times)
    for place, time in enumerate(times):
        axes.text(place * step, -sheet.shape[0] * 0.015, f"{time:.2f}\u202fs", fontsize=9)
