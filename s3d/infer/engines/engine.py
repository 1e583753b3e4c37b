"""An engine: a network, or some of its blocks, run by one of several runtimes.

eager         the network as it is: PyTorch modules
torch         its graph, with fused operations of PyTorch
openvino      its graph, by OpenVINO, on a CPU
onnxruntime   its graph, by ONNX Runtime, on a CPU
half          its graph in half precision, through torch.compile, on a GPU
"""

from __future__ import annotations

import difflib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.data.loader import normalise
from s3d.errors import InputError
from s3d.infer.engines.onnx_runner import OnnxRunner
from s3d.infer.engines.openvino_runner import OpenVinoRunner
from s3d.infer.engines.torch_runner import TorchRunner
from s3d.models.graph import HEAD, Graph, Shape, build_graph
from s3d.models.network import Network

Runner = Callable[[Tensor], Tensor]
"""Gives the output of a graph on the CPU for its input."""

MOST_PREPARED = 12
"""Shapes and blocks that an engine keeps prepared: each holds a copy of their weights."""


@dataclass(frozen=True)
class EngineKind:
    """Describe an engine.

    Attributes:
        make: Prepares a graph on a device.
        device: Where it runs: "cpu" or "cuda"; "" is either.
        packages: What must be installed, beside PyTorch.
        takes_any_batch: What was prepared for one batch runs another.
    """

    make: Callable[[Graph, str], Runner]
    device: str
    packages: tuple[str, ...] = ()
    takes_any_batch: bool = True


def _make_half(graph: Graph, device: str) -> Runner:
    runner = TorchRunner(graph, device, torch.float16)
    runner.run = torch.compile(runner.run, fullgraph=True)  # type: ignore[method-assign]
    return runner


KINDS: dict[str, EngineKind] = {
    "openvino": EngineKind(
        lambda graph, _: OpenVinoRunner(graph), "cpu", ("openvino",), takes_any_batch=False
    ),
    "onnxruntime": EngineKind(lambda graph, _: OnnxRunner(graph), "cpu", ("onnxruntime", "onnx")),
    "half": EngineKind(_make_half, "cuda"),
    "torch": EngineKind(lambda graph, device: TorchRunner(graph, device), ""),
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
        if kind.device in ("", device) and all(find_spec(package) for package in kind.packages)
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
    if name in usable_engines(device):
        return
    kind = KINDS[name]
    if kind.device not in ("", device):
        raise InputError(
            f"engine {name} runs on {kind.device}, not on {device}. Use --engine auto."
        )
    missing = [package for package in kind.packages if not find_spec(package)]
    raise InputError(
        f"engine {name} needs {' and '.join(missing)}, not installed here. "
        f"Use `pip install {' '.join(missing)}`, or --engine torch."
    )


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
        self._prepared: OrderedDict[tuple[str | None, str, Shape], Runner] = OrderedDict()
        self._weights = _state_of(network)
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
        """
        if self.name == EAGER:
            return self._run_eagerly(x, after, until)
        return self._runner(tuple(x.shape), after, until)(x)

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
        kind = KINDS[self.name]
        key = (after, until, (0, *shape[1:]) if kind.takes_any_batch else shape)
        with self._lock:
            if (weights := _state_of(self.network)) != self._weights:
                self._prepared.clear()
                self._weights = weights
            runner = self._prepared.get(key)
            if runner is None:
                runner = self._prepared[key] = kind.make(
                    self._graph(shape, after, until), self.device
                )
            self._prepared.move_to_end(key)
            if len(self._prepared) > MOST_PREPARED:
                self._prepared.popitem(last=False)
        return runner

    def _graph(self, shape: Shape, after: str | None, until: str) -> Graph:
        if after is not None:
            return build_graph(self.network, shape, after=after, until=until)
        batch, frames, height, width, channels = shape
        shape = (batch, channels, frames, height, width)
        return build_graph(self.network, shape, until=until, spec=self.spec)


def _device_of(network: Network) -> str:
    return next(network.parameters()).device.type


def _state_of(network: Network) -> tuple[tuple[int, int], ...]:
    """Return what changes when a weight is set or trained."""
    tensors = [*network.parameters(), *network.buffers()]
    return tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)
