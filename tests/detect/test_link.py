"""Online linking: numbers, patience, scores, memory."""

import numpy as np
import pytest

from s3d.detect.score.overlap import box_iou
from s3d.detect.tubes.link import OnlineLinker
from tests.detect.marked import square


def boxes(*xs: float, y: float = 0, side: float = 20) -> np.ndarray:
    return np.array([square(x, y, side) for x in xs], np.float32).reshape(-1, 4)


def ones(count: int) -> np.ndarray:
    return np.full(count, 0.5, np.float32)


def walk(linker: OnlineLinker, places: dict[int, list[float]]) -> list:
    """Add squares at x of each frame and return the tracks."""
    ended = []
    for frame, xs in places.items():
        ended += linker.add(frame, boxes(*xs), ones(len(xs)))
    return ended + linker.finish()


def test_two_far_apart_are_two_tracks() -> None:
    tracks = walk(OnlineLinker(), {frame: [frame, 100 - frame] for frame in range(5)})
    assert [track.number for track in tracks] == [1, 2]
    assert tracks[0].frames.tolist() == [0, 1, 2, 3, 4]
    assert tracks[0].boxes[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert tracks[1].boxes[:, 0].tolist() == [100, 99, 98, 97, 96]


@pytest.mark.parametrize("jump", [0.0, 0.4])
def test_two_who_cross_keep_their_numbers(jump: float) -> None:
    """They meet at frame 10.5, at 6 px a frame each; who is seen better changes there."""
    linker = OnlineLinker()
    for frame in range(21):
        xs = [6.0 * frame, 126 - 6.0 * frame]
        seen = np.array([0.5 - jump, 0.5 + jump] if frame < 10 else [0.5 + jump, 0.5 - jump])
        # the order in which boxes come tells nothing
        turn = 1 if frame % 2 else -1
        linker.add(frame, boxes(*xs)[::turn], seen[::turn])
        # in frame 0 whoever comes from the right came first
        assert linker.numbers[::turn].tolist() == [2, 1]


def crossing(rng: np.random.Generator) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Return frame, boxes, scores and who, of two figures who cross.

    Boxes jitter by 2 % of their size, one in 10 is missed, and of two that overlap by more than 0.7
    the one with the lower score is hidden.
    """
    size, speeds = np.array([60, 150]), [rng.uniform(2, 6), -rng.uniform(2, 6)]
    out = []
    for frame in range(120):
        corner = np.array([[300 + speed * (frame - 60), 100] for speed in speeds])
        figures = np.concatenate([corner, corner + size], 1)
        figures += rng.normal(0, 0.02, (2, 4)) * np.tile(size, 2)
        scores = np.clip(rng.normal(0.7, 0.15, 2), 0.05, 1)
        seen = rng.random(2) > 0.1
        if box_iou(figures[:1], figures[1:])[0, 0] > 0.7:
            seen[scores.argmin()] = False
        who = rng.permutation(np.flatnonzero(seen))
        out.append((frame, figures[who].astype(np.float32), scores[who], who))
    return out


def test_numbers_survive_crossings_in_which_one_hides_the_other() -> None:
    kept = 0
    for seed in range(15):
        linker, last = OnlineLinker(), {}
        first: dict[int, int] = {}
        for frame, figures, scores, who in crossing(np.random.default_rng(seed)):
            linker.add(frame, figures, scores)
            for one, number in zip(who.tolist(), linker.numbers.tolist(), strict=True):
                first.setdefault(one, number)
                last[one] = number
        kept += first == last and first[0] != first[1]
    assert kept >= 14


def test_a_gap_within_patience_keeps_the_number_and_a_longer_one_does_not() -> None:
    within = walk(OnlineLinker(patience_frames=4), {0: [0], 1: [0], 5: [0]})
    assert [track.frames.tolist() for track in within] == [[0, 1, 5]]
    beyond = walk(OnlineLinker(patience_frames=4), {0: [0], 1: [0], 6: [0]})
    assert [track.frames.tolist() for track in beyond] == [[0, 1], [6]]
    assert [track.number for track in beyond] == [1, 2]


def test_a_track_ends_when_patience_does_and_not_before() -> None:
    linker = OnlineLinker(patience_frames=3)
    linker.add(0, boxes(0), ones(1))
    assert [linker.add(frame, boxes(), ones(0)) for frame in (1, 2, 3)] == [[], [], []]
    assert [track.number for track in linker.add(4, boxes(), ones(0))] == [1]
    assert linker.finish() == []


def test_through_a_gap_somebody_goes_on_at_the_speed_he_had() -> None:
    """At 5 px a frame, 8 frames on he is 40 px away: no overlap with where he was."""
    places = {frame: [5.0 * frame] for frame in (*range(6), 13)}
    assert len(walk(OnlineLinker(), places)) == 1
    places[13] = [25.0 - 40]
    assert len(walk(OnlineLinker(), places)) == 2


def test_somebody_who_stopped_in_a_gap_is_found_where_he_was_seen_last() -> None:
    places = {frame: [5.0 * frame] for frame in range(6)} | {11: [25.0]}
    assert len(walk(OnlineLinker(), places)) == 1


def test_a_box_that_lies_better_is_taken_though_its_score_is_lower() -> None:
    linker = OnlineLinker()
    linker.add(0, boxes(0), ones(1))
    linker.add(1, boxes(10, 1), np.array([0.9, 0.3]))
    assert linker.numbers.tolist() == [2, 1]


def test_the_least_overlap_decides_who_is_somebody_else() -> None:
    """Squares of 20, shifted by 10: 1/3."""
    assert len(walk(OnlineLinker(iou=0.3), {0: [0], 1: [10]})) == 1
    assert len(walk(OnlineLinker(iou=0.4), {0: [0], 1: [10]})) == 2


def test_of_boxes_that_lie_equally_well_the_higher_score_is_taken() -> None:
    linker = OnlineLinker()
    linker.add(0, boxes(10), ones(1))
    linker.add(1, boxes(5, 15), np.array([0.3, 0.8]))
    assert linker.numbers.tolist() == [2, 1]


def test_of_tracks_that_lie_equally_well_the_better_one_comes_first() -> None:
    linker = OnlineLinker()
    linker.add(0, boxes(0, 10), np.array([0.3, 0.8]))
    linker.add(1, boxes(5), ones(1))
    assert linker.numbers.tolist() == [2]


def test_a_change_of_action_does_not_change_who_it_is() -> None:
    """Boxes have a score of each class; the highest stands for the box."""
    linker = OnlineLinker()
    for frame in range(8):
        row = [0.9, 0.1, 0] if frame < 4 else [0, 0.2, 0.9]
        linker.add(frame, boxes(frame), np.array([row], np.float32))
        assert linker.numbers.tolist() == [1]
    (track,) = linker.finish()
    assert track.scores.shape == (8, 3)
    assert track.of_class(2).scores.tolist() == pytest.approx([0] * 4 + [0.9] * 4)


def test_each_box_keeps_its_own_score() -> None:
    linker = OnlineLinker()
    scores = [0.9, 0.2, 0.6]
    for frame, score in enumerate(scores):
        linker.add(frame, boxes(0), np.array([score], np.float32))
    assert linker.finish()[0].scores.tolist() == pytest.approx(scores)


def test_numbers_are_never_given_again() -> None:
    linker, given = OnlineLinker(patience_frames=1, first_number=7), []
    for frame in range(0, 30, 3):
        linker.add(frame, boxes(0), ones(1))
        given.append(int(linker.numbers[0]))
    assert given == list(range(7, 17))


def test_a_long_track_is_handed_out_in_pieces_of_one_number() -> None:
    linker, pieces, most = OnlineLinker(longest_frames=10), [], 0
    for frame in range(35):
        pieces += linker.add(frame, boxes(2.0 * frame), ones(1))
        most = max(most, sum(len(live.frames) for live in linker._live))
    assert most < 10
    pieces += linker.finish()
    assert [len(piece) for piece in pieces] == [10, 10, 10, 5]
    assert {piece.number for piece in pieces} == {1}
    assert np.concatenate([piece.frames for piece in pieces]).tolist() == list(range(35))


def test_a_track_that_ends_behind_its_last_piece_has_no_empty_one() -> None:
    linker = OnlineLinker(longest_frames=2, patience_frames=1)
    pieces = [linker.add(frame, boxes(0), ones(1)) for frame in range(2)]
    assert [len(piece) for piece in pieces] == [0, 1]
    assert linker.add(9, boxes(), ones(0)) == []
    assert linker.finish() == []


def test_the_caller_may_reuse_his_arrays() -> None:
    linker, box = OnlineLinker(), boxes(3)
    linker.add(0, box, ones(1))
    box[:] = 99
    assert linker.finish()[0].boxes[0].tolist() == [3, 0, 23, 20]


def test_what_does_not_follow_is_refused() -> None:
    linker = OnlineLinker()
    linker.add(3, boxes(), ones(0))
    with pytest.raises(ValueError, match="frame 3 came behind 3; frames need to rise"):
        linker.add(3, boxes(), ones(0))
    with pytest.raises(ValueError, match="2 scores for 1 boxes"):
        linker.add(4, boxes(0), ones(2))
