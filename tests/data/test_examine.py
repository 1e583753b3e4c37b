"""Each thing that can be wrong with a file is seen, and a good file is clean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from s3d.data.decode import read_frames
from s3d.data.examine import MOST_KEPT, examine
from s3d.data.sources import signature

WriteVideo = Callable[..., Path]
FRAMES = (
    np.random.default_rng(0).integers(0, 255, (60, 6, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
)

ODD: dict[str, dict[str, str]] = {
    "odd/empty.mp4": {"empty": "is empty (0 bytes)"},
    "odd/audio_only.wav": {"no_video": "holds sound but no video"},
    "odd/corrupted.mp4": {"truncated": "49 of 50 frames decode, 2 damaged"},
    "odd/testsrc2_mpeg4.mp4": {"one_frame": "one frame only"},
    "odd/video_90.mov": {"rotated": "270 degrees"},
    "odd/video_270.mov": {"rotated": "90 degrees"},
    "odd/h265_10bits.mp4": {"odd_codec": "hevc, pixels yuv420p10le"},
    "odd/av1_video.mkv": {},
    "odd/no_duration.webm": {},
    "odd/unordered.mov": {},
    "detection/boxes.json": {"unreadable": "is not a video that can be read"},
    "detection/v_Basketball_g07_c04.mp4": {},
    "clips/archery.avi": {},
    "clips/flipping_a_pancake.mkv": {},
    "clips/v_SoccerJuggling_g23_c01.avi": {},
    "clips/RATRACE_wave_f_nm_np1_fr_goo_37.avi": {"wrong_count": "promises 73 frames, 72 decode"},
}


@pytest.mark.parametrize("name", ODD)
def test_real_files(shared_dir: Path, name: str) -> None:
    one = examine(str(shared_dir / "videos" / name))
    assert [kind for kind, _ in one.oddities] == list(ODD[name])
    for kind, detail in one.oddities:
        assert ODD[name][kind] in detail


@pytest.mark.parametrize(
    ("name", "codec", "share"),
    [("a.avi", "mpeg4", 0.6), ("a.mkv", "libx264", 0.6), ("a.webm", "libvpx-vp9", 0.6)],
)
def test_a_file_cut_off_is_truncated(
    tmp_path: Path, write_video: WriteVideo, name: str, codec: str, share: float
) -> None:
    path = write_video(tmp_path / name, FRAMES, 25, codec=codec)
    assert examine(str(path)).oddities == ()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    one = examine(str(path))
    assert [kind for kind, _ in one.oddities] == ["truncated"]
    assert 0 < one.frames < 60


def test_an_mp4_without_its_index_is_unreadable(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", FRAMES)
    path.write_bytes(path.read_bytes()[:-2000])
    assert [kind for kind, _ in examine(str(path)).oddities] == ["unreadable"]


@pytest.mark.parametrize("rate", [24, 29.97, 60])
def test_a_steady_rate_is_no_finding(tmp_path: Path, write_video: WriteVideo, rate: float) -> None:
    path = write_video(tmp_path / "a.mkv", FRAMES, rate)  # whole milliseconds: 16 or 17
    assert examine(str(path)).oddities == ()


def test_a_variable_rate_is_one(tmp_path: Path, write_video: WriteVideo) -> None:
    times = np.cumsum(np.where(np.arange(60) % 3, 0.04, 0.1)).tolist()
    path = write_video(tmp_path / "a.mp4", FRAMES, times_seconds=times)
    assert examine(str(path)).oddities == (("variable_rate", "frames last 40 to 100 ms"),)


def test_sound_beside_the_video_is_not_its_end(tmp_path: Path, write_video: WriteVideo) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        sound = container.add_stream("aac", rate=8000, layout="mono")
        for picture in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 40_000), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    assert examine(str(path)).oddities == ()


def test_the_signature_is_that_of_five_frames(tmp_path: Path, write_video: WriteVideo) -> None:
    scenes = np.repeat(FRAMES[:2], [100, 60], 0)
    path = write_video(tmp_path / "a.mp4", scenes)
    one = examine(str(path))
    assert one.frames == 160 > 4 * MOST_KEPT and one.signature is not None
    wanted = signature(read_frames(path, [0, 40, 80, 120, 159], (32, 32)))
    assert one.signature @ wanted > 0.999


def test_folders_of_pictures(tmp_path: Path) -> None:
    for number in (1, 2, 3, 5):
        with av.open(str(tmp_path / f"{number:05d}.png"), "w", format="image2") as container:
            stream = container.add_stream("png")
            stream.height, stream.width, stream.pix_fmt = 48, 64, "rgb24"
            frame = av.VideoFrame.from_ndarray(FRAMES[number], format="rgb24")
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
    path = f"{tmp_path}?rate=12"
    assert examine(path).oddities == (("wrong_count", "numbered 1 to 5, 4 are there"),)
    (tmp_path / "00004.png").write_bytes(b"broken")
    assert examine(path).oddities == (
        ("truncated", "1 of 5 pictures do not decode, first 00004.png"),
    )
    for picture in tmp_path.iterdir():
        picture.write_bytes(b"broken")
    assert [kind for kind, _ in examine(path).oddities] == ["unreadable"]
