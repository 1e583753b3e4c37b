"""What detections are worth, as a person reads it and as a program does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from s3d.detect.score.causes import CAUSES
from s3d.detect.score.precisions import COCO_IOUS, Precisions
from s3d.detect.score.score import DetectionScore
from s3d.files import show_path

FRAME_IOUS = (0.5, 0.75)
VIDEO_IOUS = (0.2, 0.5, 0.75)

MEANINGS = {
    "duplicate": "a second one on the same truth",
    "localisation": "right class, box off",
    "classification": "box right, class wrong",
    "both": "box off and class wrong",
    "timing": "right box and class, before or after it is done",
    "background": "nothing of the kind there",
    "missed": "true, and not found",
}


def format_detection_score(outcome: DetectionScore) -> str:
    """Return a score as lines of text, its protocol first."""
    return "\n".join(
        [
            *_protocol_lines(outcome),
            *_mean_lines(outcome),
            "",
            *_class_lines(outcome),
            "",
            *_error_lines(outcome),
        ]
    )


def detection_summary(outcome: DetectionScore) -> dict[str, object]:
    """Return a score as what JSON can hold; what cannot be known is None.

    Returns:
        protocol, videos, frames, frame_map and video_map by threshold, classes, errors.
    """
    return {
        "protocol": outcome.protocol.name,
        "rules": outcome.protocol.lines(),
        "videos": outcome.videos,
        "frames": outcome.frames,
        "frame_map": _means(outcome.frame, FRAME_IOUS),
        "video_map": _means(outcome.video, VIDEO_IOUS) if outcome.video else None,
        "video_map_lacks": outcome.lacks,
        "classes": [_class_summary(outcome, place) for place in range(len(outcome.labels))],
        "errors": {
            "iou": outcome.errors.iou,
            "frame_map": _known(outcome.errors.map),
            "correct": outcome.errors.counts["correct"],
            "causes": _error_summary(outcome),
        },
    }


def _protocol_lines(outcome: DetectionScore) -> list[str]:
    rules = outcome.protocol.lines()
    return [
        f"protocol   {outcome.protocol.name}: {rules[0]}",
        *(f"           {rule}" for rule in rules[1:]),
        f"frames     {outcome.frames:,} of {outcome.videos:,} videos: those of which everything "
        "is marked, and no others",
    ]


def _mean_lines(outcome: DetectionScore) -> list[str]:
    known = int((outcome.frame.truths > 0).sum())
    lines = [
        f"classes    {known} of {len(outcome.labels)} have truth; the means are over them",
        f"frame-mAP  {_mean_text(outcome.frame, FRAME_IOUS)}",
    ]
    if outcome.video is None:
        return [*lines, f"video-mAP  none: {outcome.lacks}"]
    return [*lines, f"video-mAP  {_mean_text(outcome.video, VIDEO_IOUS)}"]


def _mean_text(values: Precisions, ious: Sequence[float]) -> str:
    return "   ".join(
        [
            *(f"{_percent(values.mean_at(iou)).strip()} at {iou:g}" for iou in ious),
            f"{_percent(values.mean()).strip()} at 0.5:0.95",
        ]
    )


def _class_lines(outcome: DetectionScore) -> list[str]:
    """Return a line for each class that is true or found."""
    names = [show_path(label) for label in outcome.labels]
    wide = max(5, *(len(name) for name in names))
    head = f"  {'class':<{wide}}   boxes   found   AP 0.5"
    if outcome.video is not None:
        head += "   tubes   found   AP 0.2   AP 0.5"
    lines = [head]
    for place, name in enumerate(names):
        if outcome.frame.truths[place] or outcome.frame.found[place]:
            lines.append(f"  {name:<{wide}}  {_class_cells(outcome, place)}")
    return lines


def _class_cells(outcome: DetectionScore, place: int) -> str:
    frame, video = outcome.frame, outcome.video
    cells = f"{frame.truths[place]:>6,}  {frame.found[place]:>6,}   {_cell(frame, 0.5, place)}"
    if video is None:
        return cells
    counts = f"{video.truths[place]:>6,}  {video.found[place]:>6,}"
    return f"{cells}  {counts}   {_cell(video, 0.2, place)}   {_cell(video, 0.5, place)}"


def _cell(values: Precisions, iou: float, place: int) -> str:
    return _percent(float(values.at(iou)[place]))


def _error_lines(outcome: DetectionScore) -> list[str]:
    """Return what goes wrong and what mending it were worth."""
    errors = outcome.errors
    lines = [
        f"errors at IoU {errors.iou:g}, and what frame-mAP were without: "
        f"{errors.counts['correct']:,} of {sum(errors.counts.values()):,} detections are correct"
    ]
    for cause, gain in errors.gains.items():
        count = errors.missed if cause == "missed" else errors.counts[cause]
        points = "     -" if math.isnan(gain) else f"{100 * gain:+6.1f}"
        lines.append(f"  {cause:<14} {count:>7,}  {points}  {MEANINGS[cause]}")
    return lines


def _error_summary(outcome: DetectionScore) -> dict[str, dict[str, float | None]]:
    counts = {**outcome.errors.counts, "missed": outcome.errors.missed}
    return {
        cause: {"count": counts[cause], "gain": _known(outcome.errors.gains[cause])}
        for cause in (*CAUSES[1:], "missed")
    }


def _class_summary(outcome: DetectionScore, place: int) -> dict[str, object]:
    summary: dict[str, object] = {"label": outcome.labels[place]}
    for name, values in (("frame", outcome.frame), ("video", outcome.video)):
        if values is not None:
            summary[name] = {
                "truths": int(values.truths[place]),
                "found": int(values.found[place]),
                "ap": {f"{iou:g}": _known(float(values.at(iou)[place])) for iou in values.ious},
            }
    return summary


def _means(values: Precisions, ious: Sequence[float]) -> dict[str, float | None]:
    means = {f"{iou:g}": _known(values.mean_at(iou)) for iou in ious}
    return {**means, "0.5:0.95": _known(values.mean(COCO_IOUS))}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _percent(value: float) -> str:
    return "     -" if math.isnan(value) else f"{value:6.1%}"
