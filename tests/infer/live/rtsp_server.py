"""A camera made up for tests: an RTSP server that plays MPEG-TS in RTP over the same connection."""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
import time
from collections.abc import Iterator

from tests.infer.live.streams import Film

PIECE_BYTES = 7 * 188
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 33\r\na=control:track0\r\n"
)


class Handler(socketserver.StreamRequestHandler):
    server: RtspServer

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while request := self._read_request():
                self._answer(*request)

    def _read_request(self) -> tuple[str, dict[str, str]] | None:
        first = self.rfile.readline().decode()
        headers = {}
        while (line := self.rfile.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return (first.split()[0], headers) if first.strip() else None

    def _answer(self, method: str, headers: dict[str, str]) -> None:
        self.server.asked.append(method)
        lines, body = ["RTSP/1.0 200 OK", f"CSeq: {headers['cseq']}", "Session: 1"], ""
        if method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = SDP
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "SETUP":
            lines.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        if method == "PLAY":
            self._play()

    def _play(self) -> None:
        film, first, last = self.server.film, *self.server.parts.pop(0)
        begin, number = time.monotonic(), 0
        for frame in range(first, last):
            time.sleep(max(0.0, begin + (frame - first) / film.rate_fps - time.monotonic()))
            content = film.piece(frame, frame + 1)
            for start in range(0, len(content), PIECE_BYTES):
                stamp = round(frame / film.rate_fps * 90000)
                packet = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, stamp, 7)
                packet += content[start : start + PIECE_BYTES]
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                number += 1
        if self.server.hold:
            self.server.hold.wait(20)
        self.connection.shutdown(2)


class RtspServer(socketserver.ThreadingTCPServer):
    """Play parts of a film, one for each connection.

    Attributes:
        asked: The methods of all requests.
        hold: Where it is given, a connection stays silent after its part until it is set.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, film: Film, parts: list[tuple[int, int]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.film, self.parts = film, parts
        self.asked: list[str] = []
        self.hold: threading.Event | None = None
        self.url = f"rtsp://127.0.0.1:{self.server_address[1]}/camera"


@contextlib.contextmanager
def serve_rtsp(film: Film, parts: list[tuple[int, int]]) -> Iterator[RtspServer]:
    """Serve until the block ends."""
    with RtspServer(film, parts) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
