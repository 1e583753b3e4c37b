"""Windows around key frames: which frames, which boxes, how both are changed, and how drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.flow.levels import quantise_flow
from s3d.data.video_info import VideoInfo
from s3d.detect.annotations.annotated import AnnotatedVideo
from s3d.detect.train.config import DetectorConfig
from s3d.detect.train.truths import LEAST_LEFT, Cut, Truth, cut_truth, read_truths
from s3d.detect.train.window_batch import WindowBatch
from s3d.detect.train.windows import WindowLoader, window_indices
from s3d.detect.tube import TrueTube
from s3d.errors import InputError
from tests.detect.detecting import FLOW_CLIP, RGB_CLIP, SIZE_PX

PLACE = 4
BOX = (16.0, 12.0, 32.0, 30.0)
QUIET = DetectorConfig(jitter=0.0, zoom=0.0, empty_share=0.0, seed=3)


def info_of(times: npt.NDArray[np.float64], path: str = "v.mp4") -> VideoInfo:
    duration = float(times[-1] + (times[-1] - times[0]) / max(len(times) - 1, 1))
    return VideoInfo(path, *SIZE_PX, len(times), len(times) / duration, duration, times)


def tube_of(label: int, frames: Sequence[int], box: Sequence[float] = BOX) -> TrueTube:
    boxes = np.tile(np.array(box, np.float32), (len(frames), 1))
    return TrueTube(label, np.array(frames, np.int64), boxes, "1")


def video_of(
    *tubes: TrueTube, frames: int = 20, path: str = "v.mp4", size_px: tuple[int, int] = SIZE_PX
) -> AnnotatedVideo:
    return AnnotatedVideo(path, path, size_px, tubes, np.arange(frames, dtype=np.int64))


class PaintedStore:
    """Give frames in which the box is bright, or moves to the right."""

    def __init__(self, videos: int = 1, spec: ClipSpec = RGB_CLIP, broken: Sequence[int] = ()):
        self.spec, self.broken = spec, broken
        self.infos = [info_of(np.arange(20) / 12, f"{i}.mp4") for i in range(videos)]

    def read(self, video: int, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        if video in self.broken:
            raise InputError(f"{video}.mp4: cannot be decoded.")
        x1, y1, x2, y2 = map(int, BOX)
        if self.spec.modality == "flow":
            flow = np.zeros((len(indices), *SIZE_PX, 2), np.float32)
            flow[:, y1:y2, x1:x2] = 4.0, -2.0
            return quantise_flow(flow)
        frames = np.zeros((len(indices), *SIZE_PX, 3), np.uint8)
        frames[:, y1:y2, x1:x2] = 255
        return frames


def make_loader(
    videos: Sequence[AnnotatedVideo], config: DetectorConfig = QUIET, **stores: Any
) -> WindowLoader:
    stores = stores or {"rgb": PaintedStore(len(videos))}
    return WindowLoader(stores, videos, 3, config, PLACE)


# Which frames


def slow_indices(times: Any, frame: int, spec: ClipSpec) -> list[int]:
    """Take the nearest frame to each time, the earlier of two at 1 ms; the key frame itself."""
    found = []
    for step in range(spec.frames):
        wanted = min(max(times[frame] + (step - PLACE) / spec.rate_fps, times[0]), times[-1])
        apart = [abs(time - wanted) for time in times]
        found.append(min(i for i, d in enumerate(apart) if d <= min(apart) + 2e-3 - 1e-9))
    found[PLACE] = frame
    return found


@pytest.mark.parametrize("rate_fps", [24.0, 12.0, 48.0, 17.3])
@pytest.mark.parametrize("kind", ["constant", "uneven"])
def test_frames_lie_around_the_key_frame_in_time(rate_fps: float, kind: str) -> None:
    times = np.arange(30) / 24
    if kind == "uneven":
        times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.09, 30))
        times -= times[0]
    spec = replace(RGB_CLIP, rate_fps=rate_fps)
    for frame in range(30):
        found = window_indices(info_of(times), frame, spec, PLACE)
        assert found.tolist() == slow_indices(times, frame, spec)


def test_at_the_video_s_own_rate_every_frame_comes_once() -> None:
    times = np.arange(40) * 1001 / 30000
    for rate_fps in (30000 / 1001, 29.97):
        spec = replace(RGB_CLIP, rate_fps=rate_fps)
        assert window_indices(info_of(times), 20, spec, PLACE).tolist() == list(range(16, 24))
        rounded = info_of(np.round(times, 3))
        assert window_indices(rounded, 20, spec, PLACE).tolist() == list(range(16, 24))


def test_at_half_the_rate_every_other_and_beyond_the_ends_the_last() -> None:
    info = info_of(np.arange(10) / 24)
    assert window_indices(info, 5, RGB_CLIP, PLACE).tolist() == [0, 0, 1, 3, 5, 7, 9, 9]
    spec = replace(RGB_CLIP, rate_fps=48.0)
    assert window_indices(info, 5, spec, PLACE).tolist() == [3, 3, 4, 4, 5, 5, 6, 6]
    alone = VideoInfo("v.mp4", *SIZE_PX, 1, 24.0, 1 / 24, np.zeros(1))
    assert window_indices(alone, 0, RGB_CLIP, PLACE).tolist() == [0] * 8


def test_the_key_frame_is_itself_even_where_times_are_too_near_to_tell() -> None:
    info = info_of(np.arange(12) / 1000)
    for frame in range(12):
        assert window_indices(info, frame, RGB_CLIP, PLACE)[PLACE] == frame


# Which boxes


def test_equal_boxes_of_a_frame_are_one_person_who_does_several_things() -> None:
    other = (0.0, 0.0, 8.0, 12.0)
    video = video_of(
        tube_of(0, [3, 4]), tube_of(2, [4, 5]), tube_of(1, [4], other), tube_of(1, [19, 30])
    )
    video = replace(video, frames=np.array([3, 4, 19]))
    truths = read_truths(video, 3)
    assert sorted(truths) == [3, 4, 19], "what is not all marked is not learnt from"
    assert truths[3].labels.tolist() == [[1, 0, 0]]
    rows = dict(zip(map(tuple, truths[4].boxes.tolist()), truths[4].labels.tolist(), strict=True))
    share = np.array(BOX, np.float32) / np.array([64, 48, 64, 48], np.float32)
    assert rows == {tuple(share.tolist()): [1, 0, 1], (0, 0, 0.125, 0.25): [0, 1, 0]}


def test_boxes_are_shares_of_the_picture_they_were_measured_in() -> None:
    video = video_of(tube_of(0, [1], (20, 10, 60, 90)), size_px=(100, 200))
    np.testing.assert_allclose(read_truths(video, 3)[1].boxes, [[0.1, 0.1, 0.3, 0.9]], atol=1e-7)


def slow_cut(box: Sequence[float], cut: Cut) -> tuple[list[float], float]:
    """Draw a box on a fine picture, mirror and cut that; return what is seen, and its share."""
    fine = 500
    picture = np.zeros((fine, fine), bool)
    x1, y1, x2, y2 = (round(v * fine) for v in box)
    picture[y1:y2, x1:x2] = True
    drawn = picture.sum()
    if cut.is_mirrored:
        picture = picture[:, ::-1]
    top, left = round(cut.top * fine), round(cut.left * fine)
    height, width = round(cut.height * fine), round(cut.width * fine)
    part = picture[top : top + height, left : left + width]
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    if not len(rows):
        return [], 0.0
    seen = [
        columns[0] / width,
        rows[0] / height,
        (columns[-1] + 1) / width,
        (rows[-1] + 1) / height,
    ]
    return [float(v) for v in seen], float(part.sum() / drawn)


def test_cut_boxes_are_where_they_are_seen() -> None:
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(120):
        corner = rng.uniform(0, 0.7, 2)
        box = np.array([*corner, *(corner + rng.uniform(0.05, 0.3, 2))], np.float32)
        side = rng.uniform(0.4, 1.0)
        top, left = rng.uniform(0, 1 - side, 2)
        cut = Cut(top, left, side, side, bool(rng.random() < 0.5))
        found = cut_truth(Truth(box[None], np.eye(3, dtype=np.float32)[:1]), cut)
        seen, share = slow_cut(box.tolist(), cut)
        if abs(share - LEAST_LEFT) < 0.05:
            continue  # where the fine picture is not fine enough
        assert len(found.boxes) == len(found.labels) == int(share > LEAST_LEFT)
        if len(found.boxes):
            kept += 1
            np.testing.assert_allclose(found.boxes[0], seen, atol=1.2e-2)
    assert 40 < kept < 120


def test_the_whole_picture_leaves_boxes_alone_and_empty_boxes_go() -> None:
    boxes = np.array([[0.1, 0.2, 0.5, 0.9], [0.3, 0.3, 0.3, 0.6]], np.float32)
    found = cut_truth(Truth(boxes, np.eye(2, dtype=np.float32)), Cut())
    assert found.boxes.tolist() == boxes[:1].tolist()
    assert found.labels.tolist() == [[1, 0]]


# What is seen


def bright(picture: torch.Tensor) -> list[float]:
    """Return the box of what is bright in a picture (H, W) from 0 to 1."""
    rows = np.flatnonzero((picture > 0.5).any(1).numpy())
    columns = np.flatnonzero((picture > 0.5).any(0).numpy())
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def batch_of(config: DetectorConfig, windows: int = 24) -> WindowBatch:
    stores = {"rgb": PaintedStore(), "flow": PaintedStore(spec=FLOW_CLIP)}
    loader = make_loader([video_of(tube_of(0, range(20)))], config, **stores)
    return next(iter(loader.batches(0, 1, range(windows))))


def test_boxes_stay_on_what_they_are_of() -> None:
    batch = batch_of(replace(QUIET, zoom=0.6, flip=True))
    clips = batch.clips({"rgb": RGB_CLIP, "flow": FLOW_CLIP}, "cpu")
    truths = batch.truths(SIZE_PX, "cpu")
    cuts = [window.cut for window in batch.windows]
    assert {cut.is_mirrored for cut in cuts} == {True, False}
    assert min(cut.height for cut in cuts) < 0.6 < max(cut.height for cut in cuts)
    seen = 0
    for number, (boxes, labels) in enumerate(truths):
        assert len(boxes) == len(labels)
        if not len(boxes):
            continue
        seen += 1
        picture = clips["rgb"][number, 0, 0] / 2 + 0.5
        np.testing.assert_allclose(boxes[0].numpy(), bright(picture), atol=1.01)
        motion = clips["flow"][number, :, 0]
        # In units of std: 40 px of levels times 0.05.
        moves = motion * 2
        is_left = cuts[number].is_mirrored
        x1, y1, x2, y2 = (round(v) for v in boxes[0].tolist())
        inside = moves[:, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].mean((1, 2))
        wanted = (-4.0 if is_left else 4.0) / cuts[number].width, -2.0 / cuts[number].height
        np.testing.assert_allclose(inside.numpy(), wanted, atol=0.15)
    assert seen >= 12


def test_a_zoomed_clip_shows_what_a_crop_shows() -> None:
    batch = batch_of(replace(QUIET, zoom=0.5), 6)
    clips = batch.clips({"rgb": RGB_CLIP}, "cpu")["rgb"]
    for number, window in enumerate(batch.windows):
        height, width = SIZE_PX
        cut, frames = window.cut, window.frames["rgb"]
        edges = cut.top * height, cut.left * width, cut.height * height, cut.width * width
        np.testing.assert_allclose(edges, np.round(edges), atol=1e-9, err_msg="whole px")
        top, left, rows, columns = (round(edge) for edge in edges)
        crop = torch.from_numpy(frames[:, top : top + rows, left : left + columns].copy()).float()
        grown = torch.nn.functional.interpolate(
            crop.permute(0, 3, 1, 2), SIZE_PX, mode="bilinear", align_corners=False
        )
        wanted = (grown / 255 - 0.5) / 0.5
        torch.testing.assert_close(clips[number].transpose(0, 1), wanted, atol=1e-5, rtol=1e-5)


def test_clips_are_channels_last_zoomed_or_not() -> None:
    for zoom in (0.0, 0.4):
        clips = batch_of(replace(QUIET, zoom=zoom), 2).clips({"rgb": RGB_CLIP}, "cpu")["rgb"]
        assert clips.shape == (2, 3, 8, *SIZE_PX)
        assert clips.is_contiguous(memory_format=torch.channels_last_3d)


def test_brightness_changes_frames_and_leaves_flow_alone() -> None:
    config = replace(QUIET, jitter=0.4)
    clips = batch_of(config).clips({"rgb": RGB_CLIP, "flow": FLOW_CLIP}, "cpu")
    plain = batch_of(QUIET).clips({"rgb": RGB_CLIP, "flow": FLOW_CLIP}, "cpu")
    assert torch.equal(clips["flow"], plain["flow"])
    assert not torch.equal(clips["rgb"], plain["rgb"])
    assert clips["rgb"].abs().max() <= 1


# How they are drawn


def keys_of(batch: WindowBatch) -> list[tuple[Any, ...]]:
    return [(w.cut, w.tone, w.truth.boxes.tolist(), w.truth.labels.tolist()) for w in batch.windows]


def many() -> list[AnnotatedVideo]:
    """Return videos of which each frame's box is its own."""
    videos = []
    for number in range(4):
        tubes = [
            tube_of(number % 3, [frame], (4 + frame, 5 + number, 40, 44)) for frame in range(10)
        ]
        videos.append(video_of(*tubes, path=f"{number}.mp4"))
    return videos


def test_a_batch_follows_from_seed_step_and_place() -> None:
    config = replace(QUIET, zoom=0.3, jitter=0.2, flip=True, empty_share=0.3)
    whole = [keys_of(b) for b in make_loader(many(), config).batches(0, 5, range(6))]
    loader = make_loader(many(), config)
    loader.threads = 3
    assert [keys_of(b) for b in loader.batches(0, 5, range(6))] == whole
    assert [keys_of(b) for b in loader.batches(3, 5, range(6))] == whole[3:]
    shares = [[keys_of(b) for b in loader.batches(0, 5, range(r, 6, 2))] for r in range(2)]
    for step in range(5):
        assert [shares[place % 2][step][place // 2] for place in range(6)] == whole[step]
    assert len({str(key) for step in whole for key in step}) == 30, "no two are the same"
    other = make_loader(many(), replace(config, seed=4))
    assert keys_of(next(iter(other.batches(0, 1, range(6))))) != whole[0]


def test_frames_without_a_box_are_drawn_as_often_as_asked() -> None:
    for share in (0.0, 0.3, 0.8):
        loader = make_loader(many(), replace(QUIET, empty_share=share))
        windows = next(iter(loader.batches(0, 1, range(400)))).windows
        empty = np.mean([len(w.truth.boxes) == 0 for w in windows])
        assert empty == pytest.approx(share, abs=0.075)
    whole = [video_of(tube_of(0, range(20)))]
    loader = make_loader(whole, replace(QUIET, empty_share=0.8))
    windows = next(iter(loader.batches(0, 1, [0, 1]))).windows
    assert all(len(w.truth.boxes) for w in windows), "there are none without"


def test_every_class_is_drawn_equally_often_where_asked() -> None:
    # Class 0 has 18 videos, class 2 has 2, class 1 has none.
    videos = [video_of(tube_of(2 if i < 2 else 0, range(20)), path=str(i)) for i in range(20)]
    shares = {}
    for balance in (True, False):
        loader = make_loader(videos, replace(QUIET, balance=balance))
        windows = next(iter(loader.batches(0, 1, range(400)))).windows
        shares[balance] = np.mean([w.truth.labels[0, 2] for w in windows])
    assert shares[True] == pytest.approx(0.5, abs=0.075)
    assert shares[False] == pytest.approx(0.1, abs=0.04)


def test_videos_that_cannot_be_read_are_replaced_and_named() -> None:
    store: Any = PaintedStore(4, broken=(1, 2))
    batch = next(iter(make_loader(many(), rgb=store).batches(0, 1, range(40))))
    assert len(batch.windows) == 40
    assert {path for path, _ in batch.failures} == {"1.mp4", "2.mp4"}
    assert dict(batch.failures)["1.mp4"] == "1.mp4: cannot be decoded."
    tops = {round(float(w.truth.boxes[0, 1]) * 48) for w in batch.windows}
    assert tops == {5, 8}, "the boxes are those of the videos that were read"
    store = PaintedStore(4, broken=range(4))
    with pytest.raises(InputError, match=r"20 videos in a row cannot be read: \d.mp4: cannot be"):
        next(iter(make_loader(many(), rgb=store).batches(0, 1, [0])))


def test_data_without_a_box_are_refused() -> None:
    for videos in ([video_of()], [video_of(tube_of(0, [25]), frames=30)]):
        with pytest.raises(InputError, match="not one frame of the data has a box to learn from"):
            make_loader(videos)


def test_frames_behind_the_end_of_the_file_are_never_drawn() -> None:
    videos = [video_of(tube_of(0, range(18, 30)), frames=30)]
    loader = make_loader(videos, replace(QUIET, empty_share=0.5))
    rows = np.concatenate([*loader._full[0], *loader._empty])
    assert sorted(rows[:, 1].tolist()) == list(range(20))


def test_flow_is_that_of_the_same_moment() -> None:
    asked: dict[str, list[int]] = {}

    class Watching(PaintedStore):
        def read(self, video: int, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
            asked[self.spec.modality] = indices.tolist()
            return super().read(video, indices)

    stores: Any = {"rgb": Watching(), "flow": Watching(spec=FLOW_CLIP)}
    # Flow has one frame fewer than its video.
    stores["flow"].infos = [info_of(np.arange(19) / 12)]
    loader = make_loader([video_of(tube_of(0, [19]))], **stores)
    next(iter(loader.batches(0, 1, [0])))
    assert asked["rgb"] == [15, 16, 17, 18, 19, 19, 19, 19]
    assert asked["flow"] == [14, 15, 16, 17, 18, 18, 18, 18]
