"""Suppression, held against a loop over boxes, and torchvision's where it is there."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor

from s3d.detect.geometry import nms as module
from s3d.detect.geometry.boxes import box_iou
from s3d.detect.geometry.compiled import compiled_nms, uses_compiled
from s3d.detect.geometry.nms import nms, nms_of_groups


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every test run our code, whatever is installed."""
    monkeypatch.setattr(module, "uses_compiled", lambda device: False)
    uses_compiled.cache_clear()
    yield
    uses_compiled.cache_clear()


def scene(count: int, seed: int, spread: float = 100) -> tuple[Tensor, Tensor]:
    """Return whole-numbered boxes, so that overlaps tie, and scores, of which many are equal."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * spread
    side = 10 + torch.rand(count, 2, generator=generator) * 50
    scores = (torch.rand(count, generator=generator) * 40).round() / 40
    return torch.cat([corner, corner + side], 1).round(), scores


def slow_nms(boxes: Tensor, scores: Tensor, iou: float) -> list[int]:
    overlaps = (box_iou(boxes, boxes) > iou).tolist()
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i].item(), i)):
        if not any(overlaps[i][j] for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("iou", [0.0, 0.3, 0.5, 0.6, 0.7, 1.0])
@pytest.mark.parametrize(("count", "chunk"), [(1, 256), (60, 256), (60, 7), (60, 1), (300, 64)])
def test_what_stays_is_what_a_loop_keeps(
    monkeypatch: pytest.MonkeyPatch, iou: float, count: int, chunk: int
) -> None:
    monkeypatch.setattr(module, "CHUNK_BOXES", chunk)
    for seed in range(3):
        boxes, scores = scene(count, seed)
        assert nms(boxes, scores, iou).tolist() == slow_nms(boxes, scores, iou)


def test_a_chain_of_boxes_keeps_every_second() -> None:
    start = torch.arange(40) * 4.0
    boxes = torch.stack([start, 0 * start, start + 10, 0 * start + 10], 1)
    scores = torch.linspace(1, 0, 40)
    assert nms(boxes, scores, 0.3).tolist() == list(range(0, 40, 2))


def test_what_goes_strikes_out_nothing() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [4.0, 0, 14, 10], [8.0, 0, 18, 10]])
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.2).tolist() == [0, 2]
    assert nms(boxes, torch.tensor([0.7, 0.9, 0.8]), 0.2).tolist() == [1]


def test_of_equal_boxes_and_scores_the_first_stays() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(5, 1)
    assert nms(boxes, torch.full((5,), 0.5), 0.5).tolist() == [0]


def test_nothing_and_nan_and_what_is_not_finite() -> None:
    none = torch.zeros(0, 4)
    assert nms(none, torch.zeros(0), 0.5).dtype == torch.int64
    assert nms(none, torch.zeros(0), 0.5).shape == (0,)
    assert nms_of_groups(none, torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5).shape == (0,)
    boxes = torch.tensor(
        [[0.0, 0, 10, 10], [0.0, 0, 10, 10], [0.0, math.nan, 10, 10], [0.0, 0, math.inf, 10]]
    )
    assert nms(boxes, torch.tensor([math.nan, 0.1, 0.9, 0.8]), 0.5).tolist() == [1]
    assert nms(boxes[1:2], torch.tensor([-math.inf]), 0.5).tolist() == [0]


def test_groups_do_not_touch_each_other() -> None:
    boxes, scores = scene(200, 5)
    groups = torch.randint(-3, 4, (200,), generator=torch.Generator().manual_seed(0))
    expected: list[int] = []
    for group in groups.unique().tolist():
        rows = [i for i in range(200) if groups[i] == group]
        expected += [rows[k] for k in slow_nms(boxes[rows], scores[rows], 0.4)]
    expected.sort(key=lambda i: (-scores[i].item(), i))
    assert nms_of_groups(boxes, scores, groups, 0.4).tolist() == expected
    assert len(expected) > len(nms(boxes, scores, 0.4))


def test_many_groups_of_large_boxes_lose_no_digits() -> None:
    # An overlap of 0.4999 or 0.5001: offsets of 1e9 in float32 would leave neither.
    boxes = torch.tensor([[0.0, 0, 1, 1], [0.0, 0, 1, 0.4999], [0.0, 0, 1, 0.5001]])
    groups = torch.tensor([10**6, 10**6, 10**6 + 1])
    scores = torch.tensor([0.9, 0.8, 0.7])
    assert nms_of_groups(boxes, scores, groups, 0.5).tolist() == [0, 1, 2]
    assert nms_of_groups(boxes, scores, groups * 0, 0.5).tolist() == [0, 1]


def test_without_torchvision_nothing_compiled_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert uses_compiled("cpu") is False


def install(monkeypatch: pytest.MonkeyPatch, answer: object) -> list[float]:
    """Let a torchvision be installed that answers so; return the thresholds that it is given."""
    asked: list[float] = []

    def operator(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
        asked.append(threshold)
        if isinstance(answer, Exception):
            raise answer
        return torch.tensor(answer or slow_nms(boxes, scores, threshold))

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setattr(torch.ops, "torchvision", SimpleNamespace(nms=operator), raising=False)
    return asked


def test_a_torchvision_that_works_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = install(monkeypatch, None)
    assert uses_compiled("cpu")
    monkeypatch.setattr(module, "uses_compiled", uses_compiled)
    boxes, scores = scene(80, 1)
    boxes[3, 0], scores[5] = math.inf, math.nan
    asked.clear()
    kept = nms(boxes, scores, 0.6).tolist()
    # A threshold between two floats would part boxes that overlap by exactly 0.6.
    assert asked == [torch.tensor(0.6).item()] != [0.6]
    monkeypatch.setattr(module, "uses_compiled", lambda device: False)
    assert kept == nms(boxes, scores, 0.6).tolist()
    assert not {3, 5} & set(kept)


@pytest.mark.parametrize("answer", [RuntimeError("no kernel for this device"), [0, 1, 2]])
def test_a_torchvision_that_does_not_work_is_not_used(
    monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    install(monkeypatch, answer)
    assert uses_compiled("cpu") is False


def test_a_torchvision_that_cannot_be_imported_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(importlib, "import_module", fail)
    assert uses_compiled("cpu") is False


def test_the_installed_torchvision_keeps_the_same() -> None:
    if not uses_compiled("cpu"):
        pytest.skip("no torchvision that works is installed")
    for iou in (0.3, 0.6):
        boxes, scores = scene(300, 2)
        order = scores.argsort(descending=True, stable=True)
        falling = torch.arange(300, 0, -1, dtype=torch.float32)
        kept = order[compiled_nms(boxes[order], falling, iou)]
        assert kept.tolist() == nms(boxes, scores, iou).tolist()
