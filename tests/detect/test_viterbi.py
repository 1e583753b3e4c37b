"""Best paths against all paths, and against what linking online finds."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from s3d.detect.score.overlap import box_iou
from s3d.detect.tubes.link import OnlineLinker
from s3d.detect.tubes.viterbi import link_best_paths
from tests.detect.marked import square

Given = tuple[np.ndarray, np.ndarray, np.ndarray]


def given(*rows: tuple[int, float, float]) -> Given:
    """Return boxes of (frame, x, score)."""
    frames = np.array([row[0] for row in rows], np.int64)
    boxes = np.array([square(row[1]) for row in rows], np.float32).reshape(-1, 4)
    return frames, boxes, np.array([row[2] for row in rows], np.float32)


def energy(track, weight: float) -> float:
    overlaps = np.diagonal(box_iou(track.boxes[:-1], track.boxes[1:]))
    return float(track.scores.sum() + weight * overlaps.sum())


def slow_best(frames, boxes, scores, iou: float, patience: int, weight: float) -> float:
    """Try every set of boxes that is a path."""
    overlaps, best = box_iou(boxes, boxes), 0.0
    order = np.argsort(frames, kind="stable").tolist()
    for count in range(1, len(frames) + 1):
        for path in combinations(order, count):
            steps = list(pairwise(path))
            gaps = [frames[b] - frames[a] for a, b in steps]
            if all(0 < gap <= patience for gap in gaps) and all(overlaps[s] >= iou for s in steps):
                sums = scores[list(path)].sum() + weight * sum(overlaps[s] for s in steps)
                best = max(best, float(sums))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_first_path_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [(int(rng.integers(6)), rng.uniform(0, 12), rng.random()) for _ in range(11)]
    settings = {"iou": 0.3, "patience_frames": 2, "overlap_weight": 0.7}
    tracks = link_best_paths(*given(*rows), **settings)
    assert energy(tracks[0], 0.7) == pytest.approx(slow_best(*given(*rows), 0.3, 2, 0.7), rel=1e-5)
    energies = [energy(track, 0.7) for track in tracks]
    assert energies == sorted(energies, reverse=True)
    assert sum(len(track) for track in tracks) == 11
    assert [track.number for track in tracks] == list(range(1, len(tracks) + 1))


def test_the_second_path_is_the_best_of_what_is_left() -> None:
    rng = np.random.default_rng(9)
    rows = [(int(rng.integers(5)), rng.uniform(0, 8), rng.random()) for _ in range(12)]
    frames, boxes, scores = given(*rows)
    first, second, *_ = link_best_paths(frames, boxes, scores)
    used = {(int(f), float(b[0])) for f, b in zip(first.frames, first.boxes, strict=True)}
    left = [i for i in range(12) if (int(frames[i]), float(boxes[i, 0])) not in used]
    expected = slow_best(frames[left], boxes[left], scores[left], 0.2, 25, 1.0)
    assert energy(second, 1.0) == pytest.approx(expected, rel=1e-5)


def test_a_box_that_leads_astray_is_seen_through() -> None:
    """At frame 1 a box of a high score leads to the left, where nothing follows.

    Online the track takes it and is lost; the best path takes the weaker one, which goes on.
    """
    rows = [(0, 0, 0.9), (1, -4, 0.9), (1, 4, 0.3), (2, 8, 0.9), (3, 12, 0.9)]
    frames, boxes, scores = given(*rows)
    best = link_best_paths(frames, boxes, scores, iou=0.3)[0]
    assert best.boxes[:, 0].tolist() == [0, 4, 8, 12]
    linker = OnlineLinker(iou=0.3)
    for frame in range(4):
        linker.add(frame, boxes[frames == frame], scores[frames == frame])
    assert max(len(track) for track in linker.finish()) < 4


def test_frames_without_a_box_are_stepped_over_as_far_as_patience_goes() -> None:
    rows = given((0, 0, 0.5), (3, 0, 0.5), (7, 0, 0.5))
    tracks = link_best_paths(*rows, patience_frames=3)
    assert [track.frames.tolist() for track in tracks] == [[0, 3], [7]]
    assert len(link_best_paths(*rows, patience_frames=4)) == 1


def test_a_path_ends_where_a_person_leaves_and_does_not_jump_to_another() -> None:
    rows = [(frame, 0, 0.5) for frame in range(3)] + [(frame, 60, 0.6) for frame in range(2, 6)]
    tracks = link_best_paths(*given(*rows))
    assert [track.frames.tolist() for track in tracks] == [[2, 3, 4, 5], [0, 1, 2]]
    assert tracks[0].boxes[0, 0] == 60


def test_boxes_keep_their_own_scores_in_any_order() -> None:
    (track,) = link_best_paths(*given((2, 0, 0.3), (0, 0, 0.9), (1, 0, 0.6)), first_number=5)
    assert track.scores.tolist() == pytest.approx([0.9, 0.6, 0.3])
    assert track.number == 5


def test_nothing_gives_nothing() -> None:
    assert link_best_paths(*given()) == []
