"""RoIAlign, held against loops over places and samples that follow the definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from s3d.detect.geometry.roi_align import roi_align, roi_align_in_time


def bilinear(picture: list[list[float]], y: float, x: float) -> float:
    """Return a sample of a picture; more than one place outside it is 0."""
    height, width = len(picture), len(picture[0])
    if not -1 <= y <= height or not -1 <= x <= width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    below, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = picture[top][left] * (1 - across) + picture[top][right] * across
    lower = picture[below][left] * (1 - across) + picture[below][right] * across
    return upper * (1 - down) + lower * down


def slow_roi(
    picture: Tensor, box: Tensor, out_px: tuple[int, int], scale: float, samples: int, aligned: bool
) -> Tensor:
    values, half = picture.tolist(), 0.5 if aligned else 0.0
    x1, y1, x2, y2 = (edge * scale - half for edge in box.tolist())
    width, height = x2 - x1, y2 - y1
    if not aligned:
        width, height = max(width, 1.0), max(height, 1.0)
    rows = []
    for i in range(out_px[0]):
        row = []
        for j in range(out_px[1]):
            total = 0.0
            for a in range(samples):
                for b in range(samples):
                    y = y1 + (i + (a + 0.5) / samples) * height / out_px[0]
                    x = x1 + (j + (b + 0.5) / samples) * width / out_px[1]
                    total += bilinear(values, y, x)
            row.append(total / samples**2)
        rows.append(row)
    return torch.tensor(rows, dtype=picture.dtype)


def scene(count: int = 12, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return features (3, 2, 6, 9) at stride 16, boxes of which many reach outside, and rows."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(3, 2, 6, 9, generator=generator)
    corner = torch.rand(count, 2, generator=generator) * 220 - 70
    boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * 150], 1)
    # The first is smaller than a place of the features.
    boxes[0] = torch.tensor([40.0, 30, 49, 34])
    return features, boxes, torch.randint(0, 3, (count,), generator=generator)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("out_px", [(1, 1), (3, 4)])
def test_places_are_means_of_samples(aligned: bool, samples: int, out_px: tuple[int, int]) -> None:
    features, boxes, rows = scene()
    found = roi_align(features, boxes, rows, out_px, 1 / 16, samples, aligned)
    assert found.shape == (12, 2, *out_px)
    for n in range(12):
        for c in range(2):
            picture = features[int(rows[n]), c]
            slow = slow_roi(picture, boxes[n], out_px, 1 / 16, samples, aligned)
            torch.testing.assert_close(found[n, c], slow, rtol=0, atol=1e-5)


@pytest.mark.parametrize("edge", [-1.0, -0.5, 0.0, 7.5, 8.0, 9.0, -1.01, 9.01])
def test_what_is_clamped_and_what_is_zero(edge: float) -> None:
    features = torch.arange(1.0, 10.0).expand(1, 1, 4, 9).contiguous()
    # A box without width, one sample a place: all of them at this place of the grid.
    box = torch.tensor([[edge + 0.5, 1.5, edge + 0.5, 2.5]])
    found = roi_align(features, box, torch.tensor([0]), (1, 1), 1.0, samples=1)
    inside = -1 <= edge <= 9
    assert found.item() == (min(max(edge, 0), 8) + 1 if inside else 0)


def test_a_box_of_whole_places_gives_their_means() -> None:
    features = torch.arange(24.0).view(1, 1, 4, 6)
    found = roi_align(
        features, torch.tensor([[32.0, 16, 64, 48]]), torch.tensor([0]), (2, 2), 1 / 16
    )
    assert found[0, 0].tolist() == [[8, 9], [14, 15]]


def test_in_time_every_step_is_cut_alike() -> None:
    _, boxes, rows = scene()
    clips = torch.randn(3, 4, 5, 6, 9, generator=torch.Generator().manual_seed(3))
    found = roi_align_in_time(clips, boxes, rows, (3, 4), 1 / 16)
    assert found.shape == (12, 4, 5, 3, 4)
    for step in range(5):
        alone = roi_align(clips[:, :, step], boxes, rows, (3, 4), 1 / 16)
        torch.testing.assert_close(found[:, :, step], alone)


@pytest.mark.parametrize("order", [torch.channels_last_3d, torch.contiguous_format])
def test_results_lie_as_networks_have_them(order: torch.memory_format) -> None:
    _, boxes, rows = scene()
    clips = torch.randn(3, 4, 5, 6, 9).contiguous(memory_format=order)
    found = roi_align_in_time(clips, boxes, rows, (3, 4), 1 / 16)
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    picture = roi_align(clips[:, :, 0], boxes, rows, (3, 4), 1 / 16)
    assert picture.is_contiguous(memory_format=torch.channels_last)


def test_gradients_go_to_the_features_alone() -> None:
    features, boxes, rows = scene(4)
    double = features.double().requires_grad_()

    def cut(x: Tensor) -> Tensor:
        return roi_align(x, boxes.double().requires_grad_(), rows, (2, 3), 1 / 16)

    assert torch.autograd.gradcheck(cut, (double,))
    asked = boxes.clone().requires_grad_()
    roi_align(features.requires_grad_(), asked, rows, (2, 3), 1 / 16).sum().backward()
    assert asked.grad is None
    assert features.grad is not None


def test_no_boxes_give_nothing_and_gradients_of_zero() -> None:
    clips = torch.randn(2, 4, 5, 6, 9, requires_grad=True)
    none = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    found = roi_align_in_time(clips, *none, (7, 7), 1 / 16)
    assert found.shape == (0, 4, 5, 7, 7)
    found.sum().backward()
    assert clips.grad is not None
    assert not clips.grad.any()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_a_box_that_is_not_finite_gives_zeros(value: float) -> None:
    features, boxes, rows = scene(2)
    broken = boxes.clone()
    broken[0] = value
    found = roi_align(features, broken, rows, (2, 2), 1 / 16)
    assert not found[0].any()
    assert torch.equal(found[1], roi_align(features, boxes, rows, (2, 2), 1 / 16)[1])


def test_half_precision_loses_no_places() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 2, 40, 60, generator=generator).bfloat16()
    boxes, rows = torch.tensor([[701.0, 403.0, 880.0, 611.0]]), torch.tensor([0])
    found = roi_align(features, boxes, rows, (4, 4), 1 / 16)
    assert found.dtype == torch.bfloat16
    exact = roi_align(features.float(), boxes, rows, (4, 4), 1 / 16)
    assert torch.equal(found, exact.bfloat16())


def test_rows_that_do_not_fit_the_boxes_are_refused() -> None:
    features, boxes, rows = scene(4)
    with pytest.raises(ValueError, match=r"boxes \(4, 4\) and batch_index \(3,\) need \(N, 4\)"):
        roi_align(features, boxes, rows[:3], (2, 2), 1 / 16)
