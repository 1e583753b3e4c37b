"""Key frames of a video: in a row as one by one, whatever the file's rate and however it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s3d.data.decode import read_frames
from s3d.data.sample import indices_at
from s3d.data.video_info import EndsEarlyError
from s3d.detect.run import look as look_module
from s3d.detect.run.finder import BoxFinder
from s3d.detect.run.key_frames import KeyFrameFeatures, features_of_window
from s3d.detect.run.look import Seen, VideoLook, look_at_all
from s3d.infer.reuse import stages
from tests.conftest import WriteVideo
from tests.detect.annotating import put_pictures
from tests.detect.conftest import drift
from tests.detect.tiny_detector import SIZE, make_detector


@pytest.fixture(scope="module")
def finder() -> BoxFinder:
    return BoxFinder(make_detector(), engine="torch")


@pytest.fixture
def sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so small a network share whatever it can, though it would not pay."""
    for cost in ("CALL_MACS", "BYTE_MACS", "LEAST_SAVING"):
        monkeypatch.setattr(stages, cost, 0)


def same(found: list[Seen], wanted: list[Seen]) -> None:
    assert [seen.frame for seen in found] == [seen.frame for seen in wanted]
    assert any(len(seen.found.boxes) for seen in found)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.found.boxes, other.found.boxes, atol=0.05)
        np.testing.assert_allclose(one.found.scores, other.found.scores, atol=1e-3)


@pytest.mark.parametrize("stride", [1, 4])
def test_in_a_row_each_key_frame_is_as_by_itself(
    finder: BoxFinder, drifting: Path, sharing: None, stride: int
) -> None:
    look = VideoLook(finder, drifting)
    shared = list(look.in_a_row(stride))
    assert look.sharing is not None
    assert look.sharing.until is not None
    assert [seen.frame for seen in shared] == list(range(0, 30, stride))
    same(shared, list(look.at(range(0, 30, stride))))
    alone = VideoLook(finder, drifting)
    same(shared, list(alone.in_a_row(stride, shares=False)))
    assert alone.sharing is not None
    assert alone.sharing.until is None


def by_definition(finder: BoxFinder, path: Path, stride: int) -> Iterator[tuple[int, Any]]:
    """Yield (frame, boxes) of every stride-th tick: windows cut out of the ticks' frames."""
    info, spec = VideoLook(finder, path).video, finder.detector.spec
    ticks = indices_at(info, np.arange(int(info.duration_seconds * 25 + 1e-3)) / 25)
    frames, place = read_frames(path, ticks, spec.size_px), finder.detector.key_place
    for key in range(0, len(ticks), stride):
        around = np.clip(np.arange(key - place, key - place + spec.frames), 0, len(ticks) - 1)
        features = features_of_window(finder.engines["rgb"], frames[around], "mixed4e")
        yield int(ticks[key]), finder.find({"rgb": features}, None, (72, 96))


@pytest.mark.parametrize(("rate", "count"), [(50, 60), (30, 36), (12.5, 15)])
def test_a_file_of_another_rate_is_looked_at_by_ticks(
    finder: BoxFinder, tmp_path: Path, write_video: WriteVideo, rate: float, count: int
) -> None:
    path = write_video(tmp_path / "v.mp4", drift(count), rate)
    found = list(VideoLook(finder, path).in_a_row(4))
    same(found, [Seen(frame, boxes) for frame, boxes in by_definition(finder, path, 4)])
    if rate == 50:
        inside = [seen for seen in found if 8 <= seen.frame <= 44]
        same(inside, list(VideoLook(finder, path).at([seen.frame for seen in inside])))


def test_a_frame_of_a_slow_file_is_looked_at_once(
    finder: BoxFinder, tmp_path: Path, write_video: WriteVideo
) -> None:
    path = write_video(tmp_path / "v.mp4", drift(6), 5)
    look = VideoLook(finder, path)
    assert not look.is_at_rate
    assert [seen.frame for seen in look.in_a_row(1)] == list(range(6))
    assert [seen.frame for seen in look.in_a_row(4)] == list(range(6))


@pytest.mark.parametrize("count", [1, 3])
def test_a_video_shorter_than_a_window(
    finder: BoxFinder, tmp_path: Path, write_video: WriteVideo, count: int
) -> None:
    look = VideoLook(finder, write_video(tmp_path / "v.mp4", drift(count), 25))
    same(list(look.in_a_row(1)), list(look.at(range(count))))


def test_a_truncated_file_ends_early(finder: BoxFinder, shared_dir: Path) -> None:
    look = VideoLook(finder, shared_dir / "videos" / "odd" / "corrupted.mp4")
    found = [seen.frame for seen in look.in_a_row(8)]
    assert (look.frames, round(look.video.rate_fps)) == (50, 10)
    assert found == sorted(set(found))
    assert found[:4] == [0, 3, 6, 10]
    assert max(found) < 49  # as many as decode


def test_pictures_in_a_folder_are_a_video(finder: BoxFinder, tmp_path: Path) -> None:
    put_pictures(tmp_path / "frames", 6)
    look = VideoLook(finder, f"{tmp_path / 'frames'}?rate=25")
    assert (look.picture_px, look.is_at_rate) == ((48, 64), True)
    same(list(look.in_a_row(1)), list(look.at(range(6))))


def test_boxes_are_in_px_of_the_picture_that_is_asked_for(
    finder: BoxFinder, drifting: Path
) -> None:
    (displayed,) = VideoLook(finder, drifting).at([8])
    (asked,) = VideoLook(finder, drifting, (144, 288)).at([8])
    scaled = displayed.found.boxes * np.array([3, 2, 3, 2])  # of 96 x 72 px
    np.testing.assert_allclose(asked.found.boxes, scaled, rtol=1e-5)


@pytest.mark.parametrize("streams", [("flow",), ("rgb", "flow")])
def test_flow_is_computed_of_a_video(drifting: Path, streams: tuple[str, ...]) -> None:
    finder = BoxFinder(make_detector(streams), engine="torch")
    look = VideoLook(finder, drifting)
    assert (look.video.frames, look.frames, look.is_at_rate) == (30, 29, True)
    found = list(look.in_a_row(4))
    assert [seen.frame for seen in found] == list(range(0, 29, 4))
    # Of windows beyond the end the frames have one more than the flow.
    same(found[:6], list(look.at(range(0, 24, 4))))
    # The last frame has no flow of its own, and yet is looked at where it is marked.
    frames = np.arange(24, 30)
    assert [seen.frame for seen in look_at_all(finder, look, frames)] == frames.tolist()


@pytest.mark.parametrize(
    ("frames", "in_a_row"), [(range(3, 20), True), (range(28, 30), False), (range(0), False)]
)
def test_all_marked_frames_are_looked_at_the_quicker_way(
    finder: BoxFinder, drifting: Path, monkeypatch: pytest.MonkeyPatch, frames: range,
    in_a_row: bool,
) -> None:  # fmt: skip
    look, asked = VideoLook(finder, drifting), list[int]()
    wanted = {seen.frame: seen for seen in look.at(frames)}
    rows = look.in_a_row
    monkeypatch.setattr(look, "in_a_row", lambda *a, **k: asked.append(1) or rows(*a, **k))
    find, looks = finder.find, list[int]()
    monkeypatch.setattr(finder, "find", lambda *a: looks.append(1) or find(*a))
    found = {seen.frame: seen for seen in look_at_all(finder, look, np.array(frames, np.int64))}
    assert list(found) == list(frames)
    assert bool(asked) == in_a_row
    assert len(looks) == len(frames)  # and no other frame's boxes
    for frame, seen in found.items():
        np.testing.assert_allclose(seen.found.scores, wanted[frame].found.scores, atol=1e-3)


def test_every_nth_marked_frame_and_none_beyond_the_end(finder: BoxFinder, drifting: Path) -> None:
    look = VideoLook(finder, drifting)
    frames = np.array([2, 5, 9, 20, 29, 30, 99])
    assert [seen.frame for seen in look_at_all(finder, look, frames, 2)] == [2, 9, 29]


@pytest.mark.parametrize(("stride", "keys"), [(4, 75), (61, 5)])
def test_what_is_held_does_not_grow_with_the_video(
    finder: BoxFinder, tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch,
    stride: int, keys: int,
) -> None:  # fmt: skip
    path = write_video(tmp_path / "v.mp4", drift(300, 36, 48), 25, codec="mpeg4")
    most = list[int]()

    class Watched(KeyFrameFeatures):
        def add(self, frames: Any) -> Any:
            yield from super().add(frames)
            held = [lane.frames for lane in self._lanes]
            most.append(max(steps.stop - steps.first for steps in held))

    monkeypatch.setattr(look_module, "KeyFrameFeatures", Watched)
    monkeypatch.setattr(finder, "find", lambda features, picture, size: None)
    assert len(list(VideoLook(finder, path).in_a_row(stride))) == keys
    assert len(most) == 38  # pieces of 8 frames
    assert max(most) <= finder.detector.spec.frames + 2 * look_module.PIECE_TICKS


def test_key_pictures_are_held_until_they_are_looked_at(
    drifting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = BoxFinder(make_detector(image_net="resnet18"), engine="torch")
    seen, find = list[np.ndarray](), finder.find

    def watch(features: Any, picture: np.ndarray, size: tuple[int, int]) -> Any:
        seen.append(picture)
        return find(features, picture, size)

    monkeypatch.setattr(finder, "find", watch)
    found = list(VideoLook(finder, drifting).in_a_row(4))
    wanted = read_frames(drifting, range(0, 30, 4), SIZE)
    np.testing.assert_array_equal(np.stack(seen), wanted)
    same(found, list(VideoLook(finder, drifting).at(range(0, 30, 4))))


def test_looking_may_be_given_up(finder: BoxFinder, drifting: Path) -> None:
    rows = VideoLook(finder, drifting).in_a_row(1)
    next(rows)
    rows.close()
    assert not [t for t in threading.enumerate() if "_run" in t.name]


def test_a_file_that_ends_at_once_gives_nothing(
    finder: BoxFinder, drifting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*parts: Any) -> Iterator[Any]:
        raise EndsEarlyError(0)
        yield

    monkeypatch.setattr(look_module, "read_pieces", end)
    assert list(VideoLook(finder, drifting).in_a_row(4)) == []
