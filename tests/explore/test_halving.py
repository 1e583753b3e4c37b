"""Successive halving: the rounds, worked out by hand."""

from __future__ import annotations

from s3d.explore.explore import count_trials
from s3d.explore.halving import Round, choose_better, count_epochs, plan_rounds


def test_without_halving_there_is_one_round_of_all() -> None:
    assert plan_rounds(6, 40, 3, halves=False) == [Round(40, 3, 6)]


def test_halving_doubles_the_length_and_takes_all_seeds_at_last() -> None:
    rounds = plan_rounds(8, 40, 3, halves=True)
    assert rounds == [Round(10, 1, 4), Round(20, 1, 2), Round(40, 3, 2)]
    # 8 x 10, 4 x 20, 2 x 40 x 3 seeds; and 8 + 4 + 6 trainings.
    assert count_epochs(rounds, 8) == 80 + 80 + 240
    assert count_trials(rounds, 8) == 18


def test_two_are_compared_at_full_length_at_once() -> None:
    assert plan_rounds(2, 40, 1, halves=True) == [Round(40, 1, 2)]


def test_three_lose_one_and_no_round_has_no_epochs() -> None:
    assert plan_rounds(3, 40, 1, halves=True) == [Round(10, 1, 2), Round(40, 1, 2)]
    assert plan_rounds(8, 1, 1, halves=True) == [Round(1, 1, 8)]


def test_the_better_go_on_and_of_equals_the_cheaper() -> None:
    scores = {"a": 0.5, "b": 0.9, "c": 0.5, "d": 0.4}
    costs = {"a": 9.0, "b": 9.0, "c": 1.0, "d": 0.1}
    assert choose_better(scores, costs, 2) == ["b", "c"]
