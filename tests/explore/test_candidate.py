"""Candidates: the grid, and what names and patterns mean."""

from __future__ import annotations

import pytest

from s3d.errors import InputError
from s3d.explore.candidate import Candidate, Grid, find_networks
from s3d.models.family import NETWORKS


def test_a_name_says_everything() -> None:
    assert Candidate("s3d_fast", 0.25, 16, 64, 8.0).name == "s3d_fast-w0.25-16x64-r8"
    assert Candidate("222222222ss", 1.0, 8, 112, 7.5).name == "222222222ss-w1-8x112-r7.5"


def test_the_grid_is_every_combination_those_of_a_network_together() -> None:
    grid = Grid(("i2d", "s3d"), (0.25, 0.5), (8,), (64, 96), (7.5,))
    names = [candidate.name for candidate in grid.candidates()]
    assert len(set(names)) == 8
    assert names[0] == "i2d-w0.25-8x64-r7.5"
    assert [name.split("-")[0] for name in names] == ["i2d"] * 4 + ["s3d"] * 4


def test_a_grid_without_end_is_refused() -> None:
    grid = Grid(("i2d",), tuple(range(1, 101)), tuple(range(1, 12)), (64,), (8.0,))
    with pytest.raises(InputError, match="1,100 candidates are asked for; at most 1,000"):
        grid.candidates()


def test_patterns_names_and_words_each_once() -> None:
    assert find_networks(["s3d_top_*"]) == tuple(
        name for name in NETWORKS if name.startswith("s3d_top_")
    )
    # s3d_top_9 is Fast-S3D's word: one network, the name that came first.
    assert find_networks(["s3d_fast", "s3d_top_9", "222222222ss", "i2d"]) == ("s3d_fast", "i2d")
    assert find_networks(["gg222222222"]) == ("gg222222222",)


def test_a_pattern_that_means_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown network 's3d_tap_\*'.*s3d_top_"):
        find_networks(["s3d_tap_*"])
