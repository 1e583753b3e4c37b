"""Every runner gives what the network gives, whatever its word, its style and the clip."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.infer.engines import torch_runner
from s3d.infer.engines.engine import compile_runner
from s3d.infer.engines.onnx_runner import OnnxRunner
from s3d.infer.engines.openvino_runner import OpenVinoRunner
from s3d.infer.engines.torch_runner import TorchRunner
from s3d.models.graph import BLOCKS, STEPS, Graph, build_graph
from s3d.models.network import Network
from s3d.models.style import MIL_NCE, PAPER, STYLES, TORCHVISION
from tests.models.published.publish import make_network
from tests.models.test_graph import ALL, MIXED_WORD, SHAPES
from tests.tolerances import ENGINE, share_of_norm

RUNNERS: dict[str, Callable[[Graph], Any]] = {
    "torch": TorchRunner,
    "openvino": OpenVinoRunner,
    "onnxruntime": OnnxRunner,
}
PACKAGES = {"openvino": "openvino", "onnxruntime": "onnxruntime"}
FEW = [(MIXED_WORD, style, SHAPES[2]) for style in STYLES]
CASES = [pytest.param(*case) for case in FEW] + [
    pytest.param(*case, marks=pytest.mark.slow) for case in ALL if case not in FEW
]
SPEC = ClipSpec(mean=(0.1, 0.5, 0.9), std=(0.2, 0.5, 2.0))


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Let no log be kept: pytest keeps whole traces of what is compiled, which takes minutes."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(params=RUNNERS)
def make(request: pytest.FixtureRequest) -> Callable[[Graph], Any]:
    name = str(request.param)
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    return RUNNERS[name]


def frames_of(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def graph_of(network: Network, frames: Tensor, spec: ClipSpec = SPEC, **options: Any) -> Graph:
    batch, length, height, width, channels = frames.shape
    return build_graph(network, (batch, channels, length, height, width), spec=spec, **options)


def logits_of(network: Network, frames: Tensor, spec: ClipSpec = SPEC) -> Tensor:
    with torch.no_grad():
        found: Tensor = network(normalise(frames, spec))
    return found


@pytest.mark.parametrize(("word", "style", "shape"), CASES)
def test_frames_give_the_logits_of_the_network(
    make: Callable[[Graph], Any], word: str, style: str, shape: tuple[int, int, int]
) -> None:
    network = make_network(word, STYLES[style])
    frames = frames_of(2, *shape, 3)
    wanted = logits_of(network, frames)
    for merges in (False, True):
        run = make(graph_of(network, frames, merges_siblings=merges))
        assert share_of_norm(run(frames), wanted) < ENGINE, merges


@pytest.mark.parametrize("first", [*range(0, len(STEPS) - 1, 4), pytest.param(-1, id="frames")])
def test_it_begins_behind_a_block_and_ends_at_another(
    make: Callable[[Graph], Any], first: int
) -> None:
    network = make_network("sgggggggggg", TORCHVISION)
    frames = frames_of(1, 6, 36, 33, 3)
    clips = normalise(frames, SPEC)
    with torch.no_grad():
        blocks = {name: network.features(clips, name) for name in BLOCKS}
        blocks["head"] = network(clips)
    for until in STEPS[first + 1 :: 3]:
        if first < 0:
            x, graph = frames, graph_of(network, frames, until=until)
        else:
            x = blocks[STEPS[first]]
            graph = build_graph(network, tuple(x.shape), after=STEPS[first], until=until)
        assert share_of_norm(make(graph)(x), blocks[until]) < ENGINE, until


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_it_ends_at_every_block_and_goes_on_behind_it(
    make: Callable[[Graph], Any], style: str
) -> None:
    network = make_network(MIXED_WORD, STYLES[style])
    frames = frames_of(1, 5, 40, 33, 3)
    clips = normalise(frames, SPEC)
    with torch.no_grad():
        logits = network(clips)
        for name in BLOCKS:
            features = network.features(clips, name)
            found = make(graph_of(network, frames, until=name))(frames)
            assert share_of_norm(found, features) < ENGINE, name
            rest = make(build_graph(network, tuple(features.shape), after=name))
            assert share_of_norm(rest(features), logits) < ENGINE, name


@pytest.mark.parametrize("style", [PAPER, MIL_NCE])
def test_flow_has_two_channels_each_with_its_own_mean(
    make: Callable[[Graph], Any], style: Any
) -> None:
    spec = ClipSpec(mean=(0.5, 0.3), std=(0.1, 1.5), modality="flow")
    network = make_network("s3d", style, channels=2)
    frames = frames_of(1, 5, 33, 34, 2)
    run = make(graph_of(network, frames, spec))
    assert share_of_norm(run(frames), logits_of(network, frames, spec)) < ENGINE


def test_the_input_is_left_as_it_is(make: Callable[[Graph], Any]) -> None:
    network = make_network("sgggggggggg", PAPER)
    frames = frames_of(1, 4, 32, 32, 3)
    with torch.no_grad():
        features = network.features(normalise(frames, SPEC), "pool4a")
    held = frames.clone(), features.clone()
    run = make(graph_of(network, frames))
    assert torch.equal(run(frames), run(frames))
    make(build_graph(network, tuple(features.shape), after="pool4a"))(features)
    assert torch.equal(frames, held[0])
    assert torch.equal(features, held[1])


def test_what_is_given_back_stays_when_it_runs_again(make: Callable[[Graph], Any]) -> None:
    frames = frames_of(1, 4, 32, 32, 3)
    run = make(graph_of(make_network("s3d", PAPER), frames))
    first = run(frames)
    held = first.clone()
    other = run(255 - frames)
    assert torch.equal(first, held)
    assert not torch.equal(first, other)


def test_frames_may_lie_anyhow_in_memory(make: Callable[[Graph], Any]) -> None:
    frames = frames_of(1, 8, 36, 40, 3)[:, ::2, 2:34, 4:36].flip(3)
    network = make_network("s3d", PAPER)
    run = make(graph_of(network, frames))
    assert share_of_norm(run(frames), logits_of(network, frames)) < ENGINE


def test_threads_may_share_it(make: Callable[[Graph], Any]) -> None:
    clips = [frames_of(1, 4, 32, 32, 3) // (n + 1) for n in range(4)]
    run = make(graph_of(make_network("s3d_g", PAPER), clips[0]))
    wanted = [run(clip) for clip in clips]
    found: list[list[Tensor]] = [[] for _ in clips]
    barrier = threading.Barrier(len(clips))

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(5):
            found[number].append(run(clips[number]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results, result in zip(found, wanted, strict=True):
        assert len(results) == 5
        assert all(share_of_norm(other, result) < 1e-6 for other in results)


@pytest.mark.parametrize("name", ["torch", "onnxruntime"])
def test_any_batch_runs_on_what_was_prepared_for_one(name: str) -> None:
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    network, frames = make_network(MIXED_WORD, MIL_NCE), frames_of(3, 5, 33, 32, 3)
    run = RUNNERS[name](graph_of(network, frames[:1]))
    assert share_of_norm(run(frames), logits_of(network, frames)) < ENGINE


class Calls:
    """Stands for a function and counts how often it is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.count = function, 0

    def __call__(self, *args: Any) -> Any:
        self.count += 1
        return self.function(*args)


@pytest.mark.parametrize(("dtype", "is_fused"), [(torch.float32, True), (torch.float64, False)])
def test_only_single_precision_on_a_cpu_takes_the_fused_convolution(
    dtype: torch.dtype, is_fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(torch.ops.mkldnn._convolution_pointwise)
    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", calls)
    frames = frames_of(1, 4, 32, 32, 3)
    network = make_network("333sggggggg", PAPER)
    found = TorchRunner(graph_of(network, frames), "cpu", dtype)(frames)
    assert (calls.count > 20) == is_fused
    assert is_fused or calls.count == 0
    assert share_of_norm(found, logits_of(network, frames)) < ENGINE


def test_another_device_takes_plain_operations_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_of(1, 4, 32, 32, 3)
    graph = graph_of(make_network(MIXED_WORD, PAPER), frames)
    asked = Calls(torch_runner._fused_convolution)
    monkeypatch.setattr(torch_runner, "_fused_convolution", asked)
    runner = TorchRunner(graph, "meta")
    assert runner.is_plain
    assert asked.count > 20
    assert asked.function(runner) is None
    # Values are on no device here; that every operation takes them there is what is seen.
    assert runner.run(frames.to("meta")).device.type == "meta"


def test_without_onednn_it_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    network, frames = make_network(MIXED_WORD, PAPER), frames_of(1, 4, 32, 32, 3)
    run = TorchRunner(graph_of(network, frames))
    assert share_of_norm(run(frames), logits_of(network, frames)) < ENGINE


def test_a_runner_is_compiled_as_one_program(quiet: None) -> None:
    network = make_network("s33gggggggg", PAPER)
    frames = frames_of(2, 4, 32, 32, 3)
    graph = graph_of(network, frames, until="mixed3c")
    # Double precision on a CPU takes the operations that a GPU takes.
    run = compile_runner(TorchRunner(graph, "cpu", torch.float64), "eager")
    with torch.no_grad():
        wanted = network.features(normalise(frames, SPEC), "mixed3c")
    assert share_of_norm(run(frames), wanted) < ENGINE


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_compiled_as_one_program(quiet: None, style: str) -> None:
    network, frames = make_network(MIXED_WORD, STYLES[style]), frames_of(1, 5, 33, 32, 3)
    run = compile_runner(TorchRunner(graph_of(network, frames), "cpu", torch.float64), "eager")
    assert share_of_norm(run(frames), logits_of(network, frames)) < ENGINE


@pytest.mark.slow
def test_more_runners_than_pytorch_compiles_of_one_function(quiet: None) -> None:
    network, frames = make_network("s3d", PAPER), frames_of(1, 4, 32, 32, 3)
    clips = normalise(frames, SPEC)
    for until in BLOCKS[: torch._dynamo.config.recompile_limit + 1]:  # type: ignore[attr-defined]
        graph = graph_of(network, frames, until=until)
        run = compile_runner(TorchRunner(graph, "cpu", torch.float64), "eager")
        with torch.no_grad():
            wanted = network.features(clips, until)
        assert share_of_norm(run(frames), wanted) < ENGINE
