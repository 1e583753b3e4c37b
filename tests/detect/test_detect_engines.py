"""Which engine a detector's networks run by."""

from __future__ import annotations

import pytest
import torch

from s3d.clip import ClipSpec
from s3d.detect.network.shape import DetectorShape
from s3d.detect.run import engines
from s3d.detect.run.engines import choose_for_boxes
from s3d.infer.engines.choose import VARIABLE
from s3d.models.network import Network, build

SPEC = ClipSpec(8, 25, (48, 64), (48, 64))
SHAPE = DetectorShape(roi_px=(3, 3), image_net="none")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.setattr(engines, "usable_engines", lambda _: ["native", "openvino", "torch"])
    monkeypatch.setattr(engines, "Engine", lambda network, spec, name: name)
    monkeypatch.delenv(VARIABLE, raising=False)
    return build("i2d", num_classes=1, width=0.1).eval()


def let_take(monkeypatch: pytest.MonkeyPatch, native: float, openvino: float, apart: float) -> None:
    answers = {"native": (native, torch.ones(3)), "openvino": (openvino, torch.ones(3) + apart)}
    monkeypatch.setattr(engines, "_try", lambda engine, *_: answers[engine])


@pytest.mark.parametrize(
    ("native", "openvino", "chosen"),
    [(1.0, 2.0, "native"), (1.5, 1.0, "native"), (2.5, 1.0, "openvino")],
)
def test_native_is_taken_unless_it_is_much_slower(
    network: Network, monkeypatch: pytest.MonkeyPatch, native: float, openvino: float, chosen: str
) -> None:
    let_take(monkeypatch, native, openvino, apart=1e-6)
    assert choose_for_boxes(network, SPEC, SHAPE) == chosen


def test_engines_that_disagree_are_left_to_who_knows(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_take(monkeypatch, 1.0, 1.0, apart=0.1)
    monkeypatch.setattr(engines, "choose_engine", lambda *_: "asked")
    assert choose_for_boxes(network, SPEC, SHAPE) == "asked"


def test_what_is_named_is_taken(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_try", lambda *_: pytest.fail("nothing is to be tried"))
    assert choose_for_boxes(network, SPEC, SHAPE, "eager").name == "eager"
    monkeypatch.setenv(VARIABLE, "torch")
    assert choose_for_boxes(network, SPEC, SHAPE).name == "torch"


def test_a_trial_runs_what_a_detector_runs() -> None:
    network = build("i2d", num_classes=1, width=0.1).eval()
    seconds, found = engines._try(engines.Engine(network, SPEC, "torch"), SPEC, SHAPE)
    assert 0 < seconds < 60
    assert found.shape[0] == engines.BOXES
