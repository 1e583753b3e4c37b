"""What a pickle may name, and the numpy arrays and old texts that it spells out."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_AXES = 8
_CODE = re.compile(r"b1|[iu][1248]|f[248]|[SU]\d{1,6}")
_QUOTED = re.compile(rb"""(['"])(?:[^\\]|\\(?:[\\'"abfnrtv]|x[0-9a-fA-F]{2}))*\1""", re.DOTALL)
NAMES = {
    "_codecs encode": "encode",
    "__builtin__ bytes": "bytes",
    "numpy dtype": "dtype",
    "numpy ndarray": "ndarray",
    **{
        f"numpy.{core}.{module} {name}": name
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    },
}
"""What a file may name, and what it stands for here."""


@dataclass(frozen=True)
class Name:
    """Stand for what a file names."""

    word: str


@dataclass
class Kind:
    """Stand for a numpy type: its code, and its order of bytes, which comes later."""

    code: str
    order: str = "|"

    def real(self) -> np.dtype[Any]:
        """Return numpy's type."""
        return np.dtype(self.order + self.code)


@dataclass
class Blank:
    """Stand for an array whose content comes later."""

    content: np.ndarray[Any, Any] | None = None


class RefusedError(Exception):
    """Say why a pickle is not read."""


def check_code(code: str) -> str:
    """Return the code of a type of numbers or texts.

    Raises:
        RefusedError: It is of anything else; "O8" are objects.
    """
    if not _CODE.fullmatch(code):
        raise RefusedError(f"it holds an array of type {code[:20]!r}")
    return code


def make_array(kind: Kind, shape: tuple[Any, ...], raw: Any, order: Any) -> np.ndarray[Any, Any]:
    """Return bytes as a read-only array.

    Raises:
        TypeError: The shape or the bytes are none.
        ValueError: They do not fit each other.
    """
    if not isinstance(raw, bytes | bytearray) or len(shape) > MOST_AXES:
        raise TypeError
    if not all(type(n) is int and 0 <= n < 1 << 31 for n in shape):
        raise TypeError
    numbers = np.frombuffer(raw, kind.real()).reshape(shape, order=order)
    numbers.flags.writeable = False
    return numbers


def python2_text(line: bytes) -> str:
    """Return the text of a line as Python 2 wrote it: quoted, with escapes.

    Raises:
        ValueError: It is none.
    """
    quoted = line.removesuffix(b"\n")
    if not _QUOTED.fullmatch(quoted):
        raise ValueError
    text, _ = codecs.escape_decode(quoted[1:-1])
    return str(text.decode("latin-1"))
