"""Whatever the line, the server and the disk do: the whole file, or one line that says why not."""

from __future__ import annotations

import errno
import io
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s3d.models import transfer
from s3d.models.download import fetch_file
from tests.models import web
from tests.models.web import (
    CONTENT,
    ETAG,
    HALF,
    SHA256,
    SIZE,
    Handler,
    Server,
    Step,
    body,
    cut,
    endless,
    leave_part,
    part,
    ranged,
    refusal,
    remote_at,
    status,
    visible,
    whole,
)

home, server = web.home, web.server


# Lines that are cut


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_line_goes_on_where_it_stopped(server: Server, reset: bool) -> None:
    server.script = [cut(HALF, reset=reset), cut(HALF + 1000, reset=reset), ranged()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert [h.get("If-Range") for _, h in server.requests] == [None, ETAG, ETAG]


def test_a_silent_server_is_left(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def stall(handler: Handler) -> None:
        cut(HALF)(handler)
        handler.wfile.flush()
        done.wait(5)

    monkeypatch.setattr(transfer, "TIMEOUT_SECONDS", 0.2)
    server.script = [stall, ranged()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT
    done.set()
    assert server.ranges() == [None, f"bytes={HALF}-"]


def test_a_server_that_never_answers_is_no_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    monkeypatch.setattr(transfer, "TIMEOUT_SECONDS", 0.2)
    server.script = [lambda handler: done.wait(5) and None]
    text = refusal(remote_at(server))
    done.set()
    assert "no connection: timed out" in text


def test_a_line_that_stays_cut_ends_in_one_line(server: Server, home: Path) -> None:
    server.script = [cut(HALF)] + [cut(HALF)] * transfer.RETRIES
    remote = remote_at(server)
    text = refusal(remote)
    assert len(server.requests) == transfer.RETRIES + 1
    assert text.startswith(f"net.pt: the connection was cut ({remote.url}). ")
    assert f"{HALF} of {SIZE} bytes are kept; the same command goes on from there. " in text
    assert f"by hand and put it at {home / 'net.pt'}" in text
    server.script = [ranged()]
    assert fetch_file(remote).read_bytes() == CONTENT
    assert server.ranges()[-1] == f"bytes={HALF}-"


def test_a_line_lost_on_the_way_is_tried_again(server: Server) -> None:
    def close_shop(handler: Handler) -> None:
        cut(HALF)(handler)
        server.socket.close()

    server.script = [close_shop]
    text = refusal(remote_at(server))
    assert "no connection: Connection refused" in text
    assert f"{HALF} of {SIZE} bytes are kept" in text


def test_a_line_that_comes_back_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up, looked = socket.getaddrinfo, []

    def flicker(*args: Any, **kwargs: Any) -> Any:
        looked.append(args)
        if len(looked) == 2:
            raise socket.gaierror(socket.EAI_AGAIN, "Try again")
        return look_up(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", flicker)
    server.script = [cut(HALF), ranged()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT
    assert len(looked) == 3


def test_waits_grow(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 1.0)
    monkeypatch.setattr(transfer, "time", SimpleNamespace(sleep=waits.append))
    server.script = [status(503)] * 9
    refusal(remote_at(server))
    assert waits == [1.0, 2.0, 4.0, 8.0]


def test_a_killed_download_goes_on(server: Server, home: Path, tmp_path: Path) -> None:
    got = threading.Event()

    def stall(handler: Handler) -> None:
        cut(HALF)(handler)
        handler.wfile.flush()
        got.wait(20)

    server.script = [stall, ranged()]
    remote = remote_at(server)
    code = f"from s3d.models.download import *; fetch_file({remote!r})"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        until = time.monotonic() + 20
        while not part(home).exists() or part(home).stat().st_size < HALF:
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    got.set()
    assert fetch_file(remote).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={HALF}-"]
    assert visible(home) == ["net.pt"]


def test_a_whole_part_needs_no_request(server: Server, home: Path) -> None:
    remote = remote_at(server)
    leave_part(home, remote, CONTENT)
    assert fetch_file(remote).read_bytes() == CONTENT
    assert not server.requests


@pytest.mark.parametrize("digest", [SHA256, ""])
def test_a_file_that_changed_starts_anew(server: Server, home: Path, digest: str) -> None:
    remote = remote_at(server, digest)
    leave_part(home, remote, b"old" * 1000, validator='"old"')
    server.script = [ranged()]
    assert fetch_file(remote).read_bytes() == CONTENT
    assert server.ranges() == ["bytes=3000-"]


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param(cut(SIZE, etag='"two"'), id="the rest of another file"),
        pytest.param(cut(SIZE + 5, content=CONTENT + b"12345"), id="of another size"),
        pytest.param(status(206, **{"Content-Range": f"bytes 0-9/{SIZE}"}), id="another range"),
        pytest.param(status(206, **{"Content-Range": "bytes 3000-/*"}), id="a strange range"),
        pytest.param(status(206), id="no range"),
        pytest.param(status(416, **{"Content-Range": f"bytes */{SIZE}"}), id="416"),
    ],
)
def test_a_rest_that_does_not_fit_starts_anew(server: Server, home: Path, stale: Step) -> None:
    remote = remote_at(server, "")
    leave_part(home, remote, CONTENT[:3000])
    server.script = [stale, ranged()]
    assert fetch_file(remote).read_bytes() == CONTENT
    assert server.ranges() == ["bytes=3000-", None]


@pytest.mark.parametrize(
    ("digest", "changes", "asked"),
    [
        pytest.param("", {"validator": ""}, None, id="nothing tells the versions apart"),
        pytest.param(SHA256, {"validator": ""}, "bytes=3000-", id="the digest will tell"),
        pytest.param(SHA256, {"url": "http://else.invalid/"}, None, id="from elsewhere"),
        pytest.param(SHA256, {"validator": 5}, None, id="a strange note"),
        pytest.param(SHA256, {"total": "5"}, None, id="a strange total"),
        pytest.param("", {"total": None}, "bytes=3000-", id="no known total"),
    ],
)
def test_only_a_known_part_is_gone_on_with(
    server: Server, home: Path, digest: str, changes: dict[str, Any], asked: str | None
) -> None:
    remote = remote_at(server, digest)
    leave_part(home, remote, CONTENT[:3000], **changes)
    server.script = [ranged()]
    assert fetch_file(remote).read_bytes() == CONTENT
    assert server.ranges() == [asked]


@pytest.mark.parametrize("note", [b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_a_damaged_note_starts_anew(server: Server, home: Path, note: bytes) -> None:
    remote = remote_at(server)
    leave_part(home, remote, b"x" * 3000)
    (home / ".net.pt.part.json").write_bytes(note)
    server.script = [ranged()]
    assert fetch_file(remote).read_bytes() == CONTENT
    assert server.ranges() == [None]


def test_a_server_without_ranges_sends_all_again(server: Server) -> None:
    server.script = [cut(HALF), whole()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"ETag": 'W/"weak"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, "Thu, "),
        ({"ETag": 'W/"weak"'}, None),
    ],
)
def test_a_weak_tag_is_not_relied_on(
    server: Server, headers: dict[str, str], condition: str | None
) -> None:
    def weak(handler: Handler) -> None:
        handler.start(200, {"Content-Length": SIZE} | headers)
        handler.wfile.write(CONTENT[:HALF])

    server.script = [weak, cut(SIZE, etag="")]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT
    assert server.requests[1][1].get("If-Range", "none").startswith(condition or "none")
    assert server.ranges()[1] == f"bytes={HALF}-"


# Servers that do not do as they should


@pytest.mark.parametrize("code", [404, 403, 401, 204, 416, 206])
def test_a_refusal_is_one_line(server: Server, home: Path, code: int) -> None:
    server.script = [status(code)]
    remote = remote_at(server)
    text = refusal(remote)
    assert re.search(f"the server answers {code}.* \\({re.escape(remote.url)}\\)", text)
    assert str(home / "net.pt") in text
    assert "S3D_MIRROR" in text
    assert len(server.requests) == 1


def test_a_rest_is_not_asked_for_twice_where_there_is_none(server: Server, home: Path) -> None:
    remote = remote_at(server)
    leave_part(home, remote, CONTENT[:3000])
    server.script = [status(204)]
    assert "the server answers 204, not 200" in refusal(remote)
    assert server.ranges() == ["bytes=3000-"]


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_server_out_of_breath_is_asked_again(server: Server, code: int) -> None:
    server.script = [status(code), whole()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT


def test_a_server_that_stays_broken_is_one_line(server: Server) -> None:
    server.script = [status(500)] * 20
    assert "the server answers 500 Internal Server Error" in refusal(remote_at(server))
    assert len(server.requests) == transfer.RETRIES + 1


def test_a_server_that_hangs_up_is_asked_again(server: Server) -> None:
    server.script = [lambda handler: None, whole()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT


def test_what_a_server_says_cannot_colour_the_terminal(server: Server) -> None:
    def shout(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.0 404 \x1b[31mGone" + b"!" * 5000 + b"\r\n\r\n")

    server.script = [shout]
    text = refusal(remote_at(server))
    assert "404 \\x1b[31mGone" in text
    assert len(text) < 1000


@pytest.mark.parametrize("size_bytes", [None, SIZE])
def test_an_endless_body_is_left(
    server: Server, home: Path, size_bytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", SIZE + 7)
    server.script = [endless]
    text = refusal(remote_at(server, size_bytes=size_bytes))
    assert f"sends more than {size_bytes or SIZE + 7} bytes" in text
    assert part(home).stat().st_size == 0
    assert "are kept" not in text


def test_nonsense_is_cut_short(server: Server) -> None:
    server.script = [lambda handler: handler.wfile.write(b"nonsense" * 1000) and None] * 9
    text = refusal(remote_at(server))
    assert "the connection was cut: nonsense" in text
    assert len(text) < 1000


def test_nothing_is_taken_beyond_what_was_announced(server: Server) -> None:
    def more(handler: Handler) -> None:
        handler.start(200, {"Content-Length": SIZE})
        handler.wfile.write(CONTENT + b"more")

    server.script = [more]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT


def test_one_byte_too_many_is_one_too_many(server: Server) -> None:
    server.script = [body(CONTENT + b"1")]
    assert f"sends more than {SIZE} bytes" in refusal(remote_at(server, size_bytes=SIZE))


@pytest.mark.parametrize("size_bytes", [None, SIZE])
def test_another_size_is_refused_before_it_comes(
    server: Server, size_bytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if size_bytes is None:
        monkeypatch.setattr(transfer, "MAX_BYTES", SIZE)
    server.script = [whole(CONTENT + b"1")]
    needed = SIZE if size_bytes else f"at most {SIZE}"
    text = refusal(remote_at(server, size_bytes=size_bytes))
    assert f"announces {SIZE + 1} bytes; needed are {needed}" in text


def test_an_unannounced_end_too_soon_is_a_cut(server: Server) -> None:
    server.script = [body(CONTENT[:HALF], ETag=ETAG), ranged()]
    assert fetch_file(remote_at(server, size_bytes=SIZE)).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={HALF}-"]


def test_a_chunked_body_that_ends_too_soon_is_a_cut(server: Server) -> None:
    def chunks(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.start(200, {"Transfer-Encoding": "chunked", "ETag": ETAG})
        handler.wfile.write(b"%x\r\n" % HALF + CONTENT[:HALF] + b"\r\n")

    server.script = [chunks, ranged()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={HALF}-"]


def test_an_encoded_body_is_refused(server: Server) -> None:
    server.script = [whole(Content_Encoding="gzip")]
    assert "encoded as gzip, unasked" in refusal(remote_at(server))


def test_a_web_page_is_not_a_file(server: Server) -> None:
    server.script = [whole(Content_Type="text/html; charset=utf-8")]
    assert "sends a web page, not the file" in refusal(remote_at(server, ""))


def test_a_digest_knows_better_than_a_header(server: Server) -> None:
    server.script = [whole(Content_Type="text/html")]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT


# Disks


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_one_line(server: Server, home: Path) -> None:
    home.mkdir(parents=True)
    part(home).symlink_to("/dev/full")
    server.script = [whole()]
    text = refusal(remote_at(server))
    assert text.startswith(f"{part(home)}: cannot be written ({os.strerror(errno.ENOSPC)})")
    assert "S3D_HOME" in text


def test_what_fitted_on_the_disk_is_kept(server: Server, home: Path) -> None:
    server.script = [whole(), ranged()]
    remote = remote_at(server)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, hard))
    try:
        text = refusal(remote)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"cannot be written ({os.strerror(errno.EFBIG)})" in text
    assert part(home).read_bytes() == CONTENT[:HALF]
    assert fetch_file(remote).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={HALF}-"]


def test_a_disk_may_take_less_than_it_is_given(tmp_path: Path) -> None:
    disk = io.BytesIO()
    slow: Any = SimpleNamespace(write=lambda data: disk.write(data[:999]))
    response: Any = io.BytesIO(CONTENT)
    job = transfer.Transfer("", tmp_path, SIZE, False, lambda *at: None)
    transfer._receive(job, response, slow, 0, SIZE)
    assert disk.getvalue() == CONTENT


@pytest.mark.parametrize(("have", "free"), [(0, SIZE - 1), (HALF, SIZE - HALF - 1)])
def test_room_is_looked_for_first(
    server: Server, home: Path, have: int, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = remote_at(server)
    leave_part(home, remote, CONTENT[:have])
    room = SimpleNamespace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)
    server.script = [ranged(), ranged()]
    text = refusal(remote)
    assert f"{home}: the download needs {free + 1} more bytes and {free} are free" in text
    assert part(home).stat().st_size == have
    room.free += 1
    assert fetch_file(remote).read_bytes() == CONTENT


def test_a_disk_that_does_not_tell_its_room_is_tried(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(path: Path) -> None:
        raise OSError(errno.ENOSYS, "not implemented")

    monkeypatch.setattr(shutil, "disk_usage", unknown)
    server.script = [whole()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_is_one_line(
    server: Server, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file")
    text = refusal(remote_at(server))
    assert text.startswith(f"{home}: the folder cannot be made (Not a directory)")
    assert text.endswith("S3D_HOME names it.")
    assert not server.requests


def test_a_cache_that_takes_no_files_is_one_line(server: Server, home: Path) -> None:
    (home / ".net.pt.lock").mkdir(parents=True)
    assert f"{home}: cannot be written (Is a directory)" in refusal(remote_at(server))


def test_a_part_that_cannot_be_written_is_one_line(server: Server, home: Path) -> None:
    part(home).mkdir(parents=True)
    server.script = [whole()]
    text = refusal(remote_at(server))
    assert f"{part(home)}: cannot be written (Is a directory)" in text
