"""Anchors, matches, draws, losses and proposals, each held against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from s3d.detect.geometry.boxes import box_iou, decode_boxes, encode_boxes
from s3d.detect.network.anchors import make_anchors
from s3d.detect.network.losses import BETA, box_head_loss, box_loss, class_loss, objectness_loss
from s3d.detect.network.match import BACKGROUND, IGNORED, match_boxes
from s3d.detect.network.proposals import (
    ProposalHead,
    ProposalSettings,
    by_anchor,
    proposal_loss,
    propose,
)
from s3d.detect.network.sample import sample_matches

SETTINGS = ProposalSettings(sizes_px=(16.0, 32.0), ratios=(0.5, 2.0), batch=16, least_px=4.0)
GRID, SIZE_PX = (5, 7), (80, 112)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def anchors_here() -> Tensor:
    return make_anchors(GRID, 16, SETTINGS.sizes_px, SETTINGS.ratios)


# Anchors


def test_anchors_come_in_the_order_that_is_promised() -> None:
    anchors = make_anchors((2, 3), 16, (32.0, 64.0), (0.25, 1.0, 4.0))
    expected = []
    for row in range(2):
        for column in range(3):
            for size in (32.0, 64.0):
                for ratio in (0.25, 1.0, 4.0):
                    y, x = row * 16 + 8, column * 16 + 8
                    width = size / math.sqrt(ratio)
                    height = width * ratio
                    expected.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    assert anchors.dtype == torch.float32
    torch.testing.assert_close(anchors, torch.tensor(expected))


def test_a_head_s_channels_are_in_the_anchors_order() -> None:
    objectness = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    deltas = torch.arange(2 * 12 * 4 * 5.0).view(2, 12, 4, 5)
    logits, differences = by_anchor(objectness, deltas)
    for picture, row, column, anchor in ((0, 0, 0, 0), (1, 2, 3, 1), (1, 3, 4, 2)):
        number = (row * 5 + column) * 3 + anchor
        assert logits[picture, number] == objectness[picture, anchor, row, column]
        own = deltas[picture, 4 * anchor : 4 * anchor + 4, row, column]
        assert torch.equal(differences[picture, number], own)


# Matches


def slow_match(boxes: Tensor, truths: Tensor, high: float, low: float, best: bool) -> list[int]:
    overlaps = box_iou(boxes, truths).tolist()
    found = []
    for row in overlaps:
        most = max(row)
        is_best = best and any(
            0 < row[m] == max(other[m] for other in overlaps) for m in range(len(row))
        )
        if most >= high or is_best:
            found.append(row.index(most))
        else:
            found.append(BACKGROUND if most < low else IGNORED)
    return found


@pytest.mark.parametrize("best", [True, False])
def test_matches_follow_the_definition(best: bool) -> None:
    corner = torch.rand(9, 2, generator=seeded()) * 70
    truths = torch.cat([corner, corner + 10 + torch.rand(9, 2, generator=seeded(1)) * 40], 1)
    anchors = anchors_here()
    found = match_boxes(anchors, truths, 0.5, 0.2, keep_best=best).tolist()
    assert found == slow_match(anchors, truths, 0.5, 0.2, best)
    assert {BACKGROUND, IGNORED} < set(found)


def test_a_truth_that_no_anchor_fits_keeps_its_best_ones() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 10, 10]])
    truths = torch.tensor([[0.0, 0, 30, 30]])
    assert match_boxes(anchors, truths, 0.7, 0.3).tolist() == [-1, -1, -1]
    assert match_boxes(anchors, truths, 0.7, 0.3, keep_best=True).tolist() == [0, -1, 0]


def test_between_the_thresholds_a_box_is_ignored_and_on_them_it_is_not() -> None:
    boxes = torch.tensor([[0.0, 0, 8, 4], [0, 0, 8, 2], [0, 0, 8, 6], [0, 0, 8, 1]])
    truths = torch.tensor([[0.0, 0, 8, 8]])
    assert match_boxes(boxes, truths, 0.5, 0.25).tolist() == [0, IGNORED, 0, BACKGROUND]


def test_without_truths_all_is_background_and_without_boxes_there_is_nothing() -> None:
    anchors, none = anchors_here(), torch.zeros(0, 4)
    assert set(match_boxes(anchors, none, 0.7, 0.3, keep_best=True).tolist()) == {BACKGROUND}
    assert match_boxes(none, anchors[:2], 0.7, 0.3, keep_best=True).shape == (0,)


def test_a_truth_outside_everything_matches_nothing() -> None:
    far = torch.tensor([[900.0, 900, 950, 950]])
    found = match_boxes(anchors_here(), far, 0.7, 0.3, keep_best=True)
    assert set(found.tolist()) == {BACKGROUND}


# Draws


def test_a_draw_is_of_the_right_kinds_and_counts() -> None:
    matches = torch.tensor([3, -1, -2, 0, -1, 1, -1, -1, 2, -2, -1, -1])
    positives, background = sample_matches(matches, 6, 0.5, seeded())
    assert (matches[positives] >= 0).all()
    assert (matches[background] == BACKGROUND).all()
    assert (len(set(positives.tolist())), len(set(background.tolist()))) == (3, 3)


def test_background_fills_what_truths_leave() -> None:
    matches = torch.tensor([0] + [-1] * 20)
    positives, background = sample_matches(matches, 8, 0.5, seeded())
    assert (positives.tolist(), len(background)) == ([0], 7)
    positives, background = sample_matches(torch.full((3,), -1), 8, 0.5, seeded())
    assert (len(positives), background.tolist()) == (0, [0, 1, 2])
    positives, background = sample_matches(torch.full((3,), -2), 8, 0.5, seeded())
    assert (len(positives), len(background)) == (0, 0)


def test_a_draw_follows_from_its_generator_and_is_even() -> None:
    matches = torch.arange(-30, 10).clamp(min=-1)
    state = seeded(3).get_state()
    draws = []
    for _ in range(2):
        generator = torch.Generator()
        generator.set_state(state)
        draws.append(torch.cat(sample_matches(matches, 8, 0.5, generator)))
    assert torch.equal(draws[0], draws[1])
    generator, counts = seeded(), torch.zeros(40)
    for _ in range(400):
        counts[torch.cat(sample_matches(matches, 8, 0.5, generator))] += 1
    # 4 of 10 truths and 4 of 30 others each time: five standard deviations around that.
    assert ((counts[30:] - 160).abs() < 49).all()
    assert ((counts[:30] - 400 * 4 / 30).abs() < 34).all()


# Losses


def slow_smooth_l1(found: Tensor, wanted: Tensor) -> float:
    total = 0.0
    for a, b in zip(found.flatten().tolist(), wanted.flatten().tolist(), strict=True):
        d = abs(a - b)
        total += d * d / (2 * BETA) if d < BETA else d - BETA / 2
    return total


def test_losses_by_their_definitions() -> None:
    found, wanted = torch.randn(5, 4, generator=seeded()) / 5, torch.zeros(5, 4)
    assert box_loss(found, wanted, 8).item() == pytest.approx(slow_smooth_l1(found, wanted) / 8)
    logits = torch.tensor([1.5, -0.5, 0.0])
    chances = [1 / (1 + math.exp(-v)) for v in logits.tolist()]
    expected = -(math.log(chances[0]) + math.log(1 - chances[1]) + math.log(chances[2])) / 3
    assert objectness_loss(logits, torch.tensor([True, False, True])).item() == pytest.approx(
        expected
    )


def test_class_losses_of_one_class_and_of_several() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    shares = [[math.exp(v) / sum(map(math.exp, row)) for v in row] for row in logits.tolist()]
    one = -(math.log(shares[0][2]) + math.log(shares[1][0])) / 2
    assert class_loss(logits, torch.tensor([2, 0])).item() == pytest.approx(one)
    labels = [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    several = 0.0
    for row, wanted in zip(logits.tolist(), labels, strict=True):
        for value, label in zip(row, wanted, strict=True):
            chance = 1 / (1 + math.exp(-value))
            several -= math.log(chance if label else 1 - chance) / 6
    assert class_loss(logits, torch.tensor(labels)).item() == pytest.approx(several)


@pytest.mark.parametrize(
    "labels", [torch.zeros(2, 2), torch.zeros(3, dtype=torch.int64), torch.zeros(2)]
)
def test_labels_that_fit_no_logits_are_refused(labels: Tensor) -> None:
    with pytest.raises(
        ValueError, match=r"^labels are torch\.\w+ \(.*\) for logits \(2, 3\); they"
    ):
        class_loss(torch.zeros(2, 3), labels)


def test_boxes_of_background_cost_nothing() -> None:
    logits, labels = torch.randn(4, 3, generator=seeded()), torch.tensor([0, 2, 2, 1])
    deltas = torch.randn(4, 4, generator=seeded(1), requires_grad=True)
    wanted = torch.randn(4, 4, generator=seeded(2))
    wanted[1:3] = math.nan
    positive = torch.tensor([True, False, False, True])
    losses = box_head_loss(logits, deltas, labels, wanted, positive)
    expected = slow_smooth_l1(deltas.detach()[positive], wanted[positive]) / 4
    assert losses.boxes.item() == pytest.approx(expected, rel=1e-5)
    assert losses.total.item() == pytest.approx((losses.scores + losses.boxes).item())
    losses.total.backward()
    assert deltas.grad is not None
    assert deltas.grad.any(1).tolist() == positive.tolist()


def test_of_nothing_all_losses_are_zero_with_gradients() -> None:
    for labels in (torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)):
        logits, deltas = (
            torch.zeros(0, 3, requires_grad=True),
            torch.zeros(0, 4, requires_grad=True),
        )
        none = torch.zeros(0, dtype=torch.bool)
        losses = box_head_loss(logits, deltas, labels, torch.zeros(0, 4), none)
        assert losses.total.item() == 0
        losses.total.backward()
    assert objectness_loss(torch.zeros(0), none).item() == 0


# Proposals


def test_the_best_anchor_s_box_is_the_first_proposal() -> None:
    anchors = anchors_here()
    objectness = torch.full((2, 4, *GRID), -5.0)
    deltas = torch.zeros(2, 16, *GRID)
    objectness[1, 2, 3, 4] = 3.0
    box = torch.tensor([40.0, 30, 80, 75])
    number = (3 * 7 + 4) * 4 + 2
    deltas[1, 8:12, 3, 4] = encode_boxes(box, anchors[number])
    found = propose(objectness, deltas, anchors, SIZE_PX, SETTINGS)
    assert len(found) == 2
    boxes, scores = found[1]
    torch.testing.assert_close(boxes[0], box)
    assert scores[0].item() == pytest.approx(1 / (1 + math.exp(-3)))
    assert len(boxes) == len(scores)


def slow_propose(logits: Tensor, deltas: Tensor, settings: ProposalSettings) -> Tensor:
    """Return one picture's proposals, of numbers in the anchors' order."""
    height, width = SIZE_PX
    ranked = sorted(range(len(logits)), key=lambda i: -logits[i].item())[: settings.pre_nms]
    kept: list[Tensor] = []
    for i in ranked:
        x1, y1, x2, y2 = decode_boxes(deltas[i], anchors_here()[i]).tolist()
        x1, x2 = min(max(x1, 0), width), min(max(x2, 0), width)
        y1, y2 = min(max(y1, 0), height), min(max(y2, 0), height)
        box = torch.tensor([x1, y1, x2, y2])
        if x2 - x1 < settings.least_px or y2 - y1 < settings.least_px:
            continue
        if all(box_iou(box[None], other[None]) <= settings.nms_iou for other in kept):
            kept.append(box)
    return torch.stack(kept[: settings.post_nms])


@pytest.mark.parametrize(("pre", "post"), [(1000, 300), (50, 10), (9, 300)])
def test_proposals_follow_the_definition(pre: int, post: int) -> None:
    settings = ProposalSettings(
        SETTINGS.sizes_px, SETTINGS.ratios, pre, post, nms_iou=0.4, least_px=20.0
    )
    objectness = torch.randn(2, 4, *GRID, generator=seeded())
    deltas = torch.randn(2, 16, *GRID, generator=seeded(1)) / 2
    logits, differences = by_anchor(objectness, deltas)
    found = propose(objectness, deltas, anchors_here(), SIZE_PX, settings)
    for picture in range(2):
        slow = slow_propose(logits[picture], differences[picture], settings)
        torch.testing.assert_close(found[picture].boxes, slow)
        assert (found[picture].scores.diff() <= 0).all()


def test_anchors_with_nan_propose_nothing() -> None:
    objectness = torch.randn(1, 4, *GRID, generator=seeded())
    deltas = torch.zeros(1, 16, *GRID)
    clean = propose(objectness, deltas, anchors_here(), SIZE_PX, SETTINGS)[0]
    objectness[0, 0, 0, 0] = math.nan
    deltas[0, 7, 2, 2] = math.nan
    found = propose(objectness, deltas, anchors_here(), SIZE_PX, SETTINGS)[0]
    assert torch.isfinite(found.boxes).all()
    assert torch.isfinite(found.scores).all()
    assert 0 < len(found.boxes) <= len(clean.boxes)
    # Nor does it take the place of another.
    one = ProposalSettings(SETTINGS.sizes_px, SETTINGS.ratios, pre_nms=1)
    assert len(propose(objectness, deltas, anchors_here(), SIZE_PX, one)[0].boxes) == 1
    nothing = propose(objectness * math.nan, deltas, anchors_here(), SIZE_PX, SETTINGS)[0]
    assert (nothing.boxes.shape, nothing.scores.shape) == ((0, 4), (0,))


def test_what_proposals_cost_by_its_definition() -> None:
    anchors = anchors_here()
    settings = ProposalSettings(SETTINGS.sizes_px, SETTINGS.ratios, batch=1000, high_iou=0.5)
    objectness = torch.randn(2, 4, *GRID, generator=seeded())
    deltas = torch.randn(2, 16, *GRID, generator=seeded(1)) / 9
    truths = [torch.tensor([[10.0, 10, 30, 60], [50, 5, 90, 28]]), torch.zeros(0, 4)]
    losses = proposal_loss(objectness, deltas, anchors, truths, seeded(), settings)
    logits, differences = by_anchor(objectness, deltas)
    scores, boxes, count = 0.0, 0.0, 0
    for picture, truth in enumerate(truths):
        matches = match_boxes(anchors, truth, 0.5, 0.3, keep_best=True).tolist()
        for i, match in enumerate(matches):
            if match == IGNORED:
                continue
            count += 1
            chance = 1 / (1 + math.exp(-logits[picture, i].item()))
            scores -= math.log(chance if match >= 0 else 1 - chance)
            if match >= 0:
                wanted = encode_boxes(truth[match], anchors[i])
                boxes += slow_smooth_l1(differences[picture, i], wanted)
    assert losses.scores.item() == pytest.approx(scores / count, rel=1e-5)
    assert losses.boxes.item() == pytest.approx(boxes / count, rel=1e-5)
    assert boxes > 0


def test_only_so_many_anchors_are_asked() -> None:
    objectness = torch.zeros(1, 4, *GRID, requires_grad=True)
    deltas = torch.zeros(1, 16, *GRID, requires_grad=True)
    truths = [torch.tensor([[10.0, 10, 30, 60]])]
    proposal_loss(objectness, deltas, anchors_here(), truths, seeded(), SETTINGS).total.backward()
    assert objectness.grad is not None
    assert objectness.grad.count_nonzero() == 16
    assert objectness.grad.abs().max().item() == pytest.approx(0.5 / 16)


def test_pictures_without_anybody_cost_no_boxes() -> None:
    objectness = torch.zeros(2, 4, *GRID, requires_grad=True)
    deltas = torch.randn(2, 16, *GRID, requires_grad=True)
    none = [torch.zeros(0, 4)] * 2
    losses = proposal_loss(objectness, deltas, anchors_here(), none, seeded(), SETTINGS)
    assert losses.boxes.item() == 0
    assert losses.scores.item() == pytest.approx(math.log(2))
    losses.total.backward()
    assert deltas.grad is not None
    assert not deltas.grad.any()


def test_truths_are_needed_for_every_picture() -> None:
    with pytest.raises(ValueError, match=r"^1 pictures' truths for 2 pictures\."):
        proposal_loss(
            torch.zeros(2, 4, *GRID),
            torch.zeros(2, 16, *GRID),
            anchors_here(),
            [torch.zeros(0, 4)],
            seeded(),
            SETTINGS,
        )


def test_a_head_learns_where_somebody_is() -> None:
    torch.manual_seed(0)
    anchors, truth = anchors_here(), torch.tensor([[34.0, 20, 62, 66]])
    features = torch.randn(1, 8, *GRID, generator=seeded(5))
    head = ProposalHead(8, SETTINGS.anchors)
    optimizer, generator = torch.optim.Adam(head.parameters(), 0.01), seeded()
    for _ in range(120):
        optimizer.zero_grad()
        losses = proposal_loss(*head(features), anchors, [truth], generator, SETTINGS)
        losses.total.backward()
        optimizer.step()
    best = propose(*head(features), anchors, SIZE_PX, SETTINGS)[0]
    assert box_iou(best.boxes[:1], truth).item() > 0.9
    assert best.scores[0] > 0.9
    assert not best.boxes.requires_grad


def test_a_head_s_shapes() -> None:
    objectness, deltas = ProposalHead(8, 5, hidden=6)(torch.zeros(2, 8, 3, 4))
    assert (objectness.shape, deltas.shape) == ((2, 5, 3, 4), (2, 20, 3, 4))
    assert ProposalSettings(sizes_px=(1.0, 2.0), ratios=(1.0, 2.0, 3.0)).anchors == 6
