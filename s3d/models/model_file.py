"""A model is one safetensors file whose header rebuilds everything: network, labels, clip, origin.

The header's `s3d` entry is JSON: format, word, style, width, channels, labels, clip, metrics (each
with the protocol that gave it), source, licence. Nothing in the file can run code, and nothing is
allocated before the header and the tensors' shapes agree.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from s3d.clip import ClipSpec
from s3d.errors import InputError
from s3d.files import write_atomically
from s3d.models.network import Network, build
from s3d.models.style import Style

FORMAT = "s3d-model-1"
_FIELDS = {"format", "word", "style", "width", "channels", "labels", "clip", "metrics", "source", "licence"}  # noqa: E501
_DTYPES = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class ModelFile:
    """Hold what a model file holds.

    Attributes:
        network: The network, in eval mode.
        labels: Class names, in the order of the logits.
        spec: The clip it takes.
        metrics: Each what was measured, its value and the protocol.
        source: Where the weights come from.
        licence: Under which licence they may be used.
    """

    network: Network
    labels: tuple[str, ...]
    spec: ClipSpec
    metrics: tuple[dict[str, Any], ...] = ()
    source: str = ""
    licence: str = ""


def save_model(path: str | Path, model: ModelFile) -> None:
    """Write a model file atomically.

    Raises:
        InputError: The labels or the clip do not fit the network, or the disk will not take it.
    """
    network = model.network
    _check_fit(model.labels, model.spec, network.num_classes, network.channels)
    header = {
        "format": FORMAT,
        "word": network.word,
        "style": network.style.to_json(),
        "width": network.width,
        "channels": network.channels,
        "labels": list(model.labels),
        "clip": model.spec.to_json(),
        "metrics": list(model.metrics),
        "source": model.source,
        "licence": model.licence,
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in weights_of(network).items()}
    metadata = {"s3d": json.dumps(header, ensure_ascii=False)}
    write_atomically(Path(path), lambda beside: save_file(tensors, beside, metadata))


def load_model(path: str | Path) -> ModelFile:
    """Read a model file and rebuild its network, in eval mode, on the CPU.

    Raises:
        InputError: The file is missing, damaged, foreign, or does not agree with itself.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such model file. Make one with `s3d train`.")
    try:
        with safe_open(path, framework="pt") as file:
            return _read(file, path)
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not a readable safetensors file ({cause}). Copy or train it again."
        ) from None


def weights_of(network: Network) -> dict[str, Tensor]:
    """Return the tensors that a model file keeps: all but the norms' counters of batches."""
    state = network.state_dict()
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def _read(file: Any, path: Path) -> ModelFile:
    header = _read_header(file.metadata() or {}, path)
    with torch.device("meta"):
        network = _build(header, path)
    wanted = weights_of(network)
    _check_tensors(file, {k: tuple(v.shape) for k, v in wanted.items()}, path)
    network = network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            if not network.style.norm_has_scale:
                module.weight.fill_(1.0)
    state = {k: file.get_tensor(k).float() for k in wanted}
    network.load_state_dict(state, strict=False)
    return ModelFile(
        network.eval(),
        tuple(header["labels"]),
        ClipSpec.from_json(header["clip"]),
        tuple(header["metrics"]),
        str(header["source"]),
        str(header["licence"]),
    )


def _read_header(metadata: dict[str, str], path: Path) -> dict[str, Any]:
    if "s3d" not in metadata:
        raise InputError(
            f"{path}: a safetensors file, but not a model of s3d (no s3d header). "
            "Models come from `s3d train`."
        )
    try:
        header = json.loads(metadata["s3d"])
    except (ValueError, RecursionError):
        raise InputError(f"{path}: the model's header is damaged. Train or copy it again.") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else None
        raise InputError(
            f"{path}: model format {found!r}; this s3d reads {FORMAT!r}. Use a matching version."
        )
    labels, metrics = header.get("labels"), header.get("metrics")
    named = isinstance(labels, list) and labels and all(isinstance(name, str) for name in labels)
    if set(header) != _FIELDS or not named or not isinstance(metrics, list):
        raise InputError(f"{path}: the model's header is damaged. Train or copy it again.")
    return header


def _build(header: dict[str, Any], path: Path) -> Network:
    try:
        style = Style.from_json(header["style"])
        spec = ClipSpec.from_json(header["clip"])
        network = build(
            str(header["word"]),
            num_classes=len(header["labels"]),
            style=style,
            width=header["width"],
            channels=header["channels"],
        )
        _check_fit(tuple(header["labels"]), spec, network.num_classes, network.channels)
    except (InputError, TypeError) as error:
        raise InputError(f"{path}: the model's header cannot be used: {error}") from None
    return network


def _check_tensors(file: Any, wanted: dict[str, tuple[int, ...]], path: Path) -> None:
    found = set(file.keys())
    if found != set(wanted):
        odd = sorted(found ^ set(wanted))[0]
        state = "is not part of" if odd in found else "is missing for"
        raise InputError(f"{path}: tensor {odd!r} {state} the network its header names.")
    for name, shape in wanted.items():
        part = file.get_slice(name)
        if tuple(part.get_shape()) != shape or part.get_dtype() not in _DTYPES:
            raise InputError(
                f"{path}: tensor {name!r} is {part.get_dtype()} {tuple(part.get_shape())}; "
                f"the network its header names needs {shape}."
            )


def _check_fit(labels: tuple[str, ...], spec: ClipSpec, classes: int, channels: int) -> None:
    if len(labels) != classes or len(set(labels)) != len(labels):
        raise InputError(
            f"{len(set(labels))} different labels for {classes} classes; one each is needed."
        )
    if spec.channels != channels:
        raise InputError(f"a clip of {spec.modality} has {spec.channels} channels, not {channels}.")
