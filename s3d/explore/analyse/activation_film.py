"""An activation as a film: the video, beside it the heat, below when it speaks for the class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from s3d.data.decode import iterate_frames
from s3d.data.video_info import Frames, Times
from s3d.explore.analyse.activation import Activation
from s3d.explore.analyse.heat import Region, colour_table, heat_over, seen_region
from s3d.files import write_atomically
from s3d.page.text import percent
from s3d.train.report.plots import SETTINGS, SOFT, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BOX_PX = (420, 472)
"""(height, width) into which a picture is fitted."""
LEAST_WIDTH_PX = 320
GAP_PX, HEADER_PX, FOOTER_PX = 8, 64, 104
MARGIN_PX = 16
MOST_FPS = 30.0
MOST_POINTS = 600
DPI = 100
ABOVE, BELOW, CURSOR = "#d9583c", "#a9b1bd", (27, 35, 48)


@dataclass(frozen=True, eq=False)
class Stage:
    """Hold what all frames of a film share.

    Attributes:
        empty: (H, W, 3) uint8: everything but pictures and cursor.
        size_px: (height, width) of a picture.
        region: The part of it that the network saw.
        axis_px: Columns where the time axis begins and ends.
    """

    empty: Frames
    size_px: tuple[int, int]
    region: Region
    axis_px: tuple[int, int]


def write_film(found: Activation, path: Path) -> None:
    """Write an activation as an H.264 MP4 file, at the video's own pace; whole or not at all.

    Args:
        found: What is shown.
        path: Where the file is to be.

    Raises:
        InputError: It cannot be written, or the video cannot be read.
    """

    def write(beside: Path) -> None:
        stage = _set_stage(found)
        with av.open(str(beside), "w", format="mp4") as container:
            options = {"preset": "veryfast", "crf": "20", "threads": "1"}
            stream = container.add_stream("libx264", rate=Fraction(30), options=options)
            stream.height, stream.width = stage.empty.shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            for seconds, picture in draw_frames(found, stage):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    write_atomically(path, write)


def draw_frames(found: Activation, stage: Stage) -> Iterator[tuple[float, Frames]]:
    """Yield when each frame of the film is shown, from 0, and the frame (H, W, 3) uint8."""
    begin, end = found.span
    peak, last = found.peak, -1.0
    frames = iterate_frames(found.path, stage.size_px)
    for time, frame in zip(found.info.times_seconds, frames, strict=False):
        seconds = float(time)
        if seconds > end:
            return
        if seconds < begin - 1e-3 or (last >= 0 and seconds - last < 0.9 / MOST_FPS):
            continue
        last = seconds
        yield max(0.0, seconds - begin), _draw_frame(found, stage, frame, (seconds, peak))


def _draw_frame(
    found: Activation, stage: Stage, frame: Frames, moment: tuple[float, float]
) -> Frames:
    seconds, peak = moment
    out = stage.empty.copy()
    height, width = stage.size_px
    left = (out.shape[1] - 2 * width - GAP_PX) // 2
    rows = slice(HEADER_PX, HEADER_PX + height)
    out[rows, left : left + width] = frame
    beside = left + width + GAP_PX
    out[rows, beside : beside + width] = heat_at(found, frame, seconds, stage.region, peak)
    begin, end = found.span
    share = min(max((seconds - begin) / max(end - begin, 1e-6), 0.0), 1.0)
    column = round(stage.axis_px[0] + share * (stage.axis_px[1] - stage.axis_px[0]))
    top = HEADER_PX + height + 8
    out[top : out.shape[0] - 30, column - 1 : column + 1] = CURSOR
    return out


def heat_at(
    found: Activation, frame: Frames, seconds: float, region: Region, peak: float
) -> Frames:
    """Return a frame with the heat of its moment over it.

    Args:
        found: Gives the maps.
        frame: (H, W, 3) uint8 RGB.
        seconds: Of the frame.
        region: The part of it that was seen.
        peak: What is shown as the most.
    """
    # A frame stands for the time until the next; steps of a block are as long as their frames.
    maps = found.moment(seconds + 0.5 / found.spec.rate_fps)
    heat = (maps / peak).clip(0, 1) if peak > 0 else np.zeros_like(maps)
    return heat_over(frame, heat, region)


def fit_px(height: int, width: int) -> tuple[int, int]:
    """Return the even (height, width) of a picture that fits the box, aspect kept."""
    scale = min(BOX_PX[0] / height, BOX_PX[1] / width)
    return max(2, 2 * round(height * scale / 2)), max(2, 2 * round(width * scale / 2))


def _set_stage(found: Activation) -> Stage:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = fit_px(found.info.height_px, found.info.width_px)
    width = 2 * max(size[1], LEAST_WIDTH_PX) + GAP_PX + 2 * MARGIN_PX
    height = HEADER_PX + size[0] + FOOTER_PX
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        canvas: Any = FigureCanvasAgg(figure)
        _write_header(figure, found, (height, width))
        left, right = MARGIN_PX / width, 1 - MARGIN_PX / width
        axes = figure.add_axes((left, 30 / height, right - left, (FOOTER_PX - 54) / height))
        draw_curve(axes, found)
        canvas.draw()
        empty = np.asarray(canvas.buffer_rgba())[:height, :width, :3].copy()
    return Stage(empty, size, seen_region(found, size), (MARGIN_PX, width - MARGIN_PX))


def _write_header(figure: Figure, found: Activation, size_px: tuple[int, int]) -> None:
    height, width = size_px
    left, right = MARGIN_PX / width, 1 - MARGIN_PX / width
    title = f"{drawable(found.label, 44)}  {percent(found.score)}"
    figure.text(left, 1 - 26 / height, title, fontsize=14, fontweight="bold", va="center")
    figure.text(left, 1 - 49 / height, describe(found), fontsize=8.5, color=SOFT, va="center")
    bar = figure.add_axes((right - 110 / width, 1 - 31 / height, 110 / width, 10 / height))
    bar.imshow(colour_table()[None] / 255, aspect="auto")
    bar.set_axis_off()
    style: Any = {"fontsize": 8.5, "color": SOFT, "va": "center"}
    figure.text(right - 110 / width, 1 - 49 / height, "0", **style)
    figure.text(right, 1 - 49 / height, f"{found.peak:.2g}, most", ha="right", **style)


def describe(found: Activation) -> str:
    """Return how the heat was found, in a few words."""
    if found.is_exact:
        return f"class activation at {found.at}: what each place and moment adds to the logit"
    return f"Grad-CAM at {found.at}"


def draw_curve(axes: Axes, found: Activation) -> None:
    """Draw the activation over time."""
    times, values = curve_of(found)
    begin, end = found.span
    axes.fill_between(times, np.maximum(values, 0), color=ABOVE, linewidth=0, alpha=0.85)
    axes.fill_between(times, np.minimum(values, 0), color=BELOW, linewidth=0)
    axes.axhline(0, color="#c5ccd6", linewidth=0.8)
    axes.set_xlim(begin, end)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    axes.set_ylim(low * 1.08, high * 1.08 or 1.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelsize=8, length=3)
    axes.set_title("activation over time", fontsize=8.5, fontweight="normal", color=SOFT, pad=3)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}\u202fs")


def curve_of(found: Activation) -> tuple[Times, Times]:
    """Return times in seconds and the activation at each, at most some hundreds."""
    begin, end = found.span
    count = min(MOST_POINTS, max(2, round((end - begin) * 4 * found.spec.rate_fps)))
    times = np.linspace(begin, end, count)
    middle = 0.5 / found.spec.rate_fps
    return times, np.array([found.strength(float(time) + middle) for time in times])
