"""Frames kept at hand are those that decode, and are taken up again only while files stay."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from s3d.clip import ClipSpec
from s3d.data import store as store_module
from s3d.data.decode import Frames, Reading, read_frames
from s3d.data.store import FrameStore, open_videos
from s3d.data.videos import Video, list_videos
from s3d.errors import InputError

SPEC = ClipSpec(4, 8.0, (36, 36), (32, 32))


@pytest.fixture
def folder(colours: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "videos"
    for label in ("red", "blue"):
        (copy / label).mkdir(parents=True)
        for name in ("0.mp4", "1.mp4"):
            shutil.copy(colours / label / name, copy / label / name)
    return copy


def make_store(folder: Path, spec: ClipSpec = SPEC) -> FrameStore:
    return FrameStore(open_videos(list_videos(folder).videos, 2).infos, spec)


def count_decoded(store: FrameStore, cache: Path) -> int:
    told: list[int] = []
    store.keep(cache, 2, lambda done, total: told.append(done))
    return len(told)


def test_opening_keeps_order_and_names_what_is_broken(folder: Path) -> None:
    (folder / "red" / "0.mp4").write_bytes(b"no video")
    told: list[tuple[int, int]] = []
    opened = open_videos(list_videos(folder).videos, 3, lambda *n: told.append(n))
    assert [Path(v.path).parent.name for v in opened.videos] == ["blue", "blue", "red"]
    assert [info.path for info in opened.infos] == [v.path for v in opened.videos]
    ((path, reason),) = opened.failures
    assert path == str(folder / "red" / "0.mp4")
    assert "cannot be read" in reason or "can be read" in reason
    assert told == [(n, 4) for n in range(1, 5)]


@pytest.mark.parametrize("spec", [SPEC, ClipSpec(4, 8.0, (36, 36), (32, 32), "keep")])
def test_kept_frames_are_the_decoded_ones(folder: Path, tmp_path: Path, spec: ClipSpec) -> None:
    store = make_store(folder, spec)
    assert not store.is_kept
    wanted = [store.read(v, np.array([5, 0, 5, 2])) for v in range(4)]
    assert store.keep(tmp_path / "cache", 2) == []
    assert store.is_kept
    for video, frames in enumerate(wanted):
        np.testing.assert_array_equal(store.read(video, np.array([5, 0, 5, 2])), frames)
    assert (tmp_path / "cache" / "frames.u8").stat().st_size == store.total_bytes


def test_an_index_beyond_the_end_begins_again(folder: Path, tmp_path: Path) -> None:
    store = make_store(folder)
    store.keep(tmp_path / "cache", 2)
    frames = store.infos[0].frames
    np.testing.assert_array_equal(
        store.read(0, np.array([frames + 1])), store.read(0, np.array([1]))
    )


def test_kept_frames_are_taken_up_only_while_nothing_changed(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert count_decoded(make_store(folder), cache) == 4
    assert count_decoded(make_store(folder), cache) == 0
    os.utime(folder / "red" / "0.mp4", ns=(1, 1))
    assert count_decoded(make_store(folder), cache) == 4
    smaller = ClipSpec(4, 8.0, (34, 34), (32, 32))
    assert count_decoded(make_store(folder, smaller), cache) == 4
    (cache / "frames.u8").write_bytes(b"short")
    assert count_decoded(make_store(folder, smaller), cache) == 4
    (cache / "frames.json").write_text("{")
    assert count_decoded(make_store(folder, smaller), cache) == 4


def test_a_replaced_file_is_decoded_again(folder: Path, tmp_path: Path) -> None:
    make_store(folder).keep(tmp_path / "cache", 2)
    shutil.copy(folder / "red" / "1.mp4", folder / "blue" / "0.mp4")
    store = make_store(folder)
    store.keep(tmp_path / "cache", 2)
    np.testing.assert_array_equal(
        store.read(0, np.arange(4)),
        read_frames(folder / "red" / "1.mp4", np.arange(4), SPEC.resize_px),
    )


def test_an_interrupted_decoding_leaves_nothing_half_done(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(self: FrameStore, video: int) -> Frames:
        if video == 2:
            raise KeyboardInterrupt
        return whole(self, video)

    whole = FrameStore._decode
    monkeypatch.setattr(FrameStore, "_decode", break_off)
    with pytest.raises(KeyboardInterrupt):
        make_store(folder).keep(tmp_path / "cache", 1)
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.undo()
    assert count_decoded(make_store(folder), tmp_path / "cache") == 4


def test_a_killed_decoding_is_done_again(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "frames.part").write_bytes(b"half")
    assert count_decoded(make_store(folder), cache) == 4
    assert sorted(p.name for p in cache.iterdir()) == ["frames.json", "frames.u8"]


def test_a_full_disk_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(self: FrameStore, video: int) -> Frames:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FrameStore, "_decode", fill)
    with pytest.raises(InputError, match=r"cannot be written \(No space left.*--cache-gb 0"):
        make_store(folder).keep(tmp_path / "cache", 1)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_video_that_decodes_in_part_is_shortened(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_half(path: str, indices: npt.NDArray[np.int64], size: tuple[int, int]) -> Reading:
        frames = read_frames(path, indices, size)
        half = path.endswith("red/0.mp4")
        return Reading(frames, 3 if half else None)

    monkeypatch.setattr(store_module, "read_what_decodes", read_half)
    store = make_store(folder)
    whole = store.read(2, np.arange(8))
    assert store.keep(tmp_path / "cache", 2) == []
    info = store.infos[2]
    assert (info.frames, len(info.times_seconds)) == (3, 3)
    assert info.duration_seconds == pytest.approx(3 / 8)
    np.testing.assert_array_equal(store.read(2, np.arange(6)), whole[[0, 1, 2, 0, 1, 2]])
    np.testing.assert_array_equal(store.read(3, np.arange(8)).shape[0], 8)


def test_a_video_that_does_not_decode_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, indices: object, size: tuple[int, int]) -> Reading:
        if path.endswith("blue/1.mp4"):
            raise InputError("no frame")
        return Reading(read_frames(path, np.arange(8), size), None)

    monkeypatch.setattr(store_module, "read_what_decodes", refuse)
    store = make_store(folder)
    assert store.keep(tmp_path / "cache", 2) == [1]
    np.testing.assert_array_equal(
        store.read(2, np.arange(8)), read_frames(store.infos[2].path, np.arange(8), SPEC.resize_px)
    )


def test_a_real_truncated_file_is_shortened(shared_dir: Path, tmp_path: Path) -> None:
    path = shared_dir / "videos" / "odd" / "corrupted.mp4"
    store = FrameStore(open_videos([Video(str(path), "a")], 1).infos, SPEC)
    promised = store.infos[0].frames
    store.keep(tmp_path / "cache", 1)
    assert store.infos[0].frames < promised
    np.testing.assert_array_equal(
        store.read(0, np.arange(9)), read_frames(path, np.arange(9), SPEC.resize_px)
    )
