"""Bringing annotations onto another list of classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from s3d.detect.annotations.annotated import Annotated, AnnotatedVideo, Problems


def restrict_labels(annotated: Annotated, labels: tuple[str, ...]) -> Annotated:
    """Bring annotations onto the classes of a model.

    Args:
        annotated: Any.
        labels: The model's classes.

    Returns:
        The same videos and frames; boxes of classes that the model does not know are left out, and
        counted in the problems.
    """
    places = {label: place for place, label in enumerate(labels)}
    to_new = [places.get(label) for label in annotated.labels]
    problems = Problems(Counter(annotated.problems.counts), dict(annotated.problems.first))
    videos = tuple(_restrict(video, annotated, to_new, problems) for video in annotated.videos)
    return replace(annotated, videos=videos, labels=labels, problems=problems)


def keep_present(annotated: Annotated) -> Annotated:
    """Keep only the classes of which there is a box, in their order."""
    present = {tube.label for video in annotated.videos for tube in video.tubes}
    labels = [label for place, label in enumerate(annotated.labels) if place in present]
    return restrict_labels(annotated, tuple(labels))


def _restrict(
    video: AnnotatedVideo, annotated: Annotated, to_new: list[int | None], problems: Problems
) -> AnnotatedVideo:
    tubes = []
    for tube in video.tubes:
        label = to_new[tube.label]
        if label is not None:
            tubes.append(replace(tube, label=label))
            continue
        name = annotated.labels[tube.label]
        kind = f"boxes of class {name!r}, which the model does not know, left out"
        problems.add(kind, video.name)
        problems.counts[kind] += len(tube.frames) - 1
    return replace(video, tubes=tuple(tubes))
