"""A camera on the network: it plays, drops the connection, stalls, and is there again."""

from __future__ import annotations

import threading

import pytest

from s3d.errors import InputError
from tests.infer.live.rtsp_server import serve_rtsp
from tests.infer.live.streams import grey_frames, make_film
from tests.infer.live.test_live_reader import RISING, holds, watching


def test_a_camera_that_drops_the_connection_is_asked_again() -> None:
    film = make_film(grey_frames(RISING))
    with serve_rtsp(film, [(0, 20), (25, 50)]) as server:
        with watching(server.url.replace("//", "//me:secret@")) as watcher:
            watcher.wait(lambda: holds(watcher.levels(), RISING[28:44]))
        assert holds(watcher.levels(), RISING[:16])
    assert watcher.reader.counts.reconnects == 1
    assert server.asked.count("PLAY") == 2
    assert "secret" not in "".join(watcher.notes)


def test_a_camera_that_stalls_is_asked_again() -> None:
    film = make_film(grey_frames(RISING))
    with serve_rtsp(film, [(0, 20), (25, 50)]) as server:
        server.hold = threading.Event()
        with watching(server.url, stall_seconds=0.5) as watcher:
            watcher.wait(lambda: holds(watcher.levels(), RISING[28:44]))
        server.hold.set()
    assert "lost (" in watcher.notes[0]


def test_no_camera_there() -> None:
    with serve_rtsp(make_film(grey_frames(RISING[:5])), []) as server:
        url = server.url
    with (
        pytest.raises(InputError, match=r"/camera: cannot be watched \(Connection refused\)"),
        watching(url, patience_seconds=0.1),
    ):
        pass
