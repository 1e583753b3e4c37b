"""What is drawn between key frames, who is shown, and when a frame can be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from s3d.detect.draw.boxes import DrawnBox
from s3d.detect.run.overlay import Overlay

LABELS = ("sit", "run")


def describe(scores: np.ndarray) -> tuple[str, ...]:
    return (f"{LABELS[int(scores.argmax())]} {scores.max():.2f}",)


class Film:
    """Give an overlay key frames one by one and draw whatever can be drawn."""

    def __init__(self, keys: list[int], gap: int, frames: int, smoothed: int = 5) -> None:
        self.overlay = Overlay(gap, smoothed, describe)
        self.keys, self.frames = keys, frames
        self.drawn: list[list[DrawnBox]] = []
        self.waited: list[int] = []
        self.most_held = 0

    def play(
        self,
        who: dict[int, dict[int, float]],
        scores: dict[tuple[int, int], list[float]] | None = None,
    ) -> list[list[DrawnBox]]:
        """Draw people {key: {count of key frame: x}}; all have a number, ten times their key."""
        numbers = {key: 10 * key for key in who}
        for count, frame in enumerate(self.keys):
            self.overlay.begin_key(frame)
            for key, places in who.items():
                if count in places:
                    x = places[count]
                    row = (scores or {}).get((key, count), [0.9, 0.1])
                    box = np.array([x, 5, x + 10, 25], np.float32)
                    self.overlay.add(key, box, np.array(row, np.float32))
            self.draw(self.overlay.until, numbers)
            self.waited.append(frame - len(self.drawn))
            held = sum(map(len, self.overlay._placed.values())) + len(self.overlay._keys)
            self.most_held = max(self.most_held, held)
        self.draw(self.frames, numbers)
        return self.drawn

    def draw(self, until: int, numbers: dict[int, int]) -> None:
        while len(self.drawn) < until:
            self.drawn.append(self.overlay.boxes_at(len(self.drawn), numbers))


def lefts(drawn: list[list[DrawnBox]]) -> list[float | None]:
    """Return the left edge of the one box of each frame."""
    assert all(len(boxes) < 2 for boxes in drawn)
    return [boxes[0].box[0] if boxes else None for boxes in drawn]


def test_boxes_between_key_frames_lie_on_the_line() -> None:
    drawn = Film([0, 4, 8, 12, 16], 4, 17).play({1: {k: 100.0 + 8 * k for k in range(5)}})
    assert lefts(drawn) == [100.0 + 2 * frame for frame in range(17)]
    assert drawn[6][0] == DrawnBox((112, 5, 122, 25), ("#10 sit 0.90",), 10)


def test_key_frames_may_lie_unevenly() -> None:
    keys = [0, 2, 10, 11, 40, 41, 42]
    drawn = Film(keys, 29, 43).play({1: {k: float(3 * f) for k, f in enumerate(keys)}})
    np.testing.assert_allclose(lefts(drawn), 3.0 * np.arange(43), rtol=1e-6)


@pytest.mark.parametrize("missed", [1, 3, 5])
def test_one_missed_key_frame_is_bridged(missed: int) -> None:
    places = {k: 4.0 * k for k in range(8) if k != missed}
    assert lefts(Film(list(range(0, 32, 4)), 4, 29).play({1: places})) == list(range(29))


def test_two_missed_ones_are_not_and_the_box_stands_for_a_moment() -> None:
    places = {k: 4.0 * k for k in range(9) if k not in (3, 4)}
    found = lefts(Film(list(range(0, 36, 4)), 4, 33).play({1: places}))
    assert found[:12] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]
    assert found[12:20] == [None] * 8
    assert found[20:] == list(range(20, 33))


def test_frames_after_the_last_key_frame() -> None:
    drawn = Film([0, 4, 8], 4, 14).play({1: {0: 0, 1: 4, 2: 8}})
    assert lefts(drawn)[8:] == [8, 8, 8, 8, None, None]


def test_a_video_of_one_key_frame() -> None:
    assert lefts(Film([0], 4, 2).play({1: {0: 7}})) == [7, 7]


def test_who_has_no_number_is_not_shown() -> None:
    overlay = Overlay(4, 5, describe)
    for count in range(4):
        overlay.begin_key(4 * count)
        overlay.add(1, np.array([0, 0, 5, 5], np.float32), np.array([1, 0], np.float32))
    assert overlay.boxes_at(0, {2: 1}) == []
    assert overlay.boxes_at(1, {1: 6})[0].number == 6


def test_a_frame_waits_for_three_key_frames_behind_it() -> None:
    film = Film(list(range(0, 80, 4)), 4, 80)
    film.play({1: dict.fromkeys(range(20), 0.0)})
    assert film.waited[:3] == [0, 4, 8]
    assert set(film.waited[3:]) == {8}
    assert len(film.drawn) == 80


def test_plates_change_on_the_frame_on_which_the_action_does() -> None:
    scores = {(1, k): [0.9, 0.1] if k < 6 else [0.1, 0.9] for k in range(14)}
    film = Film(list(range(0, 56, 4)), 4, 53)
    drawn = film.play({1: dict.fromkeys(range(14), 0.0)}, scores)
    words = [boxes[0].lines[0].split()[1] for boxes in drawn]
    assert words == ["sit"] * 24 + ["run"] * 29
    assert drawn[2 * 4][0].lines == ("#10 sit 0.90",)
    assert drawn[5 * 4][0].lines == ("#10 sit 0.58",)  # of boxes 3 .. 7, two of which run


def test_one_odd_box_does_not_flicker() -> None:
    scores = {(1, 5): [0.1, 0.9]}
    drawn = Film(list(range(0, 48, 4)), 4, 45).play({1: dict.fromkeys(range(12), 0.0)}, scores)
    assert {boxes[0].lines[0].split()[1] for boxes in drawn} == {"sit"}


def test_people_are_drawn_in_one_order() -> None:
    drawn = Film([0, 4, 8], 4, 9).play({3: {0: 1, 1: 1, 2: 1}, 1: {0: 50, 1: 50, 2: 50}})
    assert [[box.number for box in boxes] for boxes in drawn] == [[10, 30]] * 9


def test_what_is_held_stays_the_same_over_ten_thousand_key_frames() -> None:
    film = Film(list(range(10_000)), 1, 10_000, smoothed=3)
    film.play({1: dict.fromkeys(range(10_000), 0.0), 2: dict.fromkeys(range(0, 10_000, 7), 9.0)})
    assert film.most_held < 30
