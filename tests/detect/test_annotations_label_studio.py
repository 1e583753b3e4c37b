"""Label Studio's JSON: percent, frames from 1, what is between keyframes, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3d.detect.annotations.read import read_annotated
from s3d.errors import InputError
from tests.conftest import WriteVideo
from tests.detect.annotating import boxes_of, counts, only, put_text, put_video


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo) -> Path:
    put_video(write_video, tmp_path / "a film.mp4")
    return tmp_path


def key(frame: int, x: float = 25, **more: Any) -> dict[str, Any]:
    return {"frame": frame, "enabled": True, "rotation": 0, "x": x, "y": 50, "width": 25,
            "height": 25, "time": frame / 4, **more}  # fmt: skip


def region(*keys: Any, labels: Any = ("Run",), count: int = 12, name: str = "r") -> dict[str, Any]:
    value = {"framesCount": count, "duration": 3, "sequence": list(keys), "labels": list(labels)}
    return {"id": name, "type": "videorectangle", "from_name": "box", "value": value}


def task(*regions: Any, video: str = "/data/upload/1/0a1b2c3d-a%20film.mp4") -> dict[str, Any]:
    annotation = {"id": 1, "was_cancelled": False, "result": list(regions)}
    return {"id": 7, "data": {"video": video}, "annotations": [annotation]}


def put(folder: Path, *tasks: Any) -> str:
    return str(put_text(folder / "export.json", json.dumps(tasks)))


def test_keyframes_become_a_tube(folder: Path) -> None:
    annotated = read_annotated(put(folder, task(region(key(2), key(6, 50), key(8, 50)))))
    video = only(annotated)
    assert (annotated.labels, annotated.has_tracks) == (("Run",), True)
    assert video.path == str(folder / "a film.mp4")
    assert video.frames.tolist() == list(range(12))
    tube = video.tubes[0]
    assert tube.frames.tolist() == list(range(1, 12))  # Enabled to the end.
    assert tube.boxes[0].tolist() == [16, 24, 32, 36]
    assert tube.boxes[:6, 0].tolist() == [16, 20, 24, 28, 32, 32]
    assert not annotated.problems.counts


def test_the_keyframe_that_disables_is_the_last(folder: Path) -> None:
    keys = key(1), key(3, enabled=False), key(8), key(9, enabled=False)
    annotated = read_annotated(put(folder, task(region(*keys))))
    assert only(annotated).tubes[0].frames.tolist() == [0, 1, 2, 7, 8]


@pytest.mark.parametrize(
    "video",
    ["https://host/a%20film.mp4", "/data/local-files/?d=some/a film.mp4", "a film.webm"],
)
def test_the_video_is_found_beside_the_export(folder: Path, video: str) -> None:
    annotated = read_annotated(put(folder, task(region(key(1)), video=video)))
    assert only(annotated).path == str(folder / "a film.mp4")


def test_labels_may_stand_apart_and_be_several(folder: Path) -> None:
    bare = region(key(1, enabled=False), labels=(), name="x")
    del bare["value"]["labels"]
    labels = {"id": "x", "type": "labels", "value": {"labels": ["Run", "Wave"]}}
    other = region(key(1, 60, enabled=False), labels=("Sit",), name="y")
    annotated = read_annotated(put(folder, task(bare, labels, other)))
    assert annotated.labels == ("Run", "Sit", "Wave")
    assert boxes_of(annotated).keys() == {("Run", "0", 0), ("Wave", "0", 0), ("Sit", "1", 0)}


def test_frames_counted_at_another_rate_are_brought_to_the_files(folder: Path) -> None:
    keys = key(1), key(13, enabled=False), key(19, enabled=False)
    annotated = read_annotated(put(folder, task(region(*keys, count=24))))
    assert only(annotated).tubes[0].frames.tolist() == [*range(7), 9]
    kind = "videos whose frames were counted at another rate brought to the file's count"
    assert counts(annotated) == {kind: 1}


def test_a_turned_box_is_taken_upright(folder: Path) -> None:
    turned = key(1, 50, rotation=90, enabled=False)  # 16 x 12 px about its corner at (32, 24).
    annotated = read_annotated(put(folder, task(region(turned))))
    assert boxes_of(annotated)["Run", "0", 0] == pytest.approx([20, 24, 32, 40])
    assert counts(annotated) == {"turned boxes taken as the upright boxes around them": 1}


def test_what_is_wrong_is_counted(folder: Path) -> None:
    cancelled = {"was_cancelled": True, "result": [region(key(1))]}
    two = task(region(key(1, enabled=False)))
    two["annotations"] = [cancelled, *two["annotations"], {"result": []}]
    broken = region({"frame": 0}, 5, key(1, y=None), key(1) | {"frame": "y"}, key(2, enabled=False))
    tasks = [
        two, {"id": 8, "data": {}, "annotations": [cancelled]}, 3,
        task(broken, region(key(1), labels=(), name="q")), task(region(key(1)), video="lost.mp4"),
        task(region(key(13, enabled=False), key(1, 120, enabled=False))),
    ]  # fmt: skip
    annotated = read_annotated(put(folder, *tasks))
    assert len(annotated.videos) == 3
    assert counts(annotated) == {
        "further annotations of an annotated video left out": 1,
        "tasks without an annotation left out": 2,
        "keyframes without a frame and a box left out": 4,
        "rectangles without a label left out": 1,
        "videos that are not there left out": 1,
        "boxes outside the picture left out": 1,
        "boxes in frames that their video does not have left out": 1,
    }
    assert boxes_of(annotated, 1).keys() == {("Run", "0", 1)}


def test_an_export_without_its_videos_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"videos that are not there left out; first: a film\.mp4"):
        read_annotated(put(tmp_path, task(region(key(1)))))
