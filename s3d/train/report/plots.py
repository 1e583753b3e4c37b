"""The report as one picture, for a paper or a message. matplotlib loads when it is drawn."""

from __future__ import annotations

import functools
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s3d.evaluate.metrics import Counts, Floats, class_accuracy, mean_class_accuracy
from s3d.page.text import percent, plural, shorten, visible
from s3d.train.report.data import RunReport, thin_epochs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RIGHT, WRONG, SOFT, INK = "#2563eb", "#d95f0e", "#7a8595", "#1b2330"
MAX_MATRIX = 60  # classes; beyond, the largest mistakes alone
MAX_NAMES = 40  # classes with their names on the axis below the matrix
MAX_NUMBERS = 20  # classes with a count in each cell
MAX_BARS = 60
MAX_EPOCHS = 400
WORST = 30  # rows where not all fit
LABEL_LETTERS = 22
MAX_DOTS = 30
MISSING = "□"

Row = tuple[int, float | None, float | None]  # epoch, training, validation

# a caller's matplotlibrc must not change the picture, nor call for LaTeX or another font
SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.usetex": False,
    "text.color": INK,
    "text.parse_math": False,  # a label may hold dollar signs
    "axes.edgecolor": "#c5ccd6",
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": "#c5ccd6",
    "ytick.color": "#c5ccd6",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.axisbelow": True,
    "grid.color": "#e6eaf0",
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.1,
}


def draw_figure(report: RunReport) -> bytes:
    """Return a PNG: loss, accuracy, confusion matrix and recall of each class."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        size = (15, 14) if report.clip_count else (15, 5.4)
        figure = Figure(figsize=size, dpi=120, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        title = drawable(report.title, 90)
        figure.suptitle(title, x=0.015, ha="left", fontsize=17, fontweight="bold")
        rows = (1.0, 1.75) if report.clip_count else (1.0,)
        parts: Any = figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)
        parts[0, 0].suptitle(_headline(report), x=0.015, ha="left", fontsize=12)
        loss, accuracy = parts[0, 0].subplots(1, 2)
        _draw_curves(loss, accuracy, report)
        if report.clip_count:
            matrix, bars = parts[1, 0].subplots(1, 2, width_ratios=(1.5, 1))
            _draw_confusion(matrix, report)
            _draw_recall(bars, report)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def drawable(text: str, limit: int = LABEL_LETTERS) -> str:
    """Return the text, shortened, with a box for each run of characters the font does not have.

    matplotlib warns of every such character.
    """
    known = _known_characters()
    boxed = "".join(c if ord(c) in known else MISSING for c in visible(text))
    return shorten(re.sub(f"{MISSING}+", MISSING, boxed), limit)


def name_classes(labels: Sequence[str]) -> list[str]:
    """Return a short name for each class, with its number where the name alone would not tell."""
    names = [drawable(label) for label in labels]
    times = Counter(names)
    return [
        f"{i}: {name}" if not name or MISSING in name or times[name] > 1 else name
        for i, name in enumerate(names)
    ]


@functools.cache
def _known_characters() -> frozenset[int]:
    import matplotlib
    from matplotlib.ft2font import FT2Font

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return frozenset(FT2Font(str(path)).get_charmap())


def _headline(report: RunReport) -> str:
    best = report.best
    if best is None:
        return "no epoch was finished"
    if report.top1 is None:
        return f"top-1 on training clips {percent(best.train_top1)}, no validation"
    mean = percent(mean_class_accuracy(report.confusion))
    return (
        f"top-1 {percent(report.top1)}, mean class accuracy {mean} "
        f"on {plural(report.clip_count, 'validation clip')}"
    )


def _draw_curves(loss: Axes, accuracy: Axes, report: RunReport) -> None:
    epochs = thin_epochs(report.epochs, report.best_epoch, MAX_EPOCHS)
    _draw_lines(loss, "Loss", [(e.epoch, e.train_loss, e.val_loss) for e in epochs])
    _draw_lines(accuracy, "Top-1 accuracy", [(e.epoch, e.train_top1, e.val_top1) for e in epochs])
    accuracy.set_ylim(0, 1.02)
    accuracy.yaxis.set_major_formatter(lambda value, _: percent(value, 0))
    if report.best is not None:
        _mark_best(loss, report.best.epoch)
        _mark_best(accuracy, report.best.epoch)


def _mark_best(axes: Axes, epoch: int) -> None:
    axes.axvline(epoch, color=SOFT, linestyle=":", zorder=0)
    low, high = axes.get_xlim()
    is_left = epoch < (low + high) / 2
    axes.annotate(
        f"best: {epoch}",
        (epoch, 0.03),
        xycoords=("data", "axes fraction"),
        xytext=(6 if is_left else -6, 0),
        textcoords="offset points",
        ha="left" if is_left else "right",
        fontsize=9,
    )


def _draw_lines(axes: Axes, title: str, rows: Sequence[Row]) -> None:
    from matplotlib.ticker import MaxNLocator

    looks = (("training", SOFT, "--"), ("validation", RIGHT, "-"))
    for column, (name, color, dashes) in enumerate(looks, start=1):
        shown = [(row[0], row[column]) for row in rows if _is_number(row[column])]
        if shown:
            x, y = zip(*shown, strict=True)
            dot = "o" if len(shown) <= MAX_DOTS else ""
            axes.plot(x, y, dashes, marker=dot, ms=3.5, color=color, label=name)
    axes.set(title=title, xlabel="epoch", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    if len(rows) == 1:
        axes.set(xlim=(rows[0][0] - 1, rows[0][0] + 1), xticks=[rows[0][0]])
    if axes.lines:
        axes.legend(frameon=False, loc="best")


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _draw_confusion(axes: Axes, report: RunReport) -> None:
    if len(report.labels) > MAX_MATRIX:
        _draw_pairs(axes, report)
    else:
        _draw_matrix(axes, report)


def _draw_matrix(axes: Axes, report: RunReport) -> None:
    axes.imshow(_shades(report.confusion), interpolation="nearest", aspect="equal")
    classes = len(report.labels)
    names, size = name_classes(report.labels), 10 if classes <= 20 else 7 if classes <= 40 else 5.5
    axes.set_yticks(range(classes), names, fontsize=size)
    if classes <= MAX_NAMES:
        axes.set_xticks(range(classes), names, fontsize=size, rotation=90)
    else:
        axes.set_xticks([])
    axes.set(title="Confusion: what is taken for what", xlabel="said", ylabel="true class")
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor")
    axes.tick_params(which="minor", length=0)
    if classes <= MAX_NUMBERS:
        _write_counts(axes, report.confusion)


def _shades(confusion: Counts) -> Floats:
    """Return (K, K, 3): white to blue where right, white to orange where wrong, by row share."""
    from matplotlib.colors import to_rgb

    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    depth = np.where(confusion > 0, 0.12 + 0.88 * share, 0.0)[..., None]
    on_diagonal = np.eye(len(confusion), dtype=bool)[..., None]
    color = np.where(on_diagonal, to_rgb(RIGHT), to_rgb(WRONG))
    return np.asarray(1 - depth * (1 - color), dtype=np.float64)


def _write_counts(axes: Axes, confusion: Counts) -> None:
    totals = confusion.sum(axis=1)
    for row, column in np.argwhere(confusion > 0):
        count = int(confusion[row, column])
        is_dark = count > 0.5 * totals[row]
        axes.text(
            column,
            row,
            str(count),
            ha="center",
            va="center",
            fontsize=9 if len(totals) > 8 else 13,
            color="white" if is_dark else INK,
        )


def _draw_pairs(axes: Axes, report: RunReport) -> None:
    from matplotlib.ticker import MaxNLocator

    pairs = report.confused[:WORST]
    if not pairs:
        _say(axes, "Most confused", "no clip was taken for another class")
        return
    names = name_classes(report.labels)
    texts = [f"{names[p.true]} → {names[p.predicted]}" for p in pairs]
    axes.barh(range(len(pairs)), [p.count for p in pairs], color=WRONG, height=0.7)
    axes.set_yticks(range(len(pairs)), texts, fontsize=8)
    axes.set(title=f"Most confused (true → said), of {len(report.labels)} classes", xlabel="clips")
    axes.set_ylim(_room_for(len(pairs)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_recall(axes: Axes, report: RunReport) -> None:
    recall = class_accuracy(report.confusion)
    known = [int(k) for k in np.argsort(recall, kind="stable") if not np.isnan(recall[k])]
    few = known if len(known) <= MAX_BARS else known[:WORST]
    names = name_classes(report.labels)
    colors = [RIGHT if recall[k] >= 0.5 else WRONG for k in few]
    axes.barh(range(len(few)), recall[few], color=colors, height=0.7)
    axes.set_yticks(range(len(few)), [names[k] for k in few], fontsize=9 if len(few) <= 30 else 6)
    title = "Recall of each class" if few == known else f"The {len(few)} lowest recalls"
    axes.set(title=title, xlim=(0, 1), ylim=_room_for(len(few)))
    axes.xaxis.set_major_formatter(lambda value, _: percent(value, 0))
    axes.grid(axis="x")


def _room_for(bars: int) -> tuple[float, float]:
    """Return the limits of an axis of bars, the first on top; a few bars stay slim."""
    return max(bars, 8) - 0.4, -0.6


def _say(axes: Axes, title: str, text: str) -> None:
    axes.set(title=title, xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes, color=SOFT)
