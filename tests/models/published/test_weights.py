"""The table of published weights: whole, and found by name."""

from __future__ import annotations

import re

import pytest

from s3d.errors import InputError
from s3d.models.published.sources import SOURCES
from s3d.models.published.weights import DEFAULT, WEIGHTS, find_weights

FILES = [(name, remote) for name, weights in WEIGHTS.items() for remote in weights.files]


@pytest.mark.parametrize("name", WEIGHTS)
def test_an_entry_is_well_formed(name: str) -> None:
    weights = WEIGHTS[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
    assert weights.source in {*SOURCES, "googlenet", "resnet"}
    assert weights.title.isprintable()
    assert weights.files
    for metric in weights.metrics:
        assert set(metric) == {"metric", "value", "protocol"}
        assert 0 < metric["value"] < 1
        assert metric["protocol"].startswith("as published, not measured here: ")
    assert [metric["metric"] for metric in weights.metrics] in ([], ["top1", "top5"])
    values = [metric["value"] for metric in weights.metrics]
    assert values == sorted(values)


@pytest.mark.parametrize(("name", "remote"), FILES)
def test_a_file_is_well_formed(name: str, remote: object) -> None:
    from s3d.models.download import Remote

    assert isinstance(remote, Remote)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", remote.file)
    assert re.fullmatch(r"sha256:[0-9a-f]{8,64}|git:[0-9a-f]{40}|", remote.digest)
    assert re.fullmatch(r"https://[^\s?#]+/[A-Za-z0-9_.-]+|", remote.url)
    assert remote.page.startswith("https://")
    assert remote.size_bytes is None or 1_000_000 < remote.size_bytes < 200_000_000
    if remote.digest.startswith("sha256:") and len(remote.digest) == 15:
        # PyTorch names its files by the first eight digits.
        assert remote.digest.removeprefix("sha256:") in remote.file


def test_nothing_is_there_twice() -> None:
    files = [remote.file for _, remote in FILES]
    digests = [remote.digest for _, remote in FILES if remote.digest]
    urls = [remote.url for _, remote in FILES if remote.url]
    titles = [weights.title for weights in WEIGHTS.values()]
    for values in (files, digests, urls, titles):
        assert len(set(values)) == len(values)
    # One digest that begins another would let one file pass for both.
    assert not [(a, b) for a in digests for b in digests if a != b and b.startswith(a)]


def test_a_checkpoint_s_values_come_first_and_its_index_beside_them() -> None:
    for weights in WEIGHTS.values():
        if weights.source == "deepmind":
            data, index = (remote.file for remote in weights.files)
            assert data.removesuffix(".data-00000-of-00001") == index.removesuffix(".index")


def test_every_code_of_the_paper_s_authors_has_its_weights() -> None:
    assert len(WEIGHTS) == 13
    assert {weights.source for weights in WEIGHTS.values()} == {
        *("torchvision", "kylemin", "piergiaj", "deepmind", "mil-nce", "googlenet", "resnet")
    }
    assert WEIGHTS[DEFAULT].source == "torchvision"


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_are_found_by_name(name: str) -> None:
    assert find_weights(name) is WEIGHTS[name]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("s3d-kinetics-400", r" Did you mean s3d-kinetics400 or "),
        ("i3d-kinetic600", " Did you mean i3d-kinetics600 or "),
        ("googlenet", r" Did you mean googlenet-imagenet\?"),
        ("zzz", ""),
        ("x" * 100_000, ""),
        ("", ""),
    ],
)
def test_unknown_weights_name_near_ones(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=rf"^unknown weights '{name}'\.{hint}.* Known: s3d-kin"):
        find_weights(name)
