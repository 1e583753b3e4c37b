"""A detector: its shape, its parts, its answers, and what it refuses to be."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from s3d.detect.geometry.roi_align import roi_align
from s3d.detect.network.detector import Detector, check_streams, count_channels
from s3d.detect.network.settings import BEFORE_SUPPRESSION, LEARNT_ANCHORS, proposal_settings
from s3d.detect.network.shape import (
    BLOCKS_AT_16,
    DetectorShape,
    count_places,
    key_place,
    steps_apart,
)
from s3d.errors import InputError
from s3d.models.network import build
from s3d.models.style import STYLES
from tests.detect.detecting import FLOW_CLIP, RGB_CLIP, SHAPE, SIZE_PX, make_clips, make_detector

BOXES = [
    torch.tensor([[3.0, 4, 30, 40], [10, 8, 22, 47], [0, 0, 64, 48]]),
    torch.tensor([[31.0, 2, 60, 45], [5, 5, 9, 12]]),
]


# The shape


@pytest.mark.parametrize("style", ["paper", "ibm"])
@pytest.mark.parametrize("at", BLOCKS_AT_16)
def test_steps_are_as_far_apart_as_the_features_say(at: str, style: str) -> None:
    network = build("s3d_fast", num_classes=1, width=0.02, style=style).eval()
    with torch.no_grad():
        steps = network.features(torch.zeros(1, 3, 16, 48, 64), at).shape[2]
    assert 16 // steps == steps_apart(STYLES[style], at) == 4


def test_a_key_frame_lies_on_a_step() -> None:
    assert key_place(20, 4) == 8, "k-8 ... k ... k+11"
    for frames in range(1, 40):
        for apart in (1, 2, 4):
            place = key_place(frames, apart)
            steps = [step for step in range(frames) if step % apart == 0 and step <= frames // 2]
            assert place == max(steps)


def test_places_count_what_is_begun() -> None:
    assert count_places((48, 64)) == (3, 4)
    assert count_places((49, 65)) == (4, 5)
    detector = make_detector()
    with torch.no_grad():
        features = detector.features(make_clips(detector))["rgb"]
    assert features.shape[-2:] == count_places(SIZE_PX)


def test_a_shape_survives_json() -> None:
    shape = replace(SHAPE, multi_label=True, at="mixed4c", image_width=1)
    assert DetectorShape.from_json(shape.to_json()) == shape
    listed = {k: list(v) if isinstance(v, tuple) else v for k, v in shape.to_json().items()}
    assert DetectorShape.from_json(listed) == shape


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"at": "mixed5b"}, r"block 'mixed5b' cannot be what boxes are cut out of; .*mixed4e"),
        ({"at": ["mixed4e"]}, r"block \('mixed4e',\) cannot be"),
        ({"image_net": "vgg"}, r"image net 'vgg' is unknown; it is one of none, resnet18, resnet5"),
        ({"roi_px": (4, 4, 4)}, r"roi_px is \(4, 4, 4\); it needs \(height, width\)"),
        ({"roi_px": (4, 1)}, r"roi_px is \(4, 1\); it needs numbers from 2 to 64"),
        ({"roi_px": (4.0, 4.0)}, "roi_px is .*; it needs numbers from 2 to 64"),
        ({"roi_px": 7}, "roi_px is 7; it needs numbers"),
        ({"image_width": math.nan}, "image_width is .*nan.*; it needs numbers from 0.05 to 4.0"),
        ({"image_width": True}, "image_width is .*True"),
        ({"anchor_px": ()}, r"anchor_px is \(\); it needs numbers from 4.0 to 4096.0"),
        ({"anchor_px": (8.0,) * 33}, "anchor_px is .*; it needs numbers"),
        ({"anchor_px": ("8",)}, "anchor_px is .*; it needs numbers"),
        ({"anchor_ratios": (0.01,)}, "anchor_ratios is .*; it needs numbers from 0.05 to 20.0"),
        ({"proposals": 0}, "proposals is .*; it needs numbers from 1 to 2000"),
        ({"proposals": 2.5}, "proposals is .*; it needs numbers from 1 to 2000"),
        ({"multi_label": 1}, "multi_label is true or false"),
    ],
)
def test_shapes_that_cannot_be_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectorShape.from_json({**SHAPE.to_json(), **values})


@pytest.mark.parametrize("values", [None, [], {}, {**SHAPE.to_json(), "more": 1}])
def test_a_shape_needs_its_very_fields(values: object) -> None:
    with pytest.raises(InputError, match=r"a detector needs exactly the fields anchor_px, .*roi"):
        DetectorShape.from_json(values)


def test_proposals_are_as_many_as_asked_for() -> None:
    settings = proposal_settings(SHAPE)
    assert (settings.sizes_px, settings.ratios) == (SHAPE.anchor_px, SHAPE.anchor_ratios)
    assert (settings.post_nms, settings.pre_nms) == (8, 8 * BEFORE_SUPPRESSION)
    assert settings.batch == LEARNT_ANCHORS
    assert proposal_settings(SHAPE, 3).post_nms == 3


# Streams that go together


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"streams": {}, "specs": {}}, "has a stream rgb, flow or both, each with its clip"),
        ({"specs": {}}, "has a stream rgb, flow or both"),
        ({"streams": {"depth": 3}, "specs": {"depth": RGB_CLIP}}, "has a stream rgb, flow or both"),
        (
            {"streams": {"flow": 2}, "specs": {"flow": FLOW_CLIP}, "image_net": "resnet18"},
            "an image net looks at frames; a detector of flow alone has none",
        ),
        (
            {
                "streams": {"rgb": 3, "flow": 2},
                "specs": {"rgb": RGB_CLIP, "flow": replace(FLOW_CLIP, rate_fps=6.0)},
            },
            "look at different frames; give both the same frames, rate and size",
        ),
        (
            {"streams": {"rgb": 3, "flow": 2}, "specs": {"rgb": RGB_CLIP, "flow": FLOW_CLIP},
             "styles": ("paper", "none")},
            "networks of one style",
        ),
        ({"streams": {"rgb": 2}}, "stream rgb of a detector has a network of 2 channels for a clip "
                                  "of rgb"),
        ({"specs": {"rgb": FLOW_CLIP}}, "a network of 3 channels for a clip of flow"),
        ({"specs": {"rgb": replace(RGB_CLIP, resize_px=(60, 80))}}, "sees whole frames: .*squash"),
        ({"specs": {"rgb": replace(RGB_CLIP, resize="keep")}}, "sees whole frames: .*squash"),
        (
            {"specs": {"rgb": replace(RGB_CLIP, size_px=(16, 64), resize_px=(16, 64))}},
            r"needs at least 32 px a side, not \(16, 64\)",
        ),
    ],
)  # fmt: skip
def test_streams_that_do_not_go_together(change: dict[str, Any], message: str) -> None:
    given = {"streams": {"rgb": 3}, "specs": {"rgb": RGB_CLIP}, "image_net": "none", **change}
    styles = [STYLES["paper"], STYLES["paper"]]
    if "styles" in change:
        styles[1] = replace(STYLES["paper"], time_strides="none")
    streams = {
        name: build("i2d", num_classes=1, width=0.02, channels=channels, style=style)
        for (name, channels), style in zip(given["streams"].items(), styles, strict=False)
    }
    with pytest.raises(InputError, match=message):
        check_streams(streams, given["specs"], replace(SHAPE, image_net=given["image_net"]))


# What it answers


@pytest.mark.parametrize("image_net", ["none", "resnet18"])
def test_there_is_an_answer_for_every_box_and_anchor(image_net: str) -> None:
    detector = make_detector(image_net=image_net, image_width=0.1)
    pictures = None if image_net == "none" else torch.rand(2, 3, *SIZE_PX)
    with torch.no_grad():
        features = detector.features(make_clips(detector))
        objectness, deltas = detector.propose_from(features, pictures)
        volumes = detector.cut(features, BOXES)
        logits, shifts = detector.name_volumes(volumes)
        none = detector.name_volumes(detector.cut(features, [BOXES[0][:0], BOXES[1][:0]]))
    assert features["rgb"].shape[:3:2] == (2, 2)
    assert (objectness.shape, deltas.shape) == ((2, 4, 3, 4), (2, 16, 3, 4))
    assert volumes["rgb"].shape == (5, features["rgb"].shape[1], 2, 4, 4)
    assert (logits.shape, shifts.shape) == ((5, 4), (5, 4))
    assert [tuple(part.shape) for part in none] == [(0, 4), (0, 4)]


def test_what_is_proposed_follows_from_the_key_step_alone() -> None:
    detector = make_detector()
    assert (detector.apart, detector.key_place, detector.spec) == (4, 4, RGB_CLIP)
    features = {"rgb": torch.randn(1, count_channels(detector.network, "mixed4e"), 2, 3, 4)}
    with torch.no_grad():
        wanted = detector.proposing(features["rgb"][:, :, 1])
        found = detector.propose_from(features, None)
        features["rgb"][:, :, 0] = 9.0
        again = detector.propose_from(features, None)
    for one, two, three in zip(wanted, found, again, strict=True):
        torch.testing.assert_close(one, two)
        torch.testing.assert_close(one, three)


def test_a_window_with_fewer_steps_has_a_key_step_too() -> None:
    detector = make_detector()
    features = {"rgb": torch.randn(1, count_channels(detector.network, "mixed4e"), 1, 3, 4)}
    with torch.no_grad():
        found = detector.propose_from(features, None)[0]
        assert torch.equal(found, detector.proposing(features["rgb"][:, :, 0])[0])


def test_a_volume_is_the_same_box_cut_out_of_every_step() -> None:
    detector = make_detector()
    with torch.no_grad():
        features = detector.features(make_clips(detector))
        volumes = detector.cut(features, BOXES)["rgb"]
    where = torch.tensor([0, 0, 0, 1, 1])
    for step in range(features["rgb"].shape[2]):
        wanted = roi_align(features["rgb"][:, :, step], torch.cat(BOXES), where, (4, 4), 1 / 16)
        torch.testing.assert_close(volumes[:, :, step], wanted)


def test_boxes_are_named_by_themselves() -> None:
    detector = make_detector()
    with torch.no_grad():
        volumes = detector.cut(detector.features(make_clips(detector)), BOXES)["rgb"]
        together = detector.name_volumes({"rgb": volumes})[0]
        apart = torch.cat([detector.name_volumes({"rgb": volumes[i : i + 1]})[0] for i in range(5)])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("widths", [(0.02, 0.02), (0.02, 0.1)])
def test_streams_are_averaged_in_one_width(widths: tuple[float, float]) -> None:
    detector = make_detector(("rgb", "flow"), widths)
    own = {
        name: count_channels(detector.streams[name], "mixed5c")  # type: ignore[arg-type]
        for name in ("rgb", "flow")
    }
    is_same = own["rgb"] == own["flow"]
    assert is_same is (widths[0] == widths[1])
    assert list(detector.turn) == ([] if is_same else ["rgb"])
    assert detector.width == max(own.values())
    ends = {name: torch.randn(5, channels, 1, 2, 2) for name, channels in own.items()}
    rgb, flow = (ends[name].flatten(2).mean(2) for name in ("rgb", "flow"))
    if not is_same:
        turn: Any = detector.turn["rgb"]
        rgb = rgb @ turn.weight.T + turn.bias
    wanted = (rgb + flow) / 2 @ detector.classes.weight.T + detector.classes.bias
    torch.testing.assert_close(detector.name_ends(ends)[0], wanted, atol=1e-5, rtol=1e-4)


def test_a_stream_s_answer_is_in_that_of_both() -> None:
    detector = make_detector(("rgb", "flow"))
    clips = make_clips(detector)
    with torch.no_grad():
        before = detector.name_volumes(detector.cut(detector.features(clips), BOXES))[0]
        clips["flow"] += 1.0
        after = detector.name_volumes(detector.cut(detector.features(clips), BOXES))[0]
    assert (before - after).abs().max() > 1e-6


def test_scores_of_one_thing_at_a_time_leave_room_for_nobody() -> None:
    detector = make_detector()
    logits = torch.randn(6, 4)
    shares = torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)
    scores = detector.scores(logits)
    assert scores.shape == (6, 3)
    torch.testing.assert_close(scores, shares[:, :3])
    torch.testing.assert_close(scores.sum(1) + shares[:, 3], torch.ones(6))


def test_scores_of_several_things_at_once_are_each_their_own() -> None:
    detector = make_detector(multi_label=True)
    assert detector.classes.out_features == 3
    logits = torch.tensor([[-2.0, 0.0, 90.0], [5.0, 5.0, 5.0]])
    scores = detector.scores(logits)
    torch.testing.assert_close(scores, 1 / (1 + torch.exp(-logits)))
    assert scores[1].sum() > 2


# What it learns


def norms_of(module: torch.nn.Module) -> float:
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return float(sum(g.abs().sum() for g in gradients))


@pytest.mark.parametrize("modalities", [("rgb",), ("flow",), ("rgb", "flow")])
def test_gradients_reach_every_part(modalities: tuple[str, ...]) -> None:
    image_net = "resnet18" if "rgb" in modalities else "none"
    detector = make_detector(modalities, (0.02, 0.1), image_net=image_net, image_width=0.1).train()
    pictures = torch.rand(2, 3, *SIZE_PX) if image_net != "none" else None
    features = detector.features(make_clips(detector))
    proposed = detector.propose_from(features, pictures)
    answers = (*proposed, *detector.name_volumes(detector.cut(features, BOXES)))
    total: Tensor = sum((part.square().sum() for part in answers), torch.zeros(()))
    total.backward()  # type: ignore[no-untyped-call]
    parts = [detector.classes, detector.mending, detector.proposing.objectness]
    parts += [detector.proposing.deltas, *detector.turn.values()]
    parts += [*([detector.image] if detector.image else [])]
    for network in detector.streams.values():
        parts += [network.get_submodule(name) for name in ("conv1a", "mixed4c", "mixed5c")]
    assert all(norms_of(part) > 0 for part in parts)


def test_the_image_net_proposes_and_the_video_names() -> None:
    detector: Detector = make_detector(image_net="resnet18", image_width=0.1).train()
    features = detector.features(make_clips(detector))
    proposed = detector.propose_from(features, torch.rand(2, 3, *SIZE_PX))
    sum(part.square().sum() for part in proposed).backward()  # type: ignore[union-attr]
    assert detector.image is not None
    assert norms_of(detector.image) > 0
    assert norms_of(detector.streams) == 0
