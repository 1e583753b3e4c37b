"""A web server of a folder that knows Range requests, and does wrong when it is told to."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(BaseHTTPRequestHandler):
    server: RangeServer

    def do_GET(self) -> None:
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        path = server.folder / self.path.lstrip("/")
        fault = server.faults.pop(0) if server.faults else server.always
        if not path.is_file() or isinstance(fault, int):
            self._start(fault if isinstance(fault, int) else 404, 0)
            return
        content = path.read_bytes()
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if span is None or fault == "no range":
            self._start(200, len(content))
            with contextlib.suppress(OSError):
                self.wfile.write(content)
            return
        first, last = int(span[1]), min(int(span[2]), len(content) - 1)
        part = content[first : last + 1]
        shown = first + 512 if fault == "other range" else first
        tag = {"Content-Range": f"bytes {shown}-{last}/{len(content)}", "ETag": server.tag}
        self._start(206, len(part), **({} if fault == "which range" else tag))
        self.wfile.write(part[: len(part) // 2] if fault == "cut" else part)

    def _start(self, code: int, length: int, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class RangeServer(ThreadingHTTPServer):
    """Serve a folder.

    Attributes:
        asked: The path and the Range header of every request.
        faults: What goes wrong with the next requests, one each: "cut", "no range",
            "other range", "which range", or the code of an answer; None for nothing.
        always: What goes wrong with all others.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.tag = folder, '"one"'
        self.asked: list[tuple[str, str | None]] = []
        self.faults: list[str | int | None] = []
        self.always: str | int | None = None
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[RangeServer]:
    """Serve a folder until the block ends."""
    with RangeServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
