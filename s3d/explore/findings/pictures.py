"""The pictures of the page: accuracy against cost, and the paper's two figures of one network."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3d.data.videos import list_videos
from s3d.explore.analyse.features import compute_block_features
from s3d.explore.analyse.features_plot import draw_features
from s3d.explore.analyse.kernel_report import report_kernels
from s3d.explore.analyse.kernels_plot import draw_kernels
from s3d.explore.analyse.separation import measure_separation
from s3d.explore.analyse.start import find_start
from s3d.explore.findings.miniature import Miniature
from s3d.explore.findings.study import NEIGHBOUR_BLOCKS, Row
from s3d.explore.report.families import family_of
from s3d.files import make_folder, write_bytes
from s3d.infer.recognizer import load
from s3d.models.family import network_word
from s3d.train.report.plots import SETTINGS, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = "os^Dv"
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
    for name, network, draw, caption in READY:
        (trial,) = miniature.trials(folder, (network,), miniature.seeds[:1])
        model = folder / "trials" / trial.name / "run" / "model.safetensors"
        if model.exists():
            write_bytes(into / name, draw(model, folder))
        if (into / name).exists():
            captions[name] = caption
    return {f"{into.name}/{name}": caption for name, caption in captions.items()}


def draw_costs(rows: Sequence[Row]) -> bytes:
    """Return a PNG: three accuracies against multiply-adds, a dot a seed."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(14, 4.6), dpi=110, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        panels: Any = figure.subplots(1, len(PANELS), sharey=True)
        for axes, (value, title) in zip(panels, PANELS, strict=True):
            _draw_panel(axes, rows, value)
            axes.set_title(title)
        handles, names = panels[-1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right center", frameon=False, title="seeds")
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
        place = ("axes fraction", "data")
        axes.annotate("chance", (0.99, 51), xycoords=place, ha="right", color=SOFT)
    for network, marker in _mark_networks(rows).items():
        own = [row for row in rows if row.network == network]
        shares = [100 * float(getattr(row, value)) for row in own]
        macs = [row.macs / 1e6 for row in own]
        color = family_of(network_word(network)).light
        axes.plot(macs, shares, color=color, lw=1.4, alpha=0.6)
        label = f"{network} ({len(own)})"
        axes.plot(macs, shares, marker, color=color, ms=6.5, mec="white", mew=0.6, label=label)


def _mark_networks(rows: Sequence[Row]) -> dict[str, str]:
    """Return a mark for each network: another for each of one colour."""
    marks: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for network in dict.fromkeys(row.network for row in rows):
        name = family_of(network_word(network)).name
        marks[network] = MARKS[seen[name] % len(MARKS)]
        seen[name] += 1
    return marks


def _draw_kernels(model: Path, _: Path) -> bytes:
    network = load(model).network
    return draw_kernels(report_kernels(network, find_start(model, network)), "i3d, seed 0")


def _draw_features(model: Path, folder: Path) -> bytes:
    videos = list_videos(folder / "clips" / "test.csv").videos
    found = compute_block_features(load(model).use("torch"), videos, NEIGHBOUR_BLOCKS)
    return draw_features(measure_separation(found), "s3d, seed 0: features by class")


READY: tuple[tuple[str, str, Callable[[Path, Path], bytes], str], ...] = (
    (
        "kernels.png", "i3d", _draw_kernels,
        "I3D's kernels by temporal offset and layer, seed 0: the paper's box plots",
    ),
    (
        "features.png", "s3d", _draw_features,
        "S3D's features of the test videos, seed 0: tSNE, and what the five nearest say",
    ),
)  # fmt: skip
"""Pictures of one network: name, network, what draws it, and the caption."""
