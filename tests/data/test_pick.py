"""Frames from any place on are the very frames that are read from the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from s3d.clip import ClipSpec
from s3d.data import container, seek
from s3d.data.decode import iterate_frames, probe_video, read_frames
from s3d.data.frame_source import _groups, open_source
from s3d.data.pick import Wish, pick_frames
from s3d.data.video_info import EndsEarlyError, VideoInfo
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.data.moving import slide
from tests.data.test_seek import MADE, moving

SIZE = (24, 40)
HALF = (0.5, 0.5)
FLOW = ClipSpec(4, 25.0, (32, 32), (32, 32), mean=HALF, std=HALF, modality="flow", flow_side_px=48)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by each frame that is decoded."""
    counts: list[int] = []
    plain = container.try_packet

    def count(packet: Any) -> Any:
        frames = plain(packet)
        counts.extend(frame.pts for frame in frames or [])
        return frames

    monkeypatch.setattr(container, "try_packet", count)
    monkeypatch.setattr(seek, "try_packet", count)
    return counts


@pytest.fixture
def long_gops(tmp_path: Path, write_video: WriteVideo) -> Path:
    return write_video(tmp_path / "a.mp4", moving(), 25, options={"g": "20", "bf": "3"})


def every(info: VideoInfo) -> np.ndarray:
    return np.stack(list(iterate_frames(info.path, SIZE)))


def wish(*indices: int, **options: Any) -> Wish:
    return Wish(np.array(indices, np.int64), SIZE, **options)


@pytest.mark.parametrize("name", [*MADE])
def test_from_any_place_on_frames_are_those_from_the_start(
    tmp_path: Path, write_video: WriteVideo, name: str
) -> None:
    codec, options, _ = MADE[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this libav cannot write {codec}")
    pixels = {"pixel_format": "yuvj420p"} if codec == "mjpeg" else {}
    path = write_video(tmp_path / name, moving(), 25, codec=codec, options=options, **pixels)
    info = probe_video(path)
    whole = every(info)
    for step in (1, 2):
        indices = np.arange(0, info.frames, step)
        for first in (0, 37, 40, 83, 88):
            found = list(pick_frames(info, Wish(indices, SIZE, first)))
            wanted = indices[indices >= first]
            assert [picked.place for picked in found] == wanted.tolist()
            np.testing.assert_array_equal([picked.frame for picked in found], whole[wanted])
            assert not any(picked.is_counted for picked in found)


def test_what_lies_before_is_not_decoded_nor_what_nobody_needs(
    long_gops: Path, decoded: list[int]
) -> None:
    info = probe_video(long_gops)
    decoded.clear()
    assert len(list(pick_frames(info, wish(*range(90), first=70)))) == 20
    assert len(decoded) <= 31  # the first packet, and from the keyframe at 60 on
    decoded.clear()
    list(pick_frames(info, wish(*range(90))))
    assert len(decoded) == 90
    decoded.clear()
    list(pick_frames(info, wish(*range(0, 90, 2))))
    assert len(decoded) < 80


def test_counting_is_as_asked_and_says_so(long_gops: Path, decoded: list[int]) -> None:
    info = probe_video(long_gops)
    decoded.clear()
    found = list(pick_frames(info, wish(*range(90), first=80, counts=True)))
    assert len(decoded) == 90
    assert all(picked.is_counted for picked in found)
    np.testing.assert_array_equal([picked.frame for picked in found], every(info)[80:])
    unsought = replace(info, seek=None)
    assert not any(p.is_counted for p in pick_frames(unsought, wish(*range(90), first=80)))


def test_damage_turns_seeking_into_counting(long_gops: Path) -> None:
    info = probe_video(long_gops)
    packets = [(p.pos, p.size, p.pts) for p in packets_of(long_gops)]
    place, size, _ = packets[50]
    content = bytearray(long_gops.read_bytes())
    content[place + 8 : place + size] = b"\xff" * (size - 8)
    long_gops.write_bytes(content)
    whole = every(info)
    found = list(drain(pick_frames(info, wish(*range(90)))))
    assert not found[0].is_counted
    assert found[-1].is_counted
    assert [picked.place for picked in found] == list(range(len(whole)))
    np.testing.assert_array_equal([picked.frame for picked in found], whole)


def test_what_is_decoded_from_damage_is_counted_too(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    # Broad and plain, so that pictures are decoded from each other.
    frames = np.stack(
        [np.roll(moving(1, 40, 48)[0] // 4 * (1 + t // 24), 2 * t, 1) for t in range(60)]
    )
    path = write_video(tmp_path / "a.mp4", frames, 8, options={"g": "8", "bf": "2"})
    info, content, packets = probe_video(path), path.read_bytes(), packets_of(path)
    compared = 0
    for packet in packets[40:44]:
        damaged = bytearray(content)
        damaged[packet.pos + 8 : packet.pos + packet.size] = b"\xff" * (packet.size - 8)
        path.write_bytes(damaged)
        whole = every(info)
        if len(whole) < 60:
            continue  # Frames are lost, so those that are counted come early.
        # Frames of other time than the damaged one come out before it is missed.
        found = list(pick_frames(info, wish(*range(60), first=40)))
        np.testing.assert_array_equal([picked.frame for picked in found], whole[40:])
        compared += 1
    assert compared


def drain(frames: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from frames
    except EndsEarlyError:
        return


def packets_of(path: Path) -> list[Any]:
    with av.open(str(path)) as file:
        return [packet for packet in file.demux(video=0) if packet.size]


def test_a_picture_of_another_shape_in_between_is_read_by_counting(long_gops: Path) -> None:
    info = probe_video(long_gops)
    found = list(pick_frames(replace(info, height_px=50), wish(*range(90))))
    assert len(found) == 90
    assert found[0].is_counted


@pytest.mark.parametrize("can_seek", [True, False])
def test_a_file_that_promises_more_than_it_holds(long_gops: Path, can_seek: bool) -> None:
    info = probe_video(long_gops)
    times = np.arange(100) / 25.0
    assert info.seek is not None
    spare = np.concatenate([info.seek.is_spare, np.zeros(10, np.bool_)])
    seek = replace(info.seek, is_spare=spare) if can_seek else None
    promising = replace(info, frames=100, times_seconds=times, duration_seconds=4.0, seek=seek)
    frames = pick_frames(promising, wish(*range(0, 100, 3)))
    found = []
    with pytest.raises(EndsEarlyError) as end:
        for picked in frames:
            found.append(picked)  # noqa: PERF402 - what came before the error
    assert end.value.decoded == 90
    assert [picked.place for picked in found] == list(range(0, 90, 3))


def test_a_file_that_is_gone_is_named(long_gops: Path) -> None:
    info = probe_video(long_gops)
    long_gops.unlink()
    with pytest.raises(InputError, match="no such file"):
        list(pick_frames(info, wish(0, 1)))


def test_small_pictures_come_with_their_frames(long_gops: Path) -> None:
    info = probe_video(long_gops)
    small = {"glances": frozenset({41, 88}), "glance_px": (12, 20)}
    for source in (info, replace(info, seek=None)):
        found = list(pick_frames(source, wish(*range(90), first=40, **small)))
        shown = {p.place: p.glance for p in found if p.glance is not None}
        assert sorted(shown) == [41, 88]
        np.testing.assert_array_equal(shown[41], read_frames(info, [41], (12, 20))[0])


def test_a_folder_of_pictures_is_picked_from_as_well(tmp_path: Path) -> None:
    from PIL import Image

    frames = moving(6)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    info = probe_video(f"{tmp_path}?rate=5")
    glances = {"glances": frozenset({4}), "glance_px": (12, 20)}
    found = list(pick_frames(info, wish(0, 2, 4, 5, first=2, **glances)))
    assert [picked.place for picked in found] == [2, 4, 5]
    np.testing.assert_array_equal(
        [p.frame for p in found], read_frames(info, np.array([2, 4, 5]), SIZE)
    )
    assert [p.glance is not None for p in found] == [False, True, False]


def test_closing_closes_the_file(long_gops: Path) -> None:
    before = open_files()
    frames = pick_frames(probe_video(long_gops), wish(*range(90)))
    next(frames)
    assert str(long_gops) in open_files()
    frames.close()  # type: ignore[attr-defined]
    assert open_files() == before


def open_files() -> list[str]:
    links = Path("/proc/self/fd")
    if not links.is_dir():
        pytest.skip("no /proc here")
    found = []
    for link in links.iterdir():
        try:
            found.append(str(link.readlink()))
        except OSError:
            continue
    return [name for name in found if name.endswith(".mp4")]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_flow_from_any_place_on_is_the_same_to_the_last_bit(
    tmp_path: Path, write_video: WriteVideo, step: int
) -> None:
    path = write_video(tmp_path / "v.mp4", slide(21, (48, 60), (2, -1)), 25, options={"g": "5"})
    source = open_source(path, FLOW)
    indices = np.arange(0, 20, step)
    glances = {"glances": frozenset({6, 12}), "glance_px": (24, 30)}
    whole = list(source.pick(Wish(indices, (32, 32), **glances)))
    assert [picked.place for picked in whole] == indices.tolist()
    assert whole[0].frame.shape == (32, 32, 2)
    assert [p.place for p in whole if p.glance is not None] == [6, 12]
    reading = np.stack([source.read(np.array([i]), (32, 32))[0] for i in indices])
    assert np.abs(reading.astype(int) - [p.frame for p in whole]).mean() < 0.5
    for first in (3, 8, 13, 19):
        part = list(source.pick(Wish(indices, (32, 32), first, **glances)))
        wanted = indices >= first
        assert [picked.place for picked in part] == indices[wanted].tolist()
        if part:
            frames = np.stack([p.frame for p in whole])[wanted]
            np.testing.assert_array_equal([p.frame for p in part], frames)


def test_flow_is_computed_of_few_frames_at_a_time() -> None:
    indices = np.array([0, 1, 2, 4, 6, 7, 8, 9, *range(20, 41)])
    groups = [indices[group].tolist() for group in _groups(indices, 8)]
    assert groups[:6] == [[0, 1, 2], [4], [6, 7], [8, 9], [20, 21, 22, 23], [*range(24, 32)]]
    assert groups[6:] == [[*range(32, 40)], [40]]


def test_flow_of_a_file_that_ends_early_has_one_less(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    path = write_video(tmp_path / "v.mp4", slide(10, (48, 60), (2, -1)), 25)
    source = open_source(path, FLOW)
    more = np.arange(12) / 25
    source.video = replace(  # type: ignore[attr-defined]
        source.video,
        frames=12,
        times_seconds=more,
        seek=None,  # type: ignore[attr-defined]
    )
    with pytest.raises(EndsEarlyError) as end:
        list(source.pick(Wish(np.arange(11), (32, 32))))
    assert end.value.decoded == 9
