"""A server in a thread that does with each request what a script says, and a home for weights."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from s3d.errors import InputError
from s3d.models import download, transfer
from s3d.models.download import Remote, fetch_file

CONTENT = random.Random(0).randbytes(600_000)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
SIZE = len(CONTENT)
HALF = SIZE // 2
ETAG = '"one"'
PAGE = "http://page.invalid/weights"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        step = self.server.script.pop(0) if self.server.script else status(410)
        with contextlib.suppress(OSError):
            step(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def start(self, code: int, headers: dict[str, Any]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Step] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def ranges(self) -> list[str | None]:
        """Return the Range header of each request."""
        return [headers.get("Range") for _, headers in self.requests]


Step = Callable[[Handler], None]


def whole(content: bytes = CONTENT, etag: str | None = ETAG, **headers: Any) -> Step:
    """Send everything, whatever range was asked for."""
    extra = {"ETag": etag} if etag else {}
    extra |= {name.replace("_", "-"): value for name, value in headers.items()}

    def step(handler: Handler) -> None:
        handler.start(200, {"Content-Length": len(content)} | extra)
        handler.wfile.write(content)

    return step


def cut(at: int, etag: str = ETAG, content: bytes = CONTENT, reset: bool = False) -> Step:
    """Announce everything from where it was asked for, and stop at a byte of the file."""

    def step(handler: Handler) -> None:
        first = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        headers: dict[str, Any] = {"Content-Length": len(content) - first, "ETag": etag}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        handler.start(206 if first else 200, headers)
        handler.wfile.write(content[first:at])
        if reset:
            handler.wfile.flush()
            time.sleep(0.05)
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()

    return step


def ranged(etag: str = ETAG, content: bytes = CONTENT) -> Step:
    """Do as a proper server does: the rest if If-Range holds, else everything."""

    def step(handler: Handler) -> None:
        is_same = handler.headers.get("If-Range", etag) == etag
        act = cut(len(content), etag, content) if is_same else whole(content, etag)
        act(handler)

    return step


def status(code: int, **headers: Any) -> Step:
    def step(handler: Handler) -> None:
        handler.start(code, {"Content-Length": 0} | headers)

    return step


def body(*blocks: bytes, **headers: Any) -> Step:
    """Send blocks without saying how much there is."""

    def step(handler: Handler) -> None:
        handler.start(200, headers)
        for block in blocks:
            handler.wfile.write(block)

    return step


def endless(handler: Handler) -> None:
    handler.start(200, {})
    for _ in range(10_000):
        handler.wfile.write(CONTENT)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the weights; nothing here waits long or leaves this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("S3D_MIRROR", "S3D_OFFLINE", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(download, "WAIT_SECONDS", 0.01)
    return tmp_path / "home" / "weights"


def remote_at(server: Server, digest: str = SHA256, size_bytes: int | None = None) -> Remote:
    return Remote("net.pt", f"{server.url}/files/net.pt", digest, size_bytes, PAGE)


def part(home: Path) -> Path:
    return home / ".net.pt.part"


def leave_part(home: Path, remote: Remote, content: bytes, **changes: Any) -> None:
    """Leave what a killed download leaves."""
    home.mkdir(parents=True)
    part(home).write_bytes(content)
    note = {"url": remote.url, "validator": ETAG, "total": SIZE} | changes
    (home / ".net.pt.part.json").write_text(json.dumps(note))


def refusal(remote: Remote) -> str:
    """Return the one line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        fetch_file(remote)
    text = str(caught.value)
    assert text.isprintable()
    return text


def visible(home: Path) -> list[str]:
    return sorted(p.name for p in home.iterdir() if not p.name.endswith(".lock"))
