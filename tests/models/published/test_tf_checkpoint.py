"""TensorFlow's checkpoints are read without it: its own, ours, and none that is broken."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from s3d.errors import InputError
from s3d.models.published import tf_checkpoint
from s3d.models.published.tf_checkpoint import checkpoint_prefix, list_variables, read_checkpoint
from s3d.models.published.tf_table import crc32c
from tests.models.published.bundle import (
    MAGIC,
    NUMBERS,
    Row,
    block,
    entry,
    field,
    header,
    pack,
    slow_crc32c,
    table,
    varint,
    write_files,
)


def some_arrays() -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(0)
    arrays = {f"net/{d}/w": (rng.normal(size=(3, 5)) * 9).astype(d) for d in NUMBERS if d[0] != "u"}
    arrays |= {f"net/{d}/w": rng.integers(0, 200, (2, 3, 4)).astype(d) for d in ("u1", "u2", "u4")}
    arrays |= {"net/u8/w": np.array([0, 2**64 - 1], "u8"), "Tür/größe": np.ones((1,) * 6, "f4")}
    arrays |= {"step": np.array(7, "i8"), "empty": np.ones((3, 0, 2), "f4")}
    arrays["none"] = np.ones(0, "f8")
    return arrays


def assert_same(got: dict[str, npt.NDArray[Any]], want: dict[str, npt.NDArray[Any]]) -> None:
    assert list(got) == sorted(want)
    for name, array in want.items():
        assert (got[name].dtype, got[name].shape) == (array.dtype, array.shape), name
        assert got[name].tobytes() == array.tobytes(), name
        assert got[name].flags.writeable, name


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_checkpoint(path)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"123456789", 0xE3069283),
        (b"", 0),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_crc32c_gives_the_published_values(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


def test_crc32c_equals_the_slow_one_at_every_length() -> None:
    data = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8)
    for size in [*range(140), 4096, 65533, 65536, 65540, 131_075, 299_990]:
        part = data[:size].tobytes()
        assert crc32c(data[:size]) == crc32c(part) == slow_crc32c(part)
    assert crc32c(data[3:1003]) == slow_crc32c(data[3:1003].tobytes())


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("per_block", [1, 3, 100])
def test_what_was_written_is_read(tmp_path: Path, shards: int, per_block: int) -> None:
    arrays = some_arrays()
    rows, files = pack(arrays, shards)
    blocks = [rows[at : at + per_block] for at in range(0, len(rows), per_block)]
    prefix = write_files(tmp_path, table(blocks), *files)
    assert_same(read_checkpoint(prefix), arrays)
    shapes = {name: arrays[name].shape for name in sorted(arrays)}
    for path in tmp_path.glob("*.data-*"):
        path.unlink()
    assert list(list_variables(prefix).items()) == list(shapes.items())


def test_bfloat16_becomes_float32_and_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    data = np.array([0x3F80, 0xC020, 0x7F80], "<u2").tobytes()
    rows = [(b"", header()), (b"_GRAPH", field(1, 7) + field(5, 99)), (b"v", field(1, 21))]
    rows.append((b"w", entry(data, 14, (3,))))
    prefix = write_files(tmp_path, table([rows]), data)
    assert_same(read_checkpoint(prefix), {"w": np.array([1, -2.5, np.inf], np.float32)})
    assert list_variables(prefix) == {"w": (3,)}


def test_a_bool_of_another_byte_is_true(tmp_path: Path) -> None:
    rows = [(b"", header()), (b"w", entry(b"\0\1\2", 10, (3,)))]
    prefix = write_files(tmp_path, table([rows]), b"\0\1\2")
    assert_same(read_checkpoint(prefix), {"w": np.array([False, True, True])})


def test_fields_that_come_later_are_passed_over(tmp_path: Path) -> None:
    later = field(99, b"new") + varint(98 << 3 | 1) + b"\xff" * 8 + field(97, 2**64 - 1)
    rows = [(b"", header() + later), (b"w", entry() + later)]
    prefix = write_files(tmp_path, table([rows]), bytes(8))
    assert_same(read_checkpoint(prefix), {"w": np.zeros(2, np.float32)})


def test_compressed_blocks_unfold(tmp_path: Path) -> None:
    first, second = b"w" * 70, b"xyzt" + b"u" * 300 + b"xyzt"
    body = block([(b"", header()), (first, entry()), (second, entry(offset=8))], restart=1)
    at, end = body.index(first), body.index(second)
    middle, rest = body[at + 70 : end], body[end + 308 :]
    # Literals with their length in the tag or after it; copies of all three kinds, near and far.
    packed = varint(len(body)) + bytes([(at - 1) << 2]) + body[:at] + b"\0w"
    packed += bytes([1 | 3 << 2, 1, 2 | 61 << 2, 1, 0])
    packed += bytes([60 << 2, len(middle) - 1]) + middle + b"\x10xyztu"
    packed += bytes([3 | 63 << 2, 1, 0, 0, 0]) * 4 + bytes([2 | 42 << 2, 1, 0])
    packed += bytes([1 | 304 >> 8 << 5, 304 & 255, 61 << 2, len(rest) - 1, 0]) + rest
    prefix = write_files(tmp_path, table([packed], kind=1), bytes(16))
    assert list(read_checkpoint(prefix)) == [first.decode(), second.decode()]


def test_values_may_lie_in_any_order(tmp_path: Path) -> None:
    later, sooner = np.array([1, 2], "f4"), np.array([3, 4], "f4")
    rows = [(b"", header()), (b"a", entry(later.tobytes(), offset=8))]
    rows += [(b"b", entry(sooner.tobytes())), (b"c", entry(b"", shape=(0,)))]
    prefix = write_files(tmp_path, table([rows]), sooner.tobytes() + later.tobytes())
    assert_same(read_checkpoint(prefix), {"a": later, "b": sooner, "c": np.zeros(0, "f4")})


def test_the_real_checkpoint_of_slim_is_read(shared_dir: Path) -> None:
    folder = shared_dir / "parity" / "slim_s3dg_quarter"
    if not folder.is_dir():
        pytest.skip(f"no checkpoint at {folder}")
    about = json.loads((folder / "about.json").read_text())
    arrays = read_checkpoint(folder)
    assert {name: list(array.shape) for name, array in arrays.items()} == about["variables"]
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    assert {name: array.shape for name, array in arrays.items()} == list_variables(folder)


def test_a_checkpoint_goes_by_each_of_its_names(tmp_path: Path) -> None:
    prefix = write_files(tmp_path, table([[(b"", header(2))]]), b"", b"")
    names = ["model.ckpt", "model.ckpt.index", "model.ckpt.data-00001-of-00002", ""]
    assert [checkpoint_prefix(tmp_path / name) for name in names] == [prefix] * 4
    assert checkpoint_prefix(str(prefix)) == prefix


@pytest.mark.parametrize(
    ("note", "found"),
    [
        ('model_checkpoint_path: "model.ckpt"\nall_model_checkpoint_paths: "other"', "model.ckpt"),
        ('all_model_checkpoint_paths: "model.ckpt"\nmodel_checkpoint_path: "other"', "other"),
        ('model_checkpoint_path: "/home/them/../model.ckpt"', "model.ckpt"),
        (r'model_checkpoint_path: "C:\\them\\other"', "other"),
        ('model_checkpoint_path: "../model.ckpt/.."', None),
        ('model_checkpoint_path: "gone"', None),
        ('model_checkpoint_path: "a\0b"', None),
        ('model_checkpoint_path: ""', None),
        ("\xff", None),
    ],
)
def test_a_folder_says_which_checkpoint(tmp_path: Path, note: str, found: str | None) -> None:
    for name in ("model.ckpt.index", "other.index"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "checkpoint").write_text(note, encoding="latin-1")
    assert checkpoint_prefix(tmp_path) == (tmp_path / found if found else None)


@pytest.mark.parametrize("name", ["", "gone", "a.pt", "a\0b", "x" * 5000, "a.data-00000-of-00001"])
def test_another_path_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.pt").write_bytes(b"PK" + bytes(99))
    assert checkpoint_prefix(tmp_path / name) is None
    refused(tmp_path / name, "no TensorFlow checkpoint there")


LONG = [(b"k" * 100_000 + b"%03d" % n, entry()) for n in range(50)]

BROKEN_ROWS: dict[str, tuple[list[Row], str]] = {
    "nothing": ([], "its index has no header"),
    "no header": ([(b"w", entry())], "its index has no header"),
    "V1": ([(b"", field(1, field(1, b"w")))], "of format V1 (one file); V2 is needed"),
    "big-endian": ([(b"", header(endianness=1))], "is big-endian"),
    "new": ([(b"", header(needs=2))], "needs a newer reader"),
    "no shards": ([(b"", header(0))], "claims 0 data files"),
    "many shards": ([(b"", header(100_000))], "claims 100000 data files"),
    "latin-1": ([(b"", header()), (b"\xfc", entry())], r"the name b'\xfc' is not printable"),
    "newline": ([(b"", header()), (b"a\nb", entry())], r"the name b'a\nb' is not printable"),
    "twice": ([(b"", header()), (b"w", entry()), (b"w", entry())], "name b'w' is there twice"),
    "order": ([(b"", header()), (b"w", entry()), (b"v", entry())], "b'v' is out of order"),
    "long names": ([(b"", header()), *LONG], "the checkpoint's index is too large"),
}
SLICED = entry() + field(7, field(1, b"")) + field(7, field(1, b""))
BROKEN_ENTRIES: dict[str, tuple[bytes, str]] = {
    "type": (entry(dtype=24), "variable 'w' has TensorFlow's data type 24, which is not read"),
    "pieces": (SLICED, "variable 'w' is stored in pieces"),
    "rank": (entry(bytes(4), shape=(1,) * 33), "'w' has an impossible shape"),
    "huge": (entry(shape=(2**40, 2**40)), "'w' has an impossible shape"),
    "huge empty": (entry(b"", shape=(0, 2**40, 2**40)), "'w' has an impossible shape"),
    "negative": (entry(b"", shape=(0, 2**64 - 1)), "'w' has an impossible shape"),
    "size": (entry(size=4), "'w' has 4 bytes for shape (2,)"),
    "shard": (entry(shard=1), "'w' is in data file 1 of 1"),
    "outside": (entry(offset=9), "'w' ends at byte 17, model.ckpt.data-00000-of-00001 at 16"),
    "far outside": (entry(offset=2**63), "'w' ends at byte 9223372036854775816"),
    "large": (entry(shape=(2**40,), offset=8, size=2**42), "'w' ends at byte 4398046511112"),
    "over": (entry(offset=4), "variable 'w' lies over another"),
    "values": (entry(b"\0" * 7 + b"\1", offset=8), "variable 'w' has a wrong checksum"),
    "kind": (entry() + varint(9 << 3 | 3), "an unknown kind of field"),
    "cut": (entry()[:-1], "a field of its index is cut short"),
    "endless": (entry() + b"\xff" * 11, "a number of its index has no end"),
    "no message": (entry() + field(2, 1), "a number where its index needs a message"),
    "no number": (entry() + field(3, b"1"), "a message where its index needs a number"),
}
GOOD = block([(b"", header()), (b"w", entry())])
BROKEN_BLOCKS: dict[str, tuple[bytes, str]] = {
    "whole": (table([GOOD])[:-1], "not a TensorFlow checkpoint's index, or cut short"),
    "empty": (b"", "not a TensorFlow checkpoint's index, or cut short"),
    "stub": (MAGIC, "not a TensorFlow checkpoint's index, or cut short"),
    "footer": (b"\xff" * 40 + MAGIC, "a number of its index has no end"),
    "seal": (b"?" + table([GOOD])[1:], "a block of its index has a wrong checksum"),
    "kind": (table([GOOD], kind=4), "is compressed in an unknown way, 4"),
    "entry": (table([b"\1\1\1" + bytes(8)]), "an entry of its index is cut short"),
    "value": (table([b"\0\1\x50" + bytes(8)]), "an entry of its index is cut short"),
    "restarts": (table([b"\xff" * 4]), "a block of its index is cut short"),
    "no restarts": (table([b""]), "a block of its index is cut short"),
    "lies over": (
        table([GOOD], spoil=lambda _: block([(b"a", varint(0) + varint(len(GOOD)))] * 2)),
        "blocks of its index lie over each other",
    ),
    "lies outside": (
        table([GOOD], spoil=lambda _: block([(b"a", varint(2**60) + varint(9))])),
        "a block of its index lies outside the file",
    ),
    "no place": (
        table([GOOD], spoil=lambda _: block([(b"a", b"")])),
        "a number of its index has no end",
    ),
    "bomb": (table([varint(2**40) + b"\0a"], kind=1), "the checkpoint's index is too large"),
    "many": (table([block([])] * 17_000), "the checkpoint's index is too large"),
    "unfolds": (table([varint(9) + b"\0a"], kind=1), "does not unfold to its size"),
    "short": (table([varint(1) + b"\4a"], kind=1), "does not unfold to its size"),
    "literal": (table([varint(2) + b"\4a"], kind=1), "does not unfold to its size"),
    "copies": (table([varint(9) + b"\0a\1\2"], kind=1), "copies what is not there"),
    "copies 0": (table([varint(9) + b"\0a\1\0"], kind=1), "copies what is not there"),
}


@pytest.mark.parametrize("case", BROKEN_ROWS)
def test_broken_rows_are_refused(tmp_path: Path, case: str) -> None:
    rows, message = BROKEN_ROWS[case]
    refused(write_files(tmp_path, table([rows]), bytes(16)), message)


@pytest.mark.parametrize("case", BROKEN_ENTRIES)
def test_broken_entries_are_refused(tmp_path: Path, case: str) -> None:
    row, message = BROKEN_ENTRIES[case]
    rows = [(b"", header()), (b"a", entry()), (b"w", row)]
    refused(write_files(tmp_path, table([rows]), bytes(16)), message)


@pytest.mark.parametrize("case", BROKEN_BLOCKS)
def test_broken_tables_are_refused(tmp_path: Path, case: str) -> None:
    index, message = BROKEN_BLOCKS[case]
    refused(write_files(tmp_path, index, bytes(16)), message)


def test_a_piece_of_a_variable_is_no_variable(tmp_path: Path) -> None:
    rows = [(b"", header()), (b"\0w\0\1\1\1\x80\x82", entry()), (b"w", SLICED)]
    refused(write_files(tmp_path, table([rows]), bytes(8)), "'w' is stored in pieces")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    prefix = write_files(tmp_path, table([GOOD]), bytes(8))
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    (tmp_path / "model.ckpt.index").unlink()
    refused(data, "model.ckpt.index is missing. Put it beside the data files.")
    write_files(tmp_path, table([GOOD]))
    data.unlink()
    refused(prefix, "model.ckpt.data-00000-of-00001 is missing. Put it beside the index.")


def test_a_v1_checkpoint_is_known_as_one(tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    path.write_bytes(table([[(b"", field(1, field(1, b"w")))]]))
    assert checkpoint_prefix(path) == path
    refused(path, "of format V1 (one file); V2 is needed")


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError(5, "Input/output error"), "Input/output error"), (MemoryError(), "MemoryError")],
)
def test_a_disk_or_memory_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(tf_checkpoint, "_read_array", fail)
    refused(write_files(tmp_path, table([GOOD]), bytes(8)), f"cannot be read ({reason}).")


def survives(path: Path) -> bool:
    """Return whether a checkpoint is read; all it may do else is to be refused in one line."""
    try:
        arrays = read_checkpoint(path)
    except InputError as error:
        assert str(error).isprintable()
        return False
    assert sum(array.nbytes for array in arrays.values()) < 10_000
    return True


def spoiled(data: bytes, rng: random.Random) -> bytes:
    """Return data with a byte changed, cut off at a byte, or with one repeated or left out."""
    at = rng.randrange(len(data))
    other = bytes([rng.choice([0, 1, 127, 128, 255, data[at] ^ 1 << rng.randrange(8)])])
    keep = [at + 1, at + 1, at + 1, at, len(data)][rng.randrange(5)]
    return data[:at] + (other if keep > at else b"") + data[keep if keep != at else at + 1 :]


@pytest.mark.timeout(60)
def test_files_spoiled_at_random_are_refused_in_one_line(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows, files = pack(some_arrays(), 2)
    index = table([rows[:9], rows[9:]])
    outcomes = [survives(write_files(tmp_path, index, *files))]
    for _ in range(300):
        parts = [index, *files]
        which = rng.randrange(3)
        parts[which] = spoiled(parts[which], rng)
        outcomes.append(survives(write_files(tmp_path, *parts)))
    assert outcomes[0]
    assert not all(outcomes)


@pytest.mark.timeout(60)
def test_what_is_spoiled_behind_good_checksums_is_refused_in_one_line(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows, files = pack({"a": np.ones(3, "f4"), "b": np.ones((2, 2), "i8")}, 1)
    outcomes = []
    for number in range(600):
        blocks = [block(rows[:2]), block(rows[2:])]
        which = number % 3
        if which < 2:
            blocks[which] = spoiled(blocks[which], rng)
            index = table(blocks)
        else:
            index = table(blocks, spoil=lambda body: spoiled(body, rng))
        outcomes.append(survives(write_files(tmp_path, index, *files)))
    assert 0 < sum(outcomes) < 300


def test_tensorflow_agrees(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    arrays = some_arrays()
    names = {f"v{number}": name for number, name in enumerate(arrays)}
    variables = {short: tf.Variable(arrays[name]) for short, name in names.items()}
    prefix = tf.train.Checkpoint(**variables, text=tf.Variable("x")).write(str(tmp_path / "tf"))
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert_same(read_checkpoint(prefix), {s + suffix: arrays[n] for s, n in names.items()})
    rows, files = pack(arrays, 2)
    ours = write_files(tmp_path, table([rows[:9], rows[9:]]), *files)
    theirs = tf.train.load_checkpoint(str(ours))
    assert_same(read_checkpoint(ours), {n: np.asarray(theirs.get_tensor(n)) for n in arrays})
