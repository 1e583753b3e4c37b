"""A network in 8 bits: it answers nearly as in 32, computes in integers, and is chosen."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.infer.engines import int8, openvino_model
from s3d.infer.engines.int8 import Int8Engine, choose_int8
from s3d.infer.engines.openvino_model import build_openvino_model
from s3d.infer.engines.openvino_runner import OpenVinoRunner
from s3d.infer.find_ranges import find_ranges
from s3d.infer.recognizer import Recognizer
from s3d.models.graph import Graph, build_graph
from s3d.models.model_file import ModelFile
from s3d.models.network import Network, build
from s3d.models.quantise import Ranges

openvino = pytest.importorskip("openvino", reason="OpenVINO runs networks in 8 bits")

SPEC = ClipSpec(
    frames=8, size_px=(32, 32), resize_px=(32, 32), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)
)
NEAR = 0.1
"""Of the norm of the logits: 8 bits against 32. A wrong range gives 0.5 and more."""


def draw_frames(batch: int) -> Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 8, 32, 32, 3), dtype=torch.uint8, generator=source)


def make(word: str, style: str = "paper") -> tuple[Network, Ranges]:
    torch.manual_seed(0)
    network = build(word, num_classes=5, width=0.1, style=style).eval()
    return network, find_ranges(network, SPEC, list(draw_frames(2)))


def graph_of(network: Network, batch: int = 1) -> Graph:
    return build_graph(network, (batch, 3, 8, 32, 32), spec=SPEC)


def share(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(
    ("word", "style"),
    [
        ("s3d", "paper"),
        ("s3d_g", "paper"),
        ("s3d_g", "garden"),
        ("i3d", "slim"),
        ("s3d", "mil_nce"),
    ],
)
def test_8_bits_answer_nearly_as_32(word: str, style: str) -> None:
    network, ranges = make(word, style)
    frames, graph = draw_frames(2), graph_of(network, 2)
    plain, rounded = OpenVinoRunner(graph)(frames), OpenVinoRunner(graph, ranges=ranges)(frames)
    assert 1e-5 < share(rounded, plain) < NEAR


def test_wrong_ranges_answer_otherwise() -> None:
    network, ranges = make("s3d")
    short = Ranges({name: high / 20 for name, high in ranges.highest.items()})
    plain = OpenVinoRunner(graph_of(network))(draw_frames(1))
    assert share(OpenVinoRunner(graph_of(network), ranges=short)(draw_frames(1)), plain) > 3 * NEAR


def count_kernels(network: Network, ranges: Ranges) -> Counter[tuple[str, str]]:
    """Return how many operations run of each type and precision."""
    model = build_openvino_model(graph_of(network), ranges)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": True}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    request.infer([draw_frames(1).numpy()])
    infos = request.get_profiling_info()
    return Counter((info.node_type, info.exec_type.rsplit("_", 1)[-1]) for info in infos)


@pytest.mark.skipif(
    "INT8" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="this processor has no kernels of 8 bits",
)
@pytest.mark.parametrize("word", ["s3d", "s3d_g"])
def test_convolutions_pools_and_concatenations_are_of_integers(word: str) -> None:
    network, ranges = make(word, "torchvision")
    kernels = count_kernels(network, ranges)
    convolutions = sum(type(n).__name__ == "Convolution" for n in graph_of(network).nodes)
    assert {key[1] for key in kernels if key[0] == "Convolution"} == {"I8"}
    assert kernels["Convolution", "I8"] == convolutions
    assert {key[1] for key in kernels if key[0] == "MaxPool"} == {"I8"}
    # What the last block gives goes to the classifier, in 32 bits.
    assert kernels["Concat", "I8"] == 8


def test_weights_lie_as_integers() -> None:
    network, ranges = make("s3d")
    kinds = Counter(
        op.get_element_type().get_type_name()
        for op in build_openvino_model(graph_of(network), ranges).get_ops()
        if op.get_type_name() == "Constant" and len(op.get_output_shape(0)) == 5
        and op.get_output_shape(0)[1] > 1
    )  # fmt: skip
    assert kinds["i8"] > 90


def test_without_vnni_weights_take_half_the_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    def largest(level: int) -> int:
        monkeypatch.setattr(openvino_model, "_largest_level", lambda: level)
        weight = torch.randn(4, 3, 1, 1, 1)
        levels = openvino_model._round_weight(weight).input_value(0).get_node().input_value(0)
        return int(np.abs(levels.get_node().data).max())

    assert (largest(127), largest(63)) == (127, 63)


# Which engine runs


def recognizer(has_ranges: bool) -> Recognizer:
    network, ranges = make("i2d")
    return Recognizer(
        ModelFile(network, tuple("abcde"), SPEC, ranges=ranges if has_ranges else None)
    )


@pytest.fixture
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S3D_ENGINE", raising=False)


@pytest.mark.usefixtures("no_choice")
def test_a_model_with_ranges_runs_in_8_bits() -> None:
    one, frames = recognizer(True), draw_frames(1).numpy()
    assert one.engine.name == "int8"
    rounded, plain = one.logits_of(frames), one.use("openvino").logits_of(frames)
    assert one.engine.name == "openvino"
    difference = np.linalg.norm(rounded - plain) / np.linalg.norm(plain)
    assert 1e-5 < difference < NEAR


@pytest.mark.usefixtures("no_choice")
def test_features_are_of_8_bits_too() -> None:
    one, frames = recognizer(True), draw_frames(1)
    found = one.engine.run(frames, until="mixed4b")
    wanted = one.use("openvino").engine.run(frames, until="mixed4b")
    assert 1e-5 < share(found, wanted) < NEAR


@pytest.mark.parametrize("block", ["conv1a", "pool3a", "mixed4b", "mixed5c"])
@pytest.mark.parametrize(("word", "style"), [("s3d_g", "paper"), ("s3d", "garden")])
def test_a_network_in_two_parts_gives_what_it_gives_whole(
    word: str, style: str, block: str
) -> None:
    network, ranges = make(word, style)
    engine, frames = Int8Engine(network, SPEC, ranges), draw_frames(2)
    logits = engine.run(engine.run(frames, until=block), after=block)
    # A value that lies between two levels may fall to either.
    assert share(logits, engine.logits(frames)) < 1e-3


def test_an_engine_named_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3D_ENGINE", "torch")
    assert recognizer(True).engine.name == "torch"
    assert recognizer(True).use("int8").engine.name == "int8"
    monkeypatch.setenv("S3D_ENGINE", "int8")
    assert recognizer(True).engine.name == "int8"


def test_without_ranges_8_bits_are_refused() -> None:
    with pytest.raises(InputError, match="a model whose ranges are known"):
        recognizer(False).use("int8")


@pytest.mark.usefixtures("no_choice")
def test_without_openvino_it_runs_in_32_bits_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "usable_engines", lambda device: ["torch", "eager"])
    network, ranges = make("i2d")
    told: list[str] = []
    assert choose_int8(network, SPEC, ranges, None, told.append) is None
    assert "could run in 8 bits" in told[0]
    with pytest.raises(InputError, match="engine int8 needs OpenVINO and a CPU"):
        choose_int8(network, SPEC, ranges, "int8")
