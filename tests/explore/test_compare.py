from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from s3d.explore.budget import Budget, say_cost, short_number
from s3d.explore.compare import (
    FREEDOM,
    STUDENT,
    Bools,
    Counts,
    Difference,
    compare,
    measure_accuracy,
    points,
)
from s3d.explore.recommend import Contender, pareto_front, recommend

SOURCES = np.repeat(np.arange(20), 10)


def answers(wrong: int, seeds: int = 3, videos: int = 200) -> Bools:
    """Return answers of which the first `wrong` of every source of ten are wrong."""
    return np.tile(np.arange(videos) % 10 >= wrong, (seeds, 1))


def noisy(share: float, seed: int, seeds: int = 3) -> Bools:
    return np.random.default_rng(seed).random((seeds, len(SOURCES))) < share


def worlds(
    seeds: int, sources: int, spread: tuple[float, float, float], rng: np.random.Generator
) -> tuple[Bools, Bools, Counts]:
    """Return the answers of two networks, the second better by 0.1 before the threshold.

    Args:
        seeds: Trainings of each.
        sources: Of eight videos each.
        spread: Of a network between seeds, between sources, and between single answers.
        rng: Draws them.
    """
    groups = np.repeat(np.arange(sources), 8)
    base = rng.normal(0.8, 0.7, len(groups))

    def train(skill: float) -> Bools:
        by_seed = rng.normal(0, spread[0], (seeds, 1))
        by_source = rng.normal(0, spread[1], sources)[groups]
        noise = rng.normal(0, spread[2], (seeds, len(groups)))
        return np.asarray(base + skill + by_seed + by_source + noise > 0)

    return train(0.0), train(0.1), groups


def true_gain(spread: tuple[float, float, float]) -> float:
    """Return by how much the second network of `worlds` is right more often, over all worlds."""
    wide = math.sqrt(0.7**2 + sum(s**2 for s in spread))
    return float(stats.norm.cdf(0.9 / wide) - stats.norm.cdf(0.8 / wide))


def test_accuracy_and_its_spread_by_hand() -> None:
    right = np.array([[1, 1, 1, 0], [1, 0, 1, 0]], dtype=bool)
    found = measure_accuracy(right, np.array([0, 0, 1, 1]))
    assert found.mean == 0.625 and found.per_seed == (0.75, 0.5)
    assert found.deviation == pytest.approx(0.25 / math.sqrt(2))
    assert found.interval is not None and 0 <= found.interval[0] < 0.625 < found.interval[1] <= 1


def test_one_seed_has_no_deviation_and_one_source_no_interval() -> None:
    right = answers(3, seeds=1)
    assert measure_accuracy(right, SOURCES).deviation is None
    assert measure_accuracy(right, SOURCES).interval is not None
    assert measure_accuracy(right, np.zeros(200, int)).interval is None


def test_where_all_is_right_the_sources_still_bound_what_is_known() -> None:
    # Wilson with 20 of 20: the lower end is 1 / (1 + 3.8415 / 20)
    found = measure_accuracy(answers(0), SOURCES)
    assert found.interval == (pytest.approx(1 / (1 + 1.959964**2 / 20)), 1.0)


def test_an_interval_is_no_narrower_than_that_of_independent_videos() -> None:
    # every source has exactly seven of ten right, so drawing sources alone would change nothing
    found = measure_accuracy(answers(3), SOURCES)
    assert found.interval is not None
    low, high = found.interval
    assert low == pytest.approx(0.633, abs=2e-3) and high == pytest.approx(0.759, abs=2e-3)


def test_few_sources_widen_the_interval_and_many_do_not() -> None:
    rng = np.random.default_rng(0)
    by_source = rng.random(20) < 0.7
    right = np.tile(np.repeat(by_source, 10), (1, 1))
    clustered = measure_accuracy(right, SOURCES).interval
    independent = measure_accuracy(right, np.arange(200)).interval
    assert clustered is not None and independent is not None
    assert np.diff(clustered) > 2 * np.diff(independent)


def test_a_difference_by_hand() -> None:
    found = compare(answers(1), answers(3), SOURCES)
    assert found.mean == pytest.approx(0.2)
    assert (found.seeds, found.videos, found.sources, found.telling) == (3, 200, 20, 20)
    # all sources agree on it, so nothing is left to chance
    assert found.interval == (pytest.approx(0.2), pytest.approx(0.2)) and found.is_seen
    assert found.describe() == (
        "difference 20.0 points, 95 % interval 20.0 to 20.0; 3 seeds, 200 videos of 20 sources"
    )
    assert compare(answers(3), answers(1), SOURCES).short() == (
        "-20.0 points (-20.0 to -20.0), seen"
    )


def test_the_interval_of_a_plain_mean_is_that_of_students_t() -> None:
    # one seed, each video a source of its own: gains of +1, 0 and -1 whose t interval is known
    gains = np.repeat([1, 0, -1], [60, 100, 40])
    found = compare((gains > 0)[None], (gains < 0)[None], np.arange(200))
    low, high = stats.t.interval(0.95, 199, gains.mean(), stats.sem(gains))
    assert found.interval == (pytest.approx(low, abs=0.008), pytest.approx(high, abs=0.008))
    assert found.telling == 100


def test_seeds_that_disagree_widen_the_interval_as_students_t_does() -> None:
    # three seeds gain 0, 20 and 40 points in every source alike: only seeds are left to chance
    second = np.zeros((3, 200), dtype=bool)
    first = np.stack([answers(10 - k, seeds=1)[0] for k in (0, 2, 4)])
    found = compare(first, second, SOURCES)
    # s / sqrt(3) = 11.5 points and t = 4.3 reach 50 points; three seeds can be drawn in ten ways
    assert found.interval is not None
    low, high = found.interval
    assert low == pytest.approx(-0.3, abs=0.12) and high == pytest.approx(0.7, abs=0.12)
    assert not found.is_seen


def test_what_is_hard_for_both_cancels() -> None:
    hard = np.repeat(np.random.default_rng(1).random(20) < 0.5, 10)
    first, second = np.tile(hard, (3, 1)), np.tile(hard, (3, 1))
    second[:, ::10] = False
    alone, paired = measure_accuracy(first, SOURCES).interval, compare(first, second, SOURCES)
    assert alone is not None and paired.interval is not None
    assert np.diff(paired.interval) < 0.3 * np.diff(alone)


def test_a_candidate_does_not_differ_from_itself() -> None:
    found = compare(noisy(0.7, 0), noisy(0.7, 0), SOURCES)
    assert found.interval == (0.0, 0.0) and found.telling == 0 and not found.is_seen
    assert found.short() == "0.0 points (0.0 to 0.0), not seen"


def test_five_sources_are_too_few_and_six_suffice() -> None:
    for sources, is_seen in ((5, False), (6, True)):
        groups = np.repeat(np.arange(sources), 40)
        first, second = answers(0, videos=len(groups)), answers(4, videos=len(groups))
        assert compare(first, second, groups).is_seen == is_seen
    # of twenty sources four tell the two apart, all one way: by chance that is 1 in 8
    second = answers(0)
    second[:, :40] = False
    found = compare(answers(0), second, SOURCES)
    assert found.interval is not None and found.telling == 4 and not found.is_seen


def test_an_interval_off_zero_that_few_sources_bear_says_so() -> None:
    found = Difference(0.1, (0.02, 0.18), telling=4, seeds=1, videos=200, sources=20)
    assert not found.is_seen
    assert "but only 4 sources tell them apart, which may be chance" in found.describe()
    assert found.describe().endswith("what another training would change is not in it")


def test_videos_of_one_source_show_no_difference() -> None:
    found = compare(answers(0), answers(9), np.zeros(200, int))
    assert found.interval is None and not found.is_seen
    assert found.short() == "90.0 points, not seen"
    assert "no interval, since all videos are of one source; 3 seeds, 200" in found.describe()


def test_the_same_answers_give_the_same_interval_whatever_sources_are_called() -> None:
    first, second = noisy(0.8, 1), noisy(0.7, 2)
    assert compare(first, second, SOURCES) == compare(first, second, SOURCES)
    assert compare(first, second, SOURCES) == compare(first, second, 7 * SOURCES + 3)


def test_students_t_is_the_right_one() -> None:
    expected = stats.t.ppf(0.975, FREEDOM)
    np.testing.assert_allclose(STUDENT, expected, atol=6e-4)


# The second world is one in which seeds matter most, where few seeds are hardest to judge.
@pytest.mark.slow
@pytest.mark.parametrize("spread", [(0.0, 0.3, 0.5), (0.2, 0.2, 0.5)])
@pytest.mark.parametrize(("seeds", "sources"), [(1, 25), (3, 25), (5, 40)])
def test_95_percent_intervals_hold_the_truth_that_often(
    seeds: int, sources: int, spread: tuple[float, float, float]
) -> None:
    spread = (spread[0] if seeds > 1 else 0.0, *spread[1:])
    truth, held, times = true_gain(spread), 0, 300
    for seed in range(times):
        first, second, groups = worlds(seeds, sources, spread, np.random.default_rng(seed))
        interval = compare(second, first, groups).interval
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    # 300 draws of 95 % lie between 92 and 98 %; noise that counts twice may lead to 100 %
    assert 0.915 <= held / times <= 0.997


@pytest.mark.parametrize(
    ("right", "groups", "message"),
    [
        (np.ones((2, 3)), np.zeros(3, int), r"right is float64 \(2, 3\); it needs bool"),
        (np.ones(3, bool), np.zeros(3, int), r"right is bool \(3,\); it needs bool \(seeds, vid"),
        (np.ones((0, 3), bool), np.zeros(3, int), r"right is bool \(0, 3\)"),
        (np.ones((2, 3), bool), np.zeros(2, int), r"groups is \(2,\); 3 videos need one each"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(right: Bools, groups: Counts, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_accuracy(right, groups)
    with pytest.raises(ValueError, match=message):
        compare(right, right, groups)


def test_other_seeds_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match=r"second is \(2, 200\); first, \(3, 200\), needs the sa"):
        compare(answers(1), answers(1, seeds=2), SOURCES)


def test_points_are_written_with_one_digit_and_no_minus_zero() -> None:
    assert [points(x) for x in (0.1234, -0.0004, -0.025, 1.0)] == ["12.3", "0.0", "-2.5", "100.0"]


def test_costs_in_words() -> None:
    assert say_cost("ms", 212.4) == "212 ms" and say_cost("gmacs", 43.47) == "43.5 G multiply-adds"
    told = [short_number(x) for x in (0, 0.01234, 1.0, 4.346, 99.96, 1350.2, math.inf)]
    assert told == ["0", "0.0123", "1", "4.35", "100", "1,350", "inf"]
    budget = Budget("ms", 200)
    assert budget.allows(200) and not budget.allows(200.1) and not budget.allows(None)
    assert budget.say() == "200 ms" and budget.say(7.5) == "7.5 ms"


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_budget_is_above_zero(value: float) -> None:
    with pytest.raises(ValueError, match="it needs to be a number above 0"):
        Budget("ms", value)


def test_a_budget_has_a_unit() -> None:
    with pytest.raises(ValueError, match="unit is 'flops'; it needs to be 'ms' or 'gmacs'"):
        Budget("flops", 1)  # type: ignore[arg-type]


def test_the_front_by_hand() -> None:
    costs, accuracies = [5, 1, 3, 3, 2, 8], [0.9, 0.5, 0.7, 0.6, 0.5, 0.9]
    assert pareto_front(costs, accuracies) == [1, 2, 0]
    assert pareto_front([], []) == []
    assert pareto_front([2, 1, 1], [0.5, 0.5, 0.5]) == [1, 2]
    with pytest.raises(ValueError, match="zip"):
        pareto_front([1], [])


def test_the_front_is_what_its_definition_says() -> None:
    rng = np.random.default_rng(0)
    costs, accuracies = rng.integers(1, 9, 60), rng.integers(1, 9, 60)
    pairs = list(zip(costs.tolist(), accuracies.tolist(), strict=True))
    expected = {
        i
        for i, (c, a) in enumerate(pairs)
        if not any((x <= c and y >= a) and (x, y) != (c, a) for x, y in pairs)
    }
    assert set(pareto_front(costs.tolist(), accuracies.tolist())) == expected


BUDGET = Budget("ms", 100)


def test_the_leader_is_taken_where_cheaper_ones_are_seen_to_be_worse() -> None:
    found = recommend(
        [Contender("good", 90, answers(1)), Contender("cheap", 10, answers(5))],
        SOURCES,
        BUDGET,
        0.2,
    )
    assert (found.name, found.leader, found.equals) == ("good", "good", ())
    assert found.text == (
        "good (90.0 % right, 90 ms a clip) is the most accurate within the budget of 100 ms; all "
        "that are cheaper are seen to be less accurate."
    )
    assert found.differences["cheap"].mean == pytest.approx(-0.4)


def test_the_cheapest_of_equals_is_taken_and_the_difference_is_told() -> None:
    best = answers(1)
    near = best.copy()
    near[:, :3] = ~near[:, :3]  # of one source: one gained, two lost, over three seeds
    contenders = [
        Contender("best", 90, best),
        Contender("dear", 95, near),
        Contender("cheap", 20, near),
        Contender("bad", 10, answers(9)),
        Contender("huge", 500, answers(0)),
    ]
    found = recommend(contenders, SOURCES, BUDGET, 0.2)
    assert (found.name, found.leader, found.equals) == ("cheap", "best", ("cheap", "dear"))
    assert found.text.startswith(
        "No difference seen between best, the most accurate within the budget of 100 ms, and cheap "
        "(difference 0.5 points, 95 % interval "
    )
    assert found.text.endswith(
        "3 seeds, 200 videos of 20 sources): the cheaper is taken, 20 ms against 90 ms a clip. "
        "Of 1 other no difference is seen either; it costs more than that."
    )
    assert set(found.differences) == {"dear", "cheap", "bad", "huge"}
    assert found.differences["huge"].is_seen and found.differences["huge"].mean > 0


def test_a_single_candidate_and_the_cheapest_leader_say_why() -> None:
    only = [Contender("a", 50, answers(2)), Contender("b", 500, answers(1))]
    assert recommend(only, SOURCES, BUDGET, 0.2).text.endswith("; no other candidate fits.")
    cheapest = [Contender("a", 50, answers(2)), Contender("b", 60, answers(8))]
    assert recommend(cheapest, SOURCES, BUDGET, 0.2).text.endswith("; none is cheaper.")


def test_equal_accuracy_goes_to_the_cheaper() -> None:
    pair = [Contender("dear", 80, answers(2)), Contender("cheap", 40, answers(2))]
    found = recommend(pair, SOURCES, BUDGET, 0.2)
    assert found.name == found.leader == "cheap" and found.equals == ("dear",)


def test_where_nothing_fits_the_nearest_is_told_and_what_it_takes() -> None:
    dear = [Contender("a", 250, answers(2)), Contender("b", 400, answers(1))]
    found = recommend(dear, SOURCES, BUDGET, 0.2)
    assert found.name is None and found.leader == "b" and set(found.differences) == {"a"}
    assert found.text == (
        "No candidate fits the budget of 100 ms. The nearest is a, 80.0 % right: it takes 250 ms a "
        "clip, 2.5 times as much. Allow that, or try a smaller width or size, or fewer frames."
    )


def test_without_candidates_nothing_is_recommended() -> None:
    found = recommend([], SOURCES, BUDGET, 0.2)
    assert found.name is None and found.leader is None
    assert found.text == "No candidate was trained and scored in full, so none is recommended."


@pytest.mark.parametrize(("chance", "is_warned"), [(0.5, False), (0.72, True), (0.9, True)])
def test_one_that_is_no_better_than_guessing_is_called_so(chance: float, is_warned: bool) -> None:
    # 75 % right on average; the interval of 600 answers of 20 sources reaches from about 70 to 80
    found = recommend([Contender("a", 50, noisy(0.75, 3))], SOURCES, BUDGET, chance)
    assert ("not seen to be better than always naming" in found.text) == is_warned
    assert (f"against {points(chance)} %" in found.text) == is_warned


def test_one_source_cannot_tell_a_candidate_from_guessing() -> None:
    groups = np.zeros(200, int)
    found = recommend([Contender("a", 50, answers(0))], groups, BUDGET, 0.2)
    assert "it is not seen to be better than always naming the commonest class: 100.0" in found.text


def test_contenders_need_names_and_the_same_videos() -> None:
    twice = [Contender("a", 1, answers(1)), Contender("a", 2, answers(1))]
    with pytest.raises(ValueError, match="each needs a name of its own"):
        recommend(twice, SOURCES, BUDGET, 0.2)
    other = [Contender("a", 1, answers(1)), Contender("b", 2, answers(1, seeds=1))]
    with pytest.raises(ValueError, match=r"\[\(1, 200\), \(3, 200\)\]; all need the same seeds"):
        recommend(other, SOURCES, BUDGET, 0.2)
