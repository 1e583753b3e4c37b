"""The report as one page: no script, no network, every picture inside it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from s3d.evaluate.metrics import accuracy_interval, mean_class_accuracy
from s3d.page.style import STYLE
from s3d.page.text import NONE, escape, isolate, number, percent, plural
from s3d.train.report.charts import Chart, Series, draw_chart
from s3d.train.report.classes import class_sections
from s3d.train.report.data import Epoch, Example, RunReport, thin_epochs
from s3d.train.report.strip import strip_url

MAX_EPOCHS = 400  # lines of the history table and points of a curve; the rest is thinned
MAX_EXAMPLES = 24
WARNING_WORDS = ("warning", "no honest", "no validation", "leak")

HISTORY = (
    "epoch",
    "step",
    "seconds",
    "learning rate",
    "training loss",
    "training top-1",
    "validation loss",
    "validation top-1",
    "clips a second",
)

# a page of other people's names: even if an escape were missed, nothing runs and nothing is fetched
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def build_page(report: RunReport, directory: Path) -> str:
    """Return the report as an HTML document.

    Args:
        report: What to show.
        directory: The run's folder, named in the commands to run next.
    """
    sections = [
        _header(report),
        _facts_and_notes(report),
        _curves(report),
        *class_sections(report),
        _examples(report.examples),
        _next_steps(directory),
        _failures(report.failures),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(filter(None, sections))}\n</main></body></html>\n"
    )


def _header(report: RunReport) -> str:
    tiles = "".join(_tiles(report))
    return (
        f"<header><h1>{isolate(report.title)}</h1>"
        f'<p class="lead">{_lead(report)}</p></header>\n<dl class="tiles">{tiles}</dl>'
    )


def _lead(report: RunReport) -> str:
    if report.best is None:
        return "No epoch was finished, so there is nothing to judge yet."
    if report.top1 is None:
        return (
            "No clip was kept aside for validation, so nothing here says how well the model "
            "does on videos it has not seen."
        )
    said = f"The model names <b>{100 * report.top1:.0f} of 100</b> validation clips right"
    if report.clip_count:
        said += f"; always guessing the commonest class would get {_of_hundred(report)}"
    if report.confused:
        pair = report.confused[0]
        true, predicted = report.labels[pair.true], report.labels[pair.predicted]
        said += (
            f". Most often it takes <b>{isolate(true, 80)}</b> for <b>{isolate(predicted, 80)}</b>"
            f" ({pair.count:,} of {plural(pair.total, 'clip')})"
        )
    return said + "."


def _of_hundred(report: RunReport) -> str:
    share = 100 * report.commonest_share
    return f"{share:.0f}" if share >= 1 else f"{share:.1g}"


def _tiles(report: RunReport) -> Iterable[str]:
    best, count = report.best, report.clip_count
    if best is None:
        yield _tile("Top-1", NONE, "no epoch was finished", "warn")
    elif report.top1 is None:
        yield _tile("Top-1 on training clips", percent(best.train_top1), "no validation", "warn")
    else:
        low, high = accuracy_interval(report.top1, count)
        sure = (
            f"95&nbsp;% interval {100 * low:.0f}&ndash;{100 * high:.0f}&nbsp;%<br>" if count else ""
        )
        detail = f"{sure}epoch {best.epoch} of {report.epochs[-1].epoch}"
        yield _tile("Top-1 on validation", percent(report.top1), detail, "main")
    mean = percent(mean_class_accuracy(report.confusion))
    told = "every class weighs the same" if count else "no validation"
    yield _tile("Mean class accuracy", mean, told)
    yield _tile("Validation clips", f"{count:,}", f"in {plural(len(report.labels), 'class')}")
    failed = len(report.failures)
    kind, told = (
        ("warn", '<a href="#failures">listed at the end</a>')
        if failed
        else ("", "every file could be read")
    )
    yield _tile("Files that failed", f"{failed:,}", told, kind)


def _tile(name: str, value: str, detail: str, kind: str = "") -> str:
    return (
        f'<div class="tile {kind}"><dt>{name}</dt><dd class="big">{value}</dd>'
        f'<dd class="soft">{detail}</dd></div>'
    )


def _facts_and_notes(report: RunReport) -> str:
    facts = "".join(f"<dt>{isolate(a)}</dt><dd>{isolate(b)}</dd>" for a, b in report.facts)
    notes = "".join(map(_note, report.notes))
    parts = []
    if facts:
        parts.append(f'<section><h2>This run</h2><dl class="facts">{facts}</dl></section>')
    if notes:
        parts.append(
            f'<section><h2>What was decided, and why</h2><ul class="notes">{notes}</ul></section>'
        )
    return f'<div class="columns">{"".join(parts)}</div>' if parts else ""


def _note(text: str) -> str:
    warns = any(word in text.lower() for word in WARNING_WORDS)
    return f'<li class="warn">{isolate(text)}</li>' if warns else f"<li>{isolate(text)}</li>"


def _curves(report: RunReport) -> str:
    if not report.epochs:
        return ""
    epochs = thin_epochs(report.epochs, report.best_epoch, MAX_EPOCHS)
    figures = "".join(
        f"<figure><h3>{chart.title}</h3>{draw_chart(chart)}</figure>"
        for chart in _charts(epochs, report.best)
    )
    return (
        "<section><h2>How training went</h2>"
        f'<p class="soft">{_curve_key(report)}</p><div class="charts">{figures}</div>'
        f"<details><summary>Every number</summary>{_history(epochs, report)}</details></section>"
    )


def _curve_key(report: RunReport) -> str:
    train = '<span class="key train">training</span>'
    if any(e.val_top1 is not None for e in report.epochs):
        return (
            f'{train}<span class="key">validation</span>. Where validation stops falling or '
            "rising with training, the model has begun to learn its clips by heart."
        )
    return f"{train}. There was no validation."


def _charts(epochs: Sequence[Epoch], best: Epoch | None) -> list[Chart]:
    x = tuple(e.epoch for e in epochs)
    mark = best.epoch if best else None
    loss = (
        Series("training", "train", tuple(e.train_loss for e in epochs)),
        Series("validation", "val", tuple(e.val_loss for e in epochs)),
    )
    top1 = (
        Series("training", "train", tuple(e.train_top1 for e in epochs)),
        Series("validation", "val", tuple(e.val_top1 for e in epochs)),
    )
    rate = (Series("learning rate", "rate", tuple(e.rate for e in epochs)),)
    return [
        Chart("Loss", x, loss, mark, form=number),
        Chart("Top-1 accuracy", x, top1, mark, top=1.0, form=lambda y: percent(y, 0)),
        Chart("Learning rate", x, rate, mark, form=number),
    ]


def _history(epochs: Sequence[Epoch], report: RunReport) -> str:
    head = "".join(f'<th scope="col" class="n">{name}</th>' for name in HISTORY)
    rows = "".join(_history_row(e, e is report.best) for e in epochs)
    left_out = len(report.epochs) - len(epochs)
    caption = "Every epoch; the best is bold."
    if left_out:
        caption = (
            f"{len(epochs)} of {len(report.epochs):,} epochs, evenly spread; the best is bold."
        )
    return (
        f'<div class="scroll tall" tabindex="0"><table class="list"><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _history_row(epoch: Epoch, is_best: bool) -> str:
    texts = (
        f"{epoch.step:,}",
        f"{epoch.seconds:.1f}",
        number(epoch.rate),
        number(epoch.train_loss),
        percent(epoch.train_top1),
        number(epoch.val_loss),
        percent(epoch.val_top1),
        f"{epoch.clips_per_second:.1f}",
    )
    cells = "".join(f'<td class="n">{text}</td>' for text in texts)
    style = ' style="font-weight:700"' if is_best else ""
    return f'<tr{style}><th scope="row" class="n">{epoch.epoch}</th>{cells}</tr>'


def _examples(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    figures = "".join(map(_strip, examples[:MAX_EXAMPLES]))
    shown = min(len(examples), MAX_EXAMPLES)
    which = (
        f"The {shown} worst"
        if shown == len(examples)
        else f"The {shown} worst of {len(examples):,}"
    )
    return (
        f'<section><h2>Worst clips</h2><p class="soft">{which}, by the probability given to the '
        "true class; frames in order, left to right. A wrong label or a broken file shows up here."
        f'</p><div class="strips">{figures}</div></section>'
    )


def _strip(example: Example) -> str:
    count = len(example.thumbnails)
    if count:
        url, width, height = strip_url(example.thumbnails)
        alt = escape(f"{plural(count, 'frame')} of {example.path}, in order")
        image = f'<img src="{url}" width="{width}" height="{height}" alt="{alt}">'
    else:
        image = '<div class="none">no frames were kept</div>'
    return (
        f'<figure class="strip">{image}<figcaption><b>{isolate(example.label, 200)}</b>, taken for '
        f"<b>{isolate(example.predicted, 200)}</b>; the true class got "
        f"{percent(example.score)}<br>{isolate(example.path)}</figcaption></figure>"
    )


def _next_steps(directory: Path) -> str:
    # a folder whose name begins with a dash would read as an option
    folder = str(directory)
    model = f"{'./' if folder.startswith('-') else ''}{folder}/model.safetensors"
    quoted = shlex.quote(model)
    steps = (
        ("Label new videos", f"s3d predict VIDEO --model {quoted}"),
        (
            "Measure it on a folder of labelled videos, DIR/&lt;class&gt;/*",
            f"s3d evaluate DIR --model {quoted} --protocol all-frames",
        ),
        ("From Python", f'import s3d\ns3d.load({model!r}).predict("video.mp4")'),
    )
    body = "".join(f"<h3>{name}</h3><pre>{_escape_lines(text)}</pre>" for name, text in steps)
    return f"<section><h2>Use the model</h2>{body}</section>"


def _escape_lines(text: str) -> str:
    return "\n".join(map(escape, text.split("\n")))


def _failures(failures: Sequence[tuple[str, str]]) -> str:
    if not failures:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{isolate(path)}</th><td>{isolate(why)}</td></tr>'
        for path, why in failures
    )
    return (
        '<section id="failures"><h2>Files that failed</h2><p class="soft">They were left out; '
        'everything above is without them.</p><div class="scroll tall" tabindex="0">'
        '<table class="list"><thead><tr><th scope="col">file</th><th scope="col">reason</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div></section>"
    )
