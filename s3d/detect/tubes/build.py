"""Detections of a video become tubes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from s3d.detect.score.rows import check_detections
from s3d.detect.tube import Detections, FoundTube
from s3d.detect.tubes.interpolate import fill_frames
from s3d.detect.tubes.link import OnlineLinker
from s3d.detect.tubes.settings import LinkSettings
from s3d.detect.tubes.suppress import suppress_detections, suppress_tubes
from s3d.detect.tubes.track import AnyScores, Track
from s3d.detect.tubes.trim import find_stretches
from s3d.detect.tubes.viterbi import link_best_paths


def build_tubes(
    detections: Detections, labels: int, settings: LinkSettings | None = None
) -> list[FoundTube]:
    """Link the detections of a video, class by class.

    Frames between the boxes of a tube are filled. Each box keeps its own score, a filled one has
    the mean of its neighbours'; the tube's is `tube_score` of those that were found. Stretches into
    which a person's action is trimmed share its number.

    Args:
        detections: Of one video; scores from 0 to 1.
        labels: How many classes there are.
        settings: How; as `LinkSettings` begins where None.

    Returns:
        Tubes in falling score.

    Raises:
        ValueError: A label is no class, or a score or place is no number.
    """
    settings = settings or LinkSettings()
    check_detections(detections, labels, "detections")
    kept = detections.of(detections.scores >= settings.least_score)
    kept = suppress_detections(kept, settings.box_iou)
    tubes: list[FoundTube] = []
    number = 1
    for label in range(labels):
        tracks = _link(kept.of(kept.labels == label), settings, number)
        number += len(tracks)
        for track in tracks:
            tubes += _tubes_of(track, label, settings)
    return suppress_tubes(tubes, settings.tube_iou)


def tube_score(scores: AnyScores, top_boxes: int) -> float:
    """Return the score of a tube: the mean of the highest scores of its boxes.

    So a long tube is not the worse for frames in which the action is hard to see.

    Args:
        scores: (n,), each box's own.
        top_boxes: How many; all where there are fewer.
    """
    return float(np.sort(np.asarray(scores, np.float64))[::-1][:top_boxes].mean())


def _link(detections: Detections, settings: LinkSettings, number: int) -> list[Track]:
    if settings.method == "viterbi":
        return link_best_paths(
            detections.frames,
            detections.boxes,
            detections.scores,
            iou=settings.iou,
            patience_frames=settings.patience_frames,
            overlap_weight=settings.overlap_weight,
            first_number=number,
        )
    linker = OnlineLinker(settings.iou, settings.patience_frames, first_number=number)
    order = np.argsort(detections.frames, kind="stable")
    frames, begins = np.unique(detections.frames[order], return_index=True)
    tracks: list[Track] = []
    for frame, rows in zip(frames.tolist(), np.split(order, begins[1:]), strict=False):
        tracks += linker.add(frame, detections.boxes[rows], detections.scores[rows])
    return sorted([*tracks, *linker.finish()], key=lambda track: track.number)


def _tubes_of(track: Track, label: int, settings: LinkSettings) -> Iterator[FoundTube]:
    """Yield what a track becomes: itself, or its stretches."""
    filled = fill_frames(track)
    stretches = [slice(0, len(filled))]
    if settings.trims:
        # a score that never says yes says nothing of when, either: the whole stays
        stretches = find_stretches(filled.scores, settings.alpha) or stretches
    was_found = np.isin(filled.frames, track.frames)
    for stretch in stretches:
        part, own = filled.of(stretch), was_found[stretch]
        if len(part) >= settings.least_frames:
            scores = part.scores[own] if own.any() else part.scores
            score = tube_score(scores, settings.top_boxes)
            yield FoundTube(label, part.frames, part.boxes, part.scores, score, number=track.number)
