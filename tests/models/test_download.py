"""A published file is used as it was published, or one line says how to get it."""

from __future__ import annotations

import errno
import hashlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import pytest

import s3d
from s3d.errors import InputError
from s3d.models import transfer
from s3d.models.download import Remote, cache_folder, fetch_file
from s3d.web import Redirects
from tests.models import web
from tests.models.web import (
    CONTENT,
    HALF,
    PAGE,
    SHA256,
    SIZE,
    Handler,
    Server,
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


# Files that come


def test_a_file_is_fetched_once(server: Server, home: Path) -> None:
    server.script = [whole()]
    told: list[tuple[int, int]] = []
    remote = remote_at(server, size_bytes=SIZE)
    assert fetch_file(remote, lambda *at: told.append(at)) == home / "net.pt"
    assert (home / "net.pt").read_bytes() == CONTENT
    assert visible(home) == ["net.pt"]
    assert fetch_file(remote) == home / "net.pt"
    ((path, headers),) = server.requests
    assert path == "/files/net.pt"
    assert headers["User-Agent"] == f"s3d/{s3d.__version__}"
    assert headers["Accept-Encoding"] == "identity"
    assert told[0] == (0, SIZE)
    assert told[-1] == (SIZE, SIZE)
    assert len(told) > 2
    assert told == sorted(told)


@pytest.mark.parametrize(
    "digest",
    [
        SHA256,
        SHA256[:15],
        "git:" + hashlib.sha1(b"blob %d\0" % SIZE + CONTENT).hexdigest(),
        "",
    ],
)
def test_every_kind_of_digest_is_understood(server: Server, digest: str) -> None:
    server.script = [whole(), whole()]
    assert fetch_file(remote_at(server, digest)).read_bytes() == CONTENT
    if digest:
        wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
        text = refusal(remote_at(server, wrong))
        assert f"it has {digest}, not {wrong}" in text


def test_git_names_a_blob_as_git_does(server: Server) -> None:
    server.script = [whole(b"hello\n")]
    assert fetch_file(remote_at(server, "git:ce013625030ba8dba906f756967f9e9ca394464a"))


def test_a_wrong_digest_removes_what_came(server: Server, home: Path) -> None:
    server.script = [whole(CONTENT[::-1]), whole()]
    remote = remote_at(server)
    found = hashlib.sha256(CONTENT[::-1]).hexdigest()
    text = refusal(remote)
    assert f"{remote.url} sent has sha256:{found}, not {SHA256}; it was removed" in text
    assert PAGE in text
    assert visible(home) == []
    assert fetch_file(remote).read_bytes() == CONTENT


def test_a_file_whose_size_nobody_tells(server: Server) -> None:
    server.script = [body(CONTENT[:HALF], CONTENT[HALF:])]
    told: list[tuple[int, int]] = []
    assert fetch_file(remote_at(server), lambda *at: told.append(at)).read_bytes() == CONTENT
    assert told[-1] == (SIZE, 0)


def test_an_empty_file_is_a_file(server: Server) -> None:
    server.script = [whole(b"")]
    assert fetch_file(remote_at(server, "", 0)).read_bytes() == b""


# Where addresses lead


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed_with_their_range(server: Server, home: Path, code: int) -> None:
    remote = remote_at(server)
    leave_part(home, remote, CONTENT[:3000])
    server.script = [status(code, Location="/there"), ranged()]
    assert fetch_file(remote).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/files/net.pt", "/there"]
    assert server.ranges()[1] == "bytes=3000-"


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/net.pt"])
def test_no_redirect_leaves_the_web(server: Server, home: Path, target: str) -> None:
    server.script = [status(302, Location=target)]
    text = refusal(remote_at(server, ""))
    assert "the server answers 302" in text
    assert target in text
    assert visible(home) == []


def test_no_redirect_leaves_https() -> None:
    follow = Redirects().redirect_request
    secure, plain = Request("https://a.invalid/"), Request("http://a.invalid/")
    for request, target, is_followed in (
        (secure, "https://b.invalid/", True),
        (secure, "http://b.invalid/", False),
        (plain, "http://b.invalid/", True),
        (plain, "https://b.invalid/", True),
    ):
        reply: Any = SimpleNamespace(close=lambda: None)
        arguments: Any = (request, reply, 302, "Found", {}, target)
        if is_followed:
            followed = follow(*arguments)
            assert followed is not None
            assert followed.full_url == target
        else:
            with pytest.raises(HTTPError, match="not followed"):
                follow(*arguments)


def test_the_body_of_a_redirect_is_not_read(server: Server) -> None:
    def long(handler: Handler) -> None:
        handler.start(302, {"Location": "/there"})
        endless(handler)
        server.requests.append(("read to its end", {}))

    server.script = [long, whole()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "url",
    ["file:///etc/hostname", "ftp://a.invalid/b", "/etc/hostname", "http:///b", "http://[/b"],
)
def test_only_web_addresses_are_fetched(url: str) -> None:
    assert "not http(s)://host/path" in refusal(Remote("net.pt", url, "", None, PAGE))


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_MIRROR", "http://me:secret@127.0.0.1/")
    text = refusal(Remote("net.pt", "", "", None, PAGE))
    assert "without a user name" in text
    assert "secret" not in text


@pytest.mark.parametrize("url", ["http://127.0.0.1:x/", "http://127.0.0.1/a b", "http://a..b/ü"])
def test_an_address_that_cannot_be_asked_is_one_line(url: str) -> None:
    assert "no connection: " in refusal(Remote("net.pt", url, "", None, PAGE))


def test_a_proxy_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.script = [whole()]
    fetch_file(Remote("net.pt", "http://far.invalid/net.pt", SHA256, None, PAGE))
    assert server.requests[0][0] == "http://far.invalid/net.pt"


# Without a network


def test_a_refused_connection_says_what_to_do(server: Server, home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/net.pt"
        start = time.monotonic()
        text = refusal(Remote("net.pt", url, SHA256, None, PAGE))
    assert time.monotonic() - start < 1
    assert text == (
        f"net.pt: no connection: Connection refused ({url}). Fetch {url} by hand and put it at "
        f"{home / 'net.pt'}, or let S3D_MIRROR name a folder or http(s) address that holds net.pt."
    )


def test_no_connection_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 100)
    text = refusal(Remote("net.pt", "http://far.invalid/net.pt", SHA256, None, PAGE))
    assert "no connection: Name or service not known (http://far.invalid/net.pt)" in text


def test_offline_nothing_is_asked(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3D_OFFLINE", "1")
    remote = remote_at(server)
    text = refusal(remote)
    assert text.startswith("net.pt: not here, and S3D_OFFLINE is set. ")
    assert f"Fetch {remote.url} by hand and put it at {home / 'net.pt'}" in text
    assert not server.requests
    assert not home.exists()
    home.mkdir(parents=True)
    (home / "net.pt").write_bytes(CONTENT)
    assert fetch_file(remote) == home / "net.pt"


@pytest.mark.parametrize("value", ["", "0"])
def test_offline_can_be_switched_off(
    server: Server, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3D_OFFLINE", value)
    server.script = [whole()]
    assert fetch_file(remote_at(server)).read_bytes() == CONTENT


def test_a_file_for_hands_only(home: Path) -> None:
    remote = Remote("net.pt", "", SHA256, SIZE, PAGE)
    text = refusal(remote)
    assert text.startswith("net.pt: not here, and no program may download it. ")
    assert f"Fetch {PAGE} by hand and put it at {home / 'net.pt'}" in text
    home.mkdir(parents=True)
    (home / "net.pt").write_bytes(CONTENT)
    assert fetch_file(remote) == home / "net.pt"


@pytest.mark.parametrize(
    ("size_bytes", "fault"),
    [(None, "it has sha256:"), (SIZE, f"it holds 5 bytes, not {SIZE}")],
)
def test_a_wrong_file_is_neither_used_nor_removed(
    server: Server, home: Path, size_bytes: int | None, fault: str
) -> None:
    home.mkdir(parents=True)
    (home / "net.pt").write_bytes(b"other")
    server.script = [whole()]
    text = refusal(remote_at(server, size_bytes=size_bytes))
    assert text.startswith(f"{home / 'net.pt'}: not the file that was published: {fault}")
    assert "Delete it" in text
    assert (home / "net.pt").read_bytes() == b"other"
    assert not server.requests


def test_a_file_that_cannot_be_read_is_one_line(server: Server, home: Path) -> None:
    (home / "net.pt").mkdir(parents=True)
    assert "net.pt: cannot be read (Is a directory)" in refusal(remote_at(server))


# Mirrors


def test_a_mirror_folder_is_used_in_place(
    server: Server, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    monkeypatch.setenv("S3D_MIRROR", str(mirror))
    monkeypatch.setenv("S3D_OFFLINE", "1")
    remote = remote_at(server)
    assert refusal(remote).startswith(f"{mirror / 'net.pt'}: no such folder; S3D_MIRROR names it")
    mirror.mkdir()
    text = refusal(remote)
    assert text.startswith(f"{mirror / 'net.pt'}: no such file; S3D_MIRROR names it")
    assert remote.url in text
    (mirror / "net.pt").write_bytes(b"other")
    text = refusal(remote)
    assert text.startswith(f"{mirror / 'net.pt'}: not the file that was published")
    (mirror / "net.pt").write_bytes(CONTENT)
    assert fetch_file(remote) == mirror / "net.pt"
    assert not home.exists()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("S3D_MIRROR", "~/mirror")
    assert fetch_file(remote) == mirror / "net.pt"


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("url", ["http://far.invalid/net.pt", ""])
def test_a_mirror_address_stands_in(
    server: Server, slash: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3D_MIRROR", f"{server.url}/our/mirror{slash}")
    server.script = [whole()]
    fetch_file(Remote("a+net.pt", url, SHA256, None, PAGE))
    assert server.requests[0][0] == "/our/mirror/a%2Bnet.pt"


def test_a_mirror_is_checked_as_well(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_MIRROR", server.url)
    server.script = [whole(b"other")]
    text = refusal(Remote("net.pt", "", SHA256, None, PAGE))
    assert f"what {server.url}/net.pt sent has sha256:" in text


# Two at once


@pytest.mark.parametrize("first_fails", [False, True])
def test_two_at_once_take_turns(server: Server, home: Path, first_fails: bool) -> None:
    waiting = threading.Event()

    def slow(handler: Handler) -> None:
        assert waiting.wait(10)
        (status(404) if first_fails else whole())(handler)

    server.script = [slow, whole()]
    got: list[bytes | None] = []
    remote = remote_at(server, size_bytes=SIZE)

    def fetch(tell: Callable[[int, int], None]) -> None:
        try:
            got.append(fetch_file(remote, tell).read_bytes())
        except InputError:
            got.append(None)

    one = threading.Thread(target=fetch, args=(lambda *at: None,))
    one.start()
    until = time.monotonic() + 10
    while not server.requests and time.monotonic() < until:
        time.sleep(0.005)
    told: list[tuple[int, int]] = []

    def tell(*at: int) -> None:
        told.append(at)
        waiting.set()

    two = threading.Thread(target=fetch, args=(tell,))
    two.start()
    one.join()
    two.join()
    assert got == [None if first_fails else CONTENT, CONTENT]
    assert told[0] == (0, SIZE)
    assert len(server.requests) == 1 + first_fails
    assert visible(home) == ["net.pt"]


def test_without_locks_each_has_its_own_part(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def no_locks(*args: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    remote = remote_at(server)
    leave_part(home, remote, b"another's")
    server.script = [cut(HALF), status(404)]
    assert "are kept" not in refusal(remote)
    assert visible(home) == [".net.pt.part", ".net.pt.part.json"]
    server.script = [cut(HALF), ranged()]
    assert fetch_file(remote).read_bytes() == CONTENT
    assert part(home).read_bytes() == b"another's"
    assert visible(home) == [".net.pt.part", ".net.pt.part.json", "net.pt"]


# Names


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for value, folder in (
        (str(tmp_path / "a"), tmp_path / "a"),
        ("~/a", tmp_path / "a"),
        ("a", tmp_path / "a"),
        ("", tmp_path / "xdg" / "s3d"),
    ):
        monkeypatch.setenv("S3D_HOME", value)
        assert cache_folder() == folder
    monkeypatch.delenv("S3D_HOME")
    assert cache_folder() == tmp_path / "xdg" / "s3d"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "s3d"
    monkeypatch.setenv("S3D_HOME", "~nobody-has-this-name")
    with pytest.raises(InputError, match=r"no home folder is known .* set S3D_HOME"):
        cache_folder()


@pytest.mark.parametrize("file", ["", "a/b", "..", ".a", "a\\b", "a\n", "C:a"])
def test_a_name_is_plain(file: str) -> None:
    with pytest.raises(ValueError, match="is not a plain file name"):
        Remote(file, "", "", None, PAGE)


@pytest.mark.parametrize(
    "digest", ["sha256:1234567", "sha256:" + "a" * 65, "sha256:ABCDEF01", "git:abcdef01", "abcd"]
)
def test_a_digest_is_of_a_known_form(digest: str) -> None:
    with pytest.raises(ValueError, match="is neither sha256"):
        Remote("net.pt", "", digest, None, PAGE)
