"""Something-Something v1 and v2, and frame folders of one's own, in their true layouts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from s3d.data.decode import probe_video, read_frames
from s3d.data.video_list import Video
from s3d.data.videos import list_videos
from s3d.errors import InputError

WriteVideo = Callable[..., Path]
V1 = "something-something-v1"
V2 = "something-something-v2"


def write_pictures(folder: Path, count: int) -> None:
    """Write JPEGs of rising brightness."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        picture = np.full((16, 24, 3), 10 * number, np.uint8)
        with av.open(str(folder / f"{number:05d}.jpg"), "w", format="image2") as container:
            stream = container.add_stream("mjpeg")
            stream.height, stream.width, stream.pix_fmt = 16, 24, "yuvj420p"
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    """Return version 1 with 2 of its videos, and 3 lines of each list."""
    (tmp_path / f"{V1}-train.csv").write_text("7;Holding something\n8;Opening something\n")
    (tmp_path / f"{V1}-validation.csv").write_text("10;Opening something\n")
    write_pictures(tmp_path / f"20bn-{V1}/7", 12)
    write_pictures(tmp_path / f"20bn-{V1}/10", 3)
    return tmp_path


def test_v1_in_folders_of_pictures_at_12_fps(v1: Path, shared_dir: Path) -> None:
    labels = (shared_dir / "annotations/labels/sthv1.txt").read_text()
    (v1 / f"{V1}-labels.csv").write_text(labels)
    found = list_videos(f"sthv1:{v1}")
    assert [(video.label, video.split) for video in found.videos] == [
        ("Holding something", "train"),
        ("Opening something", "val"),
    ]
    assert found.labels == tuple(labels.splitlines())
    assert [video.label for video in found.missing] == ["Opening something"]
    assert (found.count_parts(), found.evaluated_part) == ("train 1 of 2, val 1 of 1", "val")
    info = probe_video(found.videos[0].path)
    assert (info.frames, info.rate_fps, info.duration_seconds) == (12, 12, 1)
    means = read_frames(found.videos[0].path, [0, 11]).mean((1, 2, 3))
    np.testing.assert_allclose(means, [10, 120], atol=2)


def test_v1_without_its_labels_file(v1: Path) -> None:
    assert list_videos(f"sthv1:{v1}").labels == ("Holding something", "Opening something")


def test_v1_does_not_look_into_folders_of_pictures(
    v1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned: list[str] = []
    scandir = __import__("os").scandir
    monkeypatch.setattr("os.scandir", lambda path: scanned.append(str(path)) or scandir(path))
    list_videos(f"sthv1:{v1}")
    assert not [path for path in scanned if path.endswith(("/7", "/10"))]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("train", "7;Holding something\nx\n", "line 2: 'x' is not '<number>;<label>'"),
        ("validation", "", "validation.csv: is empty."),
        ("labels", "Holding something\n", "lacks the class 'Opening something' of the lists"),
    ],
)
def test_malformed_v1_lists_are_one_line(v1: Path, file: str, text: str, said: str) -> None:
    (v1 / f"{V1}-{file}.csv").write_text(text)
    with pytest.raises(InputError, match=re.escape(said)):
        list_videos(f"sthv1:{v1}")


@pytest.fixture
def v2(tmp_path: Path, write_video: WriteVideo, shared_dir: Path) -> Path:
    """Return version 2 with one of its videos and the true classes."""
    labels = (shared_dir / "annotations/labels/sthv2.txt").read_text().splitlines()
    numbers = {label: str(number) for number, label in enumerate(labels)}
    entries = {
        "train": [
            {"id": "7", "label": "holding pen", "template": "Holding [something]"},
            {"id": "8", "label": "?", "template": "Approaching [something] with your camera"},
        ],
        "validation": [{"id": "9", "label": "holding cup", "template": "Holding [something]"}],
        "labels": numbers,
    }
    for name, values in entries.items():
        (tmp_path / f"{V2}-{name}.json").write_text(json.dumps(values))
    (tmp_path / f"20bn-{V2}").mkdir()
    frames = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)
    write_video(tmp_path / f"20bn-{V2}/7.webm", frames, 12, codec="libvpx-vp9")
    return tmp_path


def test_v2_in_webm_files(v2: Path, shared_dir: Path) -> None:
    found = list_videos(f"sthv2:{v2}")
    labels = (shared_dir / "annotations/labels/sthv2.txt").read_text().splitlines()
    path = str(v2 / f"20bn-{V2}/7.webm")
    assert found.videos == (Video(path, "Holding something", None, "train"),)
    assert found.labels == tuple(labels) and len(labels) == 174
    assert found.count_parts() == "train 1 of 2, val 0 of 1"
    assert probe_video(path).frames == 3


def test_v2_lists_of_the_later_package(v2: Path) -> None:
    (v2 / "labels").mkdir()
    for name in ("train", "validation", "labels"):
        (v2 / f"{V2}-{name}.json").rename(v2 / f"labels/{name}.json")
    assert list_videos(f"sthv2:{v2}").listed == 3


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("train", "[\n{]", "train.json: is no JSON (line 2:"),
        ("train", "{}", "is not a list of videos."),
        ("train", '[{"id": "1"}]', "entry 1: id or template is missing."),
        ("train", '[{"id": "1", "template": "Flying"}]', "its template 'Flying' is no class of"),
        ("labels", "[1]", "is not a table of classes and numbers."),
        ("labels", "{}", "holds no classes."),
    ],
)
def test_malformed_v2_lists_are_one_line(v2: Path, file: str, text: str, said: str) -> None:
    (v2 / f"{V2}-{file}.json").write_text(text)
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        list_videos(f"sthv2:{v2}")
    assert "\n" not in str(caught.value)


def test_frame_folders_of_ones_own(tmp_path: Path) -> None:
    for name in ("wave/take 10", "wave/take 2", "clap/1"):
        write_pictures(tmp_path / name, 4)
    (tmp_path / "note.txt").write_text("x")
    (tmp_path / "none").mkdir()
    found = list_videos(f"frames:{tmp_path}?rate=8")
    assert [Path(video.path).name for video in found.videos] == [
        "1?rate=8",
        "take 2?rate=8",
        "take 10?rate=8",
    ]
    assert found.labels == ("clap", "wave")
    assert {Path(path).name for path, _ in found.skipped} == {"note.txt", "none"}
    assert probe_video(found.videos[0].path).duration_seconds == 0.5


def test_a_csv_names_frame_folders_too(tmp_path: Path) -> None:
    write_pictures(tmp_path / "f/1", 4)
    (tmp_path / "l.csv").write_text("path,label\nf/1?rate=8,a\nf/2?rate=8,b\n")
    found = list_videos(tmp_path / "l.csv", 1)
    assert [video.path for video in found.videos] == [str(tmp_path / "f/1?rate=8")]
    assert len(found.missing) == 1
