"""Pickles without unpickling: plain data as pickle reads them, and attacks that do nothing."""

from __future__ import annotations

import collections
import datetime
import os
import pickle
import pickletools
import random
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.detect.annotations import plain_pickle
from s3d.detect.annotations.plain_pickle import read_plain_pickle
from s3d.errors import InputError

PLAIN = {
    "text": "Straße \u2603", "bytes": b"\x00\xff", "float": 1.5, "none": None, "yes": True,
    "no": False, "small": 7, "byte": 200, "short": 40_000, "negative": -70_000, "long": 1 << 40,
    "list": [1, [2, []]], "tuple": (1, 2, 3, (4,), ()), 5: {0.5: ["x"] * 3}, None: "key",
}  # fmt: skip


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def same(one: Any, two: Any) -> bool:
    """Say whether two trees are equal, types included."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and bool((one == two).all())
    return bool(one == two)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_are_what_pickle_reads(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path / "a.pkl", pickle.dumps(PLAIN, protocol))
    assert same(read_plain_pickle(path), PLAIN)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4), np.zeros((0, 4), np.int64),
        np.array([[1.5, np.pi]], ">f4"), np.array([b"x", b"yz"]), np.array([True, False]),
        np.array(["a", "bc\u2603"]), np.array(3.0),
        np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)  # fmt: skip
def test_arrays_are_what_pickle_reads(tmp_path: Path, protocol: int, array: Any) -> None:
    path = write(tmp_path / "a.pkl", pickle.dumps([array, array], protocol))
    first, second = read_plain_pickle(path)
    assert same(first, array)
    assert same(second, array)
    assert not first.flags.writeable


@pytest.mark.parametrize("protocol", range(6))
def test_numbers_of_numpy_become_pythons(tmp_path: Path, protocol: int) -> None:
    given = [np.uint8(250), np.float32(0.5), np.bool_(True), np.int64(-3)]
    read = read_plain_pickle(write(tmp_path / "a.pkl", pickle.dumps(given, protocol)))
    assert same(read, [250, 0.5, True, -3])


def test_pickles_of_python_2_are_read(tmp_path: Path) -> None:
    # As Python 2 wrote {"b": array([[1, 255]], uint8)}, in its protocols 0 and 2.
    old = (
        b"(dp0\nS'b'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\n"
        b"tp4\nS'b'\np5\ntp6\nRp7\n(I1\n(I1\nI2\ntp8\ncnumpy\ndtype\np9\n(S'u1'\np10\nI0\nI1\n"
        b"tp11\nRp12\n(I3\nS'|'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\nS'\\x01\\xff'\np15\ntp16\nbs."
    )
    new = (
        b"\x80\x02}q\x01U\x01bq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
        b"q\x04K\x00\x85q\x05U\x01bq\x06\x87q\x07Rq\x08(K\x01K\x01K\x02\x86q\x09cnumpy\ndtype\n"
        b"q\x0aU\x02u1q\x0bK\x00K\x01\x87q\x0cRq\x0d(K\x03U\x01|q\x0eNNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tq\x0fb\x89U\x02\x01\xffq\x10tq\x11bs."
    )
    for content in (old, new):
        read = read_plain_pickle(write(tmp_path / "a.pkl", content))
        assert same(read, {"b": np.array([[1, 255]], np.uint8)})


def test_the_published_structure_is_what_pickle_reads(shared_dir: Path) -> None:
    path = shared_dir / "annotations" / "ucf101_24" / "pyannot_6_clips.pkl"
    with path.open("rb") as file:
        true = pickle.load(file, encoding="latin1")
    read = read_plain_pickle(path)
    assert read.keys() == true.keys()
    for name, clip in true.items():
        assert read[name]["numf"] == clip["numf"]
        for mine, its in zip(read[name]["annotations"], clip["annotations"], strict=True):
            assert same(mine["boxes"], its["boxes"])
            assert (mine["sf"], mine["ef"], mine["label"]) == (its["sf"], its["ef"], its["label"])


class Attack:
    """Pickle as a call of anything."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.called = function, given

    def __reduce__(self) -> Any:
        return self.called


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "given", "named"),
    [
        (os.system, "touch {mark}", r"(posix|nt)\.system"),
        (eval, "open('{mark}', 'w')", r"(builtins|__builtin__)\.eval"),
        (exec, "open('{mark}', 'w')", r"(builtins|__builtin__)\.exec"),
        (open, "{mark}", r"_?io\.open"),
        (getattr, "x", r"(builtins|__builtin__)\.getattr"),
        (np.load, "{mark}", r"numpy\S*\.load"),
        (np.fromfile, "{mark}", r"numpy\S*\.fromfile"),
        (np.memmap, "{mark}", r"numpy\S*\.memmap"),
        (collections.OrderedDict, "", r"collections\.OrderedDict"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_an_attack_is_refused_and_does_nothing(
    tmp_path: Path, protocol: int, function: Any, given: str, named: str
) -> None:
    mark = tmp_path / "mark"
    content = pickle.dumps({"a": [Attack(function, given.format(mark=mark))]}, protocol)
    with pytest.raises(InputError, match=rf"a\.pkl: is not read, since it wants {named}; only"):
        read_plain_pickle(write(tmp_path / "a.pkl", content))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"cnumpy.f2py.diagnose\nrun\n.", r"wants numpy\.f2py\.diagnose\.run"),
        (b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n}tR.", "wants numpy.testing"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "makes objects \\(opcode NEWOBJ\\)"),
        (b"\x80\x04(cnumpy\nndarray\n\x92.", "NEWOBJ_EX"),
        (b"(cnumpy\nndarray\no.", "opcode OBJ"),
        (b"(inumpy\nndarray\n.", "opcode INST"),
        (b"Pid\n.", "opcode PERSID"),
        (b"K\x01Q.", "opcode BINPERSID"),
        (b"\x82\x01.", "opcode EXT1"),
        (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
        (b"cnumpy\nndarray\n(I3\ntR.", "calls ndarray in an unusual way"),
        (b"c__builtin__\nbytes\n(I9\ntR.", "calls bytes in an unusual way"),
        (b"c_codecs\nencode\n(VYQ==\nVbase64\ntR.", "calls encode in an unusual way"),
        (b"cnumpy\ndtype\n(VO8\ntR.", "array of type 'O8'"),
        (b"cnumpy\ndtype\n(Vi4,(2,)f4\ntR.", "array of type"),
        (b"K\x01K\x01R.", "it calls something"),
        (b"}}b.", "it changes an object"),
        (b"cnumpy\nndarray\n}b.", "it changes an object"),
        (b"}(K\x01K\x02\x86K\x03u.", "a key of a dictionary is neither"),
        (b"\x8a\x09" + b"\x01" * 9 + b".", "a number of more than 64 bits"),
    ],
)
def test_what_makes_objects_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_plain_pickle(write(tmp_path / "a.pkl", content))


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    for protocol in range(6):
        content = pickle.dumps(np.array([{}, None], object), protocol)
        with pytest.raises(InputError, match="array of type 'O8'"):
            read_plain_pickle(write(tmp_path / "a.pkl", content))
    content = pickle.dumps(np.zeros(2, [("x", "i4")]), 2)
    with pytest.raises(InputError, match="array of type 'V4'"):
        read_plain_pickle(write(tmp_path / "a.pkl", content))
    content = pickle.dumps(datetime.date(2020, 1, 1))
    with pytest.raises(InputError, match=r"wants datetime\.date"):
        read_plain_pickle(write(tmp_path / "a.pkl", content))


def test_an_array_must_fit_its_bytes(tmp_path: Path) -> None:
    good = pickle.dumps(np.arange(4, dtype=np.uint8), 2)
    assert good.count(b"K\x04\x85") == 1
    for shape in (b"K\x05\x85", b"K\x03\x85", b"J\xff\xff\xff\xff\x85"):
        with pytest.raises(InputError, match="is no whole pickle"):
            read_plain_pickle(write(tmp_path / "a.pkl", good.replace(b"K\x04\x85", shape)))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x80\x02", b"hello", b".", b"(.", b"h\x05.", b"t.", b"K\x01a.", b"K\x01K\x02s.",
        b"I1x\n.", b"Sno quotes\n.", b"S'\\q'\n.", b"S'\\400'\n.", b"K\x01K\x02.", b"}K\x01(u.",
        b"L" + b"9" * 5000 + b"L\n.", b"(K\x01d.",
        b"\x8c\x02\xff\xff.", b"G\x00.", b"X" + struct.pack("<I", 1 << 31) + b"a.",
        b"\x8d" + struct.pack("<Q", 1 << 62) + b"a.", b"\x8b" + struct.pack("<i", -4) + b".",
        b"}(]K\x01u.", b"q\x00.", b"\x93.",
    ],
)  # fmt: skip
def test_garbage_is_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_plain_pickle(write(tmp_path / "a.pkl", content))
    assert "\n" not in str(caught.value)


def test_deep_nesting_and_rings_do_no_harm(tmp_path: Path) -> None:
    depth = 200_000
    read = read_plain_pickle(write(tmp_path / "a.pkl", b"]" * depth + b"a" * (depth - 1) + b"."))
    assert len(read) == 1
    ring = read_plain_pickle(write(tmp_path / "a.pkl", b"]q\x00h\x00a."))
    assert ring[0] is ring


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"X" + struct.pack("<I", 100_000) + b"a" * 100_000
    call = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86Ra"
    content = b"]" + text + b"q\x00a" + call * 1000 + b"."
    with pytest.raises(InputError, match="the same bytes over and over"):
        read_plain_pickle(write(tmp_path / "a.pkl", content))
    monkeypatch.setattr(plain_pickle, "MOST_STEPS", 100)
    with pytest.raises(InputError, match="takes more than 100 steps"):
        read_plain_pickle(write(tmp_path / "a.pkl", b"(" + b"N" * 200 + b"l."))
    monkeypatch.setattr(plain_pickle, "MOST_BYTES", 1 << 20)
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_plain_pickle(write(tmp_path / "a.pkl", b"N" * (1 << 20) + b".."))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pkl: cannot be read \(No such file"):
        read_plain_pickle(tmp_path / "none.pkl")


def test_damaged_pickles_raise_nothing_else(shared_dir: Path, tmp_path: Path) -> None:
    whole = (shared_dir / "annotations" / "ucf101_24" / "pyannot_6_clips.pkl").read_bytes()[:3000]
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            read_plain_pickle(write(tmp_path / "a.pkl", bytes(content) + b"."))
        except InputError:
            refused += 1
    assert refused > 300


def test_as_many_clips_as_are_published_take_seconds(tmp_path: Path) -> None:
    boxes = np.arange(800, dtype=np.uint8).reshape(200, 4)
    tube = {"label": 1, "sf": 0, "ef": 200, "boxes": boxes}
    clips = {
        f"v{n}": {"numf": 200, "annotations": [{**tube, "boxes": boxes + 0}]} for n in range(3207)
    }
    path = write(tmp_path / "a.pkl", pickle.dumps(clips, 2))
    start = time.perf_counter()
    assert len(read_plain_pickle(path)) == 3207
    assert time.perf_counter() - start < 5
    assert sum(1 for _ in pickletools.genops(path.read_bytes())) > 100_000
