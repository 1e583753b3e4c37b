"""The paper in miniature: rows, verdicts worked out by hand, the record and the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s3d.data.synthetic import ACTIONS, APPEARANCES, SampleConfig
from s3d.errors import InputError
from s3d.explore.findings.claims import (
    FAILS,
    HOLDS,
    OPEN,
    Claim,
    Findings,
    judge,
    judge_all,
    make_claims,
    spread_of,
)
from s3d.explore.findings.miniature import Miniature
from s3d.explore.findings.page import write_page
from s3d.explore.findings.real import format_real, read_real
from s3d.explore.findings.record import keep_rows, read_rows
from s3d.explore.findings.run import choose
from s3d.explore.findings.study import Row, own_above_partner, pack, scored_scenes, unpack
from s3d.explore.trial import Scores

SAMPLE = SampleConfig(2, 24, difficulty=0.6, actions=(*ACTIONS, *APPEARANCES))
MINIATURE = Miniature(SAMPLE, ("i2d", "i3d", "s3d", "s3d_g"), (0, 1, 2), 0.25, 13, 40, 7.0, 24)
COUNT = 24 * 16


def row_of(network: str, seed: int, right: float = 1.0, **changes: object) -> Row:
    """Return a row that names the first share of each class's videos right."""
    labels, _ = scored_scenes(SAMPLE)
    # Every third video and so on, so that all scenes are hit alike.
    bits = np.array([(7 * n + seed) % 24 < 24 * right for n in range(len(labels))])
    kernels = dict.fromkeys(("conv1a", "conv2c", "mixed3b"), 0.4)
    kernels |= dict.fromkeys(("mixed4f", "mixed5b", "mixed5c"), 1.0 + seed / 100)
    row = Row(
        network, seed, 100_000, 50_000_000, float(bits.mean()), right, right, 0.0, right, right,
        1 - right, pack(bits), kernels,
        {"pool2a": 0.2, "pool5a": 0.5 + seed / 100, "mixed5c": 0.9 + seed / 100}, 5.0,
        f"2026-11-2{seed}T10:00+00:00", {"cpu": "a | cpu", "threads": "1", "torch": "2.13.0"},
        "python recipes/paper_in_miniature.py",
    )  # fmt: skip
    return replace(row, **changes)  # type: ignore[arg-type]


def claim_of(rows: Sequence[Row], title: str) -> Claim:
    (claim,) = (c for c in make_claims(Findings(rows, SAMPLE)) if title in c.title)
    return claim


def seeds_of(network: str, right: float, **changes: object) -> list[Row]:
    return [row_of(network, seed, right, **changes) for seed in range(3)]


def test_bits_come_back_and_other_counts_are_refused() -> None:
    bits = np.arange(21) % 3 == 0
    assert np.array_equal(unpack(pack(bits), 21), bits)
    with pytest.raises(InputError, match="a row holds 24 answers, not 40"):
        unpack(pack(bits), 40)
    with pytest.raises(InputError, match="a row holds 0 answers"):
        unpack("no hex", 21)


def test_within_pairs_looks_at_the_two_members_alone() -> None:
    labels = ("move_left", "move_right", "sway_disc")
    rows = [[0.3, 0.1, 0.6], [0.3, 0.1, 0.6], [0.2, 0.2, 0.6], [0.2, 0.2, 0.6]]
    scores = np.array(rows, np.float32)
    found = Scores(labels, ("a", "b", "c", "d"), np.array([0, 1, 2, 0]), scores)
    # The first is above its partner though neither wins; the third has no partner; a tie is not.
    assert own_above_partner(found, scores).tolist() == [True, False, False]


def test_scenes_go_round_alike_in_every_class() -> None:
    labels, scenes = scored_scenes(SAMPLE)
    assert len(labels) == COUNT
    assert labels == sorted(labels)
    assert set(scenes.tolist()) == set(range(8))
    assert scenes[:24].tolist() == [n % 8 for n in range(24)]


def test_a_spread_over_three_seeds_by_students_t() -> None:
    found = spread_of([0.1, 0.2, 0.3])
    # t(2) = 4.303; standard deviation 0.1; 4.303 x 0.1 / sqrt(3) = 0.2484
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((-0.0484, 0.4484), abs=1e-4)
    assert found.points() == "+20.0 points (-4.8 to +44.8)"
    assert spread_of([0.5]).plain() == "+0.50 (one seed)"
    with pytest.raises(ValueError, match="no values"):
        spread_of([])


def test_verdicts() -> None:
    assert [judge(0.1, 0.3), judge(-0.1, 0.3), judge(-0.3, -0.1)] == [HOLDS, OPEN, FAILS]
    assert judge_all([HOLDS, HOLDS]) == HOLDS
    assert judge_all([HOLDS, OPEN]) == OPEN
    assert judge_all([HOLDS, OPEN, FAILS]) == FAILS
    assert judge_all([]) == OPEN


def test_order_holds_where_seeing_networks_are_better_and_fails_where_worse() -> None:
    good = [*seeds_of("i3d", 0.9), *seeds_of("s3d", 0.8), *seeds_of("i2d", 0.5)]
    claim = claim_of(good, "networks that see time beat")
    assert claim.verdict == HOLDS
    assert "I3D over I2D: 41.7 points" in claim.ours
    assert claim.seeds == "3"
    bad = [*seeds_of("i3d", 0.3), *seeds_of("s3d", 0.8), *seeds_of("i2d", 0.5)]
    assert claim_of(bad, "networks that see time beat").verdict == FAILS
    one = [row_of("i3d", 0, 0.9), row_of("i2d", 0, 0.5)]
    assert claim_of(one, "networks that see time beat").verdict == OPEN


def test_reversal_holds_where_it_collapses_and_the_blind_stay() -> None:
    rows = [
        *(row_of(n, s, within=0.95 + s / 100, reversed_within=0.05) for n in ("i3d", "s3d")
          for s in range(3)),
        *(row_of("i2d", s, 0.5, order_top1=0.5, reversed_order_top1=0.5) for s in range(3)),
    ]  # fmt: skip
    claim = claim_of(rows, "Played backwards")
    assert claim.verdict == HOLDS
    assert "I3D 96.0 % (95.0 to 97.0) → 5.0 %" in claim.ours
    moved = [r if r.network != "i2d" else replace(r, reversed_order_top1=0.3) for r in rows]
    assert claim_of(moved, "Played backwards").verdict == FAILS


def test_looks_hold_where_nothing_changes_and_are_open_where_it_may() -> None:
    rows = [row_of("i3d", s, look_top1=0.9, reversed_look_top1=0.9 + s / 1000) for s in range(3)]
    assert claim_of(rows, "Where the look is the class").verdict == HOLDS
    wild = [row_of("i3d", s, look_top1=0.9, reversed_look_top1=0.8 + s / 10) for s in range(3)]
    assert claim_of(wild, "Where the look is the class").verdict == OPEN


def test_gates_and_taps_and_depth() -> None:
    rows = [*seeds_of("s3d", 0.8), *seeds_of("s3d_g", 0.8), *seeds_of("i3d", 0.9)]
    gates = claim_of(rows, "Gates help")
    assert gates.verdict == OPEN
    assert "0.0 points" in gates.ours
    # From bottom 0.4 to top 1.00, 1.01, 1.02: 0.61 +- 4.303 x 0.01 / sqrt(3)
    taps = claim_of(rows, "outer temporal taps")
    assert taps.verdict == HOLDS
    assert "+0.61 (+0.59 to +0.63)" in taps.ours
    large = [replace(r, kernels={**r.kernels, "conv2c": 1.0}) for r in seeds_of("i3d", 0.9)]
    assert claim_of(large, "outer temporal taps").verdict == FAILS
    assert claim_of(rows, "Features separate").verdict == HOLDS
    worse = [*seeds_of("s3d", 0.5), *seeds_of("i3d", 0.9)]
    assert claim_of(worse, "Separable layers").verdict == FAILS


def test_rows_are_kept_and_of_one_network_and_seed_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "findings.json"
    assert read_rows(path, MINIATURE) == []
    keep_rows(path, MINIATURE, [row_of("s3d", 1), row_of("i2d", 0, 0.1), row_of("i2d", 0, 0.5)])
    rows = read_rows(path, MINIATURE)
    assert [(r.network, r.seed, r.order_top1) for r in rows] == [("i2d", 0, 0.5), ("s3d", 1, 1.0)]
    assert read_rows(path, replace(MINIATURE, seeds=(0,), networks=("i3d",))) == rows
    with pytest.raises(InputError, match="holds rows of another recipe"):
        read_rows(path, replace(MINIATURE, epochs=25))
    path.write_text('{"recipe": 1}')
    with pytest.raises(InputError, match="holds rows of another recipe"):
        read_rows(path, MINIATURE)
    path.write_text("[]")
    with pytest.raises(InputError, match="is damaged"):
        read_rows(path, MINIATURE)


def test_the_page_says_what_the_rows_say() -> None:
    rows = [*seeds_of("i3d", 0.9), *seeds_of("i2d", 0.5)]
    page = write_page(MINIATURE, rows, {"findings/cost.png": "Costs"})
    assert "- **Seeds** so far: 0 to 3 a network; 2026-11-20 to 2026-11-22." in page
    assert "384 to test" in page
    assert "![Costs](findings/cost.png)" in page
    assert "| `i3d` 33333333333 | 3 | 50.0 M | 100 k |" in page
    assert "**holds here**" in page
    assert page.count("| i2d | ") == 3
    # A cell of a table has no bar of its own.
    assert all(line.count("|") in (0, 6, 9, 13) for line in page.splitlines() if "|" in line)


def test_choices() -> None:
    assert choose(None, ["i2d", "s3d"], "network") == ("i2d", "s3d")
    assert choose("s3d, i2d", ["i2d", "s3d"], "network") == ("s3d", "i2d")
    with pytest.raises(InputError, match=r"unknown network 's4d'\. Known: i2d, s3d"):
        choose("s4d", ["i2d", "s3d"], "network")


def real_record(**changes: object) -> dict[str, object]:
    row = {
        "network": "i2d", "macs": 48_000_000, "top1": 0.6, "interval": [0.5, 0.7],
        "folds": [0.5, 0.7], "to_leader": "-5.0 points (-9.0 to -1.0), seen", "minutes": 2.0,
    }  # fmt: skip
    best = {**row, "network": "s3d", "top1": 0.65, "to_leader": "the best"}
    record = {
        "name": "clips", "videos": 241, "sources": 35, "classes": ["a", "b"], "folds": 2,
        "protocol": "cover", "epochs": 30, "width": 0.25, "clip": "13 x 56 x 56 at 6.5 fps",
        "seeds": 1, "chance": 0.51, "date": "2026-11-27", "hardware": {"cpu": "x"},
        "command": "python recipes/paper_on_fights.py", "rows": [row, best],
    }  # fmt: skip
    return {**record, **changes}


def test_real_clips_are_a_section_that_says_what_is_seen(tmp_path: Path) -> None:
    text = format_real(real_record())
    assert "| `i2d` | 48 M | 60.0 (50.0 to 70.0) | 50.0, 70.0 | -5.0 points" in text
    assert text.rstrip().endswith("Seen to be worse than `s3d`: `i2d`.")
    rows = [{**row, "to_leader": "-5.0 points (-9.0 to 1.0), not seen"} for row in
            real_record()["rows"]]  # type: ignore  # fmt: skip
    assert "No network is seen to differ from the most accurate, `s3d`" in format_real(
        real_record(rows=rows)
    )
    assert read_real(tmp_path / "gone.json") is None
    path = tmp_path / "real.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="is damaged"):
        read_real(path)
    path.write_text(json.dumps(real_record()))
    assert read_real(path) == real_record()
