"""Features of windows around key frames: shared, they are those of each window by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from s3d.clip import ClipSpec
from s3d.detect.network.shape import key_place, steps_apart
from s3d.detect.run.key_frames import KeyFrameFeatures, Looking, features_of_window
from s3d.infer.engines.engine import Engine
from s3d.infer.reuse import stages
from s3d.models.network import Network, build
from tests.tolerances import FLOAT32, assert_close

SIZE = (48, 64)
AT = "mixed4e"


def make_network(name: str) -> Network:
    torch.manual_seed(0)
    network = build(name, num_classes=1, width=0.1).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.uniform_(0.5, 2)
            module.bias.data.normal_(std=0.2)
    return network


def draw_stream(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (count, *SIZE, 3)).astype(np.uint8)


def by_definition(engine: Engine, stream: np.ndarray, frames: int, place: int, key: int):
    """Cut the window out of the stream, its first and last frame repeated beyond the ends."""
    wanted = np.clip(np.arange(key - place, key - place + frames), 0, len(stream) - 1)
    return features_of_window(engine, stream[wanted], AT)


@pytest.mark.parametrize(("name", "frames"), [("s3d_fast", 20), ("i3d_top_8", 16), ("s3d", 64)])
@pytest.mark.parametrize("stride", [1, 3, 4])
@pytest.mark.parametrize("shares", [True, False])
def test_each_key_frame_has_the_features_of_its_own_window(
    name: str, frames: int, stride: int, shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Let so small a network share whatever it can, though it would not pay.
    for cost in ("CALL_MACS", "BYTE_MACS", "LEAST_SAVING"):
        monkeypatch.setattr(stages, cost, 0)
    network = make_network(name)
    spec = ClipSpec(frames, 25, SIZE, SIZE)
    engine = Engine(network, spec, "torch")
    apart = steps_apart(network.style, AT)
    place = key_place(frames, apart)
    stream = draw_stream(37)
    lanes = KeyFrameFeatures(engine, spec, Looking(AT, place, apart, stride, shares))
    assert (lanes.sharing.until is not None) == (shares and math.lcm(stride, apart) < frames)
    found: dict[int, torch.Tensor] = {}
    for start in range(0, 37, 5):
        found.update(lanes.add(stream[start : start + 5]))
    complete = set(found)
    found.update(lanes.finish())
    assert list(found) == list(range(0, 37, stride))
    # What is complete comes at once, not at the end.
    assert complete == {k for k in found if k + frames - place <= 37}
    for key, features in found.items():
        wanted = by_definition(engine, stream, frames, place, key)
        assert_close(features, wanted, FLOAT32)


def test_a_network_that_sees_one_step_at_a_time_shares() -> None:
    spec = ClipSpec(20, 25, (160, 208), (160, 208))
    network = build("s3d_fast", num_classes=1, width=0.25).eval()
    lanes = KeyFrameFeatures(Engine(network, spec, "torch"), spec, Looking(AT, 8, 4, 4))
    assert lanes.sharing.until is not None
    assert lanes.sharing.saving > 0.4
    alone = KeyFrameFeatures(Engine(network, spec, "torch"), spec, Looking(AT, 8, 4, 4, False))
    assert alone.sharing.until is None


def test_windows_that_do_not_overlap_share_nothing() -> None:
    spec = ClipSpec(8, 25, SIZE, SIZE)
    network = make_network("s3d_fast")
    lanes = KeyFrameFeatures(Engine(network, spec, "torch"), spec, Looking(AT, 4, 4, 8))
    assert lanes.sharing.until is None


def test_of_nothing_nothing_is_found() -> None:
    spec = ClipSpec(8, 25, SIZE, SIZE)
    lanes = KeyFrameFeatures(Engine(make_network("i2d"), spec, "torch"), spec, Looking(AT, 4, 4))
    assert list(lanes.add(np.zeros((0, *SIZE, 3), np.uint8))) == []
    assert list(lanes.finish()) == []


@pytest.mark.parametrize("frames", [8, 16, 20])
def test_a_key_frame_lies_on_a_step_of_the_features(frames: int) -> None:
    assert key_place(frames, 4) % 4 == 0
    assert key_place(frames, 4) <= frames // 2
