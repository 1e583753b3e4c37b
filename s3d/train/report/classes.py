"""The part of the page about classes: who is taken for whom, and how well each one does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s3d.evaluate.metrics import f1_scores, precision_recall
from s3d.page.text import NONE, escape, isolate, percent, plural, shorten
from s3d.train.report.data import Confusion, RunReport

MAX_MATRIX = 60  # classes; a bigger matrix is not legible on a page
MAX_PAIRS = 12
MAX_PAIRS_ALONE = 40  # where there is no matrix beside them


def class_sections(report: RunReport) -> list[str]:
    """Return the sections on classes; none where no clip was judged."""
    if not report.clip_count:
        return []
    beside = f'<div class="side">{_matrix_section(report)}{_pairs_section(report)}</div>'
    return [beside, _scores_section(report)]


def _matrix_section(report: RunReport) -> str:
    if len(report.labels) > MAX_MATRIX:
        return ""
    return (
        '<section><h2>Confusion: what is taken for what</h2><p class="soft">A row is the true '
        'class, a column what the model said; numbers are clips. <span class="swatch"></span>right '
        '<span class="swatch wrong"></span>wrong; the stronger, the larger the share of its row.'
        f'</p><div class="scroll" tabindex="0">{_matrix(report)}</div></section>'
    )


def _matrix(report: RunReport) -> str:
    classes = len(report.labels)
    size = "" if classes <= 20 else "medium" if classes <= 32 else "small"
    heads = "".join(
        f'<th scope="col" title="{_short(label)}"><span>{isolate(label, 60)}</span></th>'
        for label in report.labels
    )
    rows = "".join(_matrix_row(report, row) for row in range(classes))
    return (
        f'<table class="heat {size}"><thead><tr><td><span class="soft">true &darr; &nbsp; said '
        f"&rarr;</span></td>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _matrix_row(report: RunReport, row: int) -> str:
    label, counts = report.labels[row], report.confusion[row]
    total = int(counts.sum())
    cells = "".join(
        _cell(int(count), total, f"{_short(label)} → {_short(said)}", row == column)
        for column, (count, said) in enumerate(zip(counts, report.labels, strict=True))
    )
    return f'<tr><th scope="row" title="{_short(label)}">{isolate(label, 60)}</th>{cells}</tr>'


def _cell(count: int, total: int, pair: str, is_right: bool) -> str:
    if not count:
        return "<td></td>"
    share = count / total
    # the faintest shade must still be seen: one clip of a thousand is a finding
    shade = 0.12 + 0.88 * share
    kind = ("right" if is_right else "wrong") + (" strong" if shade > 0.55 else "")
    return (
        f'<td class="{kind}" style="--a:{shade:.2f}" title="{pair}: {count} of {total}">'
        f"{_compact(count)}</td>"
    )


def _pairs_section(report: RunReport) -> str:
    has_matrix = len(report.labels) <= MAX_MATRIX
    pairs = report.confused[: MAX_PAIRS if has_matrix else MAX_PAIRS_ALONE]
    if not pairs:
        said = "No validation clip was taken for another class."
        return f"<section><h2>Most confused</h2><p>{said}</p></section>"
    more = len(report.confused) - len(pairs)
    told = f'<p class="soft">And {plural(more, "other pair")} with as few clips or fewer.</p>'
    rows = "".join(_pair_row(report.labels, pair) for pair in pairs)
    return (
        f"<section><h2>Most confused</h2>{'' if has_matrix else _why_no_matrix(report)}"
        f'<div class="scroll {"" if has_matrix else "tall"}" tabindex="0"><table class="list">'
        '<thead><tr><th scope="col">true class &rarr; taken for</th>'
        '<th scope="col">clips of the class</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{told if more else ''}</section>"
    )


def _why_no_matrix(report: RunReport) -> str:
    return (
        f'<p class="soft">A matrix of {len(report.labels)} classes would not be legible; '
        "these are its largest mistakes.</p>"
    )


def _pair_row(labels: Sequence[str], pair: Confusion) -> str:
    true, predicted = isolate(labels[pair.true], 80), isolate(labels[pair.predicted], 80)
    return (
        f'<tr><th scope="row">{true} &rarr; {predicted}</th><td class="keep">'
        f"{_bar(pair.count / pair.total, True)}{pair.count:,} of {pair.total:,}</td></tr>"
    )


def _scores_section(report: RunReport) -> str:
    precision, recall = precision_recall(report.confusion)
    f1, counts = f1_scores(report.confusion), report.confusion.sum(axis=1)
    # worst first: the top of the table is where there is something to do
    order = np.argsort(np.nan_to_num(recall, nan=2.0), kind="stable")
    rows = "".join(
        f'<tr><th scope="row">{isolate(report.labels[k], 200)}</th>'
        f'<td class="keep">{_recall(float(recall[k]))}</td>'
        f'<td class="n">{percent(float(precision[k]))}</td>'
        f'<td class="n">{percent(float(f1[k]))}</td><td class="n">{counts[k]:,}</td></tr>'
        for k in order
    )
    return (
        '<section><h2>Class by class</h2><p class="soft">Lowest recall first. Recall: of the clips '
        "of this class, how many were named so. Precision: of the clips named so, how many are. "
        'F1 weighs both.</p><div class="scroll tall" tabindex="0"><table class="list"><thead><tr>'
        '<th scope="col">class</th><th scope="col">recall</th><th scope="col" class="n">precision'
        '</th><th scope="col" class="n">F1</th><th scope="col" class="n">clips</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _recall(share: float) -> str:
    return NONE if np.isnan(share) else f"{_bar(share, share < 0.5)}{percent(share)}"


def _bar(share: float, is_bad: bool) -> str:
    kind = "bar bad" if is_bad else "bar"
    return f'<span class="{kind}"><i style="width:{100 * share:.1f}%"></i></span>'


def _short(label: str) -> str:
    return escape(shorten(label, 60))


def _compact(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.0f}k"
