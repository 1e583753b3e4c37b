"""The table: every name and its word. No torch."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from s3d.errors import InputError
from s3d.models.family import LAYERS, LETTERS, NETWORKS, network_name, network_word

TABLE = """
    i2d           22222222222
    i3d           33333333333
    i3d_bottom_4  33333222222
    i3d_top_4     22223333333
    s3d           sssssssssss
    s3d_bottom_0  s2222222222
    s3d_bottom_2  sss22222222
    s3d_top_7     2222222ssss
    s3d_top_10    2222222222s
    s3d_fast      222222222ss
    s3d_fast_g    222222222gg
    s3d_g         sgggggggggg
"""


@pytest.mark.parametrize(("name", "word"), [line.split() for line in TABLE.strip().splitlines()])
def test_the_paper_s_rows(name: str, word: str) -> None:
    assert network_word(name) == word


@pytest.mark.parametrize("k", range(11))
@pytest.mark.parametrize(("family", "letter"), [("i3d", "3"), ("s3d", "s")])
def test_bottom_and_top_are_heavy_up_to_and_from_k(family: str, letter: str, k: int) -> None:
    bottom, top = network_word(f"{family}_bottom_{k}"), network_word(f"{family}_top_{k}")
    assert [bottom[i] == letter for i in range(11)] == [i <= k for i in range(11)]
    assert [top[i] == letter for i in range(11)] == [i >= k for i in range(11)]
    assert set(bottom + top) <= {letter, "2"}


def test_the_family_is_these_fifty_names() -> None:
    heavy = {
        f"{f}_{end}_{k}" for f in ("i3d", "s3d") for end in ("top", "bottom") for k in range(11)
    }
    assert set(NETWORKS) == heavy | {"i2d", "i3d", "s3d", "s3d_g", "s3d_fast", "s3d_fast_g"}
    assert all(len(word) == len(LAYERS) == 11 for word in NETWORKS.values())


def test_both_curves_end_in_the_full_network() -> None:
    for family in ("i3d", "s3d"):
        ends = network_word(f"{family}_bottom_10"), network_word(f"{family}_top_0")
        assert ends == (network_word(family), network_word(family))


def test_any_word_is_a_network() -> None:
    word = "g3s2w2v3gs3"
    assert set(word) == set(LETTERS)
    assert network_word(word) == word


@pytest.mark.parametrize("name", NETWORKS)
def test_a_name_s_word_has_that_name_or_a_shorter_one(name: str) -> None:
    found = network_name(network_word(name))
    assert network_word(found) == network_word(name)
    assert len(found) <= len(name)


def test_a_word_without_a_name_is_its_own() -> None:
    assert network_name("g3s2g2s3gs3") == "g3s2g2s3gs3"


@pytest.mark.parametrize(
    ("asked", "near"),
    [("s3dg", "s3d_g"), ("i3d_top_11", "i3d_top_1"), ("S3D", None), ("fast_s3d", "s3d_fast")],
)
def test_an_unknown_network_names_its_near_ones(asked: str, near: str | None) -> None:
    with pytest.raises(InputError, match=f"^unknown network {asked!r}") as caught:
        network_word(asked)
    message = str(caught.value)
    assert ("Did you mean" in message and near in message) if near else "Known: i2d" in message
    assert "A word of 11 letters from 2, 3, s, g, w, v also works." in message


@pytest.mark.parametrize("word", ["", "ssssssssss", "ssssssssssss", "ssssssssssx", "SSSSSSSSSSS"])
def test_a_word_of_other_length_or_letters_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="unknown network"):
        network_word(word)


def test_a_very_long_name_is_refused_in_a_short_line() -> None:
    with pytest.raises(InputError, match="unknown network") as caught:
        network_word("s3d\n" * 100_000)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_what_is_not_text_is_refused() -> None:
    with pytest.raises(InputError, match=re.escape("network is 3; it needs a name or a word.")):
        network_word(3)  # type: ignore[arg-type]


def test_the_table_needs_no_torch() -> None:
    imports = "import sys, s3d.models.family, s3d.models.style, s3d.clip"
    code = f"{imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
