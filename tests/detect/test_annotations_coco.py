"""COCO's JSON: videos as files or folders of pictures, tracks or none, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3d.detect.annotations.read import read_annotated
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.detect.annotating import boxes_of, counts, only, put_pictures, put_text, put_video

CATEGORIES = [{"id": 5, "name": "run"}, {"id": 2, "name": "jump"}]


def put(folder: Path, **content: Any) -> str:
    """Write a file of one video `a.mp4` with two images, in which something is changed."""
    whole = {
        "videos": [{"id": 1, "name": "a.mp4"}],
        "images": [{"id": 10 + f, "video_id": 1, "frame_id": f, "width": 64, "height": 48}
                   for f in (0, 3)],
        "annotations": [box(10, [1, 2, 30, 40], track_id=4), box(13, [2, 2, 30, 40], track_id=4)],
        "categories": CATEGORIES, **content,
    }  # fmt: skip
    return str(put_text(folder / "boxes.json", json.dumps(whole)))


def box(image: int, xywh: Any, label: int = 5, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "bbox": xywh, "category_id": label, **more}


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo) -> Path:
    put_video(write_video, tmp_path / "a.mp4")
    return tmp_path


def test_frames_of_a_file(folder: Path) -> None:
    annotated = read_annotated(put(folder))
    video = only(annotated)
    assert annotated.labels == ("run", "jump")
    assert annotated.has_tracks
    assert (video.path, video.frames.tolist()) == (str(folder / "a.mp4"), [0, 3])
    assert len(video.tubes) == 1
    assert boxes_of(annotated) == {("run", "4", 0): [1, 2, 31, 42], ("run", "4", 3): [2, 2, 32, 42]}
    assert not annotated.problems.counts


def test_other_names_of_the_same(folder: Path) -> None:
    images = [{"id": "x", "video_id": 1, "frame_index": 2, "width": 32, "height": 24}]
    boxes = [box(0, [1, 2, 3, 4], 2, instance_id="p") | {"image_id": "x"}]
    videos = [{"id": 1, "file_name": "deep/a.mp4", "name": "some"}]
    annotated = read_annotated(put(folder, images=images, annotations=boxes, videos=videos))
    assert only(annotated).size_px == (24, 32)
    assert boxes_of(annotated) == {("jump", "p", 2): [1, 2, 4, 6]}


def test_without_tracks(folder: Path) -> None:
    annotated = read_annotated(put(folder, annotations=[box(10, [1, 2, 30, 40])]))
    assert not annotated.has_tracks
    assert boxes_of(annotated) == {("run", "", 0): [1, 2, 31, 42]}


def test_pictures_of_a_folder(tmp_path: Path) -> None:
    put_pictures(tmp_path / "v")
    images = [{"id": n, "video_id": 1, "file_name": f"v/0000{n}.png"} for n in (2, 4)]
    videos = [{"id": 1, "name": "v", "fps": 12.5}]
    boxes = [box(4, [1, 2, 30, 40], track_id=1)]
    annotated = read_annotated(put(tmp_path, images=images, videos=videos, annotations=boxes))
    assert only(annotated).path == f"{tmp_path / 'v'}?rate=12.5"
    assert only(annotated).frames.tolist() == [1, 3]
    assert boxes_of(annotated) == {("run", "1", 3): [1, 2, 31, 42]}
    for image in images:
        del image["video_id"]
    annotated = read_annotated(put(tmp_path, images=images, videos=[], annotations=boxes))
    assert only(annotated).path == f"{tmp_path / 'v'}?rate=25"
    kind = "folders of pictures of which nobody says how many a second taken at 25"
    assert counts(annotated) == {kind: 1}


def test_names_do_not_leave_the_folder(tmp_path: Path) -> None:
    put_pictures(tmp_path / "secret")
    (tmp_path / "in").mkdir()
    for name in ("../secret", str(tmp_path / "secret")):
        images = [{"id": 1, "video_id": 1, "file_name": f"{name}/00001.png"}]
        videos = [{"id": 1, "name": name}]
        with pytest.raises(InputError, match="videos that are not there left out; first"):
            read_annotated(put(tmp_path / "in", images=images, videos=videos, annotations=[]))


def test_what_is_wrong_is_counted(folder: Path) -> None:
    boxes = [
        box(10, [1, 2, 3, 4]), box(10, [1, 2, 3]), box(10, "x"), box(10, [1, 2, None, 3]),
        box(10, [1, 2, 0, 3]), box(10, [90, 2, 3, 3]), box(10, [60, 2, 30, 30]),
        box(10, [1, 2, 3, 4], 9), box(99, [1, 2, 3, 4]), box(10, [1, 2, float("nan"), 4]),
    ]  # fmt: skip
    images = [{"id": 10, "video_id": 1, "frame_id": 0}, {"id": 11, "video_id": 1, "frame_id": 12},
              {"id": 12, "video_id": 1}, {"id": 13, "video_id": 2, "frame_id": 0}]  # fmt: skip
    videos = [{"id": 1, "name": "a"}, {"id": 2, "name": "lost"}]
    annotated = read_annotated(put(folder, annotations=boxes, images=images, videos=videos))
    assert only(annotated).frames.tolist() == [0]
    assert counts(annotated) == {
        "boxes that are not four numbers left out": 4,
        "boxes without width or height left out": 1,
        "boxes outside the picture left out": 1,
        "boxes that reach out of the picture by more than 1 px cut at its edge": 1,
        "boxes of a class that is not listed left out": 1,
        "boxes of an image that is not listed left out": 1,
        "images that are no frame of their video left out": 2,
        "videos that are not there left out": 1,
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": 3}, "its 'images' is no list"),
        ({"images": [3]}, r"images\[0\] has no 'id' that is a number or a text"),
        ({"images": [{"id": [1]}]}, r"images\[0\] has no 'id'"),
        ({"categories": [{"id": 1}]}, r"categories\[0\] has no 'name'"),
        ({"annotations": [{}]}, r"annotations\[0\] has no 'image_id'"),
        ({"videos": {}}, "its 'videos' is no list"),
    ],
)
def test_broken_lists_are_told(folder: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_annotated(put(folder, **changed))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n,", r"is no JSON \(line 2"),
        ("[" * 200_000, r"is no JSON \(nested too deeply"),
        ("[1" + "0" * 5000 + "]", r"is no JSON \(a number of too many digits"),
        ("{}", "is neither COCO's JSON"),
        ("[1]", "is neither COCO's JSON"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_annotated(str(put_text(tmp_path / "a.json", text)))
