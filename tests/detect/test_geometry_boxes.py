"""Boxes as numbers, held against arithmetic on one box at a time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from s3d.detect.geometry.boxes import (
    MOST_LOG_SIZE,
    PLAIN,
    STRONG,
    Weights,
    box_area,
    box_iou,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    find_large,
    scale_boxes,
)


def random_boxes(count: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator, dtype=dtype) * 60
    side = 4 + torch.rand(count, 2, generator=generator, dtype=dtype) * 40
    return torch.cat([corner, corner + side], 1)


def slow_iou(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    one, other = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (one + other - width * height)


def test_overlaps_are_those_of_each_pair() -> None:
    boxes, others = random_boxes(7, 0), random_boxes(5, 1)
    expected = [[slow_iou(a, b) for b in others.tolist()] for a in boxes.tolist()]
    torch.testing.assert_close(box_iou(boxes, others), torch.tensor(expected))
    assert (box_iou(boxes, others) > 0).any()
    torch.testing.assert_close(box_iou(boxes, boxes).diagonal(), torch.ones(7))


def test_overlaps_of_nothing_and_of_boxes_without_area() -> None:
    flat = torch.tensor([[3.0, 3.0, 3.0, 9.0], [5.0, 5.0, 2.0, 2.0]])
    assert box_area(flat).tolist() == [0, 0]
    assert box_iou(flat, flat).tolist() == [[0, 0], [0, 0]]
    assert box_iou(flat[:0], flat).shape == (0, 2)
    assert box_iou(flat, flat[:0]).shape == (2, 0)


def test_touching_boxes_do_not_overlap() -> None:
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0]])
    assert box_iou(boxes, boxes).tolist() == [[1, 0], [0, 1]]


def test_area_is_width_by_height_without_a_pixel_more() -> None:
    assert box_area(torch.tensor([1.0, 2.0, 4.0, 8.0])).item() == 18


def test_clipping_is_to_width_and_height() -> None:
    boxes = torch.tensor([[-3.0, -2.0, 900.0, 800.0], [2.0, 3.0, 4.0, 5.0], [70.0, 1.0, 90.0, 9.0]])
    clipped = clip_boxes(boxes, (40, 60))
    assert clipped.tolist() == [[0, 0, 60, 40], [2, 3, 4, 5], [60, 1, 60, 9]]
    assert box_area(clipped).tolist() == [2400, 4, 0]


@pytest.mark.parametrize("weights", [PLAIN, STRONG])
def test_deltas_by_their_definition(weights: Weights) -> None:
    anchor, box = [10.0, 20.0, 30.0, 60.0], [14.0, 18.0, 44.0, 38.0]
    # Centres (20, 40) and (29, 28); sizes (20, 40) and (30, 20).
    plain = [9 / 20, -12 / 40, math.log(30 / 20), math.log(20 / 40)]
    expected = torch.tensor([v * w for v, w in zip(plain, weights, strict=True)])
    deltas = encode_boxes(torch.tensor(box), torch.tensor(anchor), weights)
    torch.testing.assert_close(deltas, expected)
    back = decode_boxes(deltas, torch.tensor(anchor), weights)
    torch.testing.assert_close(back, torch.tensor(box))


def test_decoding_undoes_encoding_also_of_a_batch() -> None:
    boxes = torch.stack([random_boxes(9, 2), random_boxes(9, 3)])
    anchors = random_boxes(9, 4)
    found = decode_boxes(encode_boxes(boxes, anchors, STRONG), anchors, STRONG)
    torch.testing.assert_close(found, boxes, rtol=1e-5, atol=1e-4)


def test_growth_has_an_end() -> None:
    anchors = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    huge = decode_boxes(torch.tensor([[0.0, 0.0, 90.0, MOST_LOG_SIZE]]), anchors)
    torch.testing.assert_close(huge, torch.tensor([[-492.0, -492.0, 508.0, 508.0]]))


def test_a_box_without_width_is_encoded_finitely() -> None:
    flat = torch.tensor([[5.0, 5.0, 5.0, 9.0]])
    assert torch.isfinite(encode_boxes(flat, random_boxes(1, 0))).all()
    assert torch.isfinite(encode_boxes(random_boxes(1, 0), flat)).all()


def test_small_and_broken_boxes_are_not_large() -> None:
    nan, inf = math.nan, math.inf
    boxes = torch.tensor(
        [[0, 0, 4, 4], [0, 0, 3.9, 9], [0, 0, nan, 9], [0, 0, 9, 9], [0, 0, inf, 9], [9, 9, 0, 0]]
    )
    assert find_large(boxes, 4).tolist() == [0, 3]
    assert find_large(boxes[:0], 4).tolist() == []


def test_scaling_is_by_each_axis() -> None:
    boxes = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert scale_boxes(boxes, (10, 20), (20, 80)).tolist() == [[4, 4, 12, 8]]
    there = scale_boxes(random_boxes(5, 6), (48, 64), (240, 426))
    torch.testing.assert_close(scale_boxes(there, (240, 426), (48, 64)), random_boxes(5, 6))


def test_gradients() -> None:
    boxes = random_boxes(3, 0, torch.float64).requires_grad_()
    others = random_boxes(4, 1, torch.float64).requires_grad_()
    deltas = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(box_iou, (boxes, others))
    assert torch.autograd.gradcheck(encode_boxes, (boxes, others[:3]))
    assert torch.autograd.gradcheck(decode_boxes, (deltas.requires_grad_(), boxes))
