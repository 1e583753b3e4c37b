"""The paper's family as one table: a network is a word of eleven letters.

A column is a spatiotemporal layer K = 0..10, a letter how that layer treats time:

    2: (1,k,k)       3: (k,k,k)       s: (1,k,k) then (k,1,1)
    w: 2, weighed    v: 3, weighed    g: s, weighed by a gate
                  1a 2c 3b 3c 4b 4c 4d 4e 4f 5b 5c
    i2d            2  2  2  2  2  2  2  2  2  2  2
    i3d            3  3  3  3  3  3  3  3  3  3  3
    i3d_bottom_4   3  3  3  3  3  2  2  2  2  2  2      layers K <= 4
    i3d_top_4      2  2  2  2  3  3  3  3  3  3  3      layers K >= 4
    s3d            s  s  s  s  s  s  s  s  s  s  s
    s3d_fast       2  2  2  2  2  2  2  2  2  s  s
    s3d_g          s  g  g  g  g  g  g  g  g  g  g

Any such word is a network, named or not. Where published codes differ in detail, a `Style` says
how (`s3d.models.style`). No torch here.
"""

from __future__ import annotations

import difflib
import reprlib

from s3d.errors import InputError

LAYERS = (
    "conv1a",
    "conv2c",
    "mixed3b",
    "mixed3c",
    "mixed4b",
    "mixed4c",
    "mixed4d",
    "mixed4e",
    "mixed4f",
    "mixed5b",
    "mixed5c",
)
"""The spatiotemporal layers, in the paper's order; the position is K."""

LETTERS = {
    "2": "(1,k,k)",
    "3": "(k,k,k)",
    "s": "(1,k,k) then (k,1,1)",
    "g": "(1,k,k) then (k,1,1), then a gate",
    "w": "(1,k,k), then a gate",
    "v": "(k,k,k), then a gate",
}
"""What each letter says of a layer."""

UNGATED = {"g": "s", "w": "2", "v": "3"}
"""The letter of the same layer without its gate."""

_DEPTH = len(LAYERS)


def _heavy(letter: str, low: int, high: int) -> str:
    return "".join(letter if low <= k <= high else "2" for k in range(_DEPTH))


def _table() -> dict[str, str]:
    words = {
        "i2d": "2" * _DEPTH,
        "i3d": "3" * _DEPTH,
        "s3d": "s" * _DEPTH,
        "s3d_g": "s" + "g" * (_DEPTH - 1),
        "s3d_fast": _heavy("s", 9, 10),
        "s3d_fast_g": _heavy("g", 9, 10),
    }
    for family, letter in (("i3d", "3"), ("s3d", "s")):
        for k in range(_DEPTH):
            words[f"{family}_bottom_{k}"] = _heavy(letter, 0, k)
            words[f"{family}_top_{k}"] = _heavy(letter, k, _DEPTH - 1)
    return words


NETWORKS: dict[str, str] = _table()
"""Every named network and its word."""


def network_word(network: str) -> str:
    """Return the word of a network given by name or by word.

    Args:
        network: A name of `NETWORKS`, or a word of 11 letters from `LETTERS`.

    Raises:
        InputError: It is neither.

    Example:
        >>> network_word("s3d_fast")
        '222222222ss'
    """
    if not isinstance(network, str):
        raise InputError(f"network is {reprlib.repr(network)}; it needs a name or a word.")
    if network in NETWORKS:
        return NETWORKS[network]
    if len(network) == _DEPTH and set(network) <= set(LETTERS):
        return network
    near = difflib.get_close_matches(network[:30], NETWORKS, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(
        f"unknown network {reprlib.repr(network)}.{hint} "
        "Known: i2d, i3d, s3d, s3d_g, s3d_fast, s3d_fast_g, "
        "i3d_top_K, i3d_bottom_K, s3d_top_K, s3d_bottom_K for K = 0..10. "
        f"A word of {_DEPTH} letters from {', '.join(LETTERS)} also works."
    )


def network_name(word: str) -> str:
    """Return the shortest name of a word, or the word itself where it has none."""
    names = [name for name, known in NETWORKS.items() if known == word]
    return min(names, key=len, default=word)
