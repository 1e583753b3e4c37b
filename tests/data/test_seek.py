"""Seeking gives the very frames that decoding from the start gives, or is not done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data import container, decode, seek
from s3d.data.decode import VideoInfo, probe_video, read_frames
from s3d.data.store import FrameStore
from s3d.infer.views import read_views

WriteVideo = Callable[..., Path]
SIZE = (24, 40)

# name: (codec, options, whether it can be sought in)
MADE: dict[str, tuple[str, dict[str, str], bool]] = {
    "b.mp4": ("libx264", {"g": "20", "bf": "3"}, True),
    "pyramid.mkv": ("libx264", {"g": "20", "bf": "4", "x264-params": "b-pyramid=normal"}, True),
    "short.mp4": ("libx264", {"g": "2", "bf": "3"}, True),
    "b.ts": ("libx264", {"g": "20", "bf": "3"}, True),
    "opengop.mp4": ("libx264", {"g": "20", "bf": "3", "x264-params": "open-gop=1"}, False),
    "refresh.mp4": ("libx264", {"g": "20", "x264-params": "intra-refresh=1"}, False),
    "b.avi": ("libx264", {"g": "20", "bf": "3"}, False),
    "hevc.mp4": ("libx265", {"x265-params": "keyint=20:open-gop=0:log-level=none"}, True),
    "hevcopen.mkv": ("libx265", {"x265-params": "keyint=20:open-gop=1:log-level=none"}, True),
    "hevc.ts": ("libx265", {"x265-params": "keyint=20:log-level=none"}, True),
    "vp9.webm": ("libvpx-vp9", {"g": "20", "deadline": "realtime", "cpu-used": "8"}, True),
    "altref.webm": ("libvpx-vp9", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}, True),
    "vp9.mp4": ("libvpx-vp9", {"g": "20", "deadline": "realtime", "cpu-used": "8"}, True),
    "vp8.webm": ("libvpx", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}, False),
    "av1.mkv": ("libsvtav1", {"g": "20", "preset": "12"}, True),
    "xvid.avi": ("mpeg4", {"g": "12", "qscale": "4"}, True),
    "bframes.avi": ("mpeg4", {"g": "12", "bf": "2", "qscale": "4"}, False),
    "bframes.mp4": ("mpeg4", {"g": "12", "bf": "2", "qscale": "4"}, False),
    "mjpeg.avi": ("mjpeg", {}, True),
    "mpeg2.ts": ("mpeg2video", {"g": "12", "bf": "2"}, False),
    "raw.h264": ("libx264", {"g": "20"}, False),
}


def moving(count: int = 90, height: int = 48, width: int = 80) -> np.ndarray:
    """Return frames of noise that moves, each unlike every other."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (height + count, width + 2 * count, 3))
    ground = (ground + np.roll(ground, 1, 0) + np.roll(ground, 1, 1)) // 3
    parts = [ground[t : t + height, 2 * t : 2 * t + width] for t in range(count)]
    return np.stack(parts).astype(np.uint8)


@pytest.fixture
def sought(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Record for each reading of a described video whether it was done by seeking."""
    outcomes: list[bool] = []
    seek_out = decode._seek_out

    def record(*arguments: Any) -> Any:
        found = seek_out(*arguments)
        outcomes.append(found is not None)
        return found

    monkeypatch.setattr(decode, "_seek_out", record)
    return outcomes


def count_packets(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record every packet that is decoded."""
    seen: list[int] = []
    packets = container.try_packet
    for module in (container, seek):
        monkeypatch.setattr(module, "try_packet", lambda p: seen.append(1) or packets(p))
    return seen


def draws(info: VideoInfo, count: int) -> list[np.ndarray]:
    """Return sets of frames: clips, scattered and repeated ones, and beyond the end."""
    rng = np.random.default_rng(info.frames)
    sets = []
    for number in range(count):
        length = int(rng.integers(1, 20))
        first = int(rng.integers(info.frames))
        scattered = rng.integers(0, info.frames, length)
        clip = np.minimum(first + np.arange(length) * (number % 3 + 1), info.frames - 1)
        sets.append(scattered if number % 2 else clip)
    return [*sets, np.array([info.frames - 1]), np.array([info.frames - 1, info.frames + 1])]


def check_equal(path: Path, sets: int, size_px: tuple[int, int] | None = SIZE) -> VideoInfo:
    info = probe_video(path)
    every = read_frames(path, np.arange(info.frames), size_px)
    for indices in draws(info, sets):
        is_short = indices.max() >= info.frames
        wanted = read_frames(path, indices, size_px) if is_short else every[indices]
        assert np.array_equal(read_frames(info, indices, size_px), wanted)
    return info


@pytest.mark.parametrize("name", MADE)
def test_made_files_equal_reading_from_the_start(
    tmp_path: Path, write_video: WriteVideo, sought: list[bool], name: str
) -> None:
    codec, options, can_seek = MADE[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this libav cannot write {codec}")
    kind = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(
        tmp_path / name, moving(), 25, codec=codec, options=options, pixel_format=kind
    )
    info = check_equal(path, 24)
    assert (info.seek is not None and len(info.seek.keys) > 1) == can_seek
    assert any(sought) or not can_seek
    if info.seek is not None:
        assert info.seek.keys[0] == 0 and (np.diff(info.seek.keys) > 0).all()


def test_real_files_equal_reading_from_the_start(shared_dir: Path, sought: list[bool]) -> None:
    paths = [
        p for d in ("clips", "detection", "odd") for p in (shared_dir / "videos" / d).iterdir()
    ]
    paths += sorted((shared_dir / "videos/fights").rglob("*.mp4"))[::12]
    checked = 0
    for path in sorted(paths):
        if path.suffix in (".json", ".wav") or path.name in ("empty.mp4"):
            continue
        check_equal(path, 6)
        checked += 1
    assert checked > 40 and sum(sought) > 20


def long_gops(path: Path, write_video: WriteVideo, **options: Any) -> Path:
    coding = {"g": "30", "bf": "3", "sc_threshold": "0"}
    return write_video(path, moving(), 25, options=coding, **options)


def test_a_late_clip_decodes_from_its_keyframe(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = long_gops(tmp_path / "a.mp4", write_video)
    info = probe_video(path)
    assert info.seek is not None and info.seek.keys.tolist() == [0, 30, 60]
    seen = count_packets(monkeypatch)
    read_frames(info, range(62, 66), SIZE)
    assert len(seen) < 15
    seen.clear()
    read_frames(path, range(62, 66), SIZE)
    assert len(seen) > 65
    seen.clear()
    read_frames(info, [2, 31, 61], SIZE)  # The decoder runs a few packets ahead of what it shows.
    assert len(seen) < 30
    seen.clear()
    read_frames(info, range(26, 40), SIZE)  # A clip across a keyframe is decoded in one go.
    assert 25 <= len(seen) < 40  # less the pictures before it on which no other rests


def test_pictures_that_no_other_needs_are_passed_over(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"g": "250", "bf": "3", "sc_threshold": "0"}
    path = write_video(tmp_path / "a.mp4", moving(), 25, options=options)
    info, wanted = probe_video(path), np.arange(0, 90, 6)
    assert info.seek is not None and info.seek.is_spare.any() and info.seek.keys.tolist() == [0]
    every = read_frames(path, wanted, SIZE)
    seen = count_packets(monkeypatch)
    assert np.array_equal(read_frames(info, wanted, SIZE), every)
    assert len(seen) < 70
    plain = write_video(tmp_path / "b.mp4", moving(), 25, options={"g": "250", "bf": "0"})
    found = probe_video(plain).seek
    assert found is None or not found.is_spare.any()


def test_the_store_and_the_protocols_seek(
    tmp_path: Path, write_video: WriteVideo, sought: list[bool]
) -> None:
    path = long_gops(tmp_path / "a.mp4", write_video)
    spec = ClipSpec(4, 25.0, SIZE, (24, 24))
    store = FrameStore([probe_video(path)], spec)
    late = np.arange(70, 74)
    assert np.array_equal(store.read(0, late), read_frames(path, late, SIZE))
    read_views(path, spec, "clip")
    assert sought == [True, True]


def test_sizes_and_turns_are_those_of_the_start(
    tmp_path: Path, write_video: WriteVideo, sought: list[bool]
) -> None:
    check_equal(long_gops(tmp_path / "turned.mp4", write_video, rotation=90), 8, None)
    wide = np.pad(moving(30), ((0, 0), (0, 0), (0, 16), (0, 0)))
    write_video(tmp_path / "1.ts", moving(40), 25, options={"g": "20"})
    write_video(tmp_path / "2.ts", wide, 25, options={"g": "20"})
    assert sum(sought) > 4
    info = probe_video(tmp_path / "1.ts")
    (tmp_path / "1.ts").write_bytes((tmp_path / "2.ts").read_bytes())
    assert read_frames(info, [25]).shape == (1, 48, 96, 3)


# --- what is odd is read from the start ---


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_damage(tmp_path: Path, write_video: WriteVideo, sought: list[bool], name: str) -> None:
    """A frame that is lost shifts all that are counted after it, but none that is sought."""
    path = long_gops(tmp_path / name, write_video)
    every = read_frames(path, range(90), SIZE)
    data = bytearray(path.read_bytes())
    start = len(data) * 78 // 100
    data[start : start + 1500] = np.random.default_rng(0).bytes(1500)  # more than a picture
    path.write_bytes(data)
    info = probe_video(path)
    for indices in ([2, 40], [31, 45], [62, 63, 64], range(70, 90), [61, 80], [89]):
        found, counted = read_frames(info, indices, SIZE), read_frames(path, indices, SIZE)
        assert np.array_equal(found, counted) or np.array_equal(found, every[np.asarray(indices)])
    assert False in sought and (True in sought or info.seek is None)


def test_a_file_that_changed_since_it_was_described(
    tmp_path: Path, write_video: WriteVideo, sought: list[bool]
) -> None:
    path = long_gops(tmp_path / "a.mkv", write_video)
    info, whole = probe_video(path), path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    assert np.array_equal(read_frames(info, [80, 85], SIZE), read_frames(path, [80, 85], SIZE))
    write_video(path, moving()[::-1], 50, options={"g": "25"})
    assert np.array_equal(read_frames(info, [80, 85], SIZE), read_frames(path, [80, 85], SIZE))
    assert sought == [False, False]


def test_stamps_that_lie(tmp_path: Path, write_video: WriteVideo, sought: list[bool]) -> None:
    path = long_gops(tmp_path / "a.mp4", write_video)
    info = probe_video(path)
    assert info.seek is not None
    wanted = read_frames(path, [70, 71], SIZE)
    lies = [
        replace(info.seek, first_stamp=info.seek.first_stamp + 1),
        replace(info.seek, tick_seconds=info.seek.tick_seconds * 2),
        replace(info.seek, keys=np.array([0, 45])),
        replace(info.seek, keys=np.array([0, 61])),
    ]
    for lie in lies:
        assert np.array_equal(read_frames(replace(info, seek=lie), [70, 71], SIZE), wanted)
    assert sought == [False] * 4


def test_stamps_that_repeat_or_lack(tmp_path: Path, write_video: WriteVideo) -> None:
    path = long_gops(tmp_path / "a.mp4", write_video)
    with container.open_stream(path) as (file, stream):
        packets = [seek.describe_packet(p, stream) for p in file.demux(stream) if p.size]
        times = np.arange(90) / 25.0
        assert seek.find_seek_points(file, stream, packets, times) is not None
        assert seek.find_seek_points(file, stream, packets, times * 1.5) is None
        lacking = [packets[0], packets[1]._replace(is_odd=True), *packets[2:]]
        assert seek.find_seek_points(file, stream, lacking, times) is None
        ranks = np.argsort([p.stamp for p in packets])
        twin = packets[ranks[40]]._replace(stamp=packets[ranks[39]].stamp)
        times[40] = times[39] + 1e-9
        tied = [twin if n == ranks[40] else p for n, p in enumerate(packets)]
        assert seek.find_seek_points(file, stream, tied, times) is None


def shift_start(source: Path, target: Path, frames: int) -> None:
    """Copy a file so that its first frames lie before its beginning, behind an edit list."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.size:
                tick = packet.duration or 0
                packet.pts = (packet.pts or 0) - frames * tick
                packet.dts = (packet.dts or 0) - frames * tick
                packet.stream = stream
                writer.mux(packet)


def test_edit_lists_ties_and_gaps(
    tmp_path: Path, write_video: WriteVideo, sought: list[bool]
) -> None:
    whole = long_gops(tmp_path / "whole.mp4", write_video)
    shift_start(whole, tmp_path / "edited.mp4", 5)
    assert check_equal(tmp_path / "edited.mp4", 8).seek is None
    times = [*np.arange(45) * 0.04, *(np.arange(45) * 0.5 + 2)]
    path = write_video(
        tmp_path / "gaps.mkv", moving(), 25, options={"g": "20"}, times_seconds=times
    )
    assert check_equal(path, 8).seek is not None
    assert any(sought)


def test_an_unsafe_keyframe_is_told_by_its_bits(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container marks pictures as keyframes from which pictures do not come out the same."""
    options = {"g": "20", "x264-params": "intra-refresh=1"}
    path = write_video(tmp_path / "refresh.ts", moving(), 25, options=options)
    with av.open(str(path)) as file:
        assert sum(packet.is_keyframe for packet in file.demux(video=0)) > 1
    found = probe_video(path).seek
    assert found is None or found.keys.tolist() == [0]


# --- what a loader needs ---


def test_nothing_stays_open_and_no_thread_is_started(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors, tasks = Path("/proc/self/fd"), Path("/proc/self/task")
    if not tasks.exists():
        pytest.skip("needs /proc")
    path = long_gops(tmp_path / "a.mp4", write_video)
    info = probe_video(path)
    assert info.seek is not None
    threads: list[int] = []
    packets = seek.try_packet

    def watch(packet: Any) -> Any:
        threads.append(len(list(tasks.iterdir())))
        return packets(packet)

    monkeypatch.setattr(seek, "try_packet", watch)
    before = len(list(descriptors.iterdir())), len(list(tasks.iterdir()))
    read_frames(info, range(64, 80), SIZE)
    lie = replace(info, seek=replace(info.seek, first_stamp=1))
    read_frames(lie, range(64, 80), SIZE)
    assert (len(list(descriptors.iterdir())), max(threads)) == before


def test_files_are_sought_in_side_by_side(tmp_path: Path, write_video: WriteVideo) -> None:
    path = long_gops(tmp_path / "a.mp4", write_video)
    info = probe_video(path)
    every = read_frames(path, range(90), SIZE)
    jobs = [np.arange(first, first + 8) for first in range(0, 82, 3)]
    with ThreadPoolExecutor(4) as pool:
        for indices, frames in zip(
            jobs, pool.map(lambda wanted: read_frames(info, wanted, SIZE), jobs), strict=True
        ):
            assert np.array_equal(frames, every[indices])
