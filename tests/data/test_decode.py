"""Real and made files: each is read right or refused in one clear line."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from s3d.clip import ClipSpec
from s3d.data import container
from s3d.data.decode import iterate_frames, probe_video, read_frames, read_what_decodes
from s3d.data.sample import clip_indices
from s3d.errors import InputError

WriteVideo = Callable[..., Path]

# file: (frames promised, frames that decode, displayed height, width, rate in fps)
READABLE: dict[str, tuple[int, int, int, int, float]] = {
    "clips/R6llTwEh07w.mp4": (303, 303, 256, 340, 30.0),
    "clips/RATRACE_wave_f_nm_np1_fr_goo_37.avi": (72, 72, 240, 560, 30.0),
    "clips/SOX5yA1l24A.mp4": (332, 332, 256, 340, 29.97),
    "clips/TrumanShow_wave_f_nm_np1_fr_med_26.avi": (48, 48, 240, 432, 30.0),
    "clips/archery.avi": (131, 131, 240, 320, 25.0),
    "clips/arm_wrestling.mp4": (280, 280, 256, 427, 28.0),
    "clips/flipping_a_pancake.mkv": (310, 310, 240, 426, 30.0),
    "clips/hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": (83, 83, 240, 320, 30.0),
    "clips/v_SoccerJuggling_g23_c01.avi": (240, 240, 240, 320, 29.97),
    "clips/v_SoccerJuggling_g24_c01.avi": (251, 251, 240, 320, 29.97),
    "odd/av1_video.mkv": (125, 125, 360, 640, 25.0),
    "odd/corrupted.mp4": (50, 49, 720, 1280, 10.0),
    "odd/h265_10bits.mp4": (30, 30, 200, 200, 30.0),
    "odd/no_duration.webm": (74, 74, 720, 1280, 14.985),
    "odd/testsrc2_mpeg4.mp4": (1, 1, 64, 64, 25.0),
    "odd/testsrc2_odd_height_and_width_vp9.mp4": (25, 25, 241, 321, 25.0),
    "odd/unordered.mov": (4, 4, 50, 50, 32.0),
    "odd/video_270.mov": (3, 3, 568, 320, 30.0),
    "odd/video_90.mov": (3, 3, 568, 320, 30.0),
    "detection/v_Basketball_g01_c02.mp4": (180, 180, 256, 340, 29.97),
    "detection/v_Basketball_g07_c04.mp4": (101, 101, 256, 340, 29.97),
    "detection/v_CliffDiving_g03_c01.mp4": (92, 92, 256, 340, 25.0),
    "detection/v_HorseRiding_g01_c03.mp4": (98, 98, 256, 340, 29.97),
    "detection/v_IceDancing_g02_c05.mp4": (244, 244, 256, 340, 25.0),
    "detection/v_SkateBoarding_g02_c01.mp4": (369, 369, 256, 340, 25.0),
    "fights/fight/fi001.mp4": (53, 53, 128, 170, 25.0),
    "fights/no_fight/nofi001.mp4": (78, 78, 128, 170, 25.0),
}
REFUSED: dict[str, str] = {
    "odd/audio_only.wav": "holds sound but no video",
    "odd/empty.mp4": "is empty (0 bytes)",
    "detection/boxes.json": "is not a video that can be read",
    "fights/clips.csv": "is not a video that can be read",
}


def test_the_table_names_every_file(shared_dir: Path) -> None:
    folders = ("clips", "odd", "detection")
    present = {
        f"{folder}/{file.name}"
        for folder in folders
        for file in (shared_dir / "videos" / folder).iterdir()
    }
    assert present == {name for name in {*READABLE, *REFUSED} if not name.startswith("fights")}


@pytest.mark.parametrize("name", READABLE)
def test_real_file_is_read(shared_dir: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    promised, decoded, height, width, rate = READABLE[name]
    path = shared_dir / "videos" / name
    info = probe_video(path)
    assert (info.frames, info.height_px, info.width_px) == (promised, height, width)
    assert info.rate_fps == pytest.approx(rate, rel=1e-3)
    assert info.duration_seconds == pytest.approx(info.frames / info.rate_fps)
    assert len(info.times_seconds) == promised and info.times_seconds[0] == 0
    assert (np.diff(info.times_seconds) > 0).all()
    # A size that keeps the decoder in charge of the time: 1280 x 720 is what costs.
    assert sum(1 for _ in iterate_frames(path, (16, 24))) == decoded
    last = read_frames(path, [promised - 1])
    assert last.shape == (1, height, width, 3) and last.dtype == np.uint8
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", REFUSED)
def test_real_file_is_refused(
    shared_dir: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = shared_dir / "videos" / name
    for act in (probe_video, lambda p: read_frames(p, [0]), lambda p: next(iterate_frames(p))):
        with pytest.raises(InputError) as caught:
            act(path)
        assert str(caught.value).startswith(f"{path}: {REFUSED[name]}")
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_frames_of_b_frame_avi_are_in_order_and_uniform(shared_dir: Path) -> None:
    path = shared_dir / "videos/clips/RATRACE_wave_f_nm_np1_fr_goo_37.avi"
    info = probe_video(path)
    np.testing.assert_allclose(info.times_seconds, np.arange(72) / 30)
    frames = read_frames(path, range(72), (60, 140)).astype(float)
    steps = np.abs(np.diff(frames, axis=0)).mean()
    # Two frames on is farther than one frame on: swapped B-frames would make the two alike.
    assert np.abs(frames[2:] - frames[:-2]).mean() > 1.15 * steps


def test_damaged_file_loops_over_what_decodes(shared_dir: Path) -> None:
    reading = read_what_decodes(shared_dir / "videos/odd/corrupted.mp4", [0, 48, 49, 50], (36, 64))
    assert reading.decoded == 49
    assert np.array_equal(reading.frames[0], reading.frames[2])
    assert not np.array_equal(reading.frames[0], reading.frames[1])
    assert read_what_decodes(shared_dir / "videos/odd/unordered.mov", [3]).decoded is None


@pytest.mark.parametrize("name", ["video_90.mov", "video_270.mov"])
def test_rotated_phone_video_is_upright(shared_dir: Path, name: str) -> None:
    path = shared_dir / "videos/odd" / name
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0))
        turns = stored.rotation // 90
        wanted = np.rot90(stored.to_ndarray(format="rgb24"), turns)
    assert turns in (-1, 1)
    assert np.array_equal(read_frames(path, [0])[0], wanted)


# --- clips of our own ---


def counting(count: int, height: int = 32, width: int = 48, step: int = 4) -> np.ndarray:
    """Frames whose grey level is step x index: they say which one they are."""
    levels = (np.arange(count) * step % 256).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def levels_of(frames: np.ndarray, step: int = 4) -> list[int]:
    return [round(level / step) for level in frames.mean((1, 2, 3))]


def test_indices_unsorted_repeated_beyond_the_end(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", counting(20))
    assert levels_of(read_frames(path, [7, 3, 3, 19, 0])) == [7, 3, 3, 19, 0]
    assert levels_of(read_frames(path, [18, 19, 20, 21, 45])) == [18, 19, 0, 1, 5]
    assert levels_of(read_frames(path, np.array([5]))) == [5]
    assert read_frames(path, [], (8, 9)).shape == (0, 8, 9, 3)
    frames = read_frames(path, [1, 2], (10, 14))
    assert frames.shape == (2, 10, 14, 3) and frames.flags.c_contiguous
    with pytest.raises(InputError, match="frame index -1 is negative"):
        read_frames(path, [0, -1])


def test_reading_stops_after_the_last_wanted_frame(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", counting(60), options={"bf": "0", "tune": "zerolatency"})
    seen: list[int] = []
    packets = container.decode_packet
    monkeypatch.setattr(container, "decode_packet", lambda p: seen.append(1) or packets(p))
    read_frames(path, [4])
    assert len(seen) < 10


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_variable_rate_keeps_its_times(
    tmp_path: Path, write_video: WriteVideo, ending: str
) -> None:
    times = [0.0, 0.1, 0.2, 0.25, 0.3, 0.9, 1.0, 1.5, 1.6, 2.0]
    path = write_video(tmp_path / f"v.{ending}", counting(10), 10, times_seconds=times)
    np.testing.assert_allclose(probe_video(path).times_seconds, times, atol=1e-3)


def test_slow_and_fast_files_give_the_same_motion(tmp_path: Path, write_video: WriteVideo) -> None:
    """Grey rises by 50 levels a second in both."""
    slow = write_video(tmp_path / "slow.mp4", counting(40, step=5), 10)
    fast = write_video(tmp_path / "fast.mp4", counting(200, step=1), 50)
    spec = ClipSpec(frames=16, rate_fps=10)
    means = []
    for path in (slow, fast):
        indices = clip_indices(probe_video(path), spec, 1.0)
        means.append(read_frames(path, indices).mean((1, 2, 3)))
    np.testing.assert_allclose(means[0], 50 + 5 * np.arange(16), atol=3)
    np.testing.assert_allclose(means[1], means[0], atol=4)


def corners(path: Path) -> np.ndarray:
    """Grey of the four corners of the first frame: upper left, right, lower left, right."""
    frame = read_frames(path, [0])[0].mean(-1)
    return frame[[3, 3, -4, -4], [3, -4, 3, -4]]


@pytest.mark.parametrize(
    ("rotation", "shape", "brightest"),
    [(0, (32, 48), 0), (90, (48, 32), 2), (180, (32, 48), 3), (-90, (48, 32), 1)],
)
def test_rotation_flags(
    tmp_path: Path,
    write_video: WriteVideo,
    rotation: int,
    shape: tuple[int, int],
    brightest: int,
) -> None:
    frames = np.zeros((3, 32, 48, 3), np.uint8)
    frames[:, :10, :10] = 255
    path = write_video(tmp_path / "r.mp4", frames, rotation=rotation)
    info = probe_video(path)
    assert (info.height_px, info.width_px) == shape
    assert np.argmax(corners(path)) == brightest
    assert read_frames(path, [0], (20, 10)).shape == (1, 20, 10, 3)
    assert next(iterate_frames(path)).shape == (*shape, 3)


def test_pixel_aspect_is_applied_and_a_mad_one_is_not(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    path = write_video(tmp_path / "a.mp4", counting(2), aspect=Fraction(4, 3))
    assert (probe_video(path).height_px, probe_video(path).width_px) == (32, 64)
    path = write_video(tmp_path / "b.mp4", counting(2), aspect=Fraction(20, 1))
    assert probe_video(path).width_px == 48


@pytest.mark.parametrize("shape", [(48, 32), (33, 49), (2, 64)])
def test_portrait_and_odd_sizes(
    tmp_path: Path, write_video: WriteVideo, shape: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "p.mp4", counting(2, *shape), pixel_format="yuv444p")
    assert read_frames(path, [0, 1]).shape == (2, *shape, 3)


def test_one_frame(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "one.mkv", counting(1))
    info = probe_video(path)
    assert info.frames == 1 and info.duration_seconds > 0
    assert levels_of(read_frames(path, [0, 1, 2])) == [0, 0, 0]


def test_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    for has_video in (True, False):
        path = tmp_path / f"cover{has_video}.mp4"
        write_with_cover(path, has_video)
        if has_video:
            assert (probe_video(path).frames, probe_video(path).width_px) == (5, 64)
        else:
            with pytest.raises(InputError, match="sound and a cover picture but no video"):
                probe_video(path)


def write_with_cover(path: Path, has_video: bool) -> None:
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=44100, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 128
        cover.pix_fmt, cover.disposition = "yuvj420p", Disposition.attached_pic
        streams = [(cover, 128, 1)]
        if has_video:
            main = container.add_stream("libx264", rate=25)
            main.width = main.height = 64
            main.pix_fmt = "yuv420p"
            streams.append((main, 64, 5))
        for index in range(5):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), "f4"), "fltp", "mono")
            silence.rate, silence.pts = 44100, 1024 * index
            container.mux(sound.encode(silence))
        for stream, side, count in streams:
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(np.zeros((side, side, 3), np.uint8), "rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        container.mux(sound.encode(None))


def test_truncated_and_holed_files(tmp_path: Path, write_video: WriteVideo) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 48, 3)).astype(np.uint8)
    mkv = write_video(tmp_path / "a.mkv", noise).read_bytes()
    (tmp_path / "half.mkv").write_bytes(mkv[: len(mkv) // 2])
    info = probe_video(tmp_path / "half.mkv")
    assert 10 < info.frames < 30
    assert read_frames(tmp_path / "half.mkv", [0, info.frames + 3]).shape == (2, 32, 48, 3)
    holed = bytearray(mkv)
    holed[len(mkv) // 3 : len(mkv) // 2] = bytes(len(mkv) // 2 - len(mkv) // 3)
    (tmp_path / "holed.mkv").write_bytes(holed)
    assert read_frames(tmp_path / "holed.mkv", range(40)).shape == (40, 32, 48, 3)
    mp4 = write_video(tmp_path / "a.mp4", noise).read_bytes()
    (tmp_path / "half.mp4").write_bytes(mp4[: len(mp4) // 2])
    with pytest.raises(InputError, match="is not a video that can be read"):
        probe_video(tmp_path / "half.mp4")


def test_no_frame_decodes(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", counting(5))
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = b"\xff" * (end - start)
    path.write_bytes(data)
    for act in (probe_video, lambda p: read_frames(p, [0]), lambda p: next(iterate_frames(p))):
        with pytest.raises(InputError, match="no frame of it can be decoded; it is damaged"):
            act(path)


def test_absurd_size_is_refused(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", counting(2))
    monkeypatch.setattr(container, "MAX_SIDE_PX", 40)
    with pytest.raises(InputError, match="is 48 x 32 px; at most 40 px a side"):
        probe_video(path)


def test_names_are_local_files_whatever_they_look_like(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_video(tmp_path / "a.mp4", counting(3)).read_bytes()
    names = ["-rf.mp4", "concat:a.mp4", "http:x.mp4", "a%03d.mp4", "Füße 走る.mp4", "a\nb.mp4"]
    for name in [*names, os.fsdecode(b"\xff.mp4")]:
        Path(name).write_bytes(data)
        assert probe_video(name).frames == 3
        assert len(read_frames(Path(name), [0])) == 1
    for name in ("http://example.org/a.mp4", "concat:a.mp4|a.mp4", "subfile,,start,0,end,9,,:a"):
        with pytest.raises(InputError, match="no such file"):
            probe_video(name)


def test_play_lists_pictures_and_text_are_no_videos(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    write_video(tmp_path / "a.ts", counting(3))
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n"
    )
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile a.ts\n")
    (tmp_path / "notes.txt").write_text("notes\n" * 99)
    (tmp_path / "p.ppm").write_bytes(b"P6\n8 8\n255\n" + bytes(192))
    (tmp_path / "fake.mp4").write_bytes(os.urandom(5000))
    for name in ("list.m3u8", "list.ffconcat", "notes.txt", "p.ppm", "fake.mp4"):
        with pytest.raises(InputError, match="is not a video that can be read"):
            probe_video(tmp_path / name)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    cases = {
        tmp_path / "gone.mp4": "no such file",
        tmp_path: "is a folder",
        tmp_path / "pipe.mp4": "is not a regular file",
        tmp_path / ("x" * 5000): "cannot be read (File name too long)",
    }
    for path, reason in cases.items():
        with pytest.raises(InputError, match=re.escape(f"{path}: {reason}")):
            probe_video(path)
    with pytest.raises(InputError, match=re.escape(r"a\x00b")):
        probe_video("a\0b")


def in_fork(act: Callable[[], object], seconds: float = 60) -> object:
    """Run in a forked process, as a loader's worker, and return what it gave."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work() -> None:
        try:
            sender.send(act())
        except Exception as error:
            sender.send(repr(error))

    process = context.Process(target=work)
    process.start()
    try:
        assert receiver.poll(seconds), "the forked worker hangs"
        return receiver.recv()
    finally:
        process.kill()
        process.join()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_unreadable_file_is_refused(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", counting(2))
    path.chmod(0)

    def try_it() -> str:
        if os.geteuid() == 0:  # Root may read all; a worker may become somebody else.
            tmp_path.parent.parent.chmod(0o755)
            tmp_path.parent.chmod(0o755)
            tmp_path.chmod(0o755)
            os.seteuid(65534)
        try:
            probe_video(path)
        except InputError as error:
            return str(error)
        return "was read"

    assert "no permission to read it" in str(in_fork(try_it))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.timeout(90)
def test_decoding_in_parent_then_in_forked_worker(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", counting(60, 240, 320))
    parent = read_frames(path, range(60))
    halfway = iterate_frames(path)
    next(halfway)
    started = time.monotonic()
    total = in_fork(lambda: int(read_frames(path, range(60)).sum()))
    assert total == int(parent.sum())
    assert time.monotonic() - started < 30
    halfway.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_container_stays_open(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", counting(10))
    (tmp_path / "bad.mp4").write_bytes(path.read_bytes()[:300])
    before = open_descriptors()
    probe_video(path)
    read_frames(path, [3])
    with pytest.raises(InputError):
        probe_video(tmp_path / "bad.mp4")
    halfway = iterate_frames(path)
    next(halfway)
    assert open_descriptors() > before
    halfway.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("frames", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_memory_stays_flat(tmp_path: Path, write_video: WriteVideo, frames: int) -> None:
    path = write_video(tmp_path / "long.mp4", counting(frames, 64, 64), 30)
    one = 64 * 64 * 3
    tracemalloc.start()
    try:
        assert sum(1 for _ in iterate_frames(path)) == frames
        assert read_frames(path, [0, frames - 1]).shape[0] == 2
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 * one


def test_all_surveillance_clips_give_what_they_promise(shared_dir: Path) -> None:
    paths = sorted((shared_dir / "videos/fights").rglob("*.mp4"))
    assert len(paths) == 241
    for path in paths[::6]:
        info = probe_video(path)
        assert info.height_px == 128
        assert sum(1 for _ in iterate_frames(path, (16, 16))) == info.frames
