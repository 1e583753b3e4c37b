"""An engine: a network, or some of its blocks, run by one of several runtimes.

eager         the network as it is: PyTorch modules
torch         its graph, with fused operations of PyTorch
openvino      its graph, by OpenVINO, on a CPU
onnxruntime   its graph, by ONNX Runtime, on a CPU
native        its graph, by kernels of ours that are compiled for this processor, on a CPU
half          its graph in half precision, through torch.compile, on a GPU
"""

from __future__ import annotations

import difflib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer.engines.onnx_runner import OnnxRunner
from s3d.infer.engines.openvino_runner import OpenVinoRunner
from s3d.infer.engines.torch_runner import TorchRunner
from s3d.infer.native.compile import load_kernels
from s3d.infer.native.runner import NativeRunner
from s3d.models.graph import HEAD, Graph, Shape, build_graph, count_bytes
from s3d.models.network import Network

Runner = Callable[[Tensor], Tensor]
"""Gives the output of a graph on the CPU for its input."""

MOST_PREPARED_BYTES = 2 * 2**30
"""What an engine keeps prepared, about: weights of shapes and blocks, and room for activations."""

LONGEST_REASON = 200
"""Characters of what a foreign runtime says where it fails."""


@dataclass(frozen=True)
class EngineKind:
    """Describe an engine.

    Attributes:
        make: Prepares a graph on a device.
        device: Where it runs: "cpu" or "cuda"; "" is either.
        packages: What must be installed, beside PyTorch.
        is_compiled: A C compiler is needed too.
        takes_any_batch: What was prepared for one batch runs another.
        is_foreign: It may raise anything, of which a person is told in a line.
    """

    make: Callable[[Graph, str], Runner]
    device: str
    packages: tuple[str, ...] = ()
    is_compiled: bool = False
    takes_any_batch: bool = True
    is_foreign: bool = True


def compile_runner(runner: TorchRunner, backend: str = "inductor") -> TorchRunner:
    """Let `torch.compile` make one program of a runner, for one batch, and return the runner."""
    run = TorchRunner.run
    # PyTorch counts what it compiled by code object, and gives up after eight. Runners share their
    # code and nothing else, so each gets a code object of its own.
    own = FunctionType(run.__code__.replace(), run.__globals__)
    # Every shape is known. Left alone, PyTorch makes those unknown that differ from one runner to
    # the next, and then does algebra with them for minutes.
    compiled = torch.compile(own, fullgraph=True, dynamic=False, backend=backend)
    runner.run = partial(compiled, runner)  # type: ignore[method-assign]
    return runner


def _make_half(graph: Graph, device: str) -> Runner:
    return compile_runner(TorchRunner(graph, device, torch.float16))


KINDS: dict[str, EngineKind] = {
    "native": EngineKind(lambda graph, _: NativeRunner(graph), "cpu", is_compiled=True),
    "openvino": EngineKind(
        lambda graph, _: OpenVinoRunner(graph), "cpu", ("openvino",), takes_any_batch=False
    ),
    "onnxruntime": EngineKind(lambda graph, _: OnnxRunner(graph), "cpu", ("onnxruntime", "onnx")),
    "half": EngineKind(_make_half, "cuda", takes_any_batch=False),
    "torch": EngineKind(lambda graph, device: TorchRunner(graph, device), "", is_foreign=False),
}
"""Every engine that runs a graph, the one that is likely the fastest first."""

EAGER = "eager"
ENGINES = (*KINDS, EAGER)
"""Every engine by name."""


def usable_engines(device: str) -> list[str]:
    """Return the engines that can run on a device with what is installed."""
    return [
        name
        for name, kind in KINDS.items()
        if kind.device in ("", device) and not missing_packages(name) and not lacks_compiler(name)
    ] + [EAGER]


def check_engine(name: str, device: str = "cpu") -> None:
    """Check that an engine exists and can run here.

    Raises:
        InputError: It does not, or cannot.
    """
    if name not in ENGINES:
        near = difflib.get_close_matches(name[:30], ENGINES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(f"unknown engine {name[:60]!r}.{hint} Known: auto, {', '.join(ENGINES)}.")
    if name == EAGER:
        return
    if (needed := KINDS[name].device) not in ("", device):
        raise InputError(f"engine {name} runs on {needed}, not on {device}. Use --engine torch.")
    if lacks_compiler(name):
        raise InputError(
            f"engine {name} needs a C compiler, and none that can make it is here. Use "
            "`apt install gcc` or the like, or --engine torch."
        )
    if missing := missing_packages(name):
        raise InputError(
            f"engine {name} needs {' and '.join(missing)}, not installed here. "
            f"Use `pip install {' '.join(missing)}`, or --engine torch."
        )


def missing_packages(name: str) -> list[str]:
    """Return what must be installed before an engine can run."""
    packages = KINDS[name].packages if name in KINDS else ()
    return [package for package in packages if not find_spec(package)]


def lacks_compiler(name: str) -> bool:
    """Return whether an engine must be compiled and cannot be; the first call may compile it."""
    return name in KINDS and KINDS[name].is_compiled and load_kernels() is None


class Engine:
    """Run a network on frames.

    What a shape needs is prepared when it first comes. Threads may share an engine.

    Attributes:
        name: One of `ENGINES`.
        network: In eval mode. Weights that change are noticed.
        spec: How its frames are normalised.
    """

    def __init__(self, network: Network, spec: ClipSpec, name: str = "torch") -> None:
        check_engine(name, _device_of(network))
        self.network, self.spec, self.name = network, spec, name
        self._kind = KINDS.get(name)
        self._prepared: OrderedDict[tuple[str | None, str, Shape], _Prepared] = OrderedDict()
        self._watch = _Watch(network)
        self._weights = self._watch.state()
        self._lock = threading.Lock()

    @property
    def device(self) -> str:
        """Return where the network is."""
        return _device_of(self.network)

    def logits(self, frames: Tensor) -> Tensor:
        """Return logits (B, K), on the CPU.

        Args:
            frames: (B, T, H, W, C) uint8, on the CPU.
        """
        return self.run(frames)

    def run(self, x: Tensor, after: str | None = None, until: str = HEAD) -> Tensor:
        """Return what a block gives, on the CPU.

        Args:
            x: Frames (B, T, H, W, C) uint8; or features (B, C, T, H, W) that `after` gave.
            after: The block whose output x is; None for frames.
            until: The block whose output is wanted; "head" for logits.

        Returns:
            (B, C, T, H, W), or (B, K), float32.

        Raises:
            InputError: The network cannot take the shape, or a foreign runtime failed.
        """
        if self.name == EAGER:
            return self._run_eagerly(x, after, until)
        try:
            return self._runner(tuple(x.shape), after, until)(x.detach())
        except InputError:
            raise
        except Exception as error:
            if not KINDS[self.name].is_foreign:
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0][:LONGEST_REASON]
            raise InputError(f"engine {self.name}: {reason}. Use --engine torch.") from error

    def _run_eagerly(self, x: Tensor, after: str | None, until: str) -> Tensor:
        x = x.to(self.device)
        with torch.inference_mode():
            if after is None:
                x = normalise(x, self.spec)
                found = self.network(x) if until == HEAD else self.network.features(x, until)
            elif until == HEAD:
                found = self.network.classify(x, after)
            else:
                found = self.network.go_on(x, after, until)
        return found.float().cpu()

    def _runner(self, shape: Shape, after: str | None, until: str) -> Runner:
        kind = self._kind
        assert kind is not None, self.name
        key = (after, until, (0, *shape[1:]) if kind.takes_any_batch else shape)
        with self._lock:
            if self._watch.state() != self._weights:
                self._prepared.clear()
                self._watch = _Watch(self.network)  # Modules may be others.
                self._weights = self._watch.state()
            prepared = self._prepared.get(key)
            if prepared is None:
                graph = self._graph(shape, after, until)
                prepared = _Prepared(kind.make(graph, self.device), count_bytes(graph))
                self._prepared[key] = prepared
            self._prepared.move_to_end(key)
            self._make_room()
        return prepared.runner

    def _make_room(self) -> None:
        """Let go of what was not used for the longest time, but never of what is used now."""
        held = sum(prepared.bytes for prepared in self._prepared.values())
        while held > MOST_PREPARED_BYTES and len(self._prepared) > 1:
            _, oldest = self._prepared.popitem(last=False)
            held -= oldest.bytes

    def _graph(self, shape: Shape, after: str | None, until: str) -> Graph:
        if after is not None:
            return build_graph(self.network, shape, after=after, until=until)
        batch, frames, height, width, channels = shape
        shape = (batch, channels, frames, height, width)
        return build_graph(self.network, shape, until=until, spec=self.spec)


@dataclass(frozen=True)
class _Prepared:
    """Hold a runner and about what it takes of memory."""

    runner: Runner
    bytes: int


def _device_of(network: Network) -> str:
    return next(network.parameters()).device.type


class _Watch:
    """Notice when a weight is set or trained, or a module replaced.

    Places of tensors and modules are looked up once: to walk through a network at every call takes
    longer than to run some of its blocks.
    """

    def __init__(self, network: Network) -> None:
        self.tensors: list[tuple[dict[str, Any], str]] = []
        self.modules: list[tuple[dict[str, Any], str]] = []
        for module in network.modules():
            for places in (module._parameters, module._buffers):
                self.tensors += [(places, name) for name in places]
            self.modules += [(module._modules, name) for name in module._modules]

    def state(self) -> tuple[object, ...]:
        """Return what changes with the network."""
        modules = [id(places.get(name)) for places, name in self.modules]
        tensors = [_version_of(places.get(name)) for places, name in self.tensors]
        return *modules, *tensors


def _version_of(tensor: Tensor | None) -> object:
    if tensor is None:
        return None
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version
