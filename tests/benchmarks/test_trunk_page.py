"""docs/trunk.md: its figures follow from the records, and it says what is reached and what not."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from benchmarks.transfer_table import over_folds, over_seeds
from benchmarks.trunk_page import PAGE, read_page, write_page

FOLDS = range(4)
SEEDS = range(3)


def fight_rows(start: str, base: float, seeds: range = SEEDS) -> list[dict[str, Any]]:
    """Make rows whose seeds differ by 2 points and whose folds by 10."""
    return [
        {
            "data": "fights", "start": start, "clips_per_class": None, "seed": seed, "fold": fold,
            "top1": round(base + 0.02 * (seed - 1) + 0.1 * (fold - 1.5), 6), "test_videos": 60,
            "minutes": 1.0,
        }
        for seed in seeds
        for fold in FOLDS
    ]  # fmt: skip


def few_rows(start: str, size: int, each: tuple[float, ...]) -> list[dict[str, Any]]:
    return [
        {
            "data": "sample", "start": start, "clips_per_class": size, "seed": seed, "fold": None,
            "top1": top1, "test_videos": 336, "minutes": 1.0,
        }
        for seed, top1 in enumerate(each)
    ]  # fmt: skip


def make_record(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "date": "2026-11-28",
        "cpu": "a processor",
        "command": "scripts/benchmark transfer",
        "trunk": {"name": "motion-small", "sha256": "abc123", "bytes": 1_500_000},
        "sample": {"classes": 16, "difficulty": 0.6, "test_videos": 336},
        "floors": {"flow statistics": 0.653},
        "rows": rows,
    }


def make_run(name: str, status: str, **values: Any) -> dict[str, Any]:
    return {
        "name": name, "what": f"what {name} was", "network": "s3d", "width": 0.25,
        "clips": 1_200_000, "hours": 3.5, "hardware": "2 cores", "date": "2026-11-27",
        "probe_fights": 0.701, "probe_sample": 0.52, "note": "", "status": status, **values,
    }  # fmt: skip


LOG: dict[str, Any] = {
    "runs": [
        make_run("labels only", "tried", probe_fights=0.66),
        make_run("contrast", "failed", probe_fights=None, clips=None, note="It fell to one point."),
        make_run("everything", "shipped"),
    ],
    "ablations": [
        {"left_out": "nothing", "clips": 200_000, "probe_fights": 0.68, "probe_sample": 0.5},
        {"left_out": "people", "clips": 200_000, "probe_fights": 0.631, "probe_sample": 0.52},
        {"left_out": "cuts", "clips": 200_000, "probe_fights": None, "probe_sample": 0.5},
    ],
    "generator": {"clips_per_second_of_one_core": 95.4, "wait_share": 0.013},
    "card": {"data": "drawn", "licence": "Apache-2.0", "limits": ["Small things are not seen."]},
}


def page_of(rows: list[dict[str, Any]]) -> str:
    return write_page(make_record(rows), LOG)


def line_with(page: str, *words: str) -> str:
    """Return the one line that holds all these words."""
    (line,) = [line for line in page.splitlines() if all(word in line for word in words)]
    return line


def section(page: str, heading: str) -> str:
    return page.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]


def test_a_seed_counts_by_its_mean_over_the_four_folds() -> None:
    rows = fight_rows("trunk", 0.7)
    by_hand = [statistics.mean(r["top1"] for r in rows if r["seed"] == seed) for seed in SEEDS]
    assert over_folds(rows, "trunk").each == pytest.approx(by_hand)
    page = section(page_of(rows), "Real clips")
    cells = line_with(page, "from the trunk", "**")
    assert cells.endswith("| 3 | **70.0 %** | 2.0 | 68.0 % | 72.0 % |")


def test_a_seed_that_lacks_a_fold_is_left_out() -> None:
    rows = fight_rows("trunk", 0.7)[:-1]
    assert over_folds(rows, "trunk").each == pytest.approx((0.68, 0.70))
    assert "Fewer than 3 seeds so far: fights from the trunk of 2" in page_of(rows)


def test_each_fold_is_shown_with_its_range() -> None:
    page = section(page_of(fight_rows("trunk", 0.7)), "Real clips").split("By fold")[1]
    cells = line_with(page, "from the trunk").split(" | ")
    assert cells[1] == "55.0 % (53.0 % to 57.0 %)"


@pytest.mark.parametrize(
    ("trunk", "scratch", "verdicts"),
    [
        (0.76, 0.60, ("+16.0 points | **yes**", "76.0 % | **yes**", "76.0 % | **yes**")),
        (0.75, 0.67, ("+8.0 points | **yes**", "75.0 % | **yes**", "75.0 % | **yes**")),
        (0.653, 0.60, ("+5.3 points | **no**", "65.3 % | **no**", "65.3 % | **no**")),
        (0.70, 0.65, ("+5.0 points | **no**", "70.0 % | **yes**", "70.0 % | **no**")),
    ],
)
def test_it_says_which_target_is_reached(
    trunk: float, scratch: float, verdicts: tuple[str, ...]
) -> None:
    page = page_of(fight_rows("trunk", trunk) + fight_rows("scratch", scratch))
    for wanted, verdict in zip(("8 points", "above 65.3 %", "75 %, what"), verdicts, strict=True):
        assert f"| {verdict} |" in line_with(section(page, "Is the target"), wanted)


def test_what_is_not_measured_is_not_claimed() -> None:
    page = page_of([])
    targets = section(page, "Is the target")
    assert targets.count("not measured yet") == 3
    assert "**yes**" not in targets
    assert "**no**" not in targets


def test_few_clips_are_compared_size_by_size() -> None:
    rows = [
        *few_rows("trunk", 5, (0.40, 0.44, 0.48)),
        *few_rows("scratch", 5, (0.30, 0.31, 0.32)),
        *few_rows("trunk", 20, (0.60, 0.60, 0.60)),
        *few_rows("scratch", 20, (0.61, 0.60, 0.62)),
    ]
    assert over_seeds(rows, "scratch", clips_per_class=20).each == (0.61, 0.60, 0.62)
    page = page_of(rows)
    assert "+13.0 points | **yes**" in line_with(page, "sample data, 5 clips")
    assert "-1.0 points | **no**" in line_with(page, "sample data, 20 clips")
    table = section(page, "Few clips")
    assert line_with(table, "44.0 % (40.0 % to 48.0 %)").endswith("| - | +13.0 points |")
    assert "chance is 6.2 %" in table


def test_failures_are_told_with_what_went_wrong() -> None:
    told = section(page_of([]), "What was tried")
    assert line_with(told, "| contrast |").endswith("| - | 52.0 % | failed |")
    assert "*contrast* (failed): what contrast was. It fell to one point." in told
    assert "**everything**" in told


def test_what_is_left_out_is_held_against_the_whole() -> None:
    told = section(page_of([]), "What each ingredient")
    assert line_with(told, "people").endswith("| 63.1 % (-4.9) | 52.0 % (+2.0) |")
    assert line_with(told, "nothing").endswith("| 68.0 % | 50.0 % |")
    assert line_with(told, "cuts").endswith("| - | 50.0 % (+0.0) |")


def test_the_card_the_generator_and_the_limits_are_there() -> None:
    page = page_of([])
    card = section(page, "Model card")
    assert "1,200,000 clips, 3.5 hours on 2 cores, 2026-11-27" in card
    assert "1.50 MB, sha256 `abc123`" in card
    assert "waits for clips in 1.3% of its time" in section(page, "The generator")
    assert "| clips per second of one core | 95.4 |" in page
    assert "- Small things are not seen." in section(page, "Limits")
    assert "python recipes/motion_trunk.py" in section(page, "Make it again")


def test_how_far_to_freeze_is_shown_where_it_was_measured() -> None:
    assert "How far to freeze" not in page_of(fight_rows("trunk", 0.7))
    page = page_of(fight_rows("trunk", 0.7) + fight_rows("trunk@none", 0.64))
    told = section(page, "How far to freeze")
    assert "| none | 64.0 % (62.0 % to 66.0 %) |" in told
    assert "| default | 70.0 % (68.0 % to 72.0 %) |" in told


def test_the_page_is_what_the_records_give() -> None:
    wanted = read_page()
    if wanted is None:
        pytest.skip("the trunk's records are not there yet")
    assert PAGE.read_text(encoding="utf-8") == wanted, "run scripts/benchmark trunk_page"
