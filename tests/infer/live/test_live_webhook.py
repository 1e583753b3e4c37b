"""Events reach a server where there is one; where there is none, nobody waits."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from s3d.errors import InputError
from s3d.infer.live import webhook
from s3d.infer.live.webhook import Webhook


@contextlib.contextmanager
def listen(
    codes: list[int], hold: threading.Event | None = None
) -> Iterator[tuple[str, list[Any]]]:
    """Answer requests with these codes, then with 200; give the address and what came."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["Content-Type"], json.loads(body)))
            if hold:
                hold.wait(10)
            self.send_response(codes.pop(0) if codes else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", got
        finally:
            server.shutdown()
            thread.join()


def test_events_are_sent_in_order() -> None:
    said: list[str] = []
    with listen([]) as (url, got):
        hook = Webhook(url, said.append)
        for number in range(3):
            hook.send({"number": number, "label": "é"})
        hook.close()
    assert got == [("application/json", {"number": n, "label": "é"}) for n in range(3)]
    assert (hook.sent, hook.lost, said) == (3, 0, [])


def test_a_server_that_fails_is_told_once() -> None:
    said: list[str] = []
    with listen([500, 500, 200, 500]) as (url, got):
        hook = Webhook(url, said.append)
        for number in range(4):
            hook.send({"number": number})
        hook.close()
    assert len(got) == 4
    assert (hook.sent, hook.lost, len(said)) == (1, 3, 2)
    assert "Internal Server Error; going on" in said[0]


def test_a_server_that_is_not_there_costs_no_time() -> None:
    with listen([]) as (url, _):
        pass
    said: list[str] = []
    hook = Webhook(url, said.append)
    begin = time.monotonic()
    for number in range(50):
        hook.send({"number": number})
    assert time.monotonic() - begin < 0.5
    hook.close()
    assert (hook.sent, hook.lost) == (0, 50)
    assert len(said) == 1
    assert "Connection refused" in said[0]


def test_a_server_that_does_not_answer_keeps_the_newest_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "MOST_WAITING", 5)
    hold = threading.Event()
    with listen([], hold) as (url, got):
        hook = Webhook(url, lambda line: None)
        hook.send({"number": 0})
        while not got:
            time.sleep(0.01)
        for number in range(1, 21):
            hook.send({"number": number})
        assert hook.lost == 15
        hold.set()
        hook.close()
    assert [body["number"] for _, body in got] == [0, 17, 18, 19, 20]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/a", "http://me:key@host/", "x"])
def test_what_no_webhook_is(url: str) -> None:
    with pytest.raises(InputError, match="is no http") as error:
        Webhook(url, lambda line: None)
    assert "\n" not in str(error.value)


def test_offline_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_OFFLINE", "1")
    with pytest.raises(InputError, match="S3D_OFFLINE forbids the network"):
        Webhook("http://127.0.0.1:9/", lambda line: None)
