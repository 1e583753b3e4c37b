"""An evaluation as a person reads it."""

from __future__ import annotations

import numpy as np

from s3d.clip import ClipSpec
from s3d.evaluate.evaluation import Evaluation
from s3d.evaluate.metrics import accuracy_interval, class_accuracy, mean_class_accuracy
from s3d.files import show_path

BAR_WIDTH = 24
DESCRIPTIONS = {
    "clip": "one clip from the middle, centre crop",
    "cover": "clips spread over the whole video, centre crop, scores averaged",
    "10x3": "10 clips x 3 crops, scores averaged",
    "all-frames": "all frames, centre crop, logits averaged over time",
}


def format_evaluation(outcome: Evaluation, spec: ClipSpec) -> str:
    """Return an evaluation as lines of text, its protocol first."""
    scored = len(outcome.truth)
    low, high = accuracy_interval(outcome.top(1), scored)
    order = ", played backwards" if outcome.is_reversed else ""
    lines = [
        f"protocol   {outcome.protocol}: {DESCRIPTIONS[outcome.protocol]}{order}",
        f"clip       {spec.describe()}; {outcome.views.mean():.3g} views a video",
        f"videos     {scored:,} of {outcome.found:,} scored",
        f"top-1      {outcome.top(1):.1%}   (95 % interval {low:.1%} to {high:.1%}, "
        "if the videos are independent)",
    ]
    if len(outcome.labels) > 5:
        lines.append(f"top-5      {outcome.top(5):.1%}")
    lines += [
        f"per class  {mean_class_accuracy(outcome.confusion):.1%} on average",
        f"cost       {outcome.macs_per_video / 1e9:.3g} G multiply-adds a video",
        f"time       {outcome.seconds:.1f} s, {1e3 * outcome.seconds / scored:.0f} ms a video, "
        "decoding included",
        "",
        *_class_lines(outcome),
    ]
    lines += [f"failed     {reason}" for _, reason in outcome.failures]
    return "\n".join(lines)


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
