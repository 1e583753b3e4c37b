"""Tars from anywhere: plain ones are read as they are, all others are refused in one line."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from s3d.data.shards.tar import Entry, TarReader, TarWriter, header_fits
from s3d.errors import InputError
from tests.data.packing import write_tar

FILES = {"a/1.mp4": b"x" * 700, "a/1.cls": b"3", "b.mp4": b"", "long/" + "n" * 300 + ".mp4": b"yy"}


class Bytes:
    """A tar in memory that counts how often it is read."""

    place, ahead_bytes = "x.tar", 2048

    def __init__(self, content: bytes) -> None:
        self.content, self.reads = content, 0

    @property
    def total_bytes(self) -> int:
        return len(self.content)

    def read(self, offset: int, size: int) -> bytes:
        self.reads += 1
        assert 0 <= offset < len(self.content)
        return self.content[offset : offset + size]


def entries(content: bytes) -> list[Entry]:
    return list(TarReader(Bytes(content)).entries())


def refusal(content: bytes) -> str:
    with pytest.raises(InputError) as caught:
        entries(content)
    text = str(caught.value)
    assert text.startswith("x.tar: ") and text.isprintable()
    return text


def special(kind: bytes, name: str = "a.mp4", **fields: object) -> bytes:
    """Return a tar of one member of some kind, and a video after it."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
        tar.addfile(tarfile.TarInfo("z.mp4"))
    return file.getvalue()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("extra", ["", "é ü", "日本"])
def test_what_tarfile_packs_is_found_where_it_is(tmp_path: Path, form: int, extra: str) -> None:
    files = {**FILES, f"{extra}v.mp4": b"z" * 512}
    content = write_tar(tmp_path / "x.tar", files, form).read_bytes()
    found = entries(content)
    assert {e.name: content[e.offset : e.offset + e.size] for e in found} == files
    for entry in found:
        block = content[entry.offset - 512 : entry.offset]
        assert header_fits(block, entry.name, entry.size)
        assert not header_fits(block, entry.name, entry.size + 1)
        assert not header_fits(block[:-1] + b"x", entry.name, entry.size)
    assert not header_fits(content[:512], "a/2.mp4", 700)


def test_neighbours_come_from_one_reading(tmp_path: Path) -> None:
    source = Bytes(
        write_tar(tmp_path / "x.tar", {f"{n}.cls": b"1" for n in range(20)}).read_bytes()
    )
    reader = TarReader(source)
    assert [reader.read(e.offset, e.size) for e in reader.entries()] == [b"1"] * 20
    assert source.reads <= 11


def test_folders_and_global_headers_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(
        tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x"}
    ) as tar:
        folder = tarfile.TarInfo("./a")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        tar.addfile(tarfile.TarInfo("./a/1.mp4"))
    assert [e.name for e in entries((tmp_path / "x.tar").read_bytes())] == ["a/1.mp4"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda whole: b"", "is empty (0 bytes)"),
        (lambda whole: b"no tar at all" * 100, "is no tar"),
        (lambda whole: whole[:300], "is no tar"),
        (gzip.compress, "is compressed (gzip)"),
        (lambda whole: b"(\xb5/\xfd" + whole, "is compressed (zstd)"),
        (lambda whole: whole[:1000], "is cut off: a file in it ends at byte 1212, the tar at 1000"),
        (lambda whole: whole[:1700], "is damaged at byte 1536"),
        (lambda whole: whole[:1536] + b"x" + whole[1537:], "is damaged at byte 1536"),
        (lambda whole: special(tarfile.SYMTYPE, linkname="/etc/passwd"), "holds a link (a.mp4)"),
        (lambda whole: special(tarfile.LNKTYPE, linkname="z.mp4"), "holds a link (a.mp4)"),
        (lambda whole: special(tarfile.FIFOTYPE), "holds a pipe (a.mp4)"),
        (lambda whole: special(tarfile.CHRTYPE), "holds a device (a.mp4)"),
        (lambda whole: special(tarfile.GNUTYPE_SPARSE), "holds a sparse file (a.mp4)"),
        (
            lambda whole: special(tarfile.REGTYPE, pax_headers={"GNU.sparse.major": "1"}),
            "holds a sparse file (a.mp4)",
        ),
        (lambda whole: special(tarfile.REGTYPE, "../a.mp4"), "of the name '../a.mp4'"),
        (lambda whole: special(tarfile.REGTYPE, "/etc/a.mp4"), "of the name '/etc/a.mp4'"),
        (lambda whole: special(tarfile.REGTYPE, "a\nb.mp4"), r"of the name 'a\nb.mp4'"),
        (lambda whole: special(tarfile.REGTYPE, "z.mp4"), "holds z.mp4 twice"),
        (
            lambda whole: special(tarfile.REGTYPE, pax_headers={"size": "9" * 15}),
            "is cut off: a file in it ends at byte 1000000000001535",
        ),
        (
            lambda whole: special(tarfile.REGTYPE, pax_headers={"size": "-5"}),
            "gives '-5' as a size",
        ),
    ],
)  # fmt: skip
def test_what_is_no_plain_shard_is_refused(
    tmp_path: Path, make: Callable[[bytes], bytes], said: str
) -> None:
    whole = write_tar(tmp_path / "x.tar", FILES).read_bytes()
    assert said in refusal(make(whole))


@pytest.mark.parametrize("record", [b"0 a=b\n", b"99 path=x\n", b"x", b"-7 a=b\n", b"11 path=x.y"])
def test_a_pax_header_that_lies_is_damage(record: bytes) -> None:
    content = special(tarfile.REGTYPE, pax_headers={"comment": "x" * 30})
    begin = content.index(b"comment=") - 3
    broken = content[:begin] + record.ljust(42, b"#") + content[begin + 42 :]
    assert "is damaged at byte 512" in refusal(broken)


def test_a_header_that_would_fill_the_memory_is_damage() -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2 << 20
    assert "is damaged at byte 512" in refusal(info.tobuf() + bytes(4 << 20))


def test_an_end_without_its_mark_is_an_end(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "x.tar", {"1.mp4": b"x" * 512}).read_bytes()
    assert [e.name for e in entries(whole[:1024])] == ["1.mp4"]


def test_a_file_that_fails_leaves_nothing_behind() -> None:
    file = io.BytesIO()
    tar = TarWriter(file)
    tar.add_bytes("1.mp4", b"one")
    for content in ([b"four", b"five"], [b"fo"], iter(list[bytes]())):
        with pytest.raises(InputError, match=r"v\.mp4: does not have the 4 bytes it had"):
            tar.add("2.mp4", 4, content, "v.mp4")
    offset = tar.add("3.mp4", 4, [b"fo", b"ur"], "v.mp4")
    with pytest.raises(InputError):
        tar.add("4.mp4", 9000, [b"x" * 8000], "v.mp4")
    digest = tar.close()
    assert digest == hashlib.sha256(file.getvalue()).hexdigest()
    assert entries(file.getvalue()) == [Entry("1.mp4", 512, 3), Entry("3.mp4", offset, 4)]
