"""Batches follow from (seed, epoch, step, place) alone, not from threads, kills, broken files."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.clips import Augmentation
from s3d.data.decode import Frames, Indices, VideoInfo
from s3d.data.loader import Batch, ClipLoader, Share, draw_order, normalise, run_ahead
from s3d.data.store import FrameStore
from s3d.errors import InputError

SPEC = ClipSpec(4, 10.0, (40, 40), (32, 32), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.5))
LABELS = [0] * 6 + [1] * 3


class DrawnStore(FrameStore):
    """Give frames that tell video, time and place; some videos cannot be read."""

    def __init__(self, broken: tuple[int, ...] = (), videos: int = len(LABELS)) -> None:
        times = np.arange(20) / 10
        infos = [VideoInfo(f"{n}.mp4", 40, 40, 20, 10.0, 2.0, times) for n in range(videos)]
        super().__init__(infos, SPEC)
        self.broken = broken

    def read(self, video: int, indices: Indices) -> Frames:
        if video in self.broken:
            raise InputError(f"{video}.mp4: is broken.")
        time.sleep(0.001 * (video % 3))  # threads finish out of order
        frames = np.empty((len(indices), 40, 40, 3), np.uint8)
        frames[..., 0] = np.arange(40)[None, None, :]
        frames[..., 1] = np.arange(40)[None, :, None]
        frames[..., 2] = (20 * video + np.asarray(indices))[:, None, None]
        return frames


def make_loader(store: FrameStore | None = None, **options: Any) -> ClipLoader:
    values: dict[str, Any] = {
        "labels": LABELS, "batch": 4, "seed": 5, "augmentation": Augmentation(0.2),
    }  # fmt: skip
    return ClipLoader(store or DrawnStore(), **{**values, **options})


def assert_equal(found: list[Batch], wanted: list[Batch]) -> None:
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one.frames, other.frames)
        assert torch.equal(one.tones, other.tones)
        assert torch.equal(one.labels, other.labels)


def test_batches_do_not_depend_on_threads() -> None:
    one, many = make_loader(threads=1), make_loader(threads=4)
    one.ahead, many.ahead = 1, 7
    assert_equal(list(many.batches(2)), list(one.batches(2)))


@pytest.mark.parametrize(("world", "parts"), [(2, 1), (3, 2), (1, 4)])
def test_shares_and_parts_are_together_the_batch(world: int, parts: int) -> None:
    whole = list(make_loader(batch=9).batches(2))
    found: dict[int, list[Batch]] = {}
    for rank in range(world):
        loader = make_loader(batch=9)
        loader.share = Share(rank, world, parts)
        found[rank] = list(loader.batches(2))
        assert len(found[rank]) == loader.steps * parts
    for step, batch in enumerate(whole):
        places = [Share(rank, world, parts).places(9)[part]
                  for rank in range(world) for part in range(parts)]  # fmt: skip
        assert sorted(np.concatenate(places)) == list(range(9))
        made = [found[rank][step * parts + part] for rank in range(world) for part in range(parts)]
        for place, one in zip(places, made, strict=True):
            assert torch.equal(one.frames, batch.frames[place])
            assert torch.equal(one.tones, batch.tones[place])
            assert torch.equal(one.labels, batch.labels[place])


def test_which_places_are_in_a_part_does_not_depend_on_the_processes() -> None:
    alone = [set(part) for part in Share(0, 1, 3).places(10)]
    shared = [[set(part) for part in Share(rank, 2, 3).places(10)] for rank in range(2)]
    assert [a | b for a, b in zip(*shared, strict=True)] == alone
    assert [len(part) for part in alone] == [4, 3, 3]


def test_starting_at_a_step_gives_the_same_batches() -> None:
    loader = make_loader(batch=2)
    whole = list(loader.batches(1))
    assert len(whole) == loader.steps == 4
    for first in (1, 3):
        assert_equal(list(loader.batches(1, first)), whole[first:])
    assert list(loader.batches(1, loader.steps)) == []


@pytest.mark.parametrize("other", [(5, 1), (6, 0)])
def test_every_epoch_and_seed_has_its_own_batches(other: tuple[int, int]) -> None:
    first = next(make_loader(seed=5).batches(0))
    second = next(make_loader(seed=other[0]).batches(other[1]))
    assert not torch.equal(first.frames, second.frames)
    assert not torch.equal(first.tones, second.tones)


def test_places_of_a_batch_and_steps_of_an_epoch_differ() -> None:
    loader = make_loader(DrawnStore(videos=4), labels=[0] * 4, batch=2)
    first, second = loader.batches(0)
    for shown in (torch.cat([first.tones, second.tones]), torch.cat([first.frames, second.frames])):
        assert len(torch.unique(shown.flatten(1)[:, :200], dim=0)) == 4
    assert len(torch.unique(torch.cat([first.tones, second.tones])[:, 0])) == 4


def test_an_epoch_shows_each_class_equally_often() -> None:
    labels = np.array([0] * 9 + [1] * 3 + [-1] * 4)
    order = draw_order(labels, (0, 0), balance=True)
    assert np.bincount(labels[order]).tolist() == [6, 6]
    assert len(set(order[labels[order] == 0])) == 6  # the large class takes turns
    assert np.bincount(order[labels[order] == 1])[9:].tolist() == [2, 2, 2]  # the small repeats


def test_without_balance_every_video_is_shown_once() -> None:
    labels = np.array([0, 1, -1, 0, 0])
    assert sorted(draw_order(labels, (0, 0), balance=False)) == [0, 1, 3, 4]


def test_videos_marked_minus_one_are_never_shown() -> None:
    loader = make_loader(labels=[0, 0, 0, 1, 1, 1, -1, -1, -1])
    shown = {int(n) for batch in loader.batches(0) for n in batch.frames[:, 0, 0, 0, 2] // 20}
    assert shown <= set(range(6))


def test_a_batch_is_full_even_where_there_are_fewer_videos() -> None:
    batch = next(make_loader(batch=30).batches(0))
    assert batch.frames.shape == (30, 4, 32, 32, 3)


@pytest.mark.parametrize(("flip", "mirrored"), [(False, 0), (True, 32)])
def test_only_flip_mirrors_and_then_half(flip: bool, mirrored: int) -> None:
    loader = make_loader(batch=64, labels=[0] * 9, augmentation=Augmentation(0, flip))
    columns = next(loader.batches(0)).frames[:, 0, 0, :, 0].int()
    falling = int((columns[:, 0] > columns[:, -1]).sum())
    assert abs(falling - mirrored) <= (12 if flip else 0)


def test_time_never_runs_backwards_and_all_frames_are_cropped_alike() -> None:
    for batch in make_loader(batch=16, augmentation=Augmentation(0, flip=True)).batches(0):
        times = batch.frames[:, :, 0, 0, 2].int()
        assert (times.diff(dim=1) >= 0).all()
        assert (batch.frames[..., :2] == batch.frames[:, :1, ..., :2]).all()


def test_a_broken_file_is_replaced_by_one_of_its_class_and_named() -> None:
    for batch in make_loader(DrawnStore(broken=(7,)), batch=9).batches(0):
        videos = batch.frames[:, 0, 0, 0, 2] // 20
        assert 7 not in videos
        assert [LABELS[v] for v in videos] == batch.labels.tolist()
        assert set(batch.failures) == {("7.mp4", "7.mp4: is broken.")}


def test_a_class_of_which_nothing_can_be_read_ends_the_epoch() -> None:
    with pytest.raises(InputError, match=r"not one video of a class can be read: .*is broken"):
        list(make_loader(DrawnStore(broken=(6, 7, 8))).batches(0))


def test_clips_have_the_contract_s_layout_and_range() -> None:
    clips = next(make_loader(augmentation=Augmentation(1.0)).batches(0)).clips(SPEC)
    assert clips.shape == (4, 3, 4, 32, 32)
    assert clips.dtype == torch.float32
    assert clips.permute(0, 2, 3, 4, 1).is_contiguous()
    low, high = SPEC.value_range
    assert clips.min() >= low - 1e-5
    assert clips.max() <= high + 1e-5


def random_frames() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2, 4, 5, 6, 3), np.uint8)


def test_normalise_is_the_formula() -> None:
    frames = random_frames()
    wanted = (frames / 255 - np.array(SPEC.mean)) / np.array(SPEC.std)
    found = normalise(torch.from_numpy(frames.copy()), SPEC)
    np.testing.assert_allclose(found.numpy(), wanted.transpose(0, 4, 1, 2, 3), rtol=0, atol=1e-5)


def test_tones_change_contrast_about_grey_and_brightness_and_are_cut_off() -> None:
    frames, plain = random_frames(), ClipSpec(mean=(0.0,) * 3, std=(1.0,) * 3)
    tones = np.array([[1.5, 0.2], [0.5, -0.1]], np.float32)
    wanted = np.empty(frames.shape)
    for i, (factor, shift) in enumerate(tones):
        wanted[i] = ((frames[i] / 255 - 0.5) * factor + 0.5 + shift).clip(0, 1)
    found = normalise(torch.from_numpy(frames.copy()), plain, torch.from_numpy(tones))
    np.testing.assert_allclose(found.permute(0, 2, 3, 4, 1).numpy(), wanted, rtol=0, atol=1e-5)
    assert (wanted == 1).any()


def test_no_jitter_leaves_the_frames_as_they_are() -> None:
    batch = next(make_loader(augmentation=Augmentation(0.0)).batches(0))
    assert torch.equal(batch.tones, torch.tensor([[1.0, 0.0]] * 4))
    torch.testing.assert_close(batch.clips(SPEC), normalise(batch.frames, SPEC))


def test_run_ahead_keeps_order_and_a_bound() -> None:
    begun: list[int] = []

    def work(job: int) -> int:
        begun.append(job)
        time.sleep(0.002 * (job % 3))
        return job * job

    results = run_ahead(work, range(12), threads=4, ahead=3)
    assert next(results) == 0
    assert max(begun) <= 4
    assert list(results) == [n * n for n in range(1, 12)]


def test_run_ahead_stops_at_an_error_and_leaves_no_thread() -> None:
    before = threading.active_count()

    def work(job: int) -> int:
        if job == 2:
            raise InputError("no")
        return job

    results = run_ahead(work, range(100), threads=2, ahead=2)
    with pytest.raises(InputError):
        list(results)
    assert threading.active_count() == before


def test_frames_come_from_the_file(colours: Path) -> None:
    from s3d.data.store import open_videos
    from s3d.data.videos import list_videos

    videos = list_videos(colours)
    store = FrameStore(open_videos(videos.videos, 2).infos, SPEC)
    labels = [videos.labels.index(v.label) for v in videos.videos]
    batch = next(ClipLoader(store, labels, 8, 0, Augmentation(0)).batches(0))
    reddest = batch.frames.float().mean((1, 2, 3)).argmax(1)
    assert [videos.labels[n] for n in batch.labels] == [("red", "", "blue")[n] for n in reddest]
