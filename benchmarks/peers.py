"""The peers that benchmarks measure beside us, and what makes the comparison fair."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from s3d.models.blocks import INCEPTION
from s3d.models.network import Network


def load_torchvision_s3d(num_classes: int) -> nn.Module:
    """Return torchvision's S3D with fresh weights.

    Its head's average pool of 2x7x7 fails on clips below 224 px; it is set to what is left there,
    which is what ours does. Its wheel is built for CUDA and refuses a CPU-only torch for want of
    two detection operators that S3D does not use; declaring them lets it import.
    """
    try:
        from torchvision.models.video import s3d
    except RuntimeError:
        library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        from torchvision.models.video import s3d
    model: nn.Module = s3d(num_classes=num_classes)
    model.avgpool = _ShrinkingPool()
    return model


class _ShrinkingPool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        kernel = [min(n, k) for n, k in zip(x.shape[2:], (2, 7, 7), strict=True)]
        return nn.functional.avg_pool3d(x, kernel, stride=1)


def give_random_statistics(network: nn.Module) -> None:
    """Draw every norm's statistics and scale, and a classifier that tells classes apart.

    Fresh norms do nothing and a fresh head calls all classes alike: equal logits would say little.
    """
    generator = torch.Generator().manual_seed(0)

    def draw(tensor: Tensor, low: float, high: float) -> None:
        tensor.uniform_(low, high, generator=generator)

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
                assert module.running_mean is not None
                assert module.running_var is not None
                draw(module.running_mean, -0.2, 0.2)
                draw(module.running_var, 0.6, 1.6)
                draw(module.weight, 0.8, 1.6)
                draw(module.bias, -0.2, 0.4)
        # Torchvision's head is a convolution, ours a linear layer.
        head = [m for m in network.modules() if isinstance(m, (nn.Conv3d, nn.Linear))][-1]
        head.weight.normal_(0, 0.1, generator=generator)


def compile_with_openvino(network: nn.Module, clips: Tensor, threads: int) -> Any:
    """Return a network as a person would export it to OpenVINO: converted, compiled for latency.

    Args:
        network: In eval mode.
        clips: An example; its shape is the only one that is taken.
        threads: As many as others have.
    """
    import openvino

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The tracer says that shapes are taken as they are.
        model = openvino.convert_model(network, example_input=clips, input=list(clips.shape))
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        # Without it OpenVINO takes bfloat16 where the processor has it: faster, and not equal.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    return openvino.compile_model(model, "CPU", settings)


def open_with_onnxruntime(network: nn.Module, clips: Tensor, threads: int) -> Any:
    """Return a session of a network that PyTorch exported to ONNX."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # PyTorch's older exporter says that there is a newer one.
        path = str(Path(folder) / "s3d.onnx")
        torch.onnx.export(network, (clips,), path, dynamo=False, input_names=["clips"])
        return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


def copy_torchvision_s3d(source: nn.Module, network: Network) -> None:
    """Give our S3D (style `torchvision`) the weights of torchvision's, so that answers compare."""
    state = {k: v for k, v in source.state_dict().items() if not k.endswith("num_batches_tracked")}
    names = dict(_pairs())
    ours = network.state_dict()
    for name in ours:
        if name.endswith("num_batches_tracked"):
            continue
        prefix, _, leaf = _split(name)
        sources = names[prefix]
        parts = [_take(state, peer, leaf) for peer in sources]
        ours[name] = torch.cat(parts).reshape(ours[name].shape)
    network.load_state_dict(ours)


def _split(name: str) -> tuple[str, str, str]:
    for mark in (".norm.", ".weight", ".bias"):
        if mark in name:
            prefix, _, tail = name.partition(mark)
            return prefix, mark, mark.strip(".") + ("." + tail if tail else "")
    raise KeyError(name)


def _take(state: dict[str, Tensor], peer: str, leaf: str) -> Tensor:
    if leaf.startswith("norm."):
        return state[f"{peer}.1.{leaf.removeprefix('norm.')}"]
    if peer == "classifier":
        return state[f"classifier.1.{leaf}"]
    return state[f"{peer}.0.{leaf}"]


def _pairs() -> list[tuple[str, list[str]]]:
    pairs = [
        ("conv1a.0", ["features.0.0"]),
        ("conv1a.1", ["features.0.1"]),
        ("conv2b", ["features.2"]),
        ("conv2c.0", ["features.3.0"]),
        ("conv2c.1", ["features.3.1"]),
        ("head.classifier", ["classifier"]),
    ]
    places = (5, 6, 8, 9, 10, 11, 12, 14, 15)
    for block, place in zip(INCEPTION, places, strict=True):
        peer = f"features.{place}"
        pairs.append((f"{block}.entry", [f"{peer}.branch{n}" for n in ("0", "1.0", "2.0")]))
        pairs.append((f"{block}.branch3.1", [f"{peer}.branch3.1"]))
        for branch in (1, 2):
            names = f"{block}.branch{branch}", f"{peer}.branch{branch}.1"
            pairs += [(f"{names[0]}.{half}", [f"{names[1]}.{half}"]) for half in (0, 1)]
    return pairs
