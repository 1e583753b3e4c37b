"""People over time: who keeps a number, who gets none, and what each does."""

from __future__ import annotations

import numpy as np
import pytest

from s3d.detect.run.finder import FrameBoxes
from s3d.detect.run.people import (
    People,
    PeopleSettings,
    Stretch,
    describe_scores,
    find_actions,
    find_all_actions,
    smooth_scores,
)
from s3d.detect.tubes.track import Track
from s3d.errors import InputError

RATE, GAP = 25.0, 4


def box(x: float, y: float = 10, wide: float = 20, high: float = 40) -> list[float]:
    return [x, y, x + wide, y + high]


def found(*boxes: list[float], scores: list[list[float]] | None = None) -> FrameBoxes:
    rows = scores or [[0.9, 0.05]] * len(boxes)
    return FrameBoxes(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(rows, np.float32).reshape(-1, 2)
    )


def people(**settings: float) -> People:
    return People(PeopleSettings(**settings), RATE, GAP)  # type: ignore[arg-type]


def walk(who: People, rows: list[FrameBoxes]) -> tuple[list[dict[int, list[float]]], list[Track]]:
    """Return for each key frame {number: box}, and all tracks, in the order they ended."""
    keys, tracks = [], []
    for count, row in enumerate(rows):
        present, ended = who.add(GAP * count, row)
        keys.append([(person.key, person.box.tolist()) for person in present])
        tracks += ended
    numbers = dict(who.numbers)
    tracks += who.finish()
    return [{numbers.get(k, -k): b for k, b in row} for row in keys], tracks


def test_two_who_cross_keep_their_numbers() -> None:
    rows = []
    for count in range(20):
        left, right = box(10 + 6 * count), box(130 - 6 * count, y=14)
        rows.append(found(left, right) if abs(left[0] - right[0]) > 12 else found(left))
    shown, tracks = walk(people(), rows)
    assert [set(row) for row in shown if len(row) == 2] == [{1, 2}] * 17
    assert shown[-1][1][0] == 10 + 6 * 19
    assert shown[-1][2][0] == 130 - 6 * 19
    assert sorted(len(track) for track in tracks) == [17, 20]


def test_one_missed_key_frame_ends_nobody() -> None:
    rows = [found(box(10 + count)) if count != 3 else found() for count in range(7)]
    shown, tracks = walk(people(patience_seconds=0.32), rows)
    assert [list(row) for row in shown] == [[1], [1], [1], [], [1], [1], [1]]
    assert [track.frames.tolist() for track in tracks] == [[0, 4, 8, 16, 20, 24]]


def test_who_is_away_for_longer_than_patience_is_somebody_else() -> None:
    rows = [found(box(10))] * 4 + [found()] * 7 + [found(box(10))] * 4
    shown, _ = walk(people(patience_seconds=1.0), rows)
    assert [list(row) for row in shown[:4] + shown[11:]] == [[1]] * 4 + [[2]] * 4


def test_with_no_patience_neighbouring_key_frames_still_belong_together() -> None:
    shown, tracks = walk(people(patience_seconds=0.0), [found(box(10))] * 5)
    assert ([list(row) for row in shown], len(tracks)) == ([[1]] * 5, 1)


def test_who_is_seen_twice_has_no_number() -> None:
    who = people()
    shown, tracks = walk(who, [found(box(10), box(100)), found(box(10), box(100)), found(box(10))])
    assert (who.given, set(who.numbers.values())) == (1, {1})
    assert [len(row) for row in shown] == [2, 2, 1]
    assert sorted(len(track) for track in tracks) == [2, 3]
    numbered = [track for track in tracks if track.number in who.numbers]
    assert [len(track) for track in numbered] == [3]


def test_numbers_rise_and_none_is_given_again() -> None:
    who, given = people(patience_seconds=0.2), list[int]()
    for count in range(300):
        # Every 10 key frames somebody else comes, elsewhere, for five.
        place = 200 * (count // 10 % 7)
        who.add(GAP * count, found(box(place)) if count % 10 < 5 else found())
        given += [number for number in who.numbers.values() if number not in given]
    assert given == list(range(1, 31))
    assert who.given == 30


def test_people_are_told_what_each_does_box_by_box() -> None:
    rows = [found(box(10), scores=[[0.1 * count, 0.5]]) for count in range(4, 9)]
    who = people()
    present, _ = who.add(0, rows[0])
    assert present[0].scores.tolist() == rows[0].scores[0].tolist()
    assert present[0].box.tolist() == box(10)


def test_a_box_below_the_least_score_is_nobody() -> None:
    rows = [found(box(10), scores=[[0.29, 0.2]])] * 5
    assert walk(people(), rows)[1] == []
    assert len(walk(people(least_score=0.25), rows)[1]) == 1


def test_of_boxes_that_lie_on_each_other_one_is_a_person() -> None:
    rows = [found(box(10), box(13), box(40), scores=[[0.8, 0.1], [0.1, 0.9], [0.5, 0]])] * 3
    shown, _ = walk(people(), rows)
    assert {number: b[0] for number, b in shown[-1].items()} == {1: 13, 2: 40}


def test_memory_stays_flat_over_ten_thousand_key_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody lies on anybody here, and suppression is most of the time that this takes.
    monkeypatch.setattr(FrameBoxes, "people", lambda self, keeping: self)
    who, held, longest = people(patience_seconds=0.2), list[int](), 0
    for count in range(10_000):
        # One stays, others come for four key frames each, and some are seen but once.
        passing = [box(300 + 40 * (count // 20 % 50))] if count % 20 < 4 else []
        passing += [box(5000)] if count % 50 == 0 else []
        _, ended = who.add(GAP * count, found(box(10), *passing))
        longest = max([longest, *(int(t.frames[-1] - t.frames[0]) + 1 for t in ended)])
        if count % 1250 == 1249:
            inside = sum(len(live.frames) for live in who._linker._live)
            held.append(len(who._seen) + len(who.numbers) + inside)
    assert len(held) == 8
    assert max(held) < 1250 + 20  # a piece of 5000 frames, and those who came last
    assert 4990 < longest <= 5004
    assert who.given == 1 + 500


def test_a_track_is_told_under_its_number_whenever_it_ends() -> None:
    """A file of uneven times may jump far: who ended long ago was not told before."""
    who = people(patience_seconds=0.2)
    for count in range(4):
        who.add(GAP * count, found(box(10)))
    _, ended = who.add(10_000, found(box(500)))
    assert [who.numbers[track.number] for track in ended] == [1]
    who.add(20_000, found())
    assert who.numbers == {}


def test_somebody_who_is_seen_rarely_has_a_number_before_a_piece_is_told() -> None:
    who = People(PeopleSettings(patience_seconds=600), RATE, GAP)
    told = []
    for count in range(8):
        _, ended = who.add(10_000 * count, found(box(10)))
        told += [who.numbers[track.number] for track in ended]
    assert set(told) <= {1}
    assert [who.numbers[track.number] for track in who.finish()] == [1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"least_score": 2.0}, "least_score is 2.0; it needs to be 0 to 1"),
        ({"iou": float("nan")}, "iou is nan"),
        ({"link_iou": -0.1}, "link_iou is -0.1"),
        ({"patience_seconds": -1.0}, r"patience is -1.0 s; it needs to be from 0 to 3600"),
        ({"patience_seconds": float("nan")}, "patience is nan"),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        PeopleSettings(**settings)  # type: ignore[arg-type]


def slow_mean(scores: np.ndarray, boxes: int) -> np.ndarray:
    half, last = boxes // 2, len(scores) - 1
    return np.array(
        [
            np.mean([scores[min(max(j, 0), last)] for j in range(i - half, i + half + 1)], axis=0)
            for i in range(len(scores))
        ]
    )


@pytest.mark.parametrize("boxes", [1, 3, 5, 9])
@pytest.mark.parametrize("count", [1, 2, 20])
def test_scores_are_smoothed_by_as_many_before_as_behind(boxes: int, count: int) -> None:
    scores = np.random.default_rng(0).uniform(0, 1, (count, 3)).astype(np.float32)
    np.testing.assert_allclose(smooth_scores(scores, boxes), slow_mean(scores, boxes), rtol=1e-5)


def one_hot(*labels: int, high: float = 0.9) -> np.ndarray:
    scores = np.full((len(labels), 2), 1 - high, np.float32)
    scores[np.arange(len(labels)), labels] = high
    return scores


def test_a_track_is_split_where_the_action_changes() -> None:
    found = find_actions(one_hot(*[0] * 10, *[1] * 8), 5)
    assert found == [Stretch(0, 0, 10, pytest.approx(0.9)), Stretch(1, 10, 18, pytest.approx(0.9))]


def test_one_odd_box_is_no_other_action() -> None:
    scores = one_hot(*[0] * 5, 1, *[0] * 5)
    (found,) = find_actions(scores, 5)
    assert (found.label, found.first, found.stop) == (0, 0, 11)
    assert found.score == pytest.approx((10 * 0.9 + 0.1) / 11)
    assert len(find_actions(scores, 1)) == 3


def test_several_things_at_once_are_each_a_stretch() -> None:
    sits = np.repeat([0.8, 0.8, 0.1], [4, 4, 4])
    talks = np.repeat([0.1, 0.7, 0.7], [4, 4, 4])
    scores = np.stack([sits, talks, np.full(12, 0.2)], 1).astype(np.float32)
    found = find_all_actions(scores, 1, 0.5)
    assert [(s.label, s.first, s.stop) for s in found] == [(0, 0, 8), (1, 4, 12)]
    assert [s.score for s in found] == pytest.approx([0.8, 0.7])
    assert find_all_actions(scores, 1, 0.9) == []


def test_what_is_done_is_said_in_lines() -> None:
    labels, scores = ("sit", "talk", "run", "eat"), np.array([0.6, 0.8, 0.7, 0.65], np.float32)
    assert describe_scores(scores, labels, False, 0.3) == ("talk 0.80",)
    assert describe_scores(scores, labels, True, 0.3) == ("talk 0.80", "run 0.70", "eat 0.65")
    assert describe_scores(scores, labels, True, 0.75) == ("talk 0.80",)
    assert describe_scores(scores, labels, True, 0.9) == ("talk 0.80",)
