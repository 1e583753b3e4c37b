"""The pictures of the page: accuracy against cost, and the paper's two figures of one network."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s3d.data.videos import list_videos
from s3d.explore.analyse.features import compute_block_features
from s3d.explore.analyse.features_plot import draw_features
from s3d.explore.analyse.kernels import report_kernels
from s3d.explore.analyse.kernels_plot import draw_kernels
from s3d.explore.analyse.separation import measure_separation
from s3d.explore.findings.miniature import Miniature
from s3d.explore.findings.study import NEIGHBOUR_BLOCKS, Row
from s3d.explore.report.families import family_of
from s3d.files import make_folder, write_bytes
from s3d.infer.recognizer import Recognizer, load
from s3d.models.family import network_word
from s3d.train.report.plots import SETTINGS, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = (
    ("order_top1", "classes of order"),
    ("look_top1", "classes of looks"),
    ("reversed_within", "played backwards, within pairs"),
)


def draw_pictures(
    miniature: Miniature, rows: Sequence[Row], folder: Path, into: Path
) -> dict[str, str]:
    """Draw the pictures, and return their captions by their places from the page.

    Those of a network whose training is not at hand stay as they were drawn.

    Args:
        miniature: What was trained.
        rows: What came of it.
        folder: Of the trainings.
        into: The folder of the pictures, beside the page.
    """
    make_folder(into)
    captions: dict[str, str] = {}
    write_bytes(into / "cost.png", draw_costs(rows))
    captions["cost.png"] = (
        "Accuracy against multiply-adds of a clip; each dot is a seed, each line joins a network's"
    )
    ready: tuple[tuple[str, str, Callable[[Recognizer], bytes], str], ...] = (
        ("kernels.png", "i3d", lambda r: draw_kernels(report_kernels(r.network), KERNELS), KERNELS),
        ("features.png", "s3d", lambda r: _draw_features(r, folder), FEATURES),
    )
    for name, network, draw, caption in ready:
        seed = miniature.seeds[0]
        (trial,) = miniature.trials(folder, (network,), (seed,))
        model = folder / "trials" / trial.name / "run" / "model.safetensors"
        if model.exists():
            write_bytes(into / name, draw(load(model).use("torch")))
        if (into / name).exists():
            captions[name] = caption
    return {f"{into.name}/{name}": caption for name, caption in captions.items()}


KERNELS = "I3D's kernels by temporal offset and layer, seed 0: the paper's box plots"
FEATURES = "S3D's features of the test videos, seed 0: tSNE, and what the five nearest say"


def draw_costs(rows: Sequence[Row]) -> bytes:
    """Return a PNG: three accuracies against multiply-adds, a dot a seed."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(13, 4.6), dpi=110, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        panels: Any = figure.subplots(1, len(PANELS), sharey=True)
        for axes, (value, title) in zip(panels, PANELS, strict=True):
            _draw_panel(axes, rows, value)
            axes.set_title(title)
        panels[0].set_ylabel("share of test videos named right, %")
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def _draw_panel(axes: Axes, rows: Sequence[Row], value: str) -> None:
    axes.set_xlabel("million multiply-adds of a clip")
    axes.grid(axis="y")
    axes.set_ylim(-4, 104)
    if value == "reversed_within":
        axes.axhline(50, color=SOFT, lw=1, ls="--")
        axes.annotate(
            "chance", (0.99, 51), xycoords=("axes fraction", "data"), ha="right", color=SOFT
        )
    named: list[tuple[float, float, str, str]] = []
    for network in dict.fromkeys(row.network for row in rows):
        own = [row for row in rows if row.network == network]
        shares = [100 * float(getattr(row, value)) for row in own]
        macs, color = own[0].macs / 1e6, family_of(network_word(network)).light
        axes.plot([macs] * len(own), shares, color=color, lw=1.4, alpha=0.6)
        axes.plot([macs] * len(own), shares, "o", color=color, ms=6)
        named.append((macs, float(np.mean(shares)), network, color))
    _name_points(axes, named)


def _name_points(axes: Axes, named: Sequence[tuple[float, float, str, str]]) -> None:
    """Write names beside the points, pushed apart where they would meet."""
    last: list[tuple[float, float]] = []
    for macs, share, name, color in sorted(named, key=lambda one: -one[1]):
        height = share
        while any(abs(macs - x) < 16 and abs(height - y) < 4.6 for x, y in last):
            height -= 1
        last.append((macs, height))
        axes.annotate(
            name, (macs, share), (macs + 1.6, height), textcoords="data", color=color, fontsize=8.5,
            va="center",
        )  # fmt: skip
    axes.margins(x=0.22)


def _draw_features(recognizer: Recognizer, folder: Path) -> bytes:
    videos = list_videos(folder / "clips" / "test.csv").videos
    found = compute_block_features(recognizer, videos, NEIGHBOUR_BLOCKS)
    return draw_features(measure_separation(found), FEATURES)
