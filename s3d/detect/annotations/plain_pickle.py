"""Pickles of annotations, read without unpickling: nothing that a file names is ever called.

The published boxes of UCF101-24 and JHMDB come as pickles. A pickle is a program that may call
anything, so this is an interpreter of its own for the few opcodes that plain data need. Names of
numpy's makers of arrays are marks here, not functions: the bytes of an array are taken as numbers
only when type, shape and length agree. Pickles of Python 2 (text in latin-1) and 3, protocols 0
to 5, read alike.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from s3d.detect.annotations.pickle_arrays import (
    NAMES,
    Blank,
    Kind,
    Name,
    RefusedError,
    check_code,
    make_array,
    python2_text,
)
from s3d.errors import InputError
from s3d.files import show_path

MOST_BYTES = 512 << 20
MOST_STEPS = 10_000_000
"""A list takes 1 byte in a file and 56 in memory, so the length alone bounds too little."""

MOST_BITS = 64
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_MARK = object()
_VALUES = frozenset((
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
))  # fmt: skip
_BARE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}


def read_plain_pickle(path: str | Path) -> Any:
    """Read numbers, texts, lists, tuples, dictionaries and numpy arrays of numbers or texts.

    Args:
        path: The pickle.

    Returns:
        What it holds: arrays are read-only, numpy's numbers are Python's.

    Raises:
        InputError: It is no pickle, holds anything else, or is too large.
    """
    shown = show_path(path)
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}). Check the path.") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{shown}: is larger than {MOST_BYTES >> 20} MiB. Check what it is.")
    try:
        return _Reader(content).read()
    except RefusedError as error:
        raise InputError(
            f"{shown}: is not read, since {error}; only plain numbers, texts, lists, dictionaries "
            "and arrays are. Take the annotations from where they were published."
        ) from None
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError):
        raise InputError(f"{shown}: is no whole pickle. Copy or download it again.") from None


class _Reader:
    """Go through a pickle, opcode by opcode, with a stack and a memory as pickle has."""

    def __init__(self, content: bytes) -> None:
        self.file = io.BytesIO(content)
        self.spare_bytes = 4 * len(content)
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def read(self) -> Any:
        for _ in range(MOST_STEPS):
            opcode = _OPCODES[self.file.read(1)]
            if opcode.name == "STOP":
                return self.result()
            self.step(opcode)
        raise RefusedError(f"it takes more than {MOST_STEPS:,} steps")

    def step(self, opcode: pickletools.OpcodeInfo) -> None:
        name = opcode.name
        if name == "STRING":
            self.stack.append(python2_text(self.file.readline()))
        elif name in _VALUES:
            self.stack.append(_short(self.argument(opcode)))
        elif name in _BARE:
            self.stack.append(_BARE[name]())
        elif name in _STEPS:
            _STEPS[name](self, self.argument(opcode))
        else:
            raise RefusedError(f"it makes objects (opcode {name})")

    def argument(self, opcode: pickletools.OpcodeInfo) -> Any:
        return opcode.arg.reader(self.file) if opcode.arg else None

    def result(self) -> Any:
        value = self.stack.pop()
        if self.stack or value is _MARK:
            raise ValueError
        return _plain(value)

    def to_mark(self) -> list[Any]:
        """Take what lies above the last mark."""
        marks = (i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is _MARK)
        place = next(marks, None)
        if place is None:
            raise ValueError
        taken = [_plain(value) for value in self.stack[place + 1 :]]
        del self.stack[place:]
        return taken

    def take(self, count: int) -> list[Any]:
        if len(self.stack) < count or any(value is _MARK for value in self.stack[-count:]):
            raise ValueError
        taken = [_plain(value) for value in self.stack[-count:]]
        del self.stack[-count:]
        return taken

    def remember(self, place: int | None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError
        target.extend(values)

    def fill(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise TypeError
        target.update(_pairs(values))

    def name(self, module: str, name: str) -> None:
        words = f"{module} {name}"
        if words not in NAMES:
            raise RefusedError(f"it wants {module[:60]}.{name[:60]}")
        self.stack.append(Name(NAMES[words]))

    def call(self) -> None:
        what, given = self.take(2)
        if not isinstance(what, Name) or type(given) is not tuple:
            raise RefusedError("it calls something")
        match what.word, given:
            case "encode", (str(text), "latin1"):
                self.stack.append(self.encode(text))
            case "bytes", ():  # As protocols below 3 spell b"".
                self.stack.append(b"")
            case "dtype", (str(code), *_):
                self.stack.append(Kind(check_code(code)))
            case "_reconstruct", (Name("ndarray"), *_):
                self.stack.append(Blank())
            case "scalar", (Kind() as kind, content):
                self.stack.append(self.array(kind, (1,), content, "C")[0].item())
            case "_frombuffer", (content, Kind() as kind, tuple(shape), "C" | "F" as order):
                self.stack.append(self.array(kind, shape, content, order))
            case _:
                raise RefusedError(f"it calls {what.word} in an unusual way")

    def build(self) -> None:
        target, state = self.take(2)
        match target, state:
            case Kind(), (int(), "<" | ">" | "|" | "=" as order, None, None, None, *_):
                target.order = order
            case Blank(content=None), (int(), tuple(shape), Kind() as kind, fortran, content):
                target.content = self.array(kind, shape, content, "F" if fortran else "C")
            case _:
                raise RefusedError("it changes an object")
        self.stack.append(target)

    def encode(self, text: str) -> bytes:
        # Else a long text, encoded over and over, fills the memory.
        self.spare_bytes -= len(text)
        if self.spare_bytes < 0:
            raise RefusedError("it holds the same bytes over and over")
        return text.encode("latin-1")

    def array(self, kind: Kind, shape: tuple[Any, ...], content: Any, order: Any) -> Any:
        raw = self.encode(content) if isinstance(content, str) else content
        return make_array(kind, shape, raw, order)


def _short(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise RefusedError(f"it holds a number of more than {MOST_BITS} bits")
    return value


def _plain(value: Any) -> Any:
    return value.content if isinstance(value, Blank) and value.content is not None else value


def _pairs(values: list[Any]) -> dict[Hashable, Any]:
    keys = values[::2]
    # Not tuples: Python's stack is not safe from hashing one of a million levels.
    if not all(isinstance(key, str | bytes | int | float | None) for key in keys):
        raise RefusedError("a key of a dictionary is neither number nor text")
    return dict(zip(keys, values[1::2], strict=True))


_STEPS: dict[str, Callable[[_Reader, Any], None]] = {
    "PROTO": lambda _, __: None,
    "FRAME": lambda _, __: None,
    "LIST": lambda r, _: r.stack.append(r.to_mark()),
    "TUPLE": lambda r, _: r.stack.append(tuple(r.to_mark())),
    "DICT": lambda r, _: r.stack.append(_pairs(r.to_mark())),
    "TUPLE1": lambda r, _: r.stack.append(tuple(r.take(1))),
    "TUPLE2": lambda r, _: r.stack.append(tuple(r.take(2))),
    "TUPLE3": lambda r, _: r.stack.append(tuple(r.take(3))),
    "APPEND": lambda r, _: r.extend(r.take(1)),
    "APPENDS": lambda r, _: r.extend(r.to_mark()),
    "SETITEM": lambda r, _: r.fill(r.take(2)),
    "SETITEMS": lambda r, _: r.fill(r.to_mark()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda r, place: r.remember(place)),
    "MEMOIZE": lambda r, _: r.remember(None),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda r, place: r.recall(place)),
    "GLOBAL": lambda r, names: r.name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda r, _: r.name(*map(str, r.take(2))),
    "REDUCE": lambda r, _: r.call(),
    "BUILD": lambda r, _: r.build(),
}
