"""Partner classes: each is the other played backwards. Named by a person, or found.

A network that sees order names reversed videos of a class as its partner. So b is taken for the
partner of a where reversed videos of a are named b most often, those of b are named a most often,
each in at least `LEAST_SHARE` of the videos, and reversing makes the difference: of the videos that
are named as the other when they are played one way alone, too many are those played backwards for
a fair coin (exact binomial test, one-sided, at `LEVEL` divided by the number of pairs that are
tried).
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s3d.errors import InputError
from s3d.explore.analyse.both_ways import BothWays
from s3d.files import show_path

Pair = tuple[str, str]

LEAST_SHARE = 1 / 3
"""Of a class's reversed videos, that are named as its partner."""
LEVEL = 0.01
"""By chance alone, one analysis in a hundred finds a pair that is none."""


def find_partners(both: BothWays) -> tuple[Pair, ...]:
    """Return the pairs of classes that the model takes for each other's reverse.

    Args:
        both: Videos scored normal and reversed.
    """
    classes = sorted(set(both.truth.tolist()))
    likeliest = {number: _named_most(both, number) for number in classes}
    tried = [
        (a, b) for a, b in likeliest.items() if b is not None and a < b and likeliest.get(b) == a
    ]
    return tuple(
        (both.labels[a], both.labels[b])
        for a, b in tried
        if _swap_chance(both, a, b) <= LEVEL / len(tried)
    )


def _named_most(both: BothWays, number: int) -> int | None:
    """Return what reversed videos of a class are named most often, where that is often enough."""
    named = both.named_backward[both.truth == number]
    counts = np.bincount(named, minlength=len(both.labels))
    most = int(counts.argmax())
    return most if counts[most] >= LEAST_SHARE * len(named) else None


def _swap_chance(both: BothWays, a: int, b: int) -> float:
    """Return how likely so many are named as the other only when reversed, were it a coin."""
    other = np.where(both.truth == a, b, np.where(both.truth == b, a, -1))
    forward, backward = both.named_forward == other, both.named_backward == other
    return coin_chance(int((backward & ~forward).sum()), int((backward ^ forward).sum()))


def coin_chance(heads: int, throws: int) -> float:
    """Return how likely a fair coin gives at least so many heads.

    Args:
        heads: 0 to throws.
        throws: From 0; none give 1.
    """
    ways = sum(math.comb(throws, k) for k in range(heads, throws + 1))
    return float(ways / 2**throws)


def read_pairs(text: str) -> tuple[Pair, ...]:
    """Return the pairs that a person names.

    Args:
        text: "a:b,c:d"; or a file with a pair a line, "a,b" (CSV, quoted if need be) or "a:b".

    Raises:
        InputError: The file cannot be read, or something in it is no pair.
    """
    if Path(text).is_file():
        return tuple(_pair_of(row, text) for row in _read_rows(Path(text)))
    words = [word for word in text.split(",") if word.strip()]
    if any(":" not in word for word in words) or not words:
        raise InputError(
            f"pairs {show_path(text)!r} are neither a file nor a:b,c:d. "
            "Name classes, each with its partner."
        )
    return tuple(_pair_of([word], text) for word in words)


def _read_rows(path: Path) -> list[list[str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{show_path(path)}: pairs cannot be read ({error}).") from None
    return [row for row in csv.reader(lines) if any(word.strip() for word in row)]


def _pair_of(row: Sequence[str], text: str) -> Pair:
    words = row[0].split(":") if len(row) == 1 else row
    names = [word.strip() for word in words]
    if len(names) != 2 or not all(names):
        shown = show_path(",".join(row))
        raise InputError(f"{show_path(text)}: {shown!r} is no pair. Write a:b, or a,b in a file.")
    return names[0], names[1]


def number_pairs(pairs: Sequence[Pair], labels: Sequence[str]) -> list[tuple[int, int]]:
    """Return the class numbers of pairs.

    Args:
        pairs: Names of classes.
        labels: The model's classes.

    Raises:
        InputError: A name is no class of the model, or a class is in two pairs, or its own partner.
    """
    numbers = [(number_class(a, labels), number_class(b, labels)) for a, b in pairs]
    seen: set[int] = set()
    for place in (place for pair in numbers for place in pair):
        if place in seen:
            raise InputError(f"class {labels[place]!r} stands in pairs twice; it has one partner.")
        seen.add(place)
    return numbers


def number_class(name: str, labels: Sequence[str]) -> int:
    """Return the number of a class.

    Raises:
        InputError: The model does not know it.
    """
    if name in labels:
        return list(labels).index(name)
    near = difflib.get_close_matches(name, labels, n=3)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    known = ", ".join(labels[:10]) + (" ..." if len(labels) > 10 else "")
    raise InputError(f"class {name!r} is unknown to the model. {hint}It knows: {known}.")


def partner_numbers(pairs: Sequence[tuple[int, int]], classes: int) -> npt.NDArray[np.int64]:
    """Return the partner of each class, (K,), -1 where it has none."""
    partners = np.full(classes, -1, np.int64)
    for a, b in pairs:
        partners[a], partners[b] = b, a
    return partners
