"""Real streams that end, stall, change and break: the reader goes on, and keeps the newest."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from s3d.clip import ClipSpec
from s3d.data.decode import probe_video
from s3d.errors import InputError
from s3d.infer.live.picture import Converter
from s3d.infer.live.reader import Habits, Reader
from s3d.infer.live.source import Source, parse_source
from s3d.infer.live.ticks import TickRing
from s3d.infer.windows import plan_windows, read_windows
from tests.conftest import WriteVideo
from tests.infer.live.streams import Film, Script, Send, grey_frames, make_film, play, serve

SPEC = ClipSpec(frames=8, rate_fps=25.0, resize_px=(32, 32), size_px=(32, 32))
RISING = list(range(20, 220, 4))


class Watcher:
    """Collect all ticks a reader brings, in a ring that forgets nothing."""

    def __init__(self, source: Source | str, spec: ClipSpec = SPEC, **habits: object) -> None:
        self.notes: list[str] = []
        self.ring = TickRing(spec.rate_fps, 100_000)
        self.shown: list[tuple[float, int]] = []
        values = {"stall_seconds": 0.6, "patience_seconds": 2.0, **habits}
        self.reader = Reader(
            parse_source(source) if isinstance(source, str) else source,
            spec, self.ring, Habits(tell=self.notes.append, **values), [self],  # type: ignore[arg-type]
        )  # fmt: skip

    def show(self, frame: VideoFrame, converter: Converter, time: float) -> None:
        self.shown.append((time, int(np.median(converter.preview(frame, 64)))))

    def levels(self) -> list[int]:
        """Return the greys of all frames that came."""
        return [level for _, level in self.shown]

    def wait(self, is_so: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, (self.notes, len(self.shown))
            assert self.reader.error is None
            time.sleep(0.01)


@contextmanager
def watching(source: Source | str, **options: object) -> Iterator[Watcher]:
    watcher = Watcher(source, **options)  # type: ignore[arg-type]
    try:
        watcher.reader.start()
        yield watcher
    finally:
        watcher.reader.stop()
        assert not watcher.reader._thread.is_alive()


def near(levels: list[int], wanted: list[int]) -> bool:
    return len(levels) == len(wanted) and bool(np.abs(np.subtract(levels, wanted)).max() <= 2)


def holds(levels: list[int], wanted: list[int]) -> bool:
    """Say whether every wanted level is among the levels."""
    return all(min(abs(level - one) for level in levels) <= 2 for one in wanted)


@pytest.mark.parametrize("rate_fps", [8.0, 25.0])
def test_a_file_gives_the_ticks_that_windows_of_it_hold(
    tmp_path: Path, write_video: WriteVideo, rate_fps: float
) -> None:
    path = write_video(tmp_path / "v.mp4", grey_frames(RISING[:30]), 30, options={"qp": "10"})
    spec = ClipSpec(frames=4, rate_fps=rate_fps, resize_px=(32, 40), size_px=(32, 32))
    begin = time.monotonic()
    with watching(str(path), spec=spec) as watcher:
        watcher.wait(lambda: watcher.ring.is_closed)
        took = time.monotonic() - begin
        stretch = watcher.ring.take(1, 0)
    assert 0.9 < took < 4.0
    assert (stretch.run, stretch.first) == (1, 0)
    info = probe_video(path)
    windows = list(read_windows(plan_windows(info, spec, 1 / rate_fps)))
    for number, window in enumerate(windows[:-1]):
        np.testing.assert_array_equal(np.stack(stretch.frames[number : number + 4]), window)
    assert len(stretch.frames) >= len(windows) + 2
    assert watcher.reader.counts.arrived == 30
    due = np.subtract(stretch.taken, stretch.taken[0])
    assert np.abs(due - np.arange(len(due)) / rate_fps).max() < 0.021


def test_a_file_plays_again_and_again(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "v.mp4", grey_frames(RISING[:5]), 25, options={"qp": "10"})
    with watching(str(path), loop=True) as watcher:
        watcher.wait(lambda: len(watcher.shown) > 14)
        assert near(watcher.levels()[:15], RISING[:5] * 3)
        assert np.abs(np.diff([time for time, _ in watcher.shown]) - 0.04).max() < 0.002
        assert watcher.ring.take(1, 0).run == 1
        assert not watcher.notes
        assert watcher.reader.counts.reconnects == 0


@pytest.mark.parametrize(("format", "kind"), [
    ("mpegts", "video/mp2t"), ("mpjpeg", "multipart/x-mixed-replace; boundary=ffmpeg")
])  # fmt: skip
def test_a_server_that_drops_connections_is_asked_again(format: str, kind: str) -> None:
    film = make_film(grey_frames(RISING), format=format)
    acts = [lambda send, n=n: play(film, send, n, n + 15) for n in (0, 15, 30)]
    script = Script([*acts, lambda send: play(film, send, 30)], kind)
    with serve(script) as url, watching(url) as watcher:
        watcher.wait(lambda: watcher.reader.counts.reconnects >= 2)
        watcher.wait(lambda: len(watcher.shown) > 44)
    assert near(watcher.levels()[:45], RISING[:45])
    said = [note.partition(": ")[2].partition(" (")[0] for note in watcher.notes[:4]]
    assert said == ["lost", "there again", "lost", "there again"]
    times = [time for time, _ in watcher.shown]
    assert min(np.diff(times)) >= 0


def test_frames_come_at_once_and_not_when_a_buffer_is_full() -> None:
    film = make_film(grey_frames(RISING))
    sent: list[float] = []

    def act(send: Send) -> None:
        play(film, lambda piece: (send(piece), sent.append(time.monotonic())))

    with serve(Script([act])) as url, watching(url) as watcher:
        watcher.wait(lambda: len(watcher.shown) > 40)
        stretch = watcher.ring.take(1, 0)
    late = [a - s for a, s in zip(stretch.taken[20:40], sent[20:40], strict=True)]
    # MPEG-TS tells where a picture ends by the next one, and so does the parser of H.264.
    assert np.median(late) < 0.2


def test_a_stream_that_changes_its_size_goes_on() -> None:
    small, large = (
        make_film(grey_frames(RISING[:20])),
        make_film(grey_frames(RISING[20:40], (96, 160))),
    )

    def act(send: Send) -> None:
        play(small, send)
        play(large, send)
        time.sleep(1)

    with serve(Script([act])) as url, watching(url) as watcher:
        watcher.wait(lambda: len(watcher.shown) >= 36)
        shapes = {frame.shape for frame in watcher.ring.take(1, 0).frames}
    assert shapes == {(32, 32, 3)}
    assert holds(watcher.levels(), RISING[24:36])


def test_rubbish_in_the_middle_costs_what_it_hits() -> None:
    film, rng = make_film(grey_frames(RISING)), np.random.default_rng(0)

    def act(send: Send) -> None:
        play(film, send, 0, 15)
        for _ in range(40):
            send(rng.bytes(5000))
        play(film, send, 15)
        time.sleep(0.5)

    with serve(Script([act])) as url, watching(url) as watcher:
        watcher.wait(lambda: holds(watcher.levels(), RISING[25:45]))


def test_a_server_that_sends_rubbish_for_a_while_is_asked_again() -> None:
    film, rng = make_film(grey_frames(RISING)), np.random.default_rng(0)

    def rubbish(send: Send) -> None:
        for _ in range(300):
            send(rng.bytes(20_000))

    acts = [lambda send: play(film, send, 0, 15), rubbish, lambda send: play(film, send, 20, 50)]
    with serve(Script(acts)) as url, watching(url) as watcher:
        watcher.wait(lambda: holds(watcher.levels(), RISING[22:45]))
    assert watcher.reader.counts.reconnects == 1


def test_a_stream_that_stalls_is_opened_again() -> None:
    film, stalled = make_film(grey_frames(RISING)), threading.Event()

    def stall(send: Send) -> None:
        play(film, send, 0, 10)
        stalled.wait(20)

    acts = [stall, lambda send: play(film, send, 25)]
    with serve(Script(acts)) as url, watching(url, stall_seconds=0.4) as watcher:
        watcher.wait(lambda: holds(watcher.levels(), RISING[27:45]))
        stalled.set()
    assert "lost (timed out)" in watcher.notes[0]
    runs = watcher.ring.take(1, 0)
    assert runs.run == 2
    assert runs.first > 20


def test_a_reader_that_waits_for_a_silent_server_stops_at_once() -> None:
    film, silent = make_film(grey_frames(RISING)), threading.Event()

    def act(send: Send) -> None:
        play(film, send, 0, 10)
        silent.wait(20)

    with serve(Script([act])) as url:
        with watching(url, stall_seconds=15.0) as watcher:
            watcher.wait(lambda: len(watcher.shown) > 5)
            time.sleep(0.3)
            begin = time.monotonic()
        assert time.monotonic() - begin < 1.5
        silent.set()


def test_bytes_without_pictures_are_a_stall() -> None:
    film = make_film(grey_frames(RISING))
    empty = b"\x47\x1f\xff\x10" + b"\xff" * 184  # A packet of MPEG-TS that holds nothing.

    def act(send: Send) -> None:
        play(film, send, 0, 10)
        for _ in range(2000):
            send(empty * 50)
            time.sleep(0.01)

    acts = [act, lambda send: play(film, send, 25)]
    with serve(Script(acts)) as url, watching(url, stall_seconds=0.4) as watcher:
        watcher.wait(lambda: holds(watcher.levels(), RISING[27:45]))


def test_a_password_is_sent_where_it_is_asked_for() -> None:
    film = make_film(grey_frames(RISING))
    key = "Basic bWU6c0BjcnQ="  # me:s@crt
    script = Script([lambda send: play(film, send)], password=key)
    with serve(script) as url, watching(url.replace("//", "//me:s%40crt@")) as watcher:
        watcher.wait(lambda: len(watcher.shown) > 5)
    assert script.asked[0] == key


def test_a_file_on_a_server_plays_in_real_time() -> None:
    film = make_film(grey_frames(RISING[:25]))
    script = Script([lambda send: send(film.content)], length=len(film.content))
    begin = time.monotonic()
    with serve(script) as url, watching(url) as watcher:
        watcher.wait(lambda: watcher.ring.is_closed)
    assert 0.9 < time.monotonic() - begin < 5
    assert near(watcher.levels(), RISING[:25])
    assert len(script.asked) == 1


def test_a_fifo_waits_for_the_next_writer(tmp_path: Path) -> None:
    film, path = make_film(grey_frames(RISING)), tmp_path / "fifo"
    os.mkfifo(path)

    def write(first: int, last: int) -> None:
        with path.open("wb", buffering=0) as file:
            play(film, file.write, first, last)

    def write_twice() -> None:
        time.sleep(0.2)
        write(0, 15)
        time.sleep(0.3)
        write(20, 45)

    writer = threading.Thread(target=write_twice)
    writer.start()
    with watching(str(path)) as watcher:
        watcher.wait(lambda: holds(watcher.levels(), RISING[22:42]))
        writer.join()
    assert holds(watcher.levels(), RISING[:14])
    assert watcher.reader.counts.reconnects == 1


def test_decoding_that_is_too_slow_drops_frames_and_catches_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from s3d.infer.live import reading

    decode, film = reading.decode_packet, make_film(grey_frames(list(range(20, 220))), 100)

    def slowly(packet: object) -> object:
        time.sleep(0.03)  # Three times as long as a frame lasts.
        return decode(packet)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "decode_packet", slowly)
    monkeypatch.setattr(reading, "LATE_SECONDS", 0.3)
    begin: list[float] = []

    def act(send: Send) -> None:
        begin.append(time.monotonic())
        play(film, send)
        time.sleep(1)

    late: list[float] = []
    with serve(Script([act])) as url, watching(url) as watcher:
        while len(begin) == 0 or time.monotonic() - begin[0] < 2.1:
            time.sleep(0.02)
            if watcher.shown:
                number = watcher.shown[-1][1] - 20
                late.append(time.monotonic() - begin[0] - number / 100)
    assert watcher.reader.counts.dropped > 50
    assert max(late) < 1.0  # Undropped, it would be 1.4 s behind by now, and more and more.
    assert watcher.reader.counts.arrived > 100


def test_a_file_that_decodes_too_slowly_keeps_its_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from s3d.infer.live import reading

    film = make_film(grey_frames(list(range(20, 220))), 100)
    (tmp_path / "film.ts").write_bytes(film.content)
    decode = reading.decode_packet

    def slowly(packet: object) -> object:
        time.sleep(0.03)
        return decode(packet)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "decode_packet", slowly)
    monkeypatch.setattr(reading, "LATE_SECONDS", 0.3)
    begin = time.monotonic()
    with watching(str(tmp_path / "film.ts")) as watcher:
        watcher.wait(lambda: watcher.ring.is_closed)
    assert 1.8 < time.monotonic() - begin < 4
    assert watcher.reader.counts.dropped > 50
    assert watcher.ring.due == pytest.approx(50, abs=6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mp4", None, "none.mp4: no such file"),
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"hello " * 100, "is not a video that can be read"),
    ],
)
def test_a_file_that_is_none_is_told_at_the_start(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    begin = time.monotonic()
    with pytest.raises(InputError, match=message), watching(str(tmp_path / name)):
        pass
    assert time.monotonic() - begin < 1


def test_a_server_that_is_not_there_is_waited_for_with_patience() -> None:
    with serve(Script([lambda send: None])) as url:
        pass
    begin = time.monotonic()
    message = r"cannot be watched \(Connection refused\). Check it, or wait longer with --patience"
    with pytest.raises(InputError, match=message), watching(url, patience_seconds=0.5):
        pass
    assert 0.4 < time.monotonic() - begin < 2.5


def test_no_such_camera() -> None:
    with (
        pytest.raises(InputError, match=r"camera 93: cannot be watched \(No such file"),
        watching("93", patience_seconds=0.2),
    ):
        pass


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    """Return a stream that holds sound alone."""
    path = tmp_path / "sound.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp2", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), layout="mono")
        frame.sample_rate = 44100
        for _ in range(50):
            container.mux(stream.encode(frame))
    return path.read_bytes()


def test_sound_alone_is_no_video_to_watch(sound: bytes) -> None:
    with (
        serve(Script([lambda send: send(sound)])) as url,
        pytest.raises(InputError, match="holds sound but no video"),
        watching(url),
    ):
        pass


def test_a_server_that_sends_sound_for_a_while_is_asked_again(sound: bytes) -> None:
    film = make_film(grey_frames(RISING))
    acts = [lambda send: play(film, send, 0, 15), lambda send: send(sound)]
    with serve(Script([*acts, lambda send: play(film, send, 20)])) as url, watching(url) as watcher:
        watcher.wait(lambda: holds(watcher.levels(), RISING[22:45]))


def test_a_file_of_which_nothing_decodes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "film.ts").write_bytes(make_film(grey_frames(RISING[:5])).content)
    monkeypatch.setattr("s3d.infer.live.reading.decode_packet", lambda packet: [])
    for options in ({}, {"loop": True}):
        with (
            pytest.raises(InputError, match="no frame of it can be decoded"),
            watching(str(tmp_path / "film.ts"), **options),
        ):
            pass


def test_an_empty_standard_input_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with (tmp_path / "empty").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        with pytest.raises(InputError, match=r"standard input: .*Pipe a video in"), watching("-"):
            pass


def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    film = make_film(grey_frames(RISING))
    (tmp_path / "film.ts").write_bytes(film.content)
    segment = f"file:{tmp_path}/film.ts"
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{segment}\n".encode()
    concat = f"ffconcat version 1.0\nfile '{segment}'\n".encode()
    for content in (playlist, concat):
        with (
            serve(Script([lambda send, c=content: send(c)])) as url,  # type: ignore[misc]
            pytest.raises(InputError, match="cannot be watched"),
            watching(url, patience_seconds=0.3),
        ):
            pass
    for kind in ("application/vnd.apple.mpegurl", "audio/x-mpegURL", "application/dash+xml"):
        with (
            serve(Script([lambda send: send(playlist)], kind)) as url,
            pytest.raises(InputError, match=r"is a play list .* ffmpeg -i URL"),
            watching(url),
        ):
            pass


def test_film_helper_tells_where_frames_end() -> None:
    film = make_film(grey_frames(RISING[:6]))
    assert isinstance(film, Film)
    assert film.ends == sorted(film.ends)
    assert 0 < film.ends[1] < len(film.content)
