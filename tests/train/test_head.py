"""A fresh head on a shipped trunk is the best linear classifier of what the trunk gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from s3d.clip import ClipSpec
from s3d.data.store import FrameStore, open_videos
from s3d.data.video_list import Video
from s3d.data.videos import list_videos
from s3d.errors import InputError
from s3d.models.network import Network
from s3d.models.shipped.trunks import load_shipped
from s3d.train.head import fit_head
from s3d.train.validate import validate

SPEC = ClipSpec(4, 8.0, (32, 32), (32, 32), "squash")


@pytest.fixture
def data(colours: Path) -> tuple[list[Video], FrameStore, list[int]]:
    """Return videos of two colours, their frames, and the number of each class."""
    torch.set_num_threads(1)
    videos = list(list_videos(colours).videos)
    names = sorted({video.label for video in videos})
    store = FrameStore(open_videos(videos, 1).infos, SPEC)
    return videos, store, [names.index(video.label) for video in videos]


@pytest.fixture
def make_trunk() -> Callable[[], Network]:
    def make() -> Network:
        torch.manual_seed(0)
        network = load_shipped("motion-small").network
        network.replace_head(2)
        return network.train()

    return make


def test_it_tells_the_classes_before_anything_is_trained(
    data: tuple[list[Video], FrameStore, list[int]], make_trunk: Callable[[], Network]
) -> None:
    videos, store, numbers = data
    fitted, fresh = make_trunk(), make_trunk()
    told: list[tuple[int, int]] = []
    assert fit_head(fitted, store, videos, numbers, 0, 2, lambda *of: told.append(of))
    places = list(range(len(videos)))
    found, wanted = (validate(n, store, places, numbers) for n in (fitted, fresh))
    assert found.top1 > 0.9
    assert found.loss < 0.6 * wanted.loss
    assert told[-1] == (len(videos), len(videos))
    changed = {
        name
        for name, tensor in fitted.state_dict().items()
        if not torch.equal(tensor, fresh.state_dict()[name])
    }
    assert changed == {"head.classifier.weight", "head.classifier.bias"}
    assert all(module.training for module in fitted.modules())


def test_threads_change_nothing_and_another_seed_does(
    data: tuple[list[Video], FrameStore, list[int]], make_trunk: Callable[[], Network]
) -> None:
    videos, store, numbers = data
    weights = []
    for seed, threads in ((0, 1), (0, 3), (1, 1)):
        network = make_trunk()
        assert fit_head(network, store, videos, numbers, seed, threads, lambda *of: None)
        weights.append(network.head.classifier.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_what_cannot_be_read_is_passed_over(
    data: tuple[list[Video], FrameStore, list[int]],
    make_trunk: Callable[[], Network],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    videos, store, numbers = data
    whole, without, failing = make_trunk(), make_trunk(), make_trunk()
    fit_head(whole, store, videos, numbers, 0, 1, lambda *of: None)
    fewer = [-1 if video == 0 else number for video, number in enumerate(numbers)]
    assert fit_head(without, store, videos, fewer, 0, 1, lambda *of: None)
    _let_fail(store, {0}, monkeypatch)
    assert fit_head(failing, store, videos, numbers, 0, 1, lambda *of: None)
    assert torch.equal(failing.head.classifier.weight, without.head.classifier.weight)
    assert not torch.equal(failing.head.classifier.weight, whole.head.classifier.weight)


def test_without_a_video_of_each_class_the_head_stays(
    data: tuple[list[Video], FrameStore, list[int]],
    make_trunk: Callable[[], Network],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    videos, store, numbers = data
    network, fresh = make_trunk(), make_trunk()
    _let_fail(store, {v for v, n in enumerate(numbers) if n == 1}, monkeypatch)
    assert not fit_head(network, store, videos, numbers, 0, 1, lambda *of: None)
    assert torch.equal(network.head.classifier.weight, fresh.head.classifier.weight)


def _let_fail(store: FrameStore, failing: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    read = store.read

    def fail(video: int, *words: object) -> object:
        if video in failing:
            raise InputError("gone")
        return read(video, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "read", fail)
