"""An engine: what it prepares and keeps, whose weights it runs, and what it says if it cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer.engines import engine as engine_module
from s3d.infer.engines.engine import (
    EAGER,
    ENGINES,
    KINDS,
    Engine,
    check_engine,
    missing_packages,
    usable_engines,
)
from s3d.models.graph import Graph, count_bytes
from s3d.models.network import Network
from s3d.models.style import PAPER
from tests.models.published.publish import make_network
from tests.tolerances import ENGINE, share_of_norm

SPEC = ClipSpec(frames=4, size_px=(32, 32), resize_px=(32, 32), mean=(0.1, 0.5, 0.9))
ON_CPU = usable_engines("cpu")


@pytest.fixture
def network() -> Network:
    return make_network("sgggggggggg", PAPER)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """Return the graphs that the engine `torch` prepares from here on."""
    graphs: list[Graph] = []
    make = KINDS["torch"].make

    def note(graph: Graph, device: str) -> Any:
        graphs.append(graph)
        return make(graph, device)

    monkeypatch.setitem(KINDS, "torch", replace(KINDS["torch"], make=note))
    return graphs


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what lets packages seem to be the only ones there, and no compiler."""

    def let(*names: str) -> None:
        monkeypatch.setattr(engine_module, "load_kernels", lambda: None)
        monkeypatch.setattr(engine_module, "find_spec", lambda name: name in names or None)

    return let


def frames_of(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def logits_of(network: Network, frames: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = network(normalise(frames, SPEC))
    return found


@pytest.mark.parametrize("name", ON_CPU)
def test_frames_in_and_logits_out(network: Network, name: str) -> None:
    frames = frames_of(2, 4, 32, 32, 3)
    found = Engine(network, SPEC, name).logits(frames)
    assert (found.dtype, found.device.type, found.requires_grad) == (torch.float32, "cpu", False)
    assert share_of_norm(found, logits_of(network, frames)) < ENGINE


@pytest.mark.parametrize("name", ON_CPU)
def test_blocks_go_on_where_others_ended(network: Network, name: str) -> None:
    engine, frames = Engine(network, SPEC, name), frames_of(1, 4, 32, 32, 3)
    early = engine.run(frames, until="mixed3b")
    later = engine.run(early, after="mixed3b", until="mixed4f")
    assert share_of_norm(later, engine.run(frames, until="mixed4f")) < ENGINE
    logits = engine.run(later, after="mixed4f")
    assert share_of_norm(logits, logits_of(network, frames)) < ENGINE
    with torch.no_grad():
        wanted = network.features(normalise(frames, SPEC), "mixed3b")
    assert share_of_norm(early, wanted) < ENGINE


@pytest.mark.parametrize("name", ON_CPU)
def test_features_that_want_a_gradient_are_taken(network: Network, name: str) -> None:
    features = Engine(network, SPEC).run(frames_of(1, 4, 32, 32, 3), until="mixed5b")
    found = Engine(network, SPEC, name).run(features.clone().requires_grad_(), after="mixed5b")
    assert not found.requires_grad


@pytest.mark.parametrize("name", ON_CPU)
@pytest.mark.parametrize("change", ["in place", "another tensor", "statistics", "loaded"])
def test_weights_that_change_are_noticed(network: Network, name: str, change: str) -> None:
    frames = frames_of(1, 4, 32, 32, 3)
    engine = Engine(network, SPEC, name)
    before = engine.logits(frames)
    with torch.no_grad():
        if change == "in place":
            network.mixed5c.entry.weight.normal_()
        elif change == "another tensor":
            network.replace_head(5)
            network.head.classifier.bias.add_(1)
        elif change == "statistics":
            network.mixed5c.entry.norm.running_mean.sub_(3.0)
        else:
            state = {k: v * 1.1 for k, v in network.state_dict().items()}
            network.load_state_dict(state, assign=True)
    found = engine.logits(frames)
    assert share_of_norm(found, before) > 1e-3
    assert share_of_norm(found, logits_of(network, frames)) < ENGINE


def test_a_shape_is_prepared_once(network: Network, prepared: list[Graph]) -> None:
    engine = Engine(network, SPEC)
    for batch in (1, 3, 1):
        engine.logits(frames_of(batch, 4, 32, 32, 3))
    assert len(prepared) == 1
    engine.logits(frames_of(1, 5, 32, 32, 3))
    engine.run(frames_of(1, 4, 32, 32, 3), until="mixed3b")
    engine.logits(frames_of(1, 4, 32, 32, 3))
    assert len(prepared) == 3


def test_an_engine_of_one_batch_is_prepared_for_each(
    network: Network, prepared: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "torch", replace(KINDS["torch"], takes_any_batch=False))
    engine = Engine(network, SPEC)
    for batch in (1, 3, 1):
        engine.logits(frames_of(batch, 4, 32, 32, 3))
    assert [graph.batch for graph in prepared] == [1, 3]


def test_what_was_not_used_for_the_longest_is_let_go(
    network: Network, prepared: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(network, SPEC)

    def score(length: int) -> None:
        engine.run(frames_of(1, length, 32, 32, 3), until="conv1a")

    for length in (1, 2, 3, 1):
        score(length)
    assert len(prepared) == 3
    room = sum(map(count_bytes, prepared))
    monkeypatch.setattr(engine_module, "MOST_PREPARED_BYTES", room)
    score(4)  # as large as 3 and larger than 1 or 2: 2 goes, and 3, not 1
    assert {key[2][1] for key in engine._prepared} == {1, 4}
    count = len(prepared)
    score(1)
    assert len(prepared) == count
    score(2)
    assert len(prepared) == count + 1


def test_what_is_used_now_is_kept_however_large(
    network: Network, prepared: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "MOST_PREPARED_BYTES", 1)
    engine = Engine(network, SPEC)
    for _ in range(2):
        engine.logits(frames_of(1, 4, 32, 32, 3))
    assert len(prepared) == len(engine._prepared) == 1


@pytest.mark.parametrize("name", ON_CPU)
def test_threads_share_an_engine(network: Network, name: str) -> None:
    engine = Engine(network, SPEC, name)
    clips = [frames_of(1, length, 32, 32, 3) for length in (3, 4, 5, 3, 4, 5)]
    wanted = [logits_of(network, clip) for clip in clips]
    found: dict[int, Tensor] = {}
    barrier = threading.Barrier(len(clips))

    def score(number: int) -> None:
        barrier.wait()
        found[number] = engine.logits(clips[number])

    threads = [threading.Thread(target=score, args=(n,)) for n in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, logits in enumerate(wanted):
        assert share_of_norm(found[number], logits) < ENGINE


def test_threads_prepare_a_shape_once(
    network: Network, prepared: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = KINDS["torch"].make

    def slowly(graph: Graph, device: str) -> Any:
        time.sleep(0.05)
        return make(graph, device)

    monkeypatch.setitem(KINDS, "torch", replace(KINDS["torch"], make=slowly))
    engine, frames = Engine(network, SPEC), frames_of(1, 4, 32, 32, 3)
    threads = [threading.Thread(target=engine.logits, args=(frames,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(prepared) == 1


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the name of an engine that cannot do what it is asked."""

    def fail(_graph: Graph, _device: str) -> Any:
        raise RuntimeError("no such primitive\n at layer 3")

    monkeypatch.setitem(KINDS, "openvino", replace(KINDS["openvino"], make=fail, packages=()))
    yield "openvino"


def test_a_foreign_runtime_that_fails_is_one_line(network: Network, failing: str) -> None:
    with pytest.raises(InputError) as caught:
        Engine(network, SPEC, failing).logits(frames_of(1, 4, 32, 32, 3))
    assert str(caught.value) == "engine openvino: no such primitive. Use --engine torch."
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_fault_of_our_own_is_not_hidden(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_graph: Graph, _device: str) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setitem(KINDS, "torch", replace(KINDS["torch"], make=fail))
    with pytest.raises(RuntimeError, match="ours"):
        Engine(network, SPEC).logits(frames_of(1, 4, 32, 32, 3))


@pytest.mark.parametrize("name", ON_CPU)
def test_a_clip_that_is_too_small_is_refused(network: Network, name: str) -> None:
    with pytest.raises(InputError, match="clip is 32 x 20 px; a network needs at least 32"):
        Engine(network, SPEC, name).logits(frames_of(1, 4, 20, 32, 3))


def test_every_engine_has_a_name() -> None:
    assert ENGINES == ("native", "openvino", "onnxruntime", "half", "torch", EAGER)
    assert usable_engines("cpu")[-2:] == ["torch", EAGER]
    assert "half" not in usable_engines("cpu")
    assert usable_engines("cuda") == ["half", "torch", EAGER]


def test_without_packages_there_are_ours(installed: Callable[..., None]) -> None:
    installed()
    assert usable_engines("cpu") == ["torch", EAGER]
    installed("onnxruntime")
    assert usable_engines("cpu") == ["torch", EAGER]
    assert missing_packages("onnxruntime") == ["onnx"]
    installed("onnx", "onnxruntime", "openvino")
    assert usable_engines("cpu") == ["openvino", "onnxruntime", "torch", EAGER]


def test_without_a_compiler_nothing_is_compiled(
    installed: Callable[..., None], network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed()
    with pytest.raises(InputError, match="engine native needs a C compiler"):
        Engine(network, SPEC, "native")
    monkeypatch.setattr(engine_module, "load_kernels", lambda: object())
    assert usable_engines("cpu") == ["native", "torch", EAGER]
    assert "native" not in usable_engines("cuda")


def test_what_is_missing_is_said(installed: Callable[..., None], network: Network) -> None:
    installed()
    message = "engine onnxruntime needs onnxruntime and onnx, not installed here. Use `pip install"
    with pytest.raises(InputError, match=message):
        Engine(network, SPEC, "onnxruntime")
    with pytest.raises(InputError, match=r"`pip install openvino`, or --engine torch\.$"):
        check_engine("openvino")


@pytest.mark.parametrize(
    ("name", "device", "message"),
    [
        (
            "opnvino",
            "cpu",
            r"unknown engine 'opnvino'\. Did you mean openvino\? Known: auto, native",
        ),
        ("zzz", "cpu", r"unknown engine 'zzz'\. Known: auto, native, openvino, "),
        ("half", "cpu", r"engine half runs on cuda, not on cpu\. Use --engine torch\."),
        ("openvino", "cuda", r"engine openvino runs on cpu, not on cuda\. Use --engine torch\."),
    ],
)
def test_an_engine_that_cannot_be_is_refused(name: str, device: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_engine(name, device)
