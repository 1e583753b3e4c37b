"""A folder of pictures gives what a video file would."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from s3d.clip import ClipSpec
from s3d.data.decode import iterate_frames, probe_video, read_frames, read_what_decodes
from s3d.data.store import FrameStore
from s3d.errors import InputError
from s3d.infer.views import PROTOCOLS, read_views

WriteVideo = Callable[..., Path]
Pictures = npt.NDArray[np.uint8]


def write_picture(path: Path, picture: Pictures) -> None:
    codec, pixels = {".png": ("png", "rgb24"), ".bmp": ("bmp", "bgr24")}.get(
        path.suffix, ("mjpeg", "yuvj444p")
    )
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream(codec, options={"qmin": "1", "qmax": "1"})
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], pixels
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    coarse = np.random.default_rng(0).integers(0, 255, (12, 5, 7, 3), np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


@pytest.fixture(params=[".png", ".jpg", ".bmp"])
def folder(request: pytest.FixtureRequest, pictures: Pictures, tmp_path: Path) -> str:
    """Return the name of a video of 12 pictures, named so that 10 comes after 9."""
    for number, picture in enumerate(pictures, start=1):
        write_picture(tmp_path / f"{number}{request.param}", picture)
    (tmp_path / ".hidden.jpg").write_bytes(b"x")
    (tmp_path / "note.txt").write_bytes(b"x")
    return f"{tmp_path}?rate=12"


def slack(folder: str) -> float:
    return 12 if list(Path(folder.split("?")[0]).glob("1.jpg")) else 0


def test_it_is_described_as_a_video(folder: str) -> None:
    info = probe_video(folder)
    assert (info.path, info.height_px, info.width_px) == (folder, 40, 56)
    assert (info.frames, info.rate_fps, info.duration_seconds) == (12, 12.0, 1.0)
    np.testing.assert_allclose(info.times_seconds, np.arange(12) / 12)


def test_its_frames_are_the_pictures_in_natural_order(folder: str, pictures: Pictures) -> None:
    found = read_frames(folder, [9, 0, 9, 3])
    difference = np.abs(found.astype(int) - pictures[[9, 0, 9, 3]])
    assert difference.mean() <= slack(folder) / 4 and found.flags.c_contiguous
    each = np.stack(list(iterate_frames(folder)))
    np.testing.assert_array_equal(each[[9, 0, 9, 3]], found)


def test_beyond_the_end_it_goes_on_from_the_beginning(folder: str) -> None:
    reading = read_what_decodes(folder, [13, 1])
    assert reading.decoded == 12
    np.testing.assert_array_equal(reading.frames[0], reading.frames[1])
    assert read_what_decodes(folder, [11]).decoded is None
    assert read_frames(folder, []).shape == (0, 40, 56, 3)


def test_resized_frames_are_those_of_the_file_resized(
    folder: str, pictures: Pictures, tmp_path: Path, write_video: WriteVideo
) -> None:
    path = write_video(tmp_path / "v.mkv", pictures, 12, codec="ffv1", pixel_format="bgr0")
    wanted = read_frames(path, range(12), (20, 28)).astype(int)
    found = read_frames(folder, range(12), (20, 28))
    assert np.abs(found - wanted).mean() <= 1 + slack(folder) / 3
    assert np.stack(list(iterate_frames(folder, (20, 28)))).shape == (12, 20, 28, 3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_and_the_store_take_it(folder: str, tmp_path: Path, protocol: str) -> None:
    spec = ClipSpec(4, 6.0, (32, 32), (32, 32))
    assert read_views(folder, spec, protocol).count >= 1
    store = FrameStore([probe_video(folder)], spec)
    before = store.read(0, [0, 5])
    assert store.keep(tmp_path / "cache", 1) == []
    np.testing.assert_array_equal(store.read(0, [0, 5]), before)


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("", "is a folder of pictures; say how many a second, as in"),
        ("?rate=x", "rate is 'x'; it needs a number from 0.01 to 1000."),
        ("?rate=0", "rate is '0'; it needs a number from 0.01 to 1000."),
        ("?rate=nan", "rate is 'nan'"),
        ("/none?rate=12", "no such folder of pictures. Check the path."),
    ],
)
def test_what_is_no_video_is_one_line(folder: str, tail: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        probe_video(folder.split("?")[0] + tail)
    assert "\n" not in str(caught.value)


def test_a_folder_without_pictures_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; a video file is needed"):
        probe_video(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"GIF89a", b"text"])
def test_a_broken_picture_is_named(folder: str, content: bytes) -> None:
    broken = next(path for path in Path(folder.split("?")[0]).iterdir() if path.stem == "3")
    broken.write_bytes(content)
    assert read_frames(folder, [0, 1]).shape[0] == 2
    with pytest.raises(InputError, match=r"3\.\w+: is no picture that can be read"):
        read_frames(folder, [2])


def test_a_jpeg_cut_off_is_no_picture(pictures: Pictures, tmp_path: Path) -> None:
    write_picture(tmp_path / "1.jpg", pictures[0])
    content = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "1.jpg").write_bytes(content[: int(0.8 * len(content))])
    with pytest.raises(InputError, match=r"1\.jpg: is no picture that can be read"):
        probe_video(f"{tmp_path}?rate=12")
