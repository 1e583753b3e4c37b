"""An evaluation as a person reads it."""

from __future__ import annotations

import numpy as np

from s3d.clip import ClipSpec
from s3d.evaluate.evaluation import Evaluation
from s3d.evaluate.metrics import accuracy_interval, class_accuracy
from s3d.evaluate.splits import SplitEvaluation
from s3d.files import show_path

BAR_WIDTH = 24
MOST_FAILURES = 10
DESCRIPTIONS = {
    "clip": "one clip from the middle, centre crop",
    "cover": "clips spread over the whole video, centre crop, scores averaged",
    "10x3": "10 clips x 3 crops, scores averaged",
    "all-frames": "all frames, centre crop, logits averaged over time",
}


def format_evaluation(outcome: Evaluation, *specs: ClipSpec) -> str:
    """Return an evaluation as lines of text, its protocol first.

    Args:
        outcome: What was scored.
        specs: The clip of the model, or of each of two.
    """
    scored = len(outcome.truth)
    low, high = accuracy_interval(outcome.top(1), scored)
    order = ", played backwards" if outcome.is_reversed else ""
    lines = [f"data       {show_path(outcome.data)}{_part(outcome)}"] if outcome.data else []
    lines += [
        f"protocol   {outcome.protocol}: {DESCRIPTIONS[outcome.protocol]}{order}",
        *(f"clip       {spec.describe()}" for spec in specs),
        f"views      {outcome.views.mean():.3g} a video",
        f"videos     {scored:,} of {outcome.found:,} scored",
        f"top-1      {outcome.top(1):.1%}   (95 % interval {low:.1%} to {high:.1%}, "
        "if the videos are independent)",
    ]
    if len(outcome.labels) > 5:
        lines.append(f"top-5      {outcome.top(5):.1%}")
    lines += _stream_lines(outcome)
    lines += [
        f"per class  {outcome.mean_class_accuracy:.1%} on average",
        f"cost       {outcome.macs_per_video / 1e9:.3g} G multiply-adds a video",
        f"time       {outcome.seconds:.1f} s, {1e3 * outcome.seconds / scored:.0f} ms a video, "
        "decoding included",
        "",
        *_class_lines(outcome),
    ]
    return "\n".join([*lines, *_failure_lines(outcome)])


def format_splits(outcome: SplitEvaluation, *specs: ClipSpec) -> str:
    """Return the figures of each split and their mean as lines of text, the protocol first.

    Args:
        outcome: What was scored.
        specs: The clip of the models, or of both kinds where two streams are fused.
    """
    first = next(iter(outcome.outcomes.values()))
    order = ", played backwards" if first.is_reversed else ""
    lines = [
        f"protocol   {first.protocol}: {DESCRIPTIONS[first.protocol]}{order}",
        *(f"clip       {spec.describe()}" for spec in specs),
        "",
        "split      top-1    top-5    per class   scored",
    ]
    for name, one in outcome.outcomes.items():
        figures = one.top(1), one.top(5), one.mean_class_accuracy
        lines.append(_split_line(name, figures, f"{one.coverage}, part {one.part}"))
    means = outcome.means
    figures = means["top1"], means["top5"], means["mean_class_accuracy"]
    lines += [_split_line("mean", figures, outcome.coverage), ""]
    for name, one in outcome.outcomes.items():
        lines += [f"split {name}: {line}" for line in _failure_lines(one)]
    return "\n".join(lines).rstrip()


def _split_line(name: str, figures: tuple[float, float, float], scored: str) -> str:
    top1, top5, per_class = figures
    return f"{name:<9} {top1:6.1%}   {top5:6.1%}      {per_class:6.1%}   {scored}"


def _stream_lines(outcome: Evaluation) -> list[str]:
    """Return what each of two streams reaches, which the figures above are the fusion of."""
    return [
        f"  {name:<9}{one.top(1):.1%}   by itself, on the same videos"
        for name, one in outcome.streams.items()
    ]


def _part(outcome: Evaluation) -> str:
    if outcome.part == "all":
        return ", all of it"
    return f", its part {outcome.part} (?part=train, val, test or all chooses)"


def _failure_lines(outcome: Evaluation) -> list[str]:
    """Return a line for each of the first failures, and one that counts the others."""
    shown = outcome.failures[:MOST_FAILURES]
    lines = [
        f"failed     {show_path(reason if path in reason else f'{path}: {reason}')}"
        for path, reason in shown
    ]
    others = len(outcome.failures) - len(shown)
    if others:
        lines.append(f"failed     and {others:,} more; --json names all")
    return lines


def _class_lines(outcome: Evaluation) -> list[str]:
    recall, counts = class_accuracy(outcome.confusion), outcome.confusion.sum(1)
    labels = [show_path(label) for label in outcome.labels]
    wide = max(len(label) for label in labels)
    lines = []
    for label, value, count in zip(labels, recall, counts, strict=True):
        if np.isnan(value):
            continue
        bar = "█" * round(float(value) * BAR_WIDTH)
        lines.append(f"  {label:<{wide}}  {value:6.1%} of {count:<5} {bar}".rstrip())
    return lines
